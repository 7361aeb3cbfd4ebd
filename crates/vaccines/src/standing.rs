//! Where a person stands, in the same words for all calculators.

use crate::date::Date;
use crate::outcome::DoseReason;

/// How far a person has come. Later is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Status {
    /// No valid dose.
    #[default]
    Not,
    /// At least one valid dose, and more are needed.
    Partial,
    /// All doses.
    Full,
}

impl Status {
    /// A stable code for interfaces and counters: `not`, `partial` or `full`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Not => "not",
            Self::Partial => "partial",
            Self::Full => "full",
        }
    }
}

/// Where a person stands in a vaccine group or a programme on one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// How far the person has come.
    pub status: Status,
    /// Whether a dose came after all that are needed. Only programmes know boosters.
    pub boosted: bool,
    /// There is evidence of immunity.
    pub immune: bool,
    /// No dose may be given.
    pub contraindicated: bool,
    /// Too old to begin or to finish.
    pub aged_out: bool,
    /// Nothing is due on the day.
    pub up_to_date: bool,
    /// A dose is late on the day.
    pub overdue: bool,
    /// The dates of the next dose. A programme counts and does not recommend: it has none.
    pub next_due: Option<Due>,
    /// Doses given by the day, whatever they count for. Duplicates are for [`dedupe`](crate::dedupe::dedupe) to find.
    pub recorded_doses: usize,
    /// Doses that count; of several antigens, of the one with the fewest.
    pub valid_doses: usize,
    /// The day of the first dose that counts.
    pub first_on: Option<Date>,
    /// The day of the dose that made the status `Full`.
    pub full_on: Option<Date>,
    /// The day of the first booster.
    pub boosted_on: Option<Date>,
    /// Doses that must be repeated or do not count.
    pub invalid: Vec<Invalid>,
    /// Before this day nothing of this changes by time alone; on it, something need not.
    pub next_transition: Option<Date>,
}

/// When the next dose may, should and must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Due {
    /// The first day on which it would count.
    pub earliest: Option<Date>,
    /// The day from which it is recommended.
    pub recommended: Option<Date>,
    /// The last day on which it is not late.
    pub past_due: Option<Date>,
}

/// A dose that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Position in [`Person::doses`](crate::Person::doses).
    pub dose: usize,
    /// All reasons, each once, in a fixed order.
    pub reasons: Vec<DoseReason>,
}
