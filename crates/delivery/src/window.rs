//! When a destination may be called: times of day on days of the week, by the clock on the wall of its time zone.
//!
//! A moment is inside when the wall clock shows a time inside. Where summer time repeats an hour both passes count, where it
//! leaves one out a window within it does not happen that day.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// `from == until` is the whole day; `until` before `from` is on the next day.
#[derive(Clone, Debug)]
pub struct Window {
    /// Monday first: the days on which it begins.
    pub days: [bool; 7],
    pub from: Time,
    pub until: Time,
    pub zone: TimeZone,
    /// Calls in one opening at most.
    pub quota: Option<u32>,
}

/// No window at all means always.
#[derive(Clone, Debug, Default)]
pub struct Windows(pub Vec<Window>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `until_us` is `None` for windows that never close.
    Open { since_us: i64, until_us: Option<i64>, quota: Option<u32> },
    /// `opens_us` is `None` when it stays closed for the next days.
    Closed { opens_us: Option<i64> },
}

/// How far openings and closings are looked for. A week and a day: every window has its turn.
const DAYS: i64 = 8;

impl Window {
    fn holds(&self, at: &Zoned) -> bool {
        let time = at.time();
        let day = at.weekday().to_monday_zero_offset() as usize;
        let (today, yesterday) = (self.days[day], self.days[(day + 6) % 7]);
        if self.from < self.until {
            return today && self.from <= time && time < self.until;
        }
        (today && time >= self.from) || (yesterday && time < self.until)
    }

    /// Moments near `at` at which the wall clock may cross a border.
    fn borders(&self, at: Timestamp, out: &mut Vec<Timestamp>) {
        let date = at.to_zoned(self.zone.clone()).date();
        for offset in -DAYS..=DAYS {
            let Ok(day) = date.checked_add(offset.days()) else { continue };
            for time in [self.from, self.until] {
                let ambiguous = self.zone.to_ambiguous_timestamp(day.to_datetime(time));
                out.extend(ambiguous.earlier());
                out.extend(ambiguous.later());
            }
        }
        let near = |moment: &Timestamp| moment.duration_until(at).as_hours().abs() <= 24 * DAYS;
        out.extend(self.zone.preceding(at).map(|change| change.timestamp()).take_while(near));
        out.extend(self.zone.following(at).map(|change| change.timestamp()).take_while(near));
    }
}

impl Windows {
    fn holds(&self, at: Timestamp) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.holds(&at.to_zoned(window.zone.clone())))
    }

    /// The state at a time (microseconds since 1970) and when it changes.
    pub fn at(&self, now_us: i64) -> Opening {
        if self.0.is_empty() {
            return Opening::Open { since_us: i64::MIN, until_us: None, quota: None };
        }
        let Ok(now) = Timestamp::from_microsecond(now_us) else { return Opening::Closed { opens_us: None } };
        let mut borders = Vec::new();
        self.0.iter().for_each(|window| window.borders(now, &mut borders));
        borders.sort_unstable();
        borders.dedup();
        let open = self.holds(now);
        let next = borders.iter().find(|border| **border > now && self.holds(**border) != open);
        let next_us = next.map(|border| border.as_microsecond());
        if !open {
            return Opening::Closed { opens_us: next_us };
        }
        let before = |border: &Timestamp| *border - 1.microsecond();
        let opened = borders.iter().rev().find(|border| **border <= now && !self.holds(before(border)));
        let local = |window: &Window| now.to_zoned(window.zone.clone());
        let quota = self.0.iter().filter(|window| window.holds(&local(window))).map(|window| window.quota);
        Opening::Open {
            since_us: opened.map_or(i64::MIN, |border| border.as_microsecond()),
            until_us: next_us,
            // An open window without a quota lifts those of the others.
            quota: quota.collect::<Option<Vec<u32>>>().and_then(|quotas| quotas.into_iter().max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000_000;

    fn window(from: (i8, i8), until: (i8, i8), zone: &str) -> Window {
        Window {
            days: [true; 7],
            from: Time::constant(from.0, from.1, 0, 0),
            until: Time::constant(until.0, until.1, 0, 0),
            zone: TimeZone::get(zone).unwrap(),
            quota: None,
        }
    }

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn a_night_crosses_midnight_and_follows_the_days() {
        let mut night = window((22, 0), (5, 0), "Europe/Berlin");
        // Only nights that begin on a Friday.
        night.days = [false, false, false, false, true, false, false];
        let windows = Windows(vec![night]);
        let friday_evening = us("2026-01-09T20:59:00Z");
        assert_eq!(windows.at(friday_evening), Opening::Closed { opens_us: Some(us("2026-01-09T21:00:00Z")) });
        let (since_us, until_us) = (us("2026-01-09T21:00:00Z"), Some(us("2026-01-10T04:00:00Z")));
        assert_eq!(windows.at(us("2026-01-10T03:00:00Z")), Opening::Open { since_us, until_us, quota: None });
        assert_eq!(
            windows.at(us("2026-01-10T04:00:00Z")),
            Opening::Closed { opens_us: Some(us("2026-01-16T21:00:00Z")) }
        );
    }

    #[test]
    fn summer_time_repeats_an_hour_and_leaves_one_out() {
        let windows = Windows(vec![window((2, 0), (3, 0), "Europe/Berlin")]);
        // 25 October 2026: 02:00 to 03:00 happens twice, 00:00Z to 02:00Z.
        let (since_us, until_us) = (us("2026-10-25T00:00:00Z"), Some(us("2026-10-25T02:00:00Z")));
        assert_eq!(windows.at(us("2026-10-25T00:30:00Z")), Opening::Open { since_us, until_us, quota: None });
        // 29 March 2026: 02:00 to 03:00 does not happen.
        let opens_us = Some(us("2026-03-30T00:00:00Z"));
        assert_eq!(windows.at(us("2026-03-29T00:30:00Z")), Opening::Closed { opens_us });
    }

    #[test]
    fn quotas_of_open_windows_count() {
        let mut one = window((0, 0), (12, 0), "UTC");
        one.quota = Some(10);
        let mut other = window((6, 0), (12, 0), "UTC");
        other.quota = Some(20);
        let quota = |windows: &Windows, at: &str| match windows.at(us(at)) {
            Opening::Open { quota, .. } => quota,
            Opening::Closed { .. } => None,
        };
        let windows = Windows(vec![one.clone(), other]);
        assert_eq!(quota(&windows, "2026-01-01T03:00:00Z"), Some(10));
        assert_eq!(quota(&windows, "2026-01-01T07:00:00Z"), Some(20));
        assert_eq!(quota(&Windows(vec![one, window((6, 0), (12, 0), "UTC")]), "2026-01-01T07:00:00Z"), None);
        assert!(matches!(Windows::default().at(0), Opening::Open { until_us: None, .. }));
    }

    /// All zones and all changes of their offsets from 2020 to 2040: the answer at each change, just before, and in between is
    /// what the wall clock says, and nothing changes before the time that was told.
    #[test]
    fn no_zone_and_no_change_of_offset_is_outside() {
        let (start, end) = (us("2020-01-01T00:00:00Z"), us("2040-12-31T00:00:00Z"));
        let (mut zones, mut checks) = (0, 0);
        for name in jiff::tz::db().available() {
            let Ok(zone) = TimeZone::get(name.as_str()) else { continue };
            zones += 1;
            let windows = Windows(vec![Window { zone: zone.clone(), ..window((1, 30), (2, 45), "UTC") }]);
            let from = Timestamp::from_microsecond(start).unwrap();
            let changes = zone.following(from).map(|change| change.timestamp().as_microsecond());
            for change in changes.take_while(|change| *change < end) {
                for at in [change - 90 * MINUTE, change - 1, change, change + 45 * MINUTE] {
                    checks += 1;
                    let inside = windows.holds(Timestamp::from_microsecond(at).unwrap());
                    let (open, until) = match windows.at(at) {
                        Opening::Open { until_us, .. } => (true, until_us.unwrap()),
                        Opening::Closed { opens_us } => (false, opens_us.unwrap()),
                    };
                    assert_eq!(open, inside, "{name:?} {at}");
                    let holds = |us: i64| windows.holds(Timestamp::from_microsecond(us).unwrap());
                    assert_ne!(holds(until), open, "{name:?} {at}");
                    // Sampled each few minutes: it stays as it is until then.
                    let mut sample = at;
                    while sample < until {
                        assert_eq!(holds(sample), open, "{name:?} {at} {sample}");
                        sample += 25 * MINUTE;
                    }
                    assert_eq!(holds(until - 1), open, "{name:?} {at}");
                }
            }
        }
        assert!(zones > 400 && checks > 10_000, "{zones} {checks}");
    }

    proptest! {
        #[test]
        fn openings_agree_with_the_wall_clock(
            from in (0_i8..24, 0_i8..60), until in (0_i8..24, 0_i8..60), days in prop::array::uniform7(any::<bool>()),
            zone in prop::sample::select(vec!["Europe/London", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]),
            at in 1_577_836_800_i64..2_240_000_000,
        ) {
            let windows = Windows(vec![Window { days, ..window(from, until, zone) }]);
            let at = at * 1_000_000;
            let holds = |us: i64| windows.holds(Timestamp::from_microsecond(us).unwrap());
            match windows.at(at) {
                Opening::Open { since_us, until_us, .. } => {
                    prop_assert!(holds(at));
                    prop_assert!(since_us == i64::MIN || (holds(since_us) && !holds(since_us - 1)));
                    prop_assert!(until_us.is_none_or(|until| holds(until - 1) && !holds(until)));
                }
                Opening::Closed { opens_us } => {
                    prop_assert!(!holds(at));
                    prop_assert!(opens_us.is_none_or(|opens| !holds(opens - 1) && holds(opens)));
                    prop_assert!(opens_us.is_some() || !days.contains(&true));
                }
            }
        }
    }
}
