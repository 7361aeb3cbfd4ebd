//! `=`, `~`, order, and finding duplicates.

use super::Error;
use super::eval::Evaluator;
use super::item::{Element, Item};
use super::temporal::{compare_dates, compare_times};
use crate::decimal;
use crate::json::{Kind, Node};
use rust_decimal::{Decimal, RoundingStrategy};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Equal after rounding to the precision of the less precise one.
pub(super) fn decimals_are_equivalent(left: Decimal, right: Decimal) -> bool {
    let scale = left.normalize().scale().min(right.normalize().scale());
    let round = |decimal: Decimal| decimal.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero);
    round(left) == round(right)
}

fn numbers(left: &Item<'_>, right: &Item<'_>) -> Option<(Decimal, Decimal)> {
    let number = |item: &Item<'_>| match item {
        Item::Integer(integer) => Some(Decimal::from(*integer)),
        Item::Decimal(decimal) => Some(*decimal),
        _ => None,
    };
    Some((number(left)?, number(right)?))
}

fn as_quantity<'a>(item: &Item<'a>) -> Option<super::quantity::Quantity<'a>> {
    match item {
        Item::Quantity(quantity) => Some(quantity.clone()),
        Item::Integer(integer) => Some(super::quantity::Quantity { value: (*integer).into(), unit: "1".into() }),
        Item::Decimal(decimal) => Some(super::quantity::Quantity { value: *decimal, unit: "1".into() }),
        _ => None,
    }
}

impl<'a> Evaluator<'_, 'a> {
    /// `=` of collections: pairwise in order. `None` is empty.
    pub(super) fn equal(&self, left: &[Item<'a>], right: &[Item<'a>]) -> Result<Option<bool>, Error> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        let mut result = Some(true);
        for (left, right) in left.iter().zip(right) {
            match self.items_equal(left, right)? {
                Some(false) => return Ok(Some(false)),
                None => result = None,
                Some(true) => {}
            }
        }
        Ok(result)
    }

    pub(super) fn items_equal(&self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>, Error> {
        self.spend(1)?;
        if let (Item::Element(left), Item::Element(right)) = (left, right) {
            if left.is_same(right) {
                return Ok(Some(true));
            }
            if !left.is_primitive(self.env.defs) || !right.is_primitive(self.env.defs) {
                return Ok(Some(self.trees_equal(left.node, right.node)?));
            }
            if left.node.is_none() && right.node.is_none() {
                return Ok(Some(self.trees_equal(left.sibling, right.sibling)?));
            }
        }
        let defs = self.env.defs;
        let (Some(left), Some(right)) = (left.to_value(defs), right.to_value(defs)) else {
            return Ok(Some(false));
        };
        Ok(values_equal(&left, &right))
    }

    /// Same members whatever their order, same numbers whatever their precision.
    fn trees_equal(&self, left: Option<Node<'_>>, right: Option<Node<'_>>) -> Result<bool, Error> {
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(left.is_none() && right.is_none());
        };
        self.spend(1)?;
        if left == right || left.raw() == right.raw() {
            return Ok(true);
        }
        if left.kind() != right.kind() || left.len() != right.len() {
            return Ok(false);
        }
        match left.kind() {
            Kind::Number => Ok(match (decimal::parse(left.raw()), decimal::parse(right.raw())) {
                (Some(left), Some(right)) => left == right,
                _ => false,
            }),
            Kind::String => Ok(left.as_str() == right.as_str()),
            Kind::Array => {
                for (left, right) in left.items().zip(right.items()) {
                    if !self.trees_equal(Some(left), Some(right))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Kind::Object => {
                for (key, value) in left.members() {
                    self.spend(right.len() as u64)?;
                    let Some(other) = right.get(&key) else {
                        return Ok(false);
                    };
                    if !self.trees_equal(Some(value), Some(other))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            // Equal kinds without content: `raw` has said that they differ.
            Kind::Null | Kind::True | Kind::False => Ok(false),
        }
    }

    /// `~` of collections: every item has a partner, in any order.
    pub(super) fn equivalent(&self, left: &[Item<'a>], right: &[Item<'a>]) -> Result<bool, Error> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut free: Vec<&Item<'a>> = right.iter().collect();
        for item in left {
            let mut partner = None;
            for (index, candidate) in free.iter().enumerate() {
                if self.items_equivalent(item, candidate)? {
                    partner = Some(index);
                    break;
                }
            }
            match partner {
                Some(index) => free.swap_remove(index),
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    fn items_equivalent(&self, left: &Item<'a>, right: &Item<'a>) -> Result<bool, Error> {
        self.spend(1)?;
        let defs = self.env.defs;
        match (left.to_value(defs), right.to_value(defs)) {
            (Some(left), Some(right)) => Ok(values_equivalent(&left, &right)),
            (None, None) => match (left, right) {
                (Item::Element(left), Item::Element(right)) => self.elements_equivalent(left, right),
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    fn elements_equivalent(&self, left: &Element<'a>, right: &Element<'a>) -> Result<bool, Error> {
        if left.is_same(right) {
            return Ok(true);
        }
        let (mut left_children, mut right_children) = (Vec::new(), Vec::new());
        super::navigate::children(self.env.defs, left, &mut left_children);
        super::navigate::children(self.env.defs, right, &mut right_children);
        if left_children.is_empty() && right_children.is_empty() {
            return self.trees_equal(left.node, right.node);
        }
        self.equivalent(&left_children, &right_children)
    }

    /// `<` and its kin. `None` when the values cannot be compared; an error when their types cannot.
    pub(super) fn order(&self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<Ordering>, Error> {
        self.spend(1)?;
        let defs = self.env.defs;
        let (Some(left), Some(right)) = (left.to_value(defs), right.to_value(defs)) else {
            return Ok(None);
        };
        if let Some((left, right)) = numbers(&left, &right) {
            return Ok(Some(left.cmp(&right)));
        }
        match (&left, &right) {
            (Item::String(left), Item::String(right)) => Ok(Some(left.cmp(right))),
            (Item::Date(left) | Item::DateTime(left), Item::Date(right) | Item::DateTime(right)) => {
                Ok(compare_dates(left, right))
            }
            (Item::Time(left), Item::Time(right)) => Ok(compare_times(left, right)),
            (Item::Quantity(_), _) | (_, Item::Quantity(_)) => match (as_quantity(&left), as_quantity(&right)) {
                (Some(left), Some(right)) => Ok(left.compare(&right)),
                _ => Err(Error::Evaluation("values of these types have no order")),
            },
            _ => Err(Error::Evaluation("values of these types have no order")),
        }
    }

    /// Appends to `out` those of `items` that are not in it yet; `out` holds no duplicates before.
    pub(super) fn add_distinct(&self, seen: &mut Seen, out: &mut Vec<Item<'a>>, item: Item<'a>) -> Result<bool, Error> {
        let bucket = seen.buckets.entry(self.hash(&item)).or_default();
        for index in bucket.iter() {
            if self.items_equal(&out[*index], &item)? == Some(true) {
                return Ok(false);
            }
        }
        bucket.push(out.len());
        out.push(item);
        Ok(true)
    }

    pub(super) fn distinct(&self, items: impl IntoIterator<Item = Item<'a>>) -> Result<Vec<Item<'a>>, Error> {
        let mut seen = Seen::default();
        let mut out = Vec::new();
        for item in items {
            self.add_distinct(&mut seen, &mut out, item)?;
        }
        Ok(out)
    }

    pub(super) fn contains(&self, items: &[Item<'a>], wanted: &Item<'a>) -> Result<bool, Error> {
        for item in items {
            if self.items_equal(item, wanted)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Equal items have equal hashes; the converse need not hold.
    fn hash(&self, item: &Item<'a>) -> u64 {
        let mut hasher = DefaultHasher::new();
        match item.to_value(self.env.defs) {
            Some(Item::Boolean(value)) => value.hash(&mut hasher),
            Some(Item::Integer(integer)) => Decimal::from(integer).hash(&mut hasher),
            Some(Item::Decimal(decimal)) => decimal.hash(&mut hasher),
            Some(Item::String(text)) => text.hash(&mut hasher),
            Some(Item::Date(_) | Item::DateTime(_)) => 1.hash(&mut hasher),
            Some(Item::Time(_)) => 2.hash(&mut hasher),
            // A quantity may equal a number.
            Some(Item::Quantity(_)) => 3.hash(&mut hasher),
            Some(Item::Type { name, .. }) => name.hash(&mut hasher),
            Some(Item::Element(_)) | None => item.node().map_or(0, Node::len).hash(&mut hasher),
        }
        hasher.finish()
    }
}

/// Items seen so far, by hash.
#[derive(Default)]
pub(super) struct Seen {
    buckets: HashMap<u64, Vec<usize>>,
}

fn values_equal(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    if let Some((left, right)) = numbers(left, right) {
        return Some(left == right);
    }
    let equal = |order: Option<Ordering>| order.map(|order| order == Ordering::Equal);
    match (left, right) {
        (Item::Boolean(left), Item::Boolean(right)) => Some(left == right),
        (Item::String(left), Item::String(right)) => Some(left == right),
        (Item::Date(left) | Item::DateTime(left), Item::Date(right) | Item::DateTime(right)) => {
            equal(compare_dates(left, right))
        }
        (Item::Time(left), Item::Time(right)) => equal(compare_times(left, right)),
        (Item::Quantity(_), _) | (_, Item::Quantity(_)) => match (as_quantity(left), as_quantity(right)) {
            (Some(left), Some(right)) => match left.compare(&right) {
                Some(order) => Some(order == Ordering::Equal),
                // Different dimensions differ; a calendar month and 30 days are neither equal nor unequal.
                None => (!left.is_comparable(&right)).then_some(false),
            },
            _ => Some(false),
        },
        (Item::Type { namespace, name }, Item::Type { namespace: other_namespace, name: other_name }) => {
            Some(namespace == other_namespace && name == other_name)
        }
        _ => Some(false),
    }
}

fn values_equivalent(left: &Item<'_>, right: &Item<'_>) -> bool {
    if let Some((left, right)) = numbers(left, right) {
        return decimals_are_equivalent(left, right);
    }
    match (left, right) {
        (Item::String(left), Item::String(right)) => fold(left).eq(fold(right)),
        (Item::Quantity(left), Item::Quantity(right)) => left.is_equivalent(right),
        _ => values_equal(left, right) == Some(true),
    }
}

/// Lower case, runs of white space as one space, none at the ends.
fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.split_whitespace().enumerate().flat_map(|(index, word)| {
        (index > 0).then_some(' ').into_iter().chain(word.chars().flat_map(char::to_lowercase))
    })
}
