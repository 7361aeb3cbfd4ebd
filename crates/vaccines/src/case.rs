//! One person on one day: what all steps look at, and the clock that learns what time alone would change.

use crate::date::{Date, Period, after};
use crate::person::{Dose, Person};
use crate::schedule::{AgeRange, InForce, ObservationCode, Schedule};
use std::cell::Cell;

/// The day of assessment. It remembers the nearest day on which one of its answers changes.
pub(crate) struct Clock {
    today: Date,
    next: Cell<Option<Date>>,
}

impl Clock {
    /// Whether the day of assessment is `date` or later.
    pub(crate) fn reached(&self, date: Date) -> bool {
        if date > self.today && self.next.get().is_none_or(|next| date < next) {
            self.next.set(Some(date));
        }
        date <= self.today
    }

    pub(crate) fn next_transition(&self) -> Option<Date> {
        self.next.get()
    }
}

/// The reference day of a rule: that of the assessment, or a fixed one.
#[derive(Clone, Copy)]
pub(crate) enum Moment<'c> {
    Now(&'c Clock),
    On(Date),
}

impl Moment<'_> {
    pub(crate) fn reached(self, date: Date) -> bool {
        match self {
            Self::Now(clock) => clock.reached(date),
            Self::On(day) => date <= day,
        }
    }
}

pub(crate) struct Case<'a, 's> {
    pub(crate) schedule: &'s Schedule,
    pub(crate) person: &'a Person,
    pub(crate) clock: Clock,
    /// Year, month and day of birth: most dates are ages.
    born: (i32, u8, u8),
    /// Positions in `Person::doses` of those given by the day of assessment, by date.
    pub(crate) history: Vec<usize>,
    /// Those of the history that other vaccines must keep a distance from.
    pub(crate) conflicting: Vec<usize>,
}

impl<'a, 's> Case<'a, 's> {
    pub(crate) fn new(schedule: &'s Schedule, person: &'a Person, today: Date) -> Self {
        let clock = Clock { today, next: Cell::new(None) };
        let mut history: Vec<usize> =
            (0..person.doses.len()).filter(|dose| clock.reached(person.doses[*dose].date)).collect();
        history.sort_by_key(|dose| person.doses[*dose].date);
        let conflicting =
            history.iter().copied().filter(|dose| schedule.conflicting.contains(&person.doses[*dose].cvx)).collect();
        Self { schedule, person, clock, born: person.birth.parts(), history, conflicting }
    }

    pub(crate) fn now(&self) -> Moment<'_> {
        Moment::Now(&self.clock)
    }

    pub(crate) fn dose(&self, position: usize) -> &'a Dose {
        &self.person.doses[position]
    }

    /// The day the person reaches the age.
    pub(crate) fn at(&self, age: Period) -> Date {
        after(self.born, age)
    }

    pub(crate) fn observed(&self, code: ObservationCode) -> bool {
        self.person.observations.iter().any(|observed| observed.code == code)
    }

    /// Whether the person's age is in the range at that moment.
    pub(crate) fn aged(&self, range: AgeRange, moment: Moment<'_>) -> bool {
        range.begin.is_none_or(|age| moment.reached(self.at(age)))
            && !range.end.is_some_and(|age| moment.reached(self.at(age)))
    }
}

impl InForce {
    pub(crate) fn at(self, moment: Moment<'_>) -> bool {
        self.effective.is_none_or(|date| moment.reached(date))
            && !self.cessation.is_some_and(|date| moment.reached(date.plus_days(1)))
    }
}
