//! The best series of an antigen: one for each series group that another does not make needless (chapter 8).

use crate::antigen::Candidate;
use crate::case::Case;
use crate::outcome::{DoseStatus, Status};
use crate::schedule::SeriesType;
use crate::score;

/// The best series among those that are relevant.
pub(crate) fn best<'s>(case: &Case<'_, '_>, candidates: Vec<Candidate<'s>>) -> Vec<Candidate<'s>> {
    let mut groups: Vec<u16> = candidates.iter().map(|candidate| candidate.track.series.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut prioritized: Vec<usize> = Vec::new();
    for group in groups {
        let members: Vec<usize> =
            (0..candidates.len()).filter(|at| candidates[*at].track.series.group == group).collect();
        prioritized.extend(prioritize(case, &candidates, &members));
    }
    let best: Vec<usize> = prioritized.iter().copied().filter(|at| is_best(&candidates, &prioritized, *at)).collect();
    let mut candidates: Vec<Option<Candidate<'s>>> = candidates.into_iter().map(Some).collect();
    best.into_iter().filter_map(|at| candidates[at].take()).collect()
}

/// Table 8-14.
fn is_best(candidates: &[Candidate<'_>], prioritized: &[usize], at: usize) -> bool {
    let candidate = &candidates[at];
    let series = candidate.track.series;
    if candidate.is_complete() {
        return true;
    }
    let mut equivalent = prioritized
        .iter()
        .map(|other| &candidates[*other])
        .filter(|other| series.equivalent.contains(&other.track.series.group));
    match series.kind {
        SeriesType::EvaluationOnly => false,
        SeriesType::Risk => !equivalent.any(|other| other.is_complete()),
        SeriesType::Standard => {
            !equivalent.any(|other| other.is_complete() || other.track.series.kind == SeriesType::Risk)
        }
    }
}

/// The one series of the group that counts (8.2 to 8.7).
fn prioritize(case: &Case<'_, '_>, candidates: &[Candidate<'_>], members: &[usize]) -> Option<usize> {
    let scorable = scorable(case, candidates, members);
    let of_kind = |members: &[usize], test: &dyn Fn(&Candidate<'_>) -> bool| -> Vec<usize> {
        members.iter().copied().filter(|at| test(&candidates[*at])).collect()
    };
    let default = of_kind(members, &|candidate| candidate.track.series.default);
    let scorable_default = of_kind(&scorable, &|candidate| candidate.track.series.default);
    let complete = of_kind(&scorable, &|candidate| candidate.is_complete());
    let in_process = of_kind(&scorable, &|candidate| candidate.is_in_process());
    match (&scorable[..], &complete[..], &in_process[..], &scorable_default[..]) {
        ([], ..) => default.first().copied(),
        ([one], ..) | (_, [one], ..) | (_, [], [one], _) | (_, [], [], [one]) => Some(*one),
        _ => score::highest(case, candidates, &scorable),
    }
}

/// SELECTB-24 and SELECTSCORE-2.
fn scorable(case: &Case<'_, '_>, candidates: &[Candidate<'_>], members: &[usize]) -> Vec<usize> {
    let of = |at: &usize| &candidates[*at];
    let contraindicated = |at: &usize| of(at).forecast.status == Status::Contraindicated;
    let all_contraindicated = members.iter().all(contraindicated);
    let first_priority = members.iter().map(|at| of(at).track.series.priority).min();
    let nothing_valid = members.iter().all(|at| of(at).track.valid_doses() == 0);
    let has_default = members.iter().any(|at| of(at).track.series.default);
    let is_scorable = |at: &usize| {
        let candidate = of(at);
        let series = candidate.track.series;
        let open = all_contraindicated || !contraindicated(at);
        match series.kind {
            SeriesType::EvaluationOnly => candidate.is_complete(),
            SeriesType::Risk => open && Some(series.priority) == first_priority,
            SeriesType::Standard => open && (started_in_time(case, candidate) || (nothing_valid && !has_default)),
        }
    };
    members.iter().copied().filter(is_scorable).collect()
}

/// Whether the first valid dose came before the maximum age to start.
fn started_in_time(case: &Case<'_, '_>, candidate: &Candidate<'_>) -> bool {
    let first = candidate.track.evaluations.iter().find(|evaluation| evaluation.status == DoseStatus::Valid);
    let max = candidate.track.series.max_start.map(|age| case.at(age));
    first.is_some_and(|first| max.is_none_or(|max| first.date < max))
}
