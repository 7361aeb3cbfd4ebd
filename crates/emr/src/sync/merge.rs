//! Three-way merge of one resource, element by element: what each side has changed since both were last seen.
//!
//! The base has two halves, one per side. They differ only where a conflict is open: there each side keeps its own value until
//! somebody changes one of them, which then counts as the decision.

use super::element::{Element, Kind, group_of};
use super::key::{Keyed, keyed};
use super::precedence::{Question, Winner};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::collections::BTreeSet;

/// What both sides had when they were last seen, as canonical projections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub ours: Value,
    pub theirs: Value,
}

/// An element that both sides have changed differently and no rule decides. Its values are clinical data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// FHIRPath with indexes into our resource; carries no content.
    pub path: String,
    pub ours: Option<Value>,
    pub theirs: Option<Value>,
}

/// A value that a rule has set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overruled {
    pub path: String,
    /// Whose value was set aside.
    pub was_ours: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What we should have.
    pub ours: Value,
    /// What they should have.
    pub theirs: Value,
    /// Our half of the next base; what they have is the other half.
    pub agreed: Value,
    pub conflicts: Vec<Conflict>,
    pub overruled: Vec<Overruled>,
}

/// The value of an element in each of the four resources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Four<'a> {
    pub(super) base_ours: Option<&'a Value>,
    pub(super) base_theirs: Option<&'a Value>,
    pub(super) ours: Option<&'a Value>,
    pub(super) theirs: Option<&'a Value>,
}

/// What becomes of an element: ours, theirs, and our half of the next base.
#[derive(Clone, Debug, Default)]
struct Three {
    ours: Option<Value>,
    theirs: Option<Value>,
    agreed: Option<Value>,
}

impl<'a> Four<'a> {
    fn map(self, way: impl Fn(&'a Value) -> Option<&'a Value>) -> Four<'a> {
        Four {
            base_ours: self.base_ours.and_then(&way),
            base_theirs: self.base_theirs.and_then(&way),
            ours: self.ours.and_then(&way),
            theirs: self.theirs.and_then(&way),
        }
    }

    fn each(self) -> impl Iterator<Item = &'a Value> {
        [self.ours, self.theirs, self.base_ours, self.base_theirs].into_iter().flatten()
    }

    fn ours_changed(&self) -> bool {
        self.ours != self.base_ours
    }

    fn theirs_changed(&self) -> bool {
        self.theirs != self.base_theirs
    }
}

impl Three {
    fn both(value: Option<&Value>) -> Three {
        Three { ours: value.cloned(), theirs: value.cloned(), agreed: value.cloned() }
    }
}

/// `decide` says who wins where both have changed the same element. All values are canonical and of the resource type `ty`.
pub fn merge(
    ty: TypeId,
    base: &Base,
    ours: &Value,
    theirs: &Value,
    decide: &dyn Fn(&Question<'_>) -> Winner,
) -> Merged {
    let four =
        Four { base_ours: Some(&base.ours), base_theirs: Some(&base.theirs), ours: Some(ours), theirs: Some(theirs) };
    let mut merger = Merger { decide, ours, theirs, top: String::new(), conflicts: Vec::new(), overruled: Vec::new() };
    let name = r4().ty(ty).name;
    let three = merger.object(ty, name, four);
    let empty = || Value::Object(Vec::new());
    Merged {
        ours: three.ours.unwrap_or_else(empty),
        theirs: three.theirs.unwrap_or_else(empty),
        agreed: three.agreed.unwrap_or_else(empty),
        conflicts: merger.conflicts,
        overruled: merger.overruled,
    }
}

struct Merger<'a> {
    decide: &'a dyn Fn(&Question<'_>) -> Winner,
    ours: &'a Value,
    theirs: &'a Value,
    /// The element of the resource that is being merged.
    top: String,
    conflicts: Vec<Conflict>,
    overruled: Vec<Overruled>,
}

impl Merger<'_> {
    /// Members that belong together, such as the choices of `value[x]`, are one element.
    fn object(&mut self, ty: TypeId, path: &str, four: Four<'_>) -> Three {
        let mut groups = BTreeSet::new();
        for value in four.each() {
            let Value::Object(members) = value else { continue };
            groups.extend(members.iter().map(|(name, _)| group_of(ty, name)));
        }
        let is_top = !path.contains('.');
        let mut out = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            if is_top {
                self.top = group.clone();
            }
            let three = self.group(ty, path, &group, four);
            for (to, from) in [(&mut out.0, three.ours), (&mut out.1, three.theirs), (&mut out.2, three.agreed)] {
                if let Some(Value::Object(members)) = from {
                    to.extend(members);
                }
            }
        }
        let object = |mut members: Vec<(String, Value)>| {
            members.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
            Some(Value::Object(members)).filter(|object| is_top || *object != Value::Object(Vec::new()))
        };
        Three { ours: object(out.0), theirs: object(out.1), agreed: object(out.2) }
    }

    /// The members of one group, as an object for each side.
    fn group(&mut self, ty: TypeId, path: &str, group: &str, four: Four<'_>) -> Three {
        let mut names: Vec<&str> = Vec::new();
        for value in four.each() {
            let Value::Object(members) = value else { continue };
            names.extend(members.iter().map(|(name, _)| name.as_str()).filter(|name| group_of(ty, name) == group));
        }
        names.sort_unstable();
        names.dedup();
        if let [name] = names[..] {
            let element = Element::of(ty, name);
            let three = self.node(&element, &format!("{path}.{name}"), four.map(|value| value.get(name)));
            let wrap = |value: Option<Value>| value.map(|value| Value::Object(vec![(name.to_owned(), value)]));
            return Three { ours: wrap(three.ours), theirs: wrap(three.theirs), agreed: wrap(three.agreed) };
        }
        let only = |value: Option<&Value>| {
            let Some(Value::Object(members)) = value else { return None };
            let members: Vec<_> = members.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect();
            (!members.is_empty()).then_some(Value::Object(members))
        };
        let [base_ours, base_theirs] = [only(four.base_ours), only(four.base_theirs)];
        let [ours, theirs] = [only(four.ours), only(four.theirs)];
        let four = Four {
            base_ours: base_ours.as_ref(),
            base_theirs: base_theirs.as_ref(),
            ours: ours.as_ref(),
            theirs: theirs.as_ref(),
        };
        self.leaf(&format!("{path}.{group}"), four)
    }

    fn node(&mut self, element: &Element, path: &str, four: Four<'_>) -> Three {
        if four.ours == four.theirs {
            return Three::both(four.ours);
        }
        match (four.ours, four.theirs, element.kind) {
            (Some(Value::Array(_)) | None, Some(Value::Array(_)) | None, _) => self.list(element, path, four),
            (Some(Value::Object(_)), Some(Value::Object(_)), Kind::Object) => self.object(element.ty, path, four),
            (Some(Value::Object(_)), Some(Value::Object(_)), Kind::Concept) if only_adds(four) => {
                self.object(element.ty, path, four)
            }
            _ => self.leaf(path, four),
        }
    }

    fn list(&mut self, element: &Element, path: &str, four: Four<'_>) -> Three {
        if let Some(keyed) = keyed(element, four) {
            return self.keyed(element, path, &keyed);
        }
        let length = |list: Option<&Value>| list.map_or(0, |list| list.items().len());
        let lengths = [four.base_ours, four.base_theirs, four.ours, four.theirs].map(length);
        // Without keys, places say which is which only as long as nothing was added or removed.
        if lengths.iter().any(|length| *length != lengths[0]) {
            return self.leaf(path, four);
        }
        let mut out = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..lengths[0] {
            let item = four.map(|list| list.items().get(at));
            let three = self.node(element, &format!("{path}[{at}]"), item);
            out.0.push(three.ours.unwrap_or_default());
            out.1.push(three.theirs.unwrap_or_default());
            out.2.push(three.agreed.unwrap_or_default());
        }
        Three { ours: Some(Value::Array(out.0)), theirs: Some(Value::Array(out.1)), agreed: Some(Value::Array(out.2)) }
    }

    /// Each side keeps its own order; what is new comes at the end.
    fn keyed(&mut self, element: &Element, path: &str, keyed: &Keyed<'_>) -> Three {
        let mut merged: Vec<(&str, Three)> = Vec::new();
        for key in keyed.keys() {
            let place = keyed.place(key).map_or_else(|| path.to_owned(), |at| format!("{path}[{at}]"));
            merged.push((key, self.node(element, &place, keyed.item(key))));
        }
        let collect = |first: &[String], side: fn(&Three) -> Option<&Value>| {
            let of = |key: &str| merged.iter().find(|(other, _)| *other == key).and_then(|(_, three)| side(three));
            let rest = merged.iter().filter(|(key, _)| !first.iter().any(|one| one == key));
            let mut list: Vec<Value> = first.iter().filter_map(|key| of(key)).cloned().collect();
            list.extend(rest.filter_map(|(_, three)| side(three)).cloned());
            (!list.is_empty()).then_some(Value::Array(list))
        };
        Three {
            ours: collect(&keyed.ours, |three| three.ours.as_ref()),
            theirs: collect(&keyed.theirs, |three| three.theirs.as_ref()),
            agreed: collect(&keyed.theirs, |three| three.agreed.as_ref()),
        }
    }

    /// An element that is taken from one side or the other, whole.
    fn leaf(&mut self, path: &str, four: Four<'_>) -> Three {
        let Four { ours, theirs, .. } = four;
        if ours == theirs {
            return Three::both(ours);
        }
        let takes_ours = || Three { ours: ours.cloned(), theirs: ours.cloned(), agreed: theirs.cloned() };
        let stays = || Three { ours: ours.cloned(), theirs: theirs.cloned(), agreed: ours.cloned() };
        match (four.ours_changed(), four.theirs_changed()) {
            (false, false) => return stays(),
            (true, false) => return takes_ours(),
            (false, true) => return Three::both(theirs),
            (true, true) => {}
        }
        let question = Question { element: &self.top, ours: self.ours, theirs: self.theirs };
        let winner = match (self.decide)(&question) {
            // One has removed what the other has changed: what is there stays.
            Winner::Union if ours.is_none() => Winner::Theirs,
            Winner::Union if theirs.is_none() => Winner::Ours,
            Winner::Union => Winner::Nobody,
            winner => winner,
        };
        match winner {
            Winner::Ours => {
                self.overruled.push(Overruled { path: path.to_owned(), was_ours: false });
                takes_ours()
            }
            Winner::Theirs => {
                self.overruled.push(Overruled { path: path.to_owned(), was_ours: true });
                Three::both(theirs)
            }
            Winner::Nobody | Winner::Union => {
                let (ours, theirs) = (ours.cloned(), theirs.cloned());
                self.conflicts.push(Conflict { path: path.to_owned(), ours, theirs });
                stays()
            }
        }
    }
}

/// Both sides have only added codings to a concept. One that was recoded is one element: half of each would mean something else.
fn only_adds(four: Four<'_>) -> bool {
    let text = four.map(|concept| concept.get("text"));
    if text.ours_changed() || text.theirs_changed() {
        return false;
    }
    let codes = |concept: Option<&Value>| -> Vec<(Option<Value>, Option<Value>)> {
        let codings = concept.and_then(|concept| concept.get("coding")).map_or(&[][..], Value::items);
        codings.iter().map(|coding| (coding.get("system").cloned(), coding.get("code").cloned())).collect()
    };
    let [base_ours, base_theirs] = [codes(four.base_ours), codes(four.base_theirs)];
    let [ours, theirs] = [codes(four.ours), codes(four.theirs)];
    // The same system twice would be two codes for one meaning.
    let clash = |system: &Option<Value>, code: &Option<Value>| {
        theirs.iter().any(|(other, theirs)| other == system && theirs != code)
    };
    !base_ours.is_empty()
        && base_ours.iter().all(|code| ours.contains(code))
        && base_theirs.iter().all(|code| theirs.contains(code))
        && !ours.iter().any(|(system, code)| clash(system, code))
}

#[cfg(test)]
mod tests;
