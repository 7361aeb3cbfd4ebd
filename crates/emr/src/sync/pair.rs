//! A resource here and its counterpart there: what both had when they were last seen. Pure; rows and requests are others' work.

use super::merge::{Base, Conflict, Merged, Overruled, merge};
use super::overlay::overlay;
use super::precedence::precedence;
use super::project::{Kind, project};
use delivery::{Remote, hash_of};
use fhir::defs::TypeId;
use fhir::json::Value;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub remote: Remote,
    pub base: Base,
    /// A write that is on its way or whose outcome nobody knows: what the base becomes once it is there.
    pub sent: Option<Base>,
    /// Our version into which theirs was merged last: an older one must not be sent over it.
    pub version: u64,
    /// Hash of what they showed last, before its references were made ours: an echo is known by it without a look at anything else.
    pub seen: u64,
    /// It is not there any more; nothing is sent until somebody changes ours.
    pub gone: bool,
    /// Its deletion was sent: an EMR that cannot delete marks it instead.
    pub removing: bool,
}

/// What follows from what they show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Our resource as it should be; `None`: as it is.
    pub ours: Option<Value>,
    pub next: Pair,
    pub conflicts: Vec<Conflict>,
    pub overruled: Vec<Overruled>,
}

/// What is to be written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What they should have, projected.
    pub theirs: Value,
    /// The base once it is there.
    pub sent: Base,
    /// There are elements in which theirs must stay as it is.
    pub differs: bool,
}

impl Pair {
    /// Of two that have nothing in common yet, or whose past is not known.
    pub fn strangers(remote: Remote) -> Pair {
        let nothing = || Value::Object(Vec::new());
        let base = Base { ours: nothing(), theirs: nothing() };
        Pair { remote, base, sent: None, version: 0, seen: 0, gone: false, removing: false }
    }

    /// Of two with the same content.
    pub fn twins(remote: Remote, kind: Kind, ty: TypeId, content: &Value) -> Pair {
        let content = project(kind, ty, content, content);
        Pair { base: Base { ours: content.clone(), theirs: content }, ..Pair::strangers(remote) }
    }

    /// They show `theirs`, with our references, where we have `ours`.
    pub fn incoming(&self, kind: Kind, ty: TypeId, ours: &Value, theirs: &Value) -> Incoming {
        let shown = project(kind, ty, theirs, theirs);
        let base = self.base_of(&shown);
        let before = project(kind, ty, ours, theirs);
        let Merged { ours: after, agreed, conflicts, overruled, .. } =
            merge(ty, &base, &before, &shown, &|question| precedence(ty, question));
        let changed = (after != before).then(|| overlay(kind, ty, ours, &before, &after)).filter(|new| new != ours);
        let base = Base { ours: agreed, theirs: shown };
        let next = Pair { base, sent: None, gone: false, removing: false, ..self.clone() };
        Incoming { ours: changed, next, conflicts, overruled }
    }

    /// What both had last, by whether what was sent shows in what they have now.
    pub fn base_of(&self, shown: &Value) -> Base {
        let base = match &self.sent {
            Some(sent) if shows(&self.base.theirs, &sent.theirs, shown) => sent,
            _ => &self.base,
        };
        // The mark of our own deletion is no change of theirs, should ours have been created again.
        let is_marked = self.removing && is_withdrawn(shown) && without_status(shown) == without_status(&base.theirs);
        let mut base = if is_marked { Base { ours: shown.clone(), theirs: shown.clone() } } else { base.clone() };
        // It is back: the mark of its tombstone goes.
        if let Some(mark) = base.ours.get("active").filter(|_| self.gone).cloned() {
            base.theirs.set("active", mark);
        }
        base
    }

    /// Before a deletion leaves.
    pub fn removing(&self) -> Pair {
        Pair { removing: true, ..self.clone() }
    }

    /// What our changes since the last look ask for; `None`: nothing.
    pub fn outgoing(&self, kind: Kind, ty: TypeId, ours: &Value) -> Option<Outgoing> {
        let before = project(kind, ty, ours, &self.base.theirs);
        let merged = merge(ty, &self.base, &before, &self.base.theirs, &|question| precedence(ty, question));
        let is_there = merged.theirs == self.base.theirs && self.sent.is_none();
        let is_new = before != self.base.ours;
        if is_there || (self.gone && !is_new) {
            return None;
        }
        let differs = merged.theirs != merged.ours;
        let sent = Base { ours: before, theirs: merged.theirs.clone() };
        Some(Outgoing { theirs: merged.theirs, sent, differs })
    }

    /// Before a write leaves: should its outcome stay unknown, either may be there.
    pub fn sending(&self, outgoing: &Outgoing) -> Pair {
        Pair { sent: Some(outgoing.sent.clone()), gone: false, ..self.clone() }
    }

    /// After a write has arrived.
    pub fn arrived(&self, remote: Remote) -> Pair {
        let base = self.sent.clone().unwrap_or_else(|| self.base.clone());
        Pair { remote, base, sent: None, gone: false, ..self.clone() }
    }

    /// It is not there any more, and ours has been dealt with.
    pub fn without_them(&self, kind: Kind, ty: TypeId, ours: &Value) -> Pair {
        let ours = project(kind, ty, ours, &self.base.theirs);
        Pair { base: Base { ours, theirs: self.base.theirs.clone() }, sent: None, gone: true, ..self.clone() }
    }

    /// Whether ours has changed since they were last seen or written.
    pub fn ours_changed(&self, kind: Kind, ty: TypeId, ours: &Value) -> bool {
        project(kind, ty, ours, &self.base.theirs) != self.base.ours
    }
}

/// Whether a write has arrived: something that it changed is there as it was sent.
fn shows(before: &Value, sent: &Value, shown: &Value) -> bool {
    if sent == before {
        return false;
    }
    if sent == shown {
        return true;
    }
    match (before, sent, shown) {
        (Value::Object(_), Value::Object(members), Value::Object(_)) => {
            let nothing = Value::Null;
            let of = |value: &'_ Value, name: &str| value.get(name).cloned().unwrap_or_default();
            let arrived = |(name, sent): &(String, Value)| {
                shows(before.get(name).unwrap_or(&nothing), sent, shown.get(name).unwrap_or(&nothing))
            };
            let removed = |(name, _): &(String, Value)| sent.get(name).is_none() && of(shown, name) == Value::Null;
            let Value::Object(old) = before else { return false };
            members.iter().any(arrived) || old.iter().any(removed)
        }
        (Value::Array(old), Value::Array(new), Value::Array(shown)) => {
            let is_new = |item: &&Value| !old.contains(item);
            let is_gone = |item: &&Value| !new.contains(item);
            new.iter().filter(is_new).any(|item| shown.contains(item))
                || old.iter().filter(is_gone).any(|item| !shown.contains(item))
        }
        _ => false,
    }
}

/// Whether a record says that it is not valid: all that an EMR without deletions can do.
pub(super) fn is_withdrawn(record: &Value) -> bool {
    let verification = record.get("verificationStatus").map_or(&[][..], |concept| concept.list("coding"));
    record.get("active") == Some(&Value::Bool(false))
        || matches!(record.str("status"), Some("cancelled" | "entered-in-error" | "inactive"))
        || verification.iter().any(|coding| coding.str("code") == Some("entered-in-error"))
}

/// All but what says whether it is valid.
pub(super) fn without_status(record: &Value) -> Value {
    let mut rest = record.clone();
    if let Value::Object(members) = &mut rest {
        members
            .retain(|(name, _)| !["active", "clinicalStatus", "status", "verificationStatus"].contains(&name.as_str()));
    }
    rest
}

/// A pair as it is kept: resources as text.
#[derive(Serialize, Deserialize)]
struct Row {
    remote: Remote,
    ours: String,
    /// `None`: the same as ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    theirs: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<(String, String)>,
    version: u64,
    seen: u64,
    #[serde(default)]
    gone: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removing: bool,
}

impl Pair {
    pub(super) fn to_row(&self) -> Vec<u8> {
        let Base { ours, theirs } = &self.base;
        let row = Row {
            remote: self.remote.clone(),
            ours: ours.to_string(),
            theirs: (theirs != ours).then(|| theirs.to_string()),
            sent: self.sent.as_ref().map(|sent| (sent.ours.to_string(), sent.theirs.to_string())),
            version: self.version,
            seen: self.seen,
            gone: self.gone,
            removing: self.removing,
        };
        // Strings and numbers: nothing that could fail.
        serde_json::to_vec(&row).unwrap_or_default()
    }

    pub(super) fn from_row(row: &[u8]) -> Option<Pair> {
        let row: Row = serde_json::from_slice(row).ok()?;
        let ours = Value::parse(&row.ours).ok()?;
        let theirs = match row.theirs {
            Some(text) => Value::parse(&text).ok()?,
            None => ours.clone(),
        };
        let sent = match row.sent {
            Some((ours, theirs)) => Some(Base { ours: Value::parse(&ours).ok()?, theirs: Value::parse(&theirs).ok()? }),
            None => None,
        };
        let base = Base { ours, theirs };
        let Row { remote, version, seen, gone, removing, .. } = row;
        Some(Pair { remote, base, sent, version, seen, gone, removing })
    }
}

/// Tells what they showed from what they show now.
pub(super) fn seen(theirs: &Value) -> u64 {
    let mut content = theirs.clone();
    if let Value::Object(members) = &mut content {
        members.retain(|(name, _)| name != "meta");
    }
    hash_of(&super::canonical::canonical(&content))
}

#[cfg(test)]
mod tests;
