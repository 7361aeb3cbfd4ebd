//! Dates and times as FHIR writes them: possibly partial, possibly without a zone.

use std::fmt;

const US_PER_SECOND: i64 = 1_000_000;
const US_PER_MINUTE: i64 = 60 * US_PER_SECOND;
const US_PER_HOUR: i64 = 60 * US_PER_MINUTE;
const US_PER_DAY: i64 = 24 * US_PER_HOUR;

/// The last part that is present. A fraction of a second belongs to `Second`; see [`PartialTime::fraction_digits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// A time of day: FHIR `time`, or the time in a [`PartialDateTime`]. Absent parts are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialTime {
    pub hour: u8,
    pub minute: u8,
    /// 60 for a leap second.
    pub second: u8,
    pub nanosecond: u32,
    /// Digits after the decimal point as written, at most 9; more are dropped.
    pub fraction_digits: u8,
    /// [`Precision::Hour`] or finer.
    pub precision: Precision,
}

/// FHIR `date`, `dateTime` or `instant`. Absent parts have their smallest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialDateTime {
    /// 1 to 9999.
    pub year: i32,
    pub month: u8,
    pub day: u8,
    pub time: PartialTime,
    pub precision: Precision,
    /// Minutes east of UTC; absent where the text has no zone.
    pub offset_minutes: Option<i16>,
}

/// A byte cursor over ASCII text.
struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest.get(..count)?;
        let value = digits
            .iter()
            .try_fold(0u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))?;
        self.rest = &self.rest[count..];
        Some(value)
    }

    fn two_digits(&mut self, least: u8, most: u8) -> Option<u8> {
        let value = u8::try_from(self.digits(2)?).ok()?;
        (least..=most).contains(&value).then_some(value)
    }

    fn time(&mut self) -> Option<PartialTime> {
        let mut time = PartialTime { hour: self.two_digits(0, 23)?, ..PartialTime::MIDNIGHT };
        if !self.accept(b':') {
            return Some(time);
        }
        time.minute = self.two_digits(0, 59)?;
        time.precision = Precision::Minute;
        if !self.accept(b':') {
            return Some(time);
        }
        time.second = self.two_digits(0, 60)?;
        time.precision = Precision::Second;
        if self.accept(b'.') {
            let written = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if written == 0 {
                return None;
            }
            let kept = written.min(9);
            time.nanosecond = self.digits(kept)? * 10u32.pow(9 - u32::try_from(kept).ok()?);
            time.fraction_digits = u8::try_from(kept).ok()?;
            self.rest = &self.rest[written - kept..];
        }
        Some(time)
    }

    /// `Z` or `+hh:mm`; `None` when something else stands here.
    fn offset(&mut self) -> Option<i16> {
        if self.accept(b'Z') {
            return Some(0);
        }
        let sign = if self.accept(b'+') {
            1
        } else if self.accept(b'-') {
            -1
        } else {
            return None;
        };
        let hours = i16::from(self.two_digits(0, 14)?);
        let minutes = if self.accept(b':') { i16::from(self.two_digits(0, 59)?) } else { return None };
        Some(sign * (hours * 60 + minutes))
    }
}

impl PartialTime {
    /// 00 o'clock, of [`Precision::Hour`].
    pub const MIDNIGHT: PartialTime =
        PartialTime { hour: 0, minute: 0, second: 0, nanosecond: 0, fraction_digits: 0, precision: Precision::Hour };

    /// Reads `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`.
    pub fn parse(text: &str) -> Option<PartialTime> {
        let mut reader = Reader { rest: text.as_bytes() };
        let time = reader.time()?;
        reader.rest.is_empty().then_some(time)
    }

    /// Microseconds since midnight at the start of the range the text stands for.
    pub fn start_us(&self) -> i64 {
        i64::from(self.hour) * US_PER_HOUR
            + i64::from(self.minute) * US_PER_MINUTE
            + i64::from(self.second) * US_PER_SECOND
            + i64::from(self.nanosecond / 1000)
    }

    /// Length in microseconds of the range the text stands for; at least 1.
    fn width_us(&self) -> i64 {
        match self.precision {
            Precision::Minute => US_PER_MINUTE,
            Precision::Second => 10i64.pow(6 - u32::from(self.fraction_digits.min(6))),
            _ => US_PER_HOUR,
        }
    }
}

impl PartialDateTime {
    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, and with a day `Thh[:mm[:ss[.fff]]]` and then a zone.
    /// Days that do not exist are refused.
    pub fn parse(text: &str) -> Option<PartialDateTime> {
        let mut reader = Reader { rest: text.as_bytes() };
        let mut date = PartialDateTime {
            year: i32::try_from(reader.digits(4)?).ok().filter(|year| *year > 0)?,
            month: 1,
            day: 1,
            time: PartialTime::MIDNIGHT,
            precision: Precision::Year,
            offset_minutes: None,
        };
        if reader.accept(b'-') {
            date.month = reader.two_digits(1, 12)?;
            date.precision = Precision::Month;
            if reader.accept(b'-') {
                date.day = reader.two_digits(1, days_in_month(date.year, date.month))?;
                date.precision = Precision::Day;
                if reader.accept(b'T') {
                    date.time = reader.time()?;
                    date.precision = date.time.precision;
                    if !reader.rest.is_empty() {
                        date.offset_minutes = Some(reader.offset()?);
                    }
                }
            }
        }
        reader.rest.is_empty().then_some(date)
    }

    /// First and last microsecond since 1970-01-01T00:00:00Z that the text can mean. Without a zone the text is taken as UTC.
    pub fn range_us(&self) -> (i64, i64) {
        let offset_us = i64::from(self.offset_minutes.unwrap_or(0)) * US_PER_MINUTE;
        let start = self.local_us() - offset_us;
        let width = match self.precision {
            Precision::Year => (days_since_epoch(self.year + 1, 1, 1) - days_since_epoch(self.year, 1, 1)) * US_PER_DAY,
            Precision::Month => i64::from(days_in_month(self.year, self.month)) * US_PER_DAY,
            Precision::Day => US_PER_DAY,
            _ => self.time.width_us(),
        };
        (start, start + width - 1)
    }

    /// Microseconds since 1970-01-01T00:00:00 on the clock the text was written by, whatever its zone.
    pub fn local_us(&self) -> i64 {
        days_since_epoch(self.year, self.month, self.day) * US_PER_DAY + self.time.start_us()
    }

    /// The instant `us` microseconds after 1970-01-01T00:00:00Z, in UTC to the millisecond; `None` outside years 1 to 9999.
    pub fn from_us(us: i64) -> Option<PartialDateTime> {
        let (year, month, day) = civil(us.div_euclid(US_PER_DAY))?;
        let in_day = us.rem_euclid(US_PER_DAY);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        let milliseconds = u32::try_from(in_day % US_PER_SECOND / 1000).unwrap_or(0);
        Some(PartialDateTime {
            year,
            month,
            day,
            time: PartialTime {
                hour: part(in_day / US_PER_HOUR),
                minute: part(in_day % US_PER_HOUR / US_PER_MINUTE),
                second: part(in_day % US_PER_MINUTE / US_PER_SECOND),
                nanosecond: milliseconds * 1_000_000,
                fraction_digits: 3,
                precision: Precision::Second,
            },
            precision: Precision::Second,
            offset_minutes: Some(0),
        })
    }
}

pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
pub fn days_since_epoch(year: i32, month: u8, day: u8) -> i64 {
    // Years are counted from March, so that the leap day is the last day of a year.
    let shifted_year = i64::from(year) - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days since 1970-01-01; `None` outside years 1 to 9999.
pub fn civil(days: i64) -> Option<(i32, u8, u8)> {
    let shifted = days.checked_add(719_468)?;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let year = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
    Some((year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

impl fmt::Display for PartialTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.second)?;
        }
        if self.fraction_digits > 0 {
            let digits = usize::from(self.fraction_digits.min(9));
            let fraction = self.nanosecond / 10u32.pow(9 - u32::from(self.fraction_digits.min(9)));
            write!(f, ".{fraction:0digits$}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PartialDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.precision >= Precision::Month {
            write!(f, "-{:02}", self.month)?;
        }
        if self.precision >= Precision::Day {
            write!(f, "-{:02}", self.day)?;
        }
        if self.precision >= Precision::Hour {
            write!(f, "T{}", self.time)?;
        }
        match self.offset_minutes {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> (i64, i64) {
        PartialDateTime::parse(text).unwrap().range_us()
    }

    #[test]
    fn ranges_are_inclusive_and_follow_the_precision() {
        assert_eq!(range("1970"), (0, 365 * US_PER_DAY - 1));
        assert_eq!(range("1972-02"), (range("1972-02-01").0, range("1972-02-29").1));
        assert_eq!(range("1970-01-01"), (0, US_PER_DAY - 1));
        assert_eq!(range("1970-01-01T01:30"), (US_PER_HOUR + 30 * US_PER_MINUTE, US_PER_HOUR + 31 * US_PER_MINUTE - 1));
        assert_eq!(range("1970-01-01T00:00:01Z"), (US_PER_SECOND, 2 * US_PER_SECOND - 1));
        assert_eq!(range("1970-01-01T00:00:00.5Z"), (500_000, 599_999));
        assert_eq!(range("1970-01-01T00:00:00.123456789Z"), (123_456, 123_456));
        assert_eq!(range("1970-01-01T02:00:00+02:00").0, 0);
        assert_eq!(range("9999-12-31").1, 253_402_300_799_999_999);
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for text in [
            "",
            "0000",
            "20",
            "2020-13",
            "2021-02-29",
            "2020-1-1",
            "2020-01-01T",
            "2020-01-01T25:00",
            "2020-01-01Tz",
            "2020-01-01T10:00:00.Z",
            "2020-01-01T10:00:00+2:00",
            "2020-01-01 10:00",
            "2020-01-01Z",
            "２０２０",
        ] {
            assert_eq!(PartialDateTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn display_gives_back_what_was_parsed() {
        for text in [
            "2020",
            "2020-02",
            "2020-02-29",
            "2020-02-29T10",
            "2020-02-29T10:05",
            "2020-02-29T10:05:07.120+05:30",
            "2020-02-29T10:05:07Z",
            "0999-12-31T00:00:00.000001-11:45",
        ] {
            assert_eq!(PartialDateTime::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn civil_inverts_days_since_epoch() {
        for days in (-700_000..2_900_000).step_by(97) {
            let (year, month, day) = civil(days).unwrap();
            assert_eq!(days_since_epoch(year, month, day), days);
        }
        assert_eq!(civil(days_since_epoch(9999, 12, 31) + 1), None);
    }
}
