//! The clinical calculator's answer as a standing in each vaccine group.

use crate::date::{Date, after};
use crate::outcome::{DoseEvaluation, DoseStatus, ForecastReason, Outcome, Recommendation, Status as Series};
use crate::person::{Dose, Person};
use crate::schedule::{Association, Schedule, VaccineGroup};
use crate::standing::{Due, Invalid, Standing, Status};

/// The name of this calculator; its version is that of the [`Schedule`].
pub const NAME: &str = "clinical";

/// Where a person stands in one vaccine group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStanding<'s> {
    /// The vaccine group.
    pub vaccine_group: &'s str,
    /// Whether any series of the group is for this person. If none is, nothing is recommended and nothing counts.
    pub applies: bool,
    /// Whether the series shown are for people at risk.
    pub risk: bool,
    /// The standing in the series shown: those of the group's first recommendation.
    pub standing: Standing,
}

/// The standing in every vaccine group of the schedule, in its order: `outcome` must be what [`forecast`](crate::forecast)
/// made of the same schedule and person as of `today`. Nothing is forecast again.
///
/// `Full` is a series that is complete. One that recurs for life (influenza, tetanus) never is: there `up_to_date` says more.
pub fn standings<'s>(
    schedule: &'s Schedule,
    person: &Person,
    outcome: &Outcome<'s>,
    today: Date,
) -> Vec<GroupStanding<'s>> {
    let (mut evaluations, mut recommendations) = (&outcome.evaluations[..], &outcome.recommendations[..]);
    let born = person.birth.parts();
    let of_group = |group: &'s VaccineGroup| {
        let name = group.name.as_str();
        let evaluated = leading(&mut evaluations, |one| one.vaccine_group == name);
        let shown = leading(&mut recommendations, |one| one.vaccine_group == name).first();
        let mut standing = shown.map_or_else(|| up_to_date(true), |shown| standing(shown, evaluated, person, today));
        let recorded = |dose: &&Dose| {
            let counts = |one: &Association| group.antigens.contains(&one.antigen) && is_aged(born, one, dose.date);
            dose.date <= today && schedule.associations(dose.cvx).any(counts)
        };
        standing.recorded_doses = person.doses.iter().filter(recorded).count();
        standing.next_transition = outcome.next_transition;
        GroupStanding {
            vaccine_group: name,
            applies: shown.is_some(),
            risk: shown.is_some_and(|shown| shown.risk),
            standing,
        }
    };
    schedule.groups.iter().map(of_group).collect()
}

/// Takes off the elements at the front that are of a kind.
fn leading<'a, T>(rest: &mut &'a [T], is_of_kind: impl Fn(&T) -> bool) -> &'a [T] {
    let end = rest.iter().position(|one| !is_of_kind(one)).unwrap_or(rest.len());
    let (taken, left) = rest.split_at(end);
    *rest = left;
    taken
}

fn is_aged(born: (i32, u8, u8), association: &Association, on: Date) -> bool {
    association.age.begin.is_none_or(|age| after(born, age) <= on)
        && association.age.end.is_none_or(|age| on < after(born, age))
}

fn up_to_date(up_to_date: bool) -> Standing {
    Standing { up_to_date, ..Standing::default() }
}

/// All but the doses recorded and the next transition.
fn standing(shown: &Recommendation<'_>, evaluations: &[DoseEvaluation<'_>], person: &Person, today: Date) -> Standing {
    let missing = shown.status == Series::NotComplete;
    let due = Due { earliest: shown.earliest, recommended: shown.recommended, past_due: shown.past_due };
    let is_due = missing && due.recommended.or(due.earliest).is_none_or(|date| date <= today);
    let status = match (shown.status, shown.valid_doses) {
        (Series::Complete, _) => Status::Full,
        (_, 0) => Status::Not,
        _ => Status::Partial,
    };
    let in_series = || evaluations.iter().filter(|one| shown.series.contains(&one.series));
    let spans = spans(shown, evaluations, person);
    let begun = spans.iter().all(Option::is_some);
    Standing {
        status,
        immune: shown.status == Series::Immune,
        contraindicated: shown.status == Series::Contraindicated,
        aged_out: shown.status == Series::AgedOut,
        overdue: missing && due.past_due.is_some_and(|last| last < today),
        next_due: missing.then_some(due),
        valid_doses: shown.valid_doses,
        first_on: spans.iter().flatten().filter(|_| begun).map(|(first, _)| *first).max(),
        full_on: spans.iter().flatten().filter(|_| status == Status::Full).map(|(_, last)| *last).max(),
        invalid: invalid(in_series()),
        ..up_to_date(!is_due)
    }
}

/// The first and the last day of a valid dose in each series shown, without those of antigens to which the person is immune:
/// they need no dose.
fn spans(shown: &Recommendation<'_>, evaluations: &[DoseEvaluation<'_>], person: &Person) -> Vec<Option<(Date, Date)>> {
    let series = shown.series.iter().zip(&shown.reasons);
    let needed = series.filter(|(_, why)| **why != ForecastReason::EvidenceOfImmunity).map(|(name, _)| *name);
    needed
        .map(|name| {
            let valid = evaluations.iter().filter(|one| one.series == name && one.status == DoseStatus::Valid);
            let dates = valid.map(|one| person.doses[one.dose].date);
            Some((dates.clone().min()?, dates.max()?))
        })
        .collect()
}

/// Doses that must be repeated, at least for one antigen, with the reasons of all.
fn invalid<'e, 's: 'e>(evaluations: impl Iterator<Item = &'e DoseEvaluation<'s>>) -> Vec<Invalid> {
    let mut invalid: Vec<Invalid> = Vec::new();
    for one in evaluations.filter(|one| matches!(one.status, DoseStatus::NotValid | DoseStatus::SubStandard)) {
        match invalid.iter_mut().find(|other| other.dose == one.dose) {
            Some(known) => known.reasons.extend(&one.reasons),
            None => invalid.push(Invalid { dose: one.dose, reasons: one.reasons.clone() }),
        }
    }
    for one in &mut invalid {
        one.reasons.sort_unstable();
        one.reasons.dedup();
    }
    invalid.sort_by_key(|one| one.dose);
    invalid
}
