//! Points for series of one group that all have a chance (8.3 to 8.7).

use crate::antigen::Candidate;
use crate::case::Case;
use crate::date::Date;
use crate::outcome::DoseStatus;
use crate::track::max_age_date;
use std::cmp::Reverse;

/// The series with the most points, by preference among equals.
pub(crate) fn highest(case: &Case<'_, '_>, candidates: &[Candidate<'_>], scorable: &[usize]) -> Option<usize> {
    let complete: Vec<usize> = scorable.iter().copied().filter(|at| candidates[*at].is_complete()).collect();
    let in_process: Vec<usize> = scorable.iter().copied().filter(|at| candidates[*at].is_in_process()).collect();
    let (chosen, points) = if complete.len() >= 2 {
        let points = most(&complete, 1, |at| candidates[at].track.valid_doses());
        (complete, points)
    } else if in_process.len() >= 2 {
        let points = in_process_points(case, candidates, &in_process);
        (in_process, points)
    } else {
        let untouched: Vec<usize> =
            scorable.iter().copied().filter(|at| candidates[*at].track.valid_doses() == 0).collect();
        let chosen = if untouched.is_empty() { scorable.to_vec() } else { untouched };
        let points = no_valid_dose_points(case, candidates, &chosen);
        (chosen, points)
    };
    let ranked = chosen.into_iter().zip(points);
    ranked.max_by_key(|(at, points)| (*points, Reverse(candidates[*at].track.series.preference))).map(|(at, _)| at)
}

/// Table 8-9.
fn in_process_points(case: &Case<'_, '_>, candidates: &[Candidate<'_>], chosen: &[usize]) -> Vec<i32> {
    let product = each(chosen, 2, |at| candidates[at].track.series.product && all_valid(&candidates[at]));
    let completable = each(chosen, 3, |at| is_completable(case, &candidates[at]));
    let valid = most(chosen, 2, |at| candidates[at].track.valid_doses());
    let closest = most(chosen, 2, |at| Reverse(candidates[at].track.open_targets()));
    let finish =
        |at: usize| is_completable(case, &candidates[at]).then(|| finish_date(case, &candidates[at])).flatten();
    let soonest = earliest(chosen, finish);
    sum(&[product, completable, valid, closest, soonest])
}

/// Table 8-11.
fn no_valid_dose_points(case: &Case<'_, '_>, candidates: &[Candidate<'_>], chosen: &[usize]) -> Vec<i32> {
    let start = earliest(chosen, |at| candidates[at].forecast.dates.as_ref().map(|dates| dates.earliest));
    let completable = each(chosen, 1, |at| is_completable(case, &candidates[at]));
    let no_product = each(chosen, 1, |at| !candidates[at].track.series.product);
    sum(&[start, completable, no_product])
}

fn sum(columns: &[Vec<i32>]) -> Vec<i32> {
    let rows = columns.first().map_or(0, Vec::len);
    (0..rows).map(|row| columns.iter().map(|column| column[row]).sum()).collect()
}

/// Plus or minus for each on its own ("n/a" for more than one).
fn each(chosen: &[usize], points: i32, holds: impl Fn(usize) -> bool) -> Vec<i32> {
    chosen.iter().map(|at| if holds(*at) { points } else { -points }).collect()
}

/// Plus for the one with the most, nothing for several with the most, minus for the others.
fn most<K: Ord>(chosen: &[usize], points: i32, key: impl Fn(usize) -> K) -> Vec<i32> {
    let keys: Vec<K> = chosen.iter().map(|at| key(*at)).collect();
    let winners = keys.iter().filter(|key| Some(*key) == keys.iter().max()).count();
    let award = |key: &K| match (Some(key) == keys.iter().max(), winners) {
        (true, 1) => points,
        (true, _) => 0,
        (false, _) => -points,
    };
    keys.iter().map(award).collect()
}

/// As `most`, for the earliest of the dates there are.
fn earliest(chosen: &[usize], date: impl Fn(usize) -> Option<Date>) -> Vec<i32> {
    let dates: Vec<Option<Date>> = chosen.iter().map(|at| date(*at)).collect();
    let first = dates.iter().flatten().min();
    let winners = dates.iter().flatten().filter(|date| Some(*date) == first).count();
    let award = |date: &Option<Date>| match (date.is_some() && date.as_ref() == first, winners) {
        (true, 1) => 1,
        (true, _) => 0,
        (false, _) => -1,
    };
    dates.iter().map(award).collect()
}

/// SELECTB-2.
fn all_valid(candidate: &Candidate<'_>) -> bool {
    candidate.track.evaluations.iter().all(|evaluation| evaluation.status == DoseStatus::Valid)
}

/// SELECTB-12: the day the series can be finished, as far as minimum intervals tell.
fn finish_date(case: &Case<'_, '_>, candidate: &Candidate<'_>) -> Option<Date> {
    let earliest = candidate.forecast.dates.as_ref()?.earliest;
    // The earliest date already keeps the intervals of the next dose.
    let left = candidate.track.targets.iter().skip(candidate.track.next + 1);
    let intervals = left.flat_map(|target| &target.dose.intervals).filter(|interval| interval.force.at(case.now()));
    let finish = intervals.filter_map(|interval| Some(earliest + interval.min?)).max();
    Some(finish.unwrap_or(earliest))
}

/// SELECTB-3.
fn is_completable(case: &Case<'_, '_>, candidate: &Candidate<'_>) -> bool {
    let last = candidate.track.targets.last().and_then(|target| max_age_date(case, target.dose, case.now()));
    finish_date(case, candidate).is_some_and(|finish| last.is_none_or(|last| finish < last))
}
