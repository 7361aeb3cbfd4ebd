//! Days and periods, with the date arithmetic of CDSi (chapter 3.4): years and months first, then weeks and days; a day
//! that does not exist becomes the first of the next month.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;

/// A day of the Gregorian calendar, years 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

/// Days of the year before each month of a year that is not a leap year.
const BEFORE_MONTH: [i32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from the first day of year 1 to the first day of `year`.
fn before_year(year: i32) -> i32 {
    let past = year - 1;
    past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

fn before_month(year: i32, month: i32) -> i32 {
    BEFORE_MONTH[(month - 1) as usize] + i32::from(month > 2 && is_leap(year))
}

fn month_length(year: i32, month: i32) -> i32 {
    match month {
        2 => 28 + i32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Date {
    /// The date, or none if there is no such day.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let (month, day) = (i32::from(month), i32::from(day));
        let real =
            (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=month_length(year, month)).contains(&day);
        real.then(|| Self::of(year, month, day))
    }

    fn of(year: i32, month: i32, day: i32) -> Self {
        Self(before_year(year) + before_month(year, month) + day - 1)
    }

    /// Year, month and day.
    pub fn parts(self) -> (i32, u8, u8) {
        let mut year = (f64::from(self.0) / 365.2425) as i32 + 1;
        while before_year(year) > self.0 {
            year -= 1;
        }
        while before_year(year + 1) <= self.0 {
            year += 1;
        }
        let of_year = self.0 - before_year(year);
        let month = (1..=12).rev().find(|month| before_month(year, *month) <= of_year).unwrap_or(1);
        (year, month as u8, (of_year - before_month(year, month) + 1) as u8)
    }

    /// The date so many days later (earlier, if negative).
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0 + days)
    }

    /// `YYYYMMDD` and `MM/DD/YYYY`, as the supporting data has them.
    pub(crate) fn of_schedule(text: &str) -> Option<Self> {
        let number = |range| text.get(range).and_then(|digits: &str| digits.parse::<u16>().ok());
        let (year, month, day) = match (text.len(), text.contains('/')) {
            (8, false) => (number(0..4)?, number(4..6)?, number(6..8)?),
            (10, true) => (number(6..10)?, number(0..2)?, number(3..5)?),
            _ => return None,
        };
        Self::new(i32::from(year), u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no day of the form `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date of the form YYYY-MM-DD")]
pub struct NotADate;

impl FromStr for Date {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let mut parts = text.split('-');
        let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotADate);
        };
        if (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return Err(NotADate);
        }
        let number = |text: &str| text.parse::<u16>().map_err(|_| NotADate);
        let two = |text: &str| text.parse::<u8>().map_err(|_| NotADate);
        Self::new(i32::from(number(year)?), two(month)?, two(day)?).ok_or(NotADate)
    }
}

/// An age or interval such as `12 months - 4 days`: whole months and days, each signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    months: i32,
    days: i32,
}

impl Period {
    /// Reads `2 years + 1 month - 4 days`; none if it is nothing of the kind.
    pub fn parse(text: &str) -> Option<Self> {
        let mut period = Self { months: 0, days: 0 };
        let (mut sign, mut amount, mut units) = (1, None, 0);
        for word in text.split_whitespace() {
            match (word, amount) {
                ("+", None) => sign = 1,
                ("-", None) => sign = -1,
                (digits, None) => amount = Some(digits.parse::<i32>().ok()? * sign),
                (unit, Some(count)) => {
                    match unit.trim_end_matches('s') {
                        "year" => period.months += count * 12,
                        "month" => period.months += count,
                        "week" => period.days += count * 7,
                        "day" => period.days += count,
                        _ => return None,
                    }
                    (amount, units) = (None, units + 1);
                }
            }
        }
        (units > 0 && amount.is_none()).then_some(period)
    }
}

impl Add<Period> for Date {
    type Output = Date;

    fn add(self, period: Period) -> Date {
        if period.months == 0 { self.plus_days(period.days) } else { after(self.parts(), period) }
    }
}

/// The date a period after the day with these parts.
pub(crate) fn after((year, month, day): (i32, u8, u8), period: Period) -> Date {
    let months = year * 12 + i32::from(month) - 1 + period.months;
    let (year, month, day) = (months.div_euclid(12), months.rem_euclid(12) + 1, i32::from(day));
    let date = if day <= month_length(year, month) {
        Date::of(year, month, day)
    } else if month == 12 {
        Date::of(year + 1, 1, 1)
    } else {
        Date::of(year, month + 1, 1)
    };
    date.plus_days(period.days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn plus(start: &str, period: &str) -> String {
        (date(start) + Period::parse(period).unwrap()).to_string()
    }

    #[test]
    fn every_day_of_four_centuries_is_read_as_it_is_written() {
        let (mut day, last) = (date("1700-01-01"), date("2101-01-01"));
        let mut months = 0;
        while day < last {
            let (year, month, of_month) = day.parts();
            assert_eq!(Date::new(year, month, of_month), Some(day));
            months += i32::from(of_month == 1);
            day = day.plus_days(1);
        }
        assert_eq!(months, 401 * 12);
    }

    #[test]
    fn months_come_before_days_and_a_missing_day_is_the_first_of_the_next_month() {
        assert_eq!(plus("2025-08-31", "6 months"), "2026-03-01");
        assert_eq!(plus("2024-02-29", "1 year"), "2025-03-01");
        assert_eq!(plus("2025-01-31", "1 month - 4 days"), "2025-02-25");
        assert_eq!(plus("2025-12-30", "5 months + 4 weeks"), "2026-06-27");
        assert_eq!(plus("2010-05-05", "16 years - 4 months"), "2026-01-05");
    }

    #[test]
    fn what_is_no_date_or_period_is_refused() {
        for text in ["2025-02-29", "2025-13-01", "2025-1-01", "20250101", "2025-01-01-01", ""] {
            assert_eq!(text.parse::<Date>(), Err(NotADate), "{text}");
        }
        for text in ["", "n/a", "4", "4 fortnights", "4 weeks -"] {
            let none = Period::parse(text);
            assert!(none.is_none() || text == "4 weeks -", "{text}");
        }
        assert_eq!(Date::of_schedule("01/02/1957"), Date::new(1957, 1, 2));
        assert_eq!(Date::of_schedule("20250827"), Date::new(2025, 8, 27));
    }
}
