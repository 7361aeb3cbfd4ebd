//! A series as one person has gone through it (the spec's relevant patient series).

use crate::case::{Case, Moment};
use crate::date::Date;
use crate::outcome::{DoseReason, DoseStatus};
use crate::schedule::{Age, Series, SeriesDose};

pub(crate) struct Evaluation {
    /// Position in `Person::doses`.
    pub(crate) dose: usize,
    pub(crate) date: Date,
    pub(crate) dose_number: Option<u16>,
    pub(crate) status: DoseStatus,
    pub(crate) reasons: Vec<DoseReason>,
}

impl Evaluation {
    pub(crate) fn is_inadvertent(&self) -> bool {
        self.reasons.contains(&DoseReason::Inadvertent)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetState {
    Open,
    Skipped,
    /// By the dose given on that day.
    Satisfied(Date),
}

pub(crate) struct Target<'s> {
    pub(crate) dose: &'s SeriesDose,
    pub(crate) state: TargetState,
}

pub(crate) struct Track<'s> {
    pub(crate) series: &'s Series,
    pub(crate) targets: Vec<Target<'s>>,
    /// The first target that is still open; the number of targets if none is.
    pub(crate) next: usize,
    pub(crate) evaluations: Vec<Evaluation>,
}

impl<'s> Track<'s> {
    pub(crate) fn new(series: &'s Series) -> Self {
        let targets = series.doses.iter().map(|dose| Target { dose, state: TargetState::Open }).collect();
        Self { series, targets, next: 0, evaluations: Vec::new() }
    }

    pub(crate) fn target(&self) -> Option<&'s SeriesDose> {
        self.targets.get(self.next).map(|target| target.dose)
    }

    pub(crate) fn skip(&mut self) {
        self.targets[self.next].state = TargetState::Skipped;
        self.next += 1;
    }

    /// The target is satisfied. A recurring dose is due again.
    pub(crate) fn satisfy(&mut self, date: Date) {
        let target = &mut self.targets[self.next];
        target.state = TargetState::Satisfied(date);
        let dose = target.dose;
        self.next += 1;
        if dose.recurring {
            self.targets.insert(self.next, Target { dose, state: TargetState::Open });
        }
    }

    /// How many targets are satisfied (SELECTB-21).
    pub(crate) fn valid_doses(&self) -> usize {
        self.targets.iter().filter(|target| matches!(target.state, TargetState::Satisfied(_))).count()
    }

    pub(crate) fn open_targets(&self) -> usize {
        self.targets.len() - self.next
    }
}

/// The age rule of a dose that is in force at that moment.
pub(crate) fn age_rule<'s>(dose: &'s SeriesDose, moment: Moment<'_>) -> Option<&'s Age> {
    dose.ages.iter().find(|age| age.force.at(moment))
}

/// The day from which the person is too old for a dose.
pub(crate) fn max_age_date(case: &Case<'_, '_>, dose: &SeriesDose, moment: Moment<'_>) -> Option<Date> {
    age_rule(dose, moment)?.max.map(|age| case.at(age))
}
