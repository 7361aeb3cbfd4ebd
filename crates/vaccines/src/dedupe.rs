//! One event, one dose: the same vaccination is often reported twice, by the record of a clinic and by that of a pharmacy,
//! and would count twice. The rules are those of the MIROW guide to vaccination-event de-duplication.

use crate::date::Date;
use crate::person::Dose;
use crate::schedule::{Cvx, Schedule};
use std::cmp::Reverse;

/// Records of one vaccine family this many days apart or less are of one event. The closest doses that are ever given on
/// purpose are three days apart (rabies after exposure); in the schedule the shortest interval is a week.
pub const WINDOW_DAYS: i32 = 2;

/// Nirsevimab, 100 mg: children of the second season get two injections on one day.
const TWO_A_DAY: Cvx = 307;

/// How a record came about (RXA-9, `Immunization.primarySource`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// By who gave the dose.
    Administered,
    /// From hearsay, a card or another system; also if nothing is said.
    Historical,
}

/// What became of the vaccination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completion {
    /// It was given.
    Completed,
    /// It was refused or not given.
    NotDone,
    /// The record is an error.
    EnteredInError,
}

/// A vaccination as one record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The day it was given.
    pub date: Date,
    /// The vaccine type.
    pub cvx: Cvx,
    /// The manufacturer (MVX code), if known.
    pub mvx: Option<String>,
    /// The lot, if known.
    pub lot: Option<String>,
    /// How the record came about.
    pub source: Source,
    /// What became of it.
    pub completion: Completion,
    /// Part of the dose was lost, or it was recalled or stored badly.
    pub subpotent: bool,
    /// The last day of the lot.
    pub expires: Option<Date>,
}

impl Given {
    /// Subpotent, or of a lot that had expired.
    pub fn is_substandard(&self) -> bool {
        self.subpotent || self.expires.is_some_and(|last| last < self.date)
    }
}

/// Why a record makes no dose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Nothing was given.
    NotDone,
    /// The record is an error.
    EnteredInError,
    /// The record at this position stands for the same event.
    DuplicateOf(usize),
}

/// A record that makes no dose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dropped {
    /// Its position in what was given.
    pub record: usize,
    /// Why.
    pub reason: DropReason,
}

/// What is left of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Distinct {
    /// One dose for each event, by date, in an order that does not depend on that of the records. Subpotent and expired ones
    /// are among them: they were given, and the calculators say what they count for.
    pub doses: Vec<Dose>,
    /// For each dose, the position of the record it is of.
    pub records: Vec<usize>,
    /// The other records, by position.
    pub dropped: Vec<Dropped>,
}

/// Finds the events behind the records of one person. Of several records of one event the best stands for it: administered
/// before historical, a product before an unspecified formulation, then the more complete one.
pub fn dedupe(schedule: &Schedule, given: &[Given]) -> Distinct {
    let mut dropped = Vec::new();
    let mut candidates = Vec::new();
    for (record, one) in given.iter().enumerate() {
        match one.completion {
            Completion::Completed => candidates.push(record),
            Completion::NotDone => dropped.push(Dropped { record, reason: DropReason::NotDone }),
            Completion::EnteredInError => dropped.push(Dropped { record, reason: DropReason::EnteredInError }),
        }
    }
    candidates.sort_by_cached_key(|record| rank(schedule, &given[*record]));
    let mut kept: Vec<(usize, Dose)> = Vec::new();
    for record in candidates {
        let one = &given[record];
        let same = kept.iter_mut().find(|(other, _)| is_same_event(schedule, &given[*other], one));
        if let Some((other, dose)) = same {
            dropped.push(Dropped { record, reason: DropReason::DuplicateOf(*other) });
            if dose.mvx.is_none() && dose.cvx == one.cvx {
                dose.mvx.clone_from(&one.mvx);
            }
        } else {
            let dose = Dose { date: one.date, cvx: one.cvx, mvx: one.mvx.clone(), substandard: one.is_substandard() };
            kept.push((record, dose));
        }
    }
    // Stable: of one day the best record comes first.
    kept.sort_by_key(|(_, dose)| dose.date);
    dropped.sort_by_key(|one| one.record);
    let (records, doses) = kept.into_iter().unzip();
    Distinct { doses, records, dropped }
}

fn is_same_event(schedule: &Schedule, one: &Given, other: &Given) -> bool {
    let (first, last) = (one.date.min(other.date), one.date.max(other.date));
    let administered = [one, other].iter().all(|given| given.source == Source::Administered);
    let two_injections = administered && first == last && one.cvx == TWO_A_DAY && other.cvx == TWO_A_DAY;
    last <= first.plus_days(WINDOW_DAYS) && schedule.are_family(one.cvx, other.cvx) && !two_injections
}

/// The best comes first. It ends with all the rest of a record, so that the order of records never decides.
fn rank<'g>(schedule: &Schedule, given: &'g Given) -> impl Ord + use<'g> {
    let known = [given.lot.is_some(), given.mvx.is_some(), given.expires.is_some()];
    let completeness = known.into_iter().filter(|known| *known).count();
    (
        given.source,
        is_unspecified(schedule, given.cvx),
        Reverse(completeness),
        // A combination says more than one of its parts.
        Reverse(schedule.associations(given.cvx).count()),
        (given.date, given.cvx, given.mvx.as_deref(), given.lot.as_deref()),
        (Reverse(given.subpotent), given.expires),
    )
}

/// Whether the type says what the vaccine is against and not which it is. Its name tells; a code set has no field for it.
fn is_unspecified(schedule: &Schedule, cvx: Cvx) -> bool {
    let name = schedule.vaccine_name(cvx).map(str::to_ascii_lowercase);
    name.is_none_or(|name| ["unspecified", "unknown"].iter().any(|word| name.contains(word)))
}
