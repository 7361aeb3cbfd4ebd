//! What the engine says of a person.

use crate::date::Date;
use crate::schedule::Cvx;

/// What a dose counts for in a series (table 6-31).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DoseStatus {
    /// It satisfies a dose of the series.
    Valid,
    /// It must be repeated.
    NotValid,
    /// It was not needed, or came too late to count.
    Extraneous,
    /// Expired, recalled or subpotent.
    SubStandard,
}

/// Why a dose counts as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DoseReason {
    /// Below the absolute minimum age.
    TooYoung,
    /// Below the minimum age, within the grace period.
    AgeGracePeriod,
    /// At or above the maximum age.
    TooOld,
    /// Below an absolute minimum interval.
    TooSoon,
    /// Below a minimum interval, within the grace period.
    IntervalGracePeriod,
    /// Too soon after another vaccine.
    VaccineConflict,
    /// Neither a preferable nor an allowable vaccine.
    NotPreferableOrAllowable,
    /// A vaccine of the series, but not at this age.
    VaccineOutOfAgeRange,
    /// An inadvertent administration.
    Inadvertent,
    /// Nothing was left to satisfy.
    SeriesAlreadyComplete,
    /// Expired, recalled or subpotent.
    SubStandard,
    /// Another dose of the programme was given that day. Only programmes say so.
    SameDay,
    /// Not of the product that the series is given with, and the programme does not allow mixing. Only programmes say so.
    OtherProduct,
    /// Given before the programme began or after it ended. Only programmes say so.
    OutsideProgramme,
}

impl DoseStatus {
    /// A stable code for interfaces, such as `not-valid`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotValid => "not-valid",
            Self::Extraneous => "extraneous",
            Self::SubStandard => "sub-standard",
        }
    }
}

impl Status {
    /// A stable code for interfaces, such as `not-complete`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotComplete => "not-complete",
            Self::Contraindicated => "contraindicated",
            Self::Immune => "immune",
            Self::Complete => "complete",
            Self::NotRecommended => "not-recommended",
            Self::AgedOut => "aged-out",
        }
    }
}

impl DoseReason {
    /// A stable code for interfaces and counters, such as `too-young`.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooYoung => "too-young",
            Self::AgeGracePeriod => "age-grace-period",
            Self::TooOld => "too-old",
            Self::TooSoon => "too-soon",
            Self::IntervalGracePeriod => "interval-grace-period",
            Self::VaccineConflict => "vaccine-conflict",
            Self::NotPreferableOrAllowable => "not-preferable-or-allowable",
            Self::VaccineOutOfAgeRange => "vaccine-out-of-age-range",
            Self::Inadvertent => "inadvertent",
            Self::SeriesAlreadyComplete => "series-already-complete",
            Self::SubStandard => "sub-standard",
            Self::SameDay => "same-day",
            Self::OtherProduct => "other-product",
            Self::OutsideProgramme => "outside-programme",
        }
    }

    /// The reason for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::TooYoung => "given below the minimum age",
            Self::AgeGracePeriod => "given within the grace period before the minimum age",
            Self::TooOld => "given above the maximum age",
            Self::TooSoon => "given too soon after an earlier dose",
            Self::IntervalGracePeriod => "given within the grace period before the minimum interval",
            Self::VaccineConflict => "given too soon after another vaccine",
            Self::NotPreferableOrAllowable => "a vaccine that does not count for this dose",
            Self::VaccineOutOfAgeRange => "a vaccine that does not count at this age",
            Self::Inadvertent => "a vaccine that was given inadvertently",
            Self::SeriesAlreadyComplete => "nothing was left to complete",
            Self::SubStandard => "expired, recalled or subpotent",
            Self::SameDay => "another dose was given on the same day",
            Self::OtherProduct => "not the product that the series is given with",
            Self::OutsideProgramme => "given before the programme began or after it ended",
        }
    }
}

/// A dose as one series sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoseEvaluation<'s> {
    /// Position in `Person::doses`.
    pub dose: usize,
    /// The antigen.
    pub antigen: &'s str,
    /// The vaccine group of the series.
    pub vaccine_group: &'s str,
    /// The series, one of the best for this person.
    pub series: &'s str,
    /// The dose of the series it was evaluated against; none if none was left.
    pub dose_number: Option<u16>,
    /// What it counts for.
    pub status: DoseStatus,
    /// All reasons, not only the first.
    pub reasons: Vec<DoseReason>,
}

/// Where a person stands in a series or vaccine group (table 7-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Another dose is due now or later.
    NotComplete,
    /// No dose may be given.
    Contraindicated,
    /// There is evidence of immunity.
    Immune,
    /// Nothing is missing.
    Complete,
    /// No dose is recommended at this time.
    NotRecommended,
    /// Too old to begin or to finish.
    AgedOut,
}

/// Why the status is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForecastReason {
    /// Another dose is needed.
    DoseNeeded,
    /// All doses are there.
    SeriesComplete,
    /// The doses given make the others needless for now.
    PastImmunizationHistory,
    /// Evidence of immunity.
    EvidenceOfImmunity,
    /// A contraindication.
    Contraindication,
    /// The season is over.
    PastSeason,
    /// At or above the maximum age.
    ExceededMaximumAge,
    /// The next dose cannot be given before the maximum age.
    UnableToFinish,
}

/// What is recommended for a vaccine group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommendation<'s> {
    /// The vaccine group.
    pub vaccine_group: &'s str,
    /// Whether series for people at risk are behind it.
    pub risk: bool,
    /// Where the person stands.
    pub status: Status,
    /// The first day on which the next dose would count.
    pub earliest: Option<Date>,
    /// The day from which the next dose is recommended.
    pub recommended: Option<Date>,
    /// The last day on which the next dose is not late.
    pub past_due: Option<Date>,
    /// The last day on which the next dose can be given.
    pub latest: Option<Date>,
    /// The number of the next dose.
    pub dose_number: Option<usize>,
    /// How many doses of the best series are satisfied; for several antigens, of the one with the fewest.
    pub valid_doses: usize,
    /// The series behind it, one for each antigen.
    pub series: Vec<&'s str>,
    /// Why, one for each series.
    pub reasons: Vec<ForecastReason>,
    /// The antigens of which a dose is due.
    pub antigens: Vec<&'s str>,
    /// The vaccine types that are named for the next dose, if any.
    pub vaccines: Vec<Cvx>,
}

/// Everything the engine says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'s> {
    /// Each dose in each best series of each antigen it contains, by vaccine group in the order of the schedule.
    pub evaluations: Vec<DoseEvaluation<'s>>,
    /// For each vaccine group with a best series at least one recommendation, in the order of the schedule, the one to show
    /// first coming first.
    pub recommendations: Vec<Recommendation<'s>>,
    /// The next day on which time alone may change statuses, dates, or what is due or overdue. Before it, nothing changes; on it,
    /// something need not.
    pub next_transition: Option<Date>,
}
