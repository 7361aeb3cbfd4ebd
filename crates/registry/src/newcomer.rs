//! Where those stand of whom nothing is known but birth date and sex. It is the same for all who share them: in a flood of
//! registrations the schedule is asked once for each, and not for each person.

use crate::facts::Sex;
use crate::summary::Marks;
use parking_lot::RwLock;
use std::collections::HashMap;
use vaccines::Date;

/// Birth dates and sexes that are remembered: those of four generations, in some 15 MB.
const REMEMBERED_MAX: usize = 1 << 17;

/// What a standing depends on without doses and findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Newcomer {
    pub(crate) birth: Option<Date>,
    pub(crate) sex: Sex,
    pub(crate) born_in_us: bool,
}

/// The marks by the number of their programme, those of which something is to be said; and the day on which they change.
pub(crate) type Standings = (Box<[(u16, Marks)]>, Option<Date>);

/// Those that were asked for, on one day.
#[derive(Debug, Default)]
pub(crate) struct Newcomers(RwLock<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    day: Option<Date>,
    standings: HashMap<Newcomer, Standings>,
}

impl Newcomers {
    /// `assess` finds out what is not remembered.
    pub(crate) fn get(&self, newcomer: Newcomer, today: Date, assess: impl FnOnce() -> Standings) -> Standings {
        let remembered = self.0.read();
        if remembered.day == Some(today)
            && let Some(standings) = remembered.standings.get(&newcomer)
        {
            return standings.clone();
        }
        drop(remembered);
        let standings = assess();
        let remembered = &mut *self.0.write();
        if remembered.day != Some(today) || remembered.standings.len() >= REMEMBERED_MAX {
            *remembered = Remembered { day: Some(today), standings: HashMap::new() };
        }
        remembered.standings.insert(newcomer, standings.clone());
        standings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_newcomer_is_assessed_once_a_day() {
        let newcomers = Newcomers::default();
        let newcomer = Newcomer { birth: Some(day("2020-02-03")), sex: Sex::Female, born_in_us: false };
        let other = Newcomer { sex: Sex::Male, ..newcomer };
        let asked = std::cell::Cell::new(0);
        let get = |newcomer, today: &str, next: &str| {
            newcomers.get(newcomer, day(today), || {
                asked.set(asked.get() + 1);
                (Box::default(), Some(day(next)))
            })
        };
        assert_eq!(get(newcomer, "2026-11-28", "2026-12-01").1, Some(day("2026-12-01")));
        assert_eq!(get(newcomer, "2026-11-28", "2027-12-01").1, Some(day("2026-12-01")), "remembered");
        assert_eq!(get(other, "2026-11-28", "2026-12-24").1, Some(day("2026-12-24")), "another sex");
        assert_eq!(get(newcomer, "2026-11-29", "2026-12-02").1, Some(day("2026-12-02")), "another day");
        assert_eq!(asked.get(), 3);
    }
}
