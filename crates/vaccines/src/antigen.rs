//! All series of an antigen that matter to the person (chapters 4 and 5), and the best of them.

use crate::case::{Case, Moment};
use crate::evaluate::evaluate;
use crate::forecast::{Forecast, forecast};
use crate::need::applies;
use crate::outcome::Status;
use crate::person::Sex;
use crate::schedule::{Antigen, Condition, Series, SeriesType};
use crate::select;
use crate::track::Track;

/// A series with everything that is known of it.
pub(crate) struct Candidate<'s> {
    pub(crate) antigen: &'s Antigen,
    pub(crate) track: Track<'s>,
    pub(crate) forecast: Forecast,
}

impl Candidate<'_> {
    pub(crate) fn is_complete(&self) -> bool {
        self.forecast.status == Status::Complete
    }

    /// SELECTB-16.
    pub(crate) fn is_in_process(&self) -> bool {
        self.forecast.status == Status::NotComplete && self.track.valid_doses() > 0
    }
}

/// The best series of each antigen, in the order of the antigens.
pub(crate) fn best_of_all<'s>(case: &Case<'_, 's>) -> Vec<Vec<Candidate<'s>>> {
    let mut doses = vec![Vec::new(); case.schedule.antigens.len()];
    for &position in &case.history {
        let dose = case.dose(position);
        for association in case.schedule.antigens_of.get(&dose.cvx).into_iter().flatten() {
            if case.aged(association.age, Moment::On(dose.date)) {
                doses[association.antigen].push(position);
            }
        }
    }
    let antigens = case.schedule.antigens.iter().zip(&doses);
    antigens.map(|(antigen, doses)| select::best(case, candidates(case, antigen, doses))).collect()
}

fn candidates<'s>(case: &Case<'_, 's>, antigen: &'s Antigen, doses: &[usize]) -> Vec<Candidate<'s>> {
    // A series that asks whether another one is complete comes after it.
    let (later, first): (Vec<&Series>, Vec<&Series>) = antigen
        .series
        .iter()
        .filter(|series| is_relevant(case, series))
        .partition(|series| asks_for_completed_series(series));
    let mut candidates: Vec<Candidate<'s>> = Vec::with_capacity(first.len() + later.len());
    let mut complete_groups = Vec::new();
    for series in first.into_iter().chain(later) {
        let mut track = evaluate(case, series, doses, &complete_groups);
        let forecast = forecast(case, antigen, &mut track, &complete_groups);
        if forecast.status == Status::Complete {
            complete_groups.push(series.group);
        }
        candidates.push(Candidate { antigen, track, forecast });
    }
    candidates
}

/// Table 5-5.
fn is_relevant(case: &Case<'_, '_>, series: &Series) -> bool {
    let open = match case.person.sex {
        Sex::Female => series.female,
        Sex::Male => series.male,
        Sex::Unknown => series.unknown_sex,
    };
    open && (series.kind != SeriesType::Risk || series.indications.iter().any(|indication| applies(case, indication)))
}

fn asks_for_completed_series(series: &Series) -> bool {
    let sets = series.doses.iter().flat_map(|dose| &dose.skips).flat_map(|skip| &skip.sets);
    sets.flat_map(|set| &set.conditions).any(|condition| matches!(condition, Condition::CompletedSeries(_)))
}
