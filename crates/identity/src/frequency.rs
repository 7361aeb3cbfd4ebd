//! How common names are: two Smiths are less alike than two Kimbrells. Counted by token, never by name.

use crate::encoded::{Encoded, Name};
use crate::hashed::TokenMap;
use std::collections::hash_map::Entry;

/// The furthest that a rare or common name moves the score, in bits.
pub(crate) const CLIP: f32 = 4.0;
/// Fewer records say nothing of how common a name is.
const MIN_RECORDS: u64 = 500;

/// Counts of one kind of name.
#[derive(Default, Clone, PartialEq)]
struct Counts {
    of: TokenMap<u32>,
    total: u64,
    /// Sum of the squared counts: how often two records share a name by chance.
    squares: u64,
}

impl Counts {
    fn add(&mut self, token: u64) {
        let count = self.of.entry(token).or_default();
        self.squares += 2 * u64::from(*count) + 1;
        *count += 1;
        self.total += 1;
    }

    /// Of a token that was added.
    fn remove(&mut self, token: u64) {
        if let Entry::Occupied(mut entry) = self.of.entry(token) {
            self.squares -= 2 * u64::from(*entry.get()) - 1;
            self.total -= 1;
            match entry.get() {
                1 => drop(entry.remove()),
                _ => *entry.get_mut() -= 1,
            }
        }
    }

    /// log2 of how much rarer the name is than a shared name is on average.
    fn bits(&self, token: u64) -> f32 {
        if self.total < MIN_RECORDS {
            return 0.0;
        }
        let average = self.squares as f32 / self.total as f32;
        let count = self.of.get(&token).copied().unwrap_or(0).max(1);
        (average / count as f32).log2()
    }
}

/// How often each given name and surname stands in an index.
#[derive(Default, Clone, PartialEq)]
pub struct Frequencies {
    first: Counts,
    last: Counts,
}

impl Frequencies {
    /// Each name of a record counts once.
    pub fn add(&mut self, record: &Encoded) {
        each(record, |name| name.first, |token| self.first.add(token));
        each(record, |name| name.last, |token| self.last.add(token));
    }

    /// Takes back what [`Frequencies::add`] counted.
    pub fn remove(&mut self, record: &Encoded) {
        each(record, |name| name.first, |token| self.first.remove(token));
        each(record, |name| name.last, |token| self.last.remove(token));
    }

    /// The correction for equal names, in bits, within ±4.
    pub(crate) fn correction(&self, first: Option<u64>, last: Option<u64>) -> f32 {
        let first = first.map_or(0.0, |token| self.first.bits(token));
        let last = last.map_or(0.0, |token| self.last.bits(token));
        (first + last).clamp(-CLIP, CLIP)
    }
}

/// Calls `count` for each different token.
fn each(record: &Encoded, token: impl Fn(&Name) -> u64, mut count: impl FnMut(u64)) {
    for (at, name) in record.names().enumerate() {
        let this = token(name);
        if this != 0 && record.names().take(at).all(|former| token(former) != this) {
            count(this);
        }
    }
}

impl std::fmt::Debug for Frequencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Frequencies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoded::More;

    fn named(first: u64, last: u64) -> Encoded {
        let name = |first, last| Name { first, last, ..Name::default() };
        let more = More { names: vec![name(first, last + 1), name(first, last + 1)], ..More::default() };
        Encoded { name: name(first, last), more: Some(Box::new(more)), ..Encoded::default() }
    }

    #[test]
    fn what_is_taken_back_was_never_counted() {
        let (mut counts, mut expected) = (Frequencies::default(), Frequencies::default());
        expected.add(&named(1, 10));
        for record in [named(1, 10), named(1, 20), named(0, 10), named(2, 11)] {
            counts.add(&record);
        }
        assert_eq!((counts.first.total, counts.last.total), (3, 8), "each name of a record once");
        assert_eq!(counts.last.of[&11], 3);
        for record in [named(1, 20), named(0, 10), named(2, 11)] {
            counts.remove(&record);
        }
        assert!(counts == expected);
    }

    #[test]
    fn rare_names_are_worth_more() {
        let mut counts = Frequencies::default();
        for number in 0..1_000 {
            counts.add(&named(if number < 990 { 1 } else { 2 }, 0));
        }
        assert!(counts.correction(Some(2), None) > counts.correction(Some(1), None));
        assert_eq!(counts.correction(Some(3), None), CLIP);
    }
}
