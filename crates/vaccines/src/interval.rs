//! From when an interval counts (CALCDTINT-1, 2, 8, 9).

use crate::case::Case;
use crate::date::Date;
use crate::outcome::DoseStatus;
use crate::schedule::{From, Interval};
use crate::track::{TargetState, Track};

/// The reference date of an interval for the dose that comes after all evaluated ones; none if there is nothing to count from.
pub(crate) fn reference_date(case: &Case<'_, '_>, track: &Track<'_>, interval: &Interval) -> Option<Date> {
    let mut given = track.evaluations.iter().rev().filter(|evaluation| !evaluation.is_inadvertent());
    match &interval.from {
        From::Previous => given
            .find(|evaluation| matches!(evaluation.status, DoseStatus::Valid | DoseStatus::NotValid))
            .map(|evaluation| evaluation.date),
        From::TargetDose(number) => track.targets.iter().rev().find_map(|target| match target.state {
            TargetState::Satisfied(date) if target.dose.number == *number => Some(date),
            _ => None,
        }),
        From::MostRecent(vaccines) => given
            .find(|evaluation| vaccines.contains(&case.dose(evaluation.dose).cvx))
            .map(|evaluation| evaluation.date),
        From::Observation(code) => case
            .person
            .observations
            .iter()
            .filter(|observed| observed.code == *code)
            .filter_map(|observed| observed.date)
            .max(),
    }
}
