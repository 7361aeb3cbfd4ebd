//! The way to a value in a tree: how to find it, and how to change what stands there.

use crate::json::{Node, Value};

/// Member names and array indexes.
pub(super) type Way = Vec<Step>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Index(usize),
}

/// The last name of a way: of a member, or of the list that an item is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot<'w> {
    /// The way to the object.
    pub(super) parent: &'w [Step],
    pub(super) member: &'w str,
    /// Place of the item in the list.
    pub(super) index: Option<usize>,
}

impl Spot<'_> {
    /// `None` for the root, and for an item of a list in a list, which FHIR does not have.
    pub(super) fn of(way: &[Step]) -> Option<Spot<'_>> {
        match way {
            [parent @ .., Step::Member(member), Step::Index(index)] => {
                Some(Spot { parent, member, index: Some(*index) })
            }
            [parent @ .., Step::Member(member)] => Some(Spot { parent, member, index: None }),
            _ => None,
        }
    }
}

/// The way to the `_` sibling of a primitive.
pub(super) fn sibling_way(way: &[Step]) -> Way {
    let mut way = way.to_vec();
    if let Some(member) = last_member(&mut way) {
        member.insert(0, '_');
    }
    way
}

/// The way that the value has to which the `_` sibling belongs.
pub(super) fn value_way(mut sibling: Way) -> Way {
    if let Some(member) = last_member(&mut sibling) {
        *member = member.trim_start_matches('_').to_owned();
    }
    sibling
}

fn last_member(way: &mut [Step]) -> Option<&mut String> {
    way.iter_mut().rev().find_map(|step| match step {
        Step::Member(name) => Some(name),
        Step::Index(_) => None,
    })
}

/// The way from `from` to `node`, found by the spans.
pub(super) fn way_to(from: Node<'_>, node: Node<'_>) -> Option<Way> {
    let wanted = node.span();
    let mut way = Way::new();
    let mut at = from;
    while at != node {
        let holds = |child: &Node<'_>| {
            let span = child.span();
            span.start <= wanted.start && wanted.end <= span.end
        };
        if at.is_array() {
            let (index, child) = at.items().enumerate().find(|(_, child)| holds(child))?;
            way.push(Step::Index(index));
            at = child;
        } else {
            let (name, child) = at.members().find(|(_, child)| holds(child))?;
            way.push(Step::Member(name.into_owned()));
            at = child;
        }
    }
    Some(way)
}

pub(super) fn get_mut<'v>(root: &'v mut Value, way: &[Step]) -> Option<&'v mut Value> {
    way.iter().try_fold(root, |value, step| match (value, step) {
        (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
        (value, Step::Member(name)) => value.get_mut(name),
        _ => None,
    })
}

/// Sets the value at `way`, filling up lists with nulls; the parent object must exist.
pub(super) fn put(root: &mut Value, way: &[Step], value: Value) {
    let Some(spot) = Spot::of(way) else { return };
    let Some(parent) = get_mut(root, spot.parent) else { return };
    match spot.index {
        None => parent.set(spot.member, value),
        Some(at) => {
            if let Some(items) = list_mut(parent, spot.member, at + 1) {
                items[at] = value;
            }
        }
    }
}

/// The list called `member`, made when it is missing and filled up with nulls to `length`. `None` when it is no list.
pub(super) fn list_mut<'v>(parent: &'v mut Value, member: &str, length: usize) -> Option<&'v mut Vec<Value>> {
    if parent.get(member).is_none() {
        parent.set(member, Value::Array(Vec::new()));
    }
    let Some(Value::Array(items)) = parent.get_mut(member) else { return None };
    if items.len() < length {
        items.resize(length, Value::Null);
    }
    Some(items)
}

/// Removes what stands at `way`, if anything.
pub(super) fn take(root: &mut Value, way: &[Step]) {
    let Some((last, parents)) = way.split_last() else {
        return;
    };
    match (get_mut(root, parents), last) {
        (Some(Value::Object(members)), Step::Member(name)) => members.retain(|(key, _)| key != name),
        (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => drop(items.remove(*index)),
        _ => {}
    }
}

/// Removes `member` and `_member` when nothing but nulls is left in them.
pub(super) fn drop_nulls(parent: &mut Value, member: &str) {
    if let Value::Object(members) = parent {
        members.retain(|(name, value)| {
            let is_pair = name == member || name.strip_prefix('_') == Some(member);
            !(is_pair && matches!(value, Value::Array(items) if items.iter().all(|item| *item == Value::Null)))
        });
    }
}
