//! The counts in memory, as they are in the store.

use crate::cell::{Cell, Delta, KINDS, Kind};
use engine::{Error, Feed};
use std::collections::HashMap;

/// Values of cells as numbers: a table of a million cells must be small and quick to walk.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }
}

/// The most dimensions a table has.
const DIMENSIONS_MAX: usize = 6;
type Packed = [u32; DIMENSIONS_MAX];

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    names: Names,
    tables: HashMap<Kind, HashMap<Packed, i64>>,
}

impl Tally {
    /// The counters of the store.
    pub(crate) async fn load(feed: &Feed) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        feed.counters(|name, key, n| {
            if let Some(kind) = KINDS.into_iter().find(|kind| kind.counter() == name) {
                tally.add(&Cell::parse(kind, key), n);
            }
        })
        .await?;
        Ok(tally)
    }

    pub(crate) fn apply(&mut self, delta: &Delta) {
        for (cell, n) in delta.changes() {
            self.add(cell, n);
        }
    }

    pub(crate) fn add(&mut self, cell: &Cell, n: i64) {
        let Tally { names, tables } = self;
        cell.lines(|kind, values| {
            let mut packed = Packed::default();
            for (place, value) in packed.iter_mut().zip(values) {
                *place = names.number(value);
            }
            let table = tables.entry(kind).or_default();
            let count = table.entry(packed).or_default();
            *count += n;
            if *count == 0 {
                table.remove(&packed);
            }
        });
    }

    /// Calls `each` with the values of every cell of a table and its count.
    pub(crate) fn each(&self, kind: Kind, mut each: impl FnMut(&[&str], i64)) {
        let len = kind.dimensions().len();
        for (packed, n) in self.tables.get(&kind).into_iter().flatten() {
            let mut values = [""; DIMENSIONS_MAX];
            for (value, number) in values.iter_mut().zip(packed).take(len) {
                *value = &self.names.names[*number as usize];
            }
            each(&values[..len], *n);
        }
    }

    /// What must be added to this tally to make it `right`.
    pub(crate) fn difference(&self, right: &Tally) -> Delta {
        let mut delta = Delta::default();
        for (tally, sign) in [(right, 1), (self, -1)] {
            for kind in KINDS {
                tally.each(kind, |values, n| {
                    delta.add([Cell::of_line(kind, values)], sign * n);
                });
            }
        }
        delta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_makes_two_tallies_equal() {
        let cell = |sex: &str| Cell::new(Kind::Persons, ["", sex, ""]);
        let (mut wrong, mut right) = (Tally::default(), Tally::default());
        wrong.add(&cell("male"), 3);
        right.add(&cell("male"), 2);
        right.add(&cell("female"), 1);
        let delta = wrong.difference(&right);
        assert_eq!(delta.changes().count(), 2);
        wrong.apply(&delta);
        assert_eq!(wrong.difference(&right).changes().count(), 0);
    }
}
