//! What is sent: the newest version, with the ids of the destination in its references.

use crate::book::Book;
use crate::destination::{Identifier, Item, Verdict};
use crate::intent::{Delivered, Intent, Problem, Remote};
use crate::spec::Spec;
use engine::{Error, Followed};
use fhir::defs::{TypeId, r4};
use fhir::json;
use fhir::json::Value;
use store::Op;

/// What can be done for an intent now.
#[derive(Debug)]
pub(crate) enum Prepared {
    Send(Box<Sending>),
    /// The resource that it refers to must be there first.
    WaitFor(Followed),
    /// There is nothing left to do: it is there already, or it has come and gone.
    Nothing,
    Refuse(Problem),
}

#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) item: Item,
    /// The change whose content it is.
    pub(crate) seq: u64,
    pub(crate) patient: Option<String>,
    pub(crate) version: u64,
    /// Hash of the content before references were rewritten.
    pub(crate) hash: u64,
}

/// The resource type and id of `Type/id`.
pub(crate) fn split(key: &str) -> Option<(TypeId, &str)> {
    let (name, id) = key.split_once('/')?;
    Some((r4().resource_by_name(name)?, id))
}

pub(crate) async fn delivered<B: Book>(book: &B, spec: &Spec, key: &str) -> Result<Option<Delivered>, Error> {
    let row = book.state(&spec.space("idmap"), key).await?;
    Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
}

pub(crate) async fn prepare<B: Book>(book: &B, spec: &Spec, intent: &Intent) -> Result<Prepared, Error> {
    let Some((ty, id)) = split(&intent.key) else { return Ok(Prepared::Nothing) };
    let Some(current) = book.current(ty, id).await? else { return Ok(Prepared::Nothing) };
    let known = delivered(book, spec, &intent.key).await?;
    if known.as_ref().is_some_and(|known| known.seq >= current.seq) {
        return Ok(Prepared::Nothing);
    }
    let remote = known.as_ref().filter(|known| !known.deleted).map(|known| known.remote.clone());
    let is_delete = current.resource.op == Op::Delete;
    // What never left needs no deletion; what may have left does.
    if is_delete && remote.is_none() && intent.attempts == 0 {
        return Ok(Prepared::Nothing);
    }
    let mut related = Vec::new();
    let (mut body, mut hash) = (None, 0);
    if !is_delete {
        let text = std::str::from_utf8(&current.resource.json).unwrap_or_default();
        let Ok(mut value) = Value::parse(text) else {
            return Ok(Prepared::Refuse(Problem::new(0, "the stored resource is not JSON")));
        };
        strip(&mut value);
        hash = hash_of(&value);
        if known.as_ref().is_some_and(|known| known.hash == hash && !known.deleted) {
            return Ok(Prepared::Nothing);
        }
        match references(book, spec, &value).await? {
            Referred::All(known) => related = known,
            Referred::Missing(other) => return Ok(Prepared::WaitFor(*other)),
        }
        rewrite(&mut value, &related, &spec.identifier_system);
        body = Some(value);
    }
    let item = Item {
        name: r4().ty(ty).name.to_owned(),
        key: intent.key.clone(),
        body,
        remote,
        related,
        identifier: Identifier { system: spec.identifier_system.clone(), value: intent.key.replace('/', "-") },
        version: current.resource.version,
    };
    if let Some(check) = &spec.check {
        match check.check(&item).await? {
            Verdict::Send => {}
            Verdict::Nothing => return Ok(Prepared::Nothing),
            Verdict::Refuse(problem) => return Ok(Prepared::Refuse(problem)),
        }
    }
    let (seq, version) = (current.seq, current.resource.version);
    Ok(Prepared::Send(Box::new(Sending { item, seq, patient: current.patient, version, hash })))
}

/// Ids and versions are ours, not the destination's.
fn strip(resource: &mut Value) {
    let Value::Object(members) = resource else { return };
    members.retain(|(name, _)| name != "id");
    for (name, member) in members.iter_mut() {
        if let ("meta", Value::Object(meta)) = (name.as_str(), member) {
            meta.retain(|(name, _)| name != "versionId" && name != "lastUpdated");
        }
    }
    members.retain(|(name, member)| !(name == "meta" && matches!(member, Value::Object(meta) if meta.is_empty())));
}

/// Tells one content from another. FNV-1a: the same in every process and version.
pub fn hash_of(value: &Value) -> u64 {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

enum Referred {
    /// What is known at the destination of each resource that is there.
    All(Vec<(String, Remote)>),
    Missing(Box<Followed>),
}

async fn references<B: Book>(book: &B, spec: &Spec, resource: &Value) -> Result<Referred, Error> {
    let mut keys = Vec::new();
    collect(resource, &mut keys);
    keys.sort_unstable();
    keys.dedup();
    let mut known = Vec::new();
    for key in keys {
        let Some((ty, id)) = split(&key) else { continue };
        match delivered(book, spec, &key).await? {
            Some(there) if !there.deleted => known.push((key, there.remote)),
            // Of a type that the destination does not take, or not there at all: the reference becomes a logical one.
            _ if !spec.rules.takes_type(ty) => {}
            _ => {
                if let Some(current) = book.current(ty, id).await?
                    && current.resource.op != Op::Delete
                    && spec.rules.takes(&current.resource, 0).is_some()
                {
                    return Ok(Referred::Missing(Box::new(current)));
                }
            }
        }
    }
    Ok(Referred::All(known))
}

/// Local literal references, `Type/id`.
fn collect(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if name == "reference" => keys.extend(local(text).map(str::to_owned)),
                    _ => collect(member, keys),
                }
            }
        }
        _ => {}
    }
}

fn local(reference: &str) -> Option<&str> {
    let reference = reference.split_once("/_history/").map_or(reference, |(resource, _)| resource);
    split(reference).is_some_and(|(_, id)| fhir::index::is_id(id)).then_some(reference)
}

/// Puts the destination's ids in; a resource that is not there is named by the identifier that it would carry.
fn rewrite(value: &mut Value, known: &[(String, Remote)], system: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, known, system)),
        Value::Object(members) => {
            let key = members.iter().find(|(name, _)| name == "reference").and_then(|(_, text)| text.as_str());
            if let Some(key) = key.and_then(local).map(str::to_owned) {
                let (name, _) = key.split_once('/').unwrap_or((&key, ""));
                match known.iter().find(|(other, remote)| *other == key && !remote.id.is_empty()) {
                    Some((_, remote)) => value.set("reference", format!("{name}/{}", remote.id)),
                    None => {
                        members.retain(|(name, _)| name != "reference");
                        let has_identifier = members.iter().any(|(name, _)| name == "identifier");
                        if !has_identifier {
                            let identifier = json!({ "system": system, "value": key.replace('/', "-") });
                            value.set("identifier", identifier);
                        }
                    }
                }
                return;
            }
            members.iter_mut().for_each(|(_, member)| rewrite(member, known, system));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_those_of_the_destination() {
        let mut value = Value::parse(
            r##"{"resourceType":"Observation","id":"o","meta":{"versionId":"3","lastUpdated":"x"},"subject":{"reference":"Patient/p/_history/2"},"performer":[{"reference":"Practitioner/d"},{"reference":"#me"},{"reference":"http://elsewhere/Patient/1"}]}"##,
        )
        .unwrap();
        let mut keys = Vec::new();
        collect(&value, &mut keys);
        assert_eq!(keys, ["Patient/p", "Practitioner/d"]);
        strip(&mut value);
        let there = Remote { id: "77".into(), more: Vec::new() };
        rewrite(&mut value, &[("Patient/p".into(), there)], "urn:weir");
        assert_eq!(
            value.to_string(),
            r##"{"resourceType":"Observation","subject":{"reference":"Patient/77"},"performer":[{"identifier":{"system":"urn:weir","value":"Practitioner-d"}},{"reference":"#me"},{"reference":"http://elsewhere/Patient/1"}]}"##
        );
    }
}
