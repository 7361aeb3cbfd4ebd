//! The dates of the next dose (7.5).

use crate::case::Case;
use crate::conflict;
use crate::date::{Date, Period};
use crate::interval::reference_date;
use crate::schedule::{Interval, SeriesDose};
use crate::track::{Track, age_rule, max_age_date};

pub(crate) struct Dates {
    pub(crate) earliest: Date,
    pub(crate) recommended: Date,
    pub(crate) past_due: Option<Date>,
    pub(crate) latest: Option<Date>,
}

/// FORECASTDTCAN-1 and FORECASTDT-1 to 6.
pub(crate) fn dates(case: &Case<'_, '_>, track: &Track<'_>, dose: &SeriesDose) -> Dates {
    let age = age_rule(dose, case.now());
    let from_birth = |pick: fn(&crate::schedule::Age) -> Option<Period>| age.and_then(pick).map(|age| case.at(age));
    let latest_of = |pick: fn(&Interval) -> Option<Period>| {
        let intervals = dose.intervals.iter().filter(|interval| interval.force.at(case.now()));
        intervals.filter_map(|interval| Some(reference_date(case, track, interval)? + pick(interval)?)).max()
    };
    let earliest = [
        Some(case.person.birth),
        from_birth(|age| age.min),
        latest_of(|interval| interval.min),
        conflict::latest_end(case, dose),
        dose.season.start,
        track.evaluations.last().map(|last| last.date),
    ];
    let earliest = earliest.into_iter().flatten().max().unwrap_or(case.person.birth);
    let recommended =
        from_birth(|age| age.earliest_recommended).or_else(|| latest_of(|interval| interval.earliest_recommended));
    let past_due =
        from_birth(|age| age.latest_recommended).or_else(|| latest_of(|interval| interval.latest_recommended));
    Dates {
        earliest,
        recommended: recommended.map_or(earliest, |date| date.max(earliest)),
        past_due: past_due.map(|date| date.plus_days(-1).max(earliest)),
        latest: max_age_date(case, dose, case.now()).map(|date| date.plus_days(-1)),
    }
}
