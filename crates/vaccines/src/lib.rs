//! The clinical calculator of vaccination status: CDC's CDSi logic (specification 4.6) driven by its supporting data.
//!
//! Pure: the schedule comes in as bytes, the day of assessment as an argument. Chapter numbers in comments are those of the
//! specification.

mod antigen;
mod case;
mod conflict;
mod date;
mod dates;
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
mod track;
mod xml;

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
