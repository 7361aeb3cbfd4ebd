//! Series of antigens together as vaccine groups (chapter 9).

use crate::antigen::Candidate;
use crate::case::Case;
use crate::date::Date;
use crate::dates::Dates;
use crate::outcome::{DoseEvaluation, Outcome, Recommendation, Status};
use crate::schedule::{SeriesType, VaccineGroup};

/// Everything there is to say, from the best series of each antigen.
pub(crate) fn outcome<'s>(case: &Case<'_, 's>, best: &[Vec<Candidate<'s>>]) -> Outcome<'s> {
    let mut outcome = Outcome { evaluations: Vec::new(), recommendations: Vec::new(), next_transition: None };
    for group in &case.schedule.groups {
        for candidate in group.antigens.iter().flat_map(|antigen| &best[*antigen]) {
            outcome.evaluations.extend(evaluations(group, candidate));
        }
        let contained: Vec<Vec<&Candidate<'s>>> =
            group.antigens.iter().map(|antigen| in_order_of_showing(case, &best[*antigen])).collect();
        let mut recommendations = match &contained[..] {
            [single] => single.iter().map(|candidate| recommend(case, group, &[candidate])).collect(),
            several => blend(case, group, several),
        };
        // Of equals the one that the person's risks call for comes first.
        recommendations.sort_by_key(|recommendation| (recommendation.status, !recommendation.risk));
        outcome.recommendations.extend(recommendations);
    }
    for recommendation in &outcome.recommendations {
        let late = recommendation.past_due.map(|date| date.plus_days(1));
        for date in [recommendation.earliest, recommendation.recommended, late].into_iter().flatten() {
            case.clock.reached(date);
        }
    }
    outcome.next_transition = case.clock.next_transition();
    outcome
}

fn evaluations<'c, 's>(
    group: &'s VaccineGroup,
    candidate: &'c Candidate<'s>,
) -> impl Iterator<Item = DoseEvaluation<'s>> + 'c {
    candidate.track.evaluations.iter().map(|evaluation| DoseEvaluation {
        dose: evaluation.dose,
        antigen: &candidate.antigen.name,
        vaccine_group: &group.name,
        series: &candidate.track.series.name,
        dose_number: evaluation.dose_number,
        status: evaluation.status,
        reasons: evaluation.reasons.clone(),
    })
}

/// Several series of one type can be best at once (RSV for infants and from 75, for one); the specification does not say
/// which counts. Those the person is too young to start are left out unless they have valid doses; then by status.
fn in_order_of_showing<'c, 's>(case: &Case<'_, '_>, best: &'c [Candidate<'s>]) -> Vec<&'c Candidate<'s>> {
    let begun = |candidate: &&Candidate<'_>| {
        let old_enough = candidate.track.series.min_start.is_none_or(|age| case.clock.reached(case.at(age)));
        old_enough || candidate.track.valid_doses() > 0
    };
    let mut shown: Vec<&Candidate<'s>> = best.iter().filter(begun).collect();
    if shown.is_empty() {
        shown = best.iter().collect();
    }
    shown.sort_by_key(|candidate| candidate.forecast.status);
    shown
}

/// One recommendation of the standard series of several antigens, one of their risk series.
fn blend<'s>(
    case: &Case<'_, 's>,
    group: &'s VaccineGroup,
    antigens: &[Vec<&Candidate<'s>>],
) -> Vec<Recommendation<'s>> {
    let mut recommendations = Vec::new();
    for risk in [false, true] {
        let of_kind = |candidate: &&&Candidate<'s>| (candidate.track.series.kind == SeriesType::Risk) == risk;
        let contained: Vec<&Candidate<'s>> =
            antigens.iter().filter_map(|antigen| antigen.iter().find(of_kind).copied()).collect();
        if !contained.is_empty() {
            recommendations.push(recommend(case, group, &contained));
        }
    }
    recommendations
}

fn recommend<'s>(case: &Case<'_, '_>, group: &'s VaccineGroup, contained: &[&Candidate<'s>]) -> Recommendation<'s> {
    let status = status(contained);
    let due = |candidate: &&&Candidate<'s>| candidate.forecast.status == Status::NotComplete;
    let due: Vec<&Candidate<'s>> =
        contained.iter().filter(due).filter(|_| status == Status::NotComplete).copied().collect();
    let dates: Vec<&Dates> = due.iter().filter_map(|candidate| candidate.forecast.dates.as_ref()).collect();
    let earliest = earliest(case, group, &due, &dates);
    let not_before = |date: Option<Date>| date.map(|date| earliest.map_or(date, |earliest| date.max(earliest)));
    let numbers = due.iter().map(|candidate| candidate.forecast.dose_number);
    let mut vaccines: Vec<_> = due.iter().flat_map(|candidate| &candidate.forecast.vaccines).copied().collect();
    vaccines.sort_unstable();
    vaccines.dedup();
    Recommendation {
        vaccine_group: &group.name,
        risk: contained.iter().any(|candidate| candidate.track.series.kind == SeriesType::Risk),
        status,
        earliest,
        recommended: not_before(dates.iter().map(|dates| dates.recommended).min()),
        past_due: not_before(dates.iter().filter_map(|dates| dates.past_due).min()),
        latest: dates.iter().filter_map(|dates| dates.latest).min(),
        dose_number: if group.full { numbers.min() } else { numbers.max() },
        valid_doses: contained.iter().map(|candidate| candidate.track.valid_doses()).min().unwrap_or(0),
        series: contained.iter().map(|candidate| candidate.track.series.name.as_str()).collect(),
        reasons: contained.iter().map(|candidate| candidate.forecast.reason).collect(),
        antigens: due.iter().map(|candidate| candidate.antigen.name.as_str()).collect(),
        vaccines,
    }
}

/// Table 9-4; with one antigen the status is its own.
fn status(contained: &[&Candidate<'_>]) -> Status {
    let statuses = contained.iter().map(|candidate| candidate.forecast.status);
    let first = [Status::Contraindicated, Status::AgedOut, Status::NotRecommended, Status::NotComplete];
    let decisive = first.into_iter().find(|status| statuses.clone().any(|other| other == *status));
    decisive.unwrap_or(if statuses.clone().all(|status| status == Status::Immune) {
        Status::Immune
    } else {
        Status::Complete
    })
}

/// SINGLEANTVG-2 and MULTIANTVG-1.
fn earliest(case: &Case<'_, '_>, group: &VaccineGroup, due: &[&Candidate<'_>], dates: &[&Dates]) -> Option<Date> {
    let all = dates.iter().map(|dates| dates.earliest);
    if !due.iter().any(|candidate| candidate.forecast.priority) {
        return all.max();
    }
    let of_group = |position: &&usize| {
        let antigens = case.schedule.antigens_of.get(&case.dose(**position).cvx);
        antigens
            .is_some_and(|antigens| antigens.iter().any(|association| group.antigens.contains(&association.antigen)))
    };
    let last = case.history.iter().rev().find(of_group).map(|position| case.dose(*position).date);
    all.min().max(last)
}
