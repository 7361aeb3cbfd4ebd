//! Cells: what is counted. A person is in one cell of each kind, a dose in one of its kinds.
//!
//! A living person with all standings is one cell: a person stands somewhere in some fifteen programmes, and a counter of the
//! store for each would be most of what a registration writes. Tables have one line for each programme.

use std::collections::HashMap;

/// A table of counts. Its name is the counter's name in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Living persons.
    Persons,
    /// Where persons stand in a programme; those who are not vaccinated and need nothing have no cell.
    Standing,
    /// The day on which persons reached a status.
    Milestone,
    /// Doses, each event once.
    Dose,
    /// The day on which a dose came to be known.
    Reported,
    /// Doses that do not count, by the reason.
    Invalid,
    /// What is wrong with the data.
    Quality,
}

pub const KINDS: [Kind; 7] =
    [Kind::Persons, Kind::Standing, Kind::Milestone, Kind::Dose, Kind::Reported, Kind::Invalid, Kind::Quality];

impl Kind {
    pub(crate) fn counter(self) -> &'static str {
        match self {
            Kind::Persons => "vaccines-persons",
            Kind::Standing => "vaccines-standing",
            Kind::Milestone => "vaccines-milestone",
            Kind::Dose => "vaccines-dose",
            Kind::Reported => "vaccines-reported",
            Kind::Invalid => "vaccines-invalid",
            Kind::Quality => "vaccines-quality",
        }
    }

    /// Names of the dimensions, in the order of a cell's values. An unknown value is empty.
    pub fn dimensions(self) -> &'static [&'static str] {
        match self {
            Kind::Persons => &["region", "sex", "birth_month"],
            Kind::Standing => &["programme", "status", "marks", "region", "sex", "birth_month"],
            Kind::Milestone => &["programme", "milestone", "day", "region"],
            Kind::Dose => &["vaccine", "clinic", "lot", "day", "region"],
            Kind::Reported => &["day", "given_day"],
            Kind::Invalid => &["programme", "reason", "clinic"],
            Kind::Quality => &["problem", "clinic"],
        }
    }
}

/// Between the programmes of a person's cell, and between a programme, its status and its marks.
pub(crate) const BETWEEN: &str = "\u{1e}";
pub(crate) const WITHIN: &str = "\u{1d}";
/// Values of a person's cell: all standings, and the dimensions of [`Kind::Persons`].
const PERSON_VALUES: usize = 4;

/// A counter: a table and the values of its dimensions; or a person ([`Kind::Standing`] with [`PERSON_VALUES`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) values: Vec<String>,
}

/// Between the values of a counter's key; no value contains it.
const SEPARATOR: char = '\u{1f}';

impl Cell {
    pub(crate) fn new<const N: usize>(kind: Kind, values: [&str; N]) -> Cell {
        debug_assert_eq!(N, if kind == Kind::Standing { PERSON_VALUES } else { kind.dimensions().len() }, "{kind:?}");
        Cell { kind, values: values.iter().map(|value| value.replace(SEPARATOR, " ")).collect() }
    }

    pub(crate) fn key(&self) -> String {
        let mut key = String::new();
        for (at, value) in self.values.iter().enumerate() {
            if at > 0 {
                key.push(SEPARATOR);
            }
            key.push_str(value);
        }
        key
    }

    pub(crate) fn parse(kind: Kind, key: &str) -> Cell {
        Cell { kind, values: key.split(SEPARATOR).map(str::to_owned).collect() }
    }

    /// The cell of one line of a table, and of no other.
    pub(crate) fn of_line(kind: Kind, values: &[&str]) -> Cell {
        Cell { kind, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    /// Calls `each` with the table and the values of every line that the cell counts in.
    pub(crate) fn lines<'a>(&'a self, mut each: impl FnMut(Kind, &mut dyn Iterator<Item = &'a str>)) {
        let values = || self.values.iter().map(String::as_str);
        match self.values.split_first() {
            Some((standings, person)) if self.is_person() => {
                let person = || person.iter().map(String::as_str);
                each(Kind::Persons, &mut person());
                for standing in standings.split(BETWEEN).filter(|standing| !standing.is_empty()) {
                    each(Kind::Standing, &mut standing.split(WITHIN).chain(person()));
                }
            }
            _ => each(self.kind, &mut values()),
        }
    }

    /// A person with all standings, and not one line of a table.
    fn is_person(&self) -> bool {
        self.kind == Kind::Standing && self.values.len() == PERSON_VALUES
    }
}

/// What changes counts: cells with what is added to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta(HashMap<Cell, i64>);

impl Delta {
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = Cell>, n: i64) {
        for cell in cells {
            *self.0.entry(cell).or_default() += n;
        }
    }

    /// Those that are not 0.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&Cell, i64)> {
        self.0.iter().filter(|(_, n)| **n != 0).map(|(cell, n)| (cell, *n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_as_its_cell() {
        let cell = Cell::new(Kind::Persons, ["", "female", "1980-02"]);
        assert_eq!(Cell::parse(Kind::Persons, &cell.key()), cell);
        let hostile = Cell::new(Kind::Persons, ["a\u{1f}b", "", ""]);
        assert_eq!(Cell::parse(Kind::Persons, &hostile.key()).values, ["a b", "", ""]);
    }

    #[test]
    fn a_person_counts_once_and_in_a_line_for_each_programme() {
        let lines = |cell: &Cell| {
            let mut lines = Vec::new();
            cell.lines(|kind, values| lines.push(format!("{kind:?} {}", values.collect::<Vec<_>>().join("|"))));
            lines
        };
        let all = "MMR\u{1d}full\u{1d}\u{1e}Polio\u{1d}not\u{1d}overdue";
        let person = [
            "Persons 021|female|1980-02",
            "Standing MMR|full||021|female|1980-02",
            "Standing Polio|not|overdue|021|female|1980-02",
        ];
        assert_eq!(lines(&Cell::new(Kind::Standing, [all, "021", "female", "1980-02"])), person);
        assert_eq!(lines(&Cell::new(Kind::Standing, ["", "021", "", ""])), ["Persons 021||"]);
        let line = Cell::of_line(Kind::Standing, &["MMR", "full", "", "021", "female", "1980-02"]);
        assert_eq!(lines(&line), person[1..2]);
        assert_eq!(lines(&Cell::of_line(Kind::Persons, &["021", "", "1980-02"])), ["Persons 021||1980-02"]);
    }

    #[test]
    fn what_comes_and_goes_is_no_change() {
        let cell = || Cell::new(Kind::Persons, ["", "", ""]);
        let mut delta = Delta::default();
        delta.add([cell()], 1);
        delta.add([cell()], -1);
        assert_eq!(delta.changes().count(), 0);
    }
}
