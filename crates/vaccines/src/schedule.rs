//! The supporting data as the engine uses it: immutable, typed, loaded once.

use crate::date::{Date, Period};
use std::collections::{HashMap, HashSet};

/// A vaccine type: its CVX code as a number.
pub type Cvx = u16;
/// A CDSi observation code, e.g. 7 for pregnant.
pub type ObservationCode = u16;

/// One version of the supporting data.
#[derive(Debug, Default)]
pub struct Schedule {
    pub(crate) version: String,
    /// Short names of vaccine types.
    pub(crate) names: HashMap<Cvx, String>,
    pub(crate) antigens: Vec<Antigen>,
    pub(crate) groups: Vec<VaccineGroup>,
    pub(crate) antigens_of: HashMap<Cvx, Vec<Association>>,
    /// By the earlier vaccine and the one it impacts.
    pub(crate) conflicts: HashMap<(Cvx, Cvx), Conflict>,
    /// The earlier vaccines of all conflicts.
    pub(crate) conflicting: HashSet<Cvx>,
    /// Which observations a code of a system (`SNOMED`, `CVX`, `CDCPHINVS`) means.
    pub(crate) coded: HashMap<(String, String), Vec<ObservationCode>>,
}

impl Schedule {
    /// The observations that a coded value means. `system` is the name in the supporting data: `SNOMED`, `CVX`, `CDCPHINVS`.
    pub fn observations(&self, system: &str, code: &str) -> &[ObservationCode] {
        self.coded.get(&(system.to_owned(), code.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// The label it was loaded with, e.g. [`BUILTIN_VERSION`](crate::BUILTIN_VERSION).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The short name of a vaccine type, such as `MMR` for 3; none if the schedule does not know the type.
    pub fn vaccine_name(&self, cvx: Cvx) -> Option<&str> {
        self.names.get(&cvx).map(String::as_str)
    }

    /// The antigens of a vaccine type, by name; at some ages it may count for fewer of them.
    pub fn antigens_of(&self, cvx: Cvx) -> impl Iterator<Item = &str> {
        self.associations(cvx).map(|association| self.antigens[association.antigen].name.as_str())
    }

    /// The vaccine groups that a vaccine type belongs to, in the order of the schedule.
    pub fn groups_of(&self, cvx: Cvx) -> impl Iterator<Item = &str> {
        let contains =
            move |group: &&VaccineGroup| self.associations(cvx).any(|one| group.antigens.contains(&one.antigen));
        self.groups.iter().filter(contains).map(|group| group.name.as_str())
    }

    /// The antigens of a vaccine group, by name; nothing for a group that the schedule does not have.
    pub fn group_antigens(&self, group: &str) -> impl Iterator<Item = &str> {
        let antigens = self.groups.iter().find(|one| one.name == group).map_or(&[][..], |group| &group.antigens);
        antigens.iter().map(|antigen| self.antigens[*antigen].name.as_str())
    }

    /// The vaccine types that contain an antigen, by code.
    pub fn vaccines_with(&self, antigen: &str) -> Vec<Cvx> {
        let contains = |cvx: &Cvx| self.antigens_of(*cvx).any(|name| name == antigen);
        let mut vaccines: Vec<Cvx> = self.antigens_of.keys().copied().filter(contains).collect();
        vaccines.sort_unstable();
        vaccines
    }

    pub(crate) fn associations(&self, cvx: Cvx) -> impl Iterator<Item = &Association> {
        self.antigens_of.get(&cvx).into_iter().flatten()
    }

    /// Whether two vaccine types are the same or have an antigen in common.
    pub(crate) fn are_family(&self, one: Cvx, other: Cvx) -> bool {
        one == other || self.associations(one).any(|a| self.associations(other).any(|b| a.antigen == b.antigen))
    }

    /// The names of the vaccine groups, in the order of the supporting data.
    pub fn vaccine_groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// How many antigens, series and doses of series there are.
    pub fn size(&self) -> (usize, usize, usize) {
        let series = self.antigens.iter().flat_map(|antigen| &antigen.series);
        (self.antigens.len(), series.clone().count(), series.map(|series| series.doses.len()).sum())
    }
}

#[derive(Debug)]
pub(crate) struct VaccineGroup {
    pub(crate) name: String,
    pub(crate) full: bool,
    /// Positions in `Schedule::antigens`.
    pub(crate) antigens: Vec<usize>,
}

/// An antigen in a vaccine, for ages in `begin..end` only.
#[derive(Debug)]
pub(crate) struct Association {
    pub(crate) antigen: usize,
    pub(crate) age: AgeRange,
}

/// From the first age up to, but not including, the second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AgeRange {
    pub(crate) begin: Option<Period>,
    pub(crate) end: Option<Period>,
}

/// In force from the first day to the second, both included.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InForce {
    pub(crate) effective: Option<Date>,
    pub(crate) cessation: Option<Date>,
}

/// How long after one vaccine another is impacted: from `begin` up to, but not including, an end. The short one counts
/// after a valid dose.
#[derive(Debug)]
pub(crate) struct Conflict {
    pub(crate) begin: Period,
    pub(crate) short_end: Period,
    pub(crate) end: Period,
}

#[derive(Debug)]
pub(crate) struct Antigen {
    pub(crate) name: String,
    pub(crate) immune_by: Vec<ObservationCode>,
    pub(crate) immune_born: Vec<BornBefore>,
    pub(crate) contraindications: Vec<Circumstance>,
    pub(crate) vaccine_contraindications: Vec<VaccineContraindication>,
    pub(crate) series: Vec<Series>,
}

/// Whoever was born before the date counts as immune, unless an observation says otherwise.
#[derive(Debug)]
pub(crate) struct BornBefore {
    pub(crate) date: Date,
    pub(crate) in_us: bool,
    pub(crate) unless: Vec<ObservationCode>,
}

/// An observation that matters within an age range: an indication or a contraindication.
#[derive(Debug)]
pub(crate) struct Circumstance {
    pub(crate) observation: ObservationCode,
    pub(crate) age: AgeRange,
}

#[derive(Debug)]
pub(crate) struct VaccineContraindication {
    pub(crate) observation: ObservationCode,
    pub(crate) vaccines: Vec<Vaccine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SeriesType {
    Standard,
    Risk,
    EvaluationOnly,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) kind: SeriesType,
    /// Series groups that make this one needless.
    pub(crate) equivalent: Vec<u16>,
    pub(crate) female: bool,
    pub(crate) male: bool,
    pub(crate) unknown_sex: bool,
    pub(crate) default: bool,
    pub(crate) product: bool,
    pub(crate) group: u16,
    /// `A` comes first.
    pub(crate) priority: char,
    /// 1 comes first.
    pub(crate) preference: u16,
    pub(crate) min_start: Option<Period>,
    pub(crate) max_start: Option<Period>,
    pub(crate) indications: Vec<Circumstance>,
    pub(crate) doses: Vec<SeriesDose>,
}

#[derive(Debug)]
pub(crate) struct SeriesDose {
    pub(crate) number: u16,
    pub(crate) ages: Vec<Age>,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) allowable_intervals: Vec<Interval>,
    pub(crate) preferable: Vec<Vaccine>,
    pub(crate) allowable: Vec<Vaccine>,
    pub(crate) inadvertent: Vec<Cvx>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) recurring: bool,
    pub(crate) season: Season,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Season {
    pub(crate) start: Option<Date>,
    pub(crate) end: Option<Date>,
}

#[derive(Debug)]
pub(crate) struct Age {
    pub(crate) absolute_min: Option<Period>,
    pub(crate) min: Option<Period>,
    pub(crate) earliest_recommended: Option<Period>,
    pub(crate) latest_recommended: Option<Period>,
    pub(crate) max: Option<Period>,
    pub(crate) force: InForce,
}

#[derive(Debug)]
pub(crate) enum From {
    Previous,
    TargetDose(u16),
    MostRecent(Vec<Cvx>),
    Observation(ObservationCode),
}

#[derive(Debug)]
pub(crate) struct Interval {
    pub(crate) from: From,
    pub(crate) absolute_min: Option<Period>,
    pub(crate) min: Option<Period>,
    pub(crate) earliest_recommended: Option<Period>,
    pub(crate) latest_recommended: Option<Period>,
    pub(crate) priority: bool,
    pub(crate) force: InForce,
}

#[derive(Debug)]
pub(crate) struct Vaccine {
    pub(crate) cvx: Cvx,
    pub(crate) age: AgeRange,
    /// The manufacturer, where the supporting data means one product only.
    pub(crate) mvx: Option<String>,
    /// Whether a forecast names it.
    pub(crate) forecast: bool,
}

/// When a dose of a series is not needed.
#[derive(Debug)]
pub(crate) struct Skip {
    pub(crate) in_evaluation: bool,
    pub(crate) in_forecast: bool,
    pub(crate) any: bool,
    pub(crate) sets: Vec<SkipSet>,
}

#[derive(Debug)]
pub(crate) struct SkipSet {
    pub(crate) force: InForce,
    pub(crate) any: bool,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Age(AgeRange),
    Interval(Period),
    CompletedSeries(Vec<u16>),
    Count(Count),
}

#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) age: AgeRange,
    pub(crate) start: Option<Date>,
    pub(crate) end: Option<Date>,
    pub(crate) vaccines: Vec<Cvx>,
    pub(crate) valid_only: bool,
    pub(crate) logic: CountLogic,
    pub(crate) than: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum CountLogic {
    Greater,
    Equal,
    Less,
}
