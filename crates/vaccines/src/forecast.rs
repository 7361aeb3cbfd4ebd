//! What comes next in a series (chapter 7).

use crate::case::{Case, Moment};
use crate::date::Date;
use crate::dates::{Dates, dates};
use crate::need::{is_excluded, obstacle};
use crate::outcome::{ForecastReason, Status};
use crate::schedule::{AgeRange, Antigen, Cvx};
use crate::skip::{Context, History};
use crate::track::{TargetState, Track, max_age_date};

pub(crate) struct Forecast {
    pub(crate) status: Status,
    pub(crate) reason: ForecastReason,
    /// Only if the status is `NotComplete`.
    pub(crate) dates: Option<Dates>,
    pub(crate) dose_number: usize,
    /// Whether every interval of the next dose overrides those of the other antigens (FORECASTPRIORITY-1).
    pub(crate) priority: bool,
    pub(crate) vaccines: Vec<Cvx>,
}

/// Forecasts the series; targets that time and history make needless are skipped on the way.
pub(crate) fn forecast(
    case: &Case<'_, '_>,
    antigen: &Antigen,
    track: &mut Track<'_>,
    complete_groups: &[u16],
) -> Forecast {
    loop {
        let skips = |track: &Track<'_>, moment| {
            let target = track.target();
            target.is_some_and(|dose| History { case, track, complete_groups }.skips(dose, Context::Forecast, moment))
        };
        while skips(track, case.now()) {
            track.skip();
        }
        let Some(dose) = track.target() else { return finished(track) };
        if let Some((status, reason)) = obstacle(case, antigen, dose) {
            return without_dates(status, reason);
        }
        let max = max_age_date(case, dose, case.now());
        if max.is_some_and(|max| case.clock.reached(max)) {
            return without_dates(Status::AgedOut, ForecastReason::ExceededMaximumAge);
        }
        let dates = dates(case, track, dose);
        if max.is_some_and(|max| dates.earliest >= max) {
            return without_dates(Status::AgedOut, ForecastReason::UnableToFinish);
        }
        // 7.6: on the day of the visit the dose may no longer be the one that is needed.
        if skips(track, Moment::On(dates.earliest)) {
            track.skip();
            continue;
        }
        return Forecast {
            status: Status::NotComplete,
            reason: ForecastReason::DoseNeeded,
            dose_number: dose_number(track, dose.season.start),
            priority: !dose.intervals.is_empty() && dose.intervals.iter().all(|interval| interval.priority),
            vaccines: vaccines(case, antigen, track, &dates),
            dates: Some(dates),
        };
    }
}

fn without_dates(status: Status, reason: ForecastReason) -> Forecast {
    Forecast { status, reason, dates: None, dose_number: 0, priority: false, vaccines: Vec::new() }
}

fn finished(track: &Track<'_>) -> Forecast {
    if track.valid_doses() > 0 {
        without_dates(Status::Complete, ForecastReason::SeriesComplete)
    } else {
        without_dates(Status::NotRecommended, ForecastReason::PastImmunizationHistory)
    }
}

/// FORECASTDN-1: in a seasonal series only the doses of the season count.
fn dose_number(track: &Track<'_>, season: Option<Date>) -> usize {
    let counts = |state| matches!(state, TargetState::Satisfied(date) if season.is_none_or(|start| date >= start));
    track.targets.iter().filter(|target| counts(target.state)).count() + 1
}

/// FORECASTRECVAC-1.
fn vaccines(case: &Case<'_, '_>, antigen: &Antigen, track: &Track<'_>, dates: &Dates) -> Vec<Cvx> {
    let in_age =
        |age: AgeRange| [dates.earliest, dates.recommended].into_iter().any(|date| case.aged(age, Moment::On(date)));
    let preferable = track.target().map_or(&[][..], |dose| &dose.preferable);
    let named = preferable.iter().filter(|vaccine| vaccine.forecast && in_age(vaccine.age));
    let mut vaccines: Vec<Cvx> =
        named.filter(|vaccine| !is_excluded(case, antigen, vaccine)).map(|vaccine| vaccine.cvx).collect();
    vaccines.sort_unstable();
    vaccines.dedup();
    vaccines
}
