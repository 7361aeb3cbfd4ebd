//! What the engine must know of a person.

use crate::date::Date;
use crate::schedule::{Cvx, ObservationCode};

/// Sex as the schedule distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Unknown or another.
    Unknown,
}

/// A dose that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dose {
    /// The day it was given.
    pub date: Date,
    /// The vaccine type.
    pub cvx: Cvx,
    /// The manufacturer (MVX code), if known.
    pub mvx: Option<String>,
    /// Expired, recalled or subpotent: it counts for nothing.
    pub substandard: bool,
}

/// An observation that is active: a condition, a risk, an adverse reaction, evidence of immunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// The CDSi observation, see [`Schedule::observations`](crate::Schedule::observations).
    pub code: ObservationCode,
    /// The day it began or was made.
    pub date: Option<Date>,
}

/// The person whose doses are evaluated.
#[derive(Debug, Clone)]
pub struct Person {
    /// Day of birth.
    pub birth: Date,
    /// Sex.
    pub sex: Sex,
    /// Whether the person is known to be born in the United States; some birth dates count as evidence of immunity there.
    pub born_in_us: bool,
    /// Doses in any order; of doses of one day the first is evaluated first.
    pub doses: Vec<Dose>,
    /// Active observations.
    pub observations: Vec<Observed>,
}
