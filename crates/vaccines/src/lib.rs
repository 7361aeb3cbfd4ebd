//! The calculators of vaccination status: the clinical one, CDC's CDSi logic (specification 4.6) driven by its supporting
//! data, and that of surveillance, which counts doses by a table. Both answer with a [`standing::Standing`].
//!
//! Pure: schedules and programmes come in as bytes, the day of assessment as an argument. Chapter numbers in comments are
//! those of the specification. What was reported goes through [`dedupe::dedupe`] first.

mod antigen;
mod builtin;
mod case;
pub mod clinical;
mod conflict;
mod date;
mod dates;
pub mod dedupe;
mod evaluate;
mod forecast;
mod group;
mod interval;
mod load;
mod need;
mod outcome;
mod person;
mod schedule;
mod score;
mod select;
mod skip;
pub mod standing;
pub mod surveillance;
mod track;
mod xml;

pub use builtin::BUILTIN_VERSION;
pub use date::{Date, NotADate, Period};
pub use load::LoadError;
pub use outcome::{DoseEvaluation, DoseReason, DoseStatus, ForecastReason, Outcome, Recommendation, Status};
pub use person::{Dose, Observed, Person, Sex};
pub use schedule::{Cvx, ObservationCode, Schedule};
pub use xml::BadXml;

/// Evaluates every dose of the person and forecasts every vaccine group, as of the day of assessment. Doses after that day
/// do not count yet.
pub fn forecast<'s>(schedule: &'s Schedule, person: &Person, assessment: Date) -> Outcome<'s> {
    let case = case::Case::new(schedule, person, assessment);
    let best = antigen::best_of_all(&case);
    group::outcome(&case, &best)
}
