//! Literals, arithmetic, comparison and boundaries of dates and times.

use super::Error;
use super::item::Item;
use super::quantity::{CalendarUnit, Quantity, duration};
use crate::temporal::{PartialDateTime, PartialTime, Precision, civil, days_in_month, days_since_epoch};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::cmp::Ordering;

const NS_PER_SECOND: i128 = 1_000_000_000;
const NS_PER_DAY: i128 = 86_400 * NS_PER_SECOND;

/// Reads the text of a literal after `@`: `T14:30`, `2015-02`, `2015T`, `2015-02-04T14:34:28Z`.
pub(super) fn parse_literal(text: &str) -> Option<Item<'static>> {
    if let Some(time) = text.strip_prefix('T') {
        return PartialTime::parse(time).map(Item::Time);
    }
    match text.split_once('T') {
        None => PartialDateTime::parse(text).map(Item::Date),
        Some((date, "")) => PartialDateTime::parse(date).map(Item::DateTime),
        // A zone without a time, `2015-02-04TZ`, is no date.
        Some(_) => PartialDateTime::parse(text).map(Item::DateTime),
    }
}

/// Order of two dates; `None` when the shared precision does not decide.
pub(super) fn compare_dates(left: &PartialDateTime, right: &PartialDateTime) -> Option<Ordering> {
    let zoned = |date: &PartialDateTime| date.offset_minutes.is_some();
    let (left, right) = match (zoned(left), zoned(right)) {
        (true, true) => (to_utc(left)?, to_utc(right)?),
        (false, false) => (*left, *right),
        // Up to a day the zone is unknown for both alike; with times the result depends on it.
        _ if left.precision >= Precision::Hour && right.precision >= Precision::Hour => {
            return compare_across_zones(left, right);
        }
        _ => (*left, *right),
    };
    let parts = |date: &PartialDateTime| {
        [date.year, i32::from(date.month), i32::from(date.day), i32::from(date.time.hour), i32::from(date.time.minute)]
    };
    let shared = left.precision.min(right.precision);
    let count = (shared as usize + 1).min(5);
    let order = parts(&left)[..count].cmp(&parts(&right)[..count]);
    if order != Ordering::Equal {
        return Some(order);
    }
    if left.precision != right.precision {
        return None;
    }
    let seconds = |time: &PartialTime| (time.second, time.nanosecond);
    Some(if shared == Precision::Second { seconds(&left.time).cmp(&seconds(&right.time)) } else { Ordering::Equal })
}

/// One has a zone, one has not: decided only when they are further apart than zones can be.
fn compare_across_zones(left: &PartialDateTime, right: &PartialDateTime) -> Option<Ordering> {
    const ZONES_US: i64 = 26 * 3_600_000_000;
    let difference = left.range_us().0 - right.range_us().0;
    (difference.abs() > ZONES_US).then(|| difference.cmp(&0))
}

pub(super) fn compare_times(left: &PartialTime, right: &PartialTime) -> Option<Ordering> {
    let parts = |time: &PartialTime| [time.hour, time.minute];
    let count = if left.precision.min(right.precision) == Precision::Hour { 1 } else { 2 };
    let order = parts(left)[..count].cmp(&parts(right)[..count]);
    if order != Ordering::Equal {
        return Some(order);
    }
    (left.precision == right.precision).then(|| (left.second, left.nanosecond).cmp(&(right.second, right.nanosecond)))
}

fn to_utc(date: &PartialDateTime) -> Option<PartialDateTime> {
    let offset = i128::from(date.offset_minutes.unwrap_or(0)) * 60 * NS_PER_SECOND;
    let mut shifted = at_ns(date, ns(date) - offset)?;
    shifted.offset_minutes = Some(0);
    Some(shifted)
}

/// Nanoseconds since 1970-01-01 on the clock of the text.
fn ns(date: &PartialDateTime) -> i128 {
    i128::from(days_since_epoch(date.year, date.month, date.day)) * NS_PER_DAY + time_ns(&date.time)
}

fn time_ns(time: &PartialTime) -> i128 {
    let seconds = i128::from(time.hour) * 3600 + i128::from(time.minute) * 60 + i128::from(time.second);
    seconds * NS_PER_SECOND + i128::from(time.nanosecond)
}

fn time_at(time: &PartialTime, ns: i128) -> PartialTime {
    let in_day = ns.rem_euclid(NS_PER_DAY);
    let seconds = in_day / NS_PER_SECOND;
    let part = |value: i128| u8::try_from(value).unwrap_or(0);
    PartialTime {
        hour: part(seconds / 3600),
        minute: part(seconds / 60 % 60),
        second: part(seconds % 60),
        nanosecond: u32::try_from(in_day % NS_PER_SECOND).unwrap_or(0),
        ..*time
    }
}

/// `date` moved to another moment, precision and zone kept; `None` outside years 1 to 9999.
fn at_ns(date: &PartialDateTime, ns: i128) -> Option<PartialDateTime> {
    let (year, month, day) = civil(i64::try_from(ns.div_euclid(NS_PER_DAY)).ok()?)?;
    Some(PartialDateTime { year, month, day, time: time_at(&date.time, ns), ..*date })
}

/// Adds `sign` times a duration. `Ok(None)` when the result is outside years 1 to 9999.
pub(super) fn add_to_date(
    date: &PartialDateTime,
    quantity: &Quantity<'_>,
    sign: i64,
) -> Result<Option<PartialDateTime>, Error> {
    let (unit, amount) = duration(quantity)?;
    let Some(whole) = amount.trunc().to_i64().and_then(|whole| whole.checked_mul(sign)) else {
        return Ok(None);
    };
    // A unit finer than the date counts in whole units of the date's precision.
    let (unit, whole) = match (date.precision, unit) {
        (Precision::Year, CalendarUnit::Month) => (CalendarUnit::Year, whole / 12),
        (Precision::Year, unit) if unit != CalendarUnit::Year => (CalendarUnit::Year, whole_days(unit, whole) / 365),
        (Precision::Month, unit) if !matches!(unit, CalendarUnit::Year | CalendarUnit::Month) => {
            (CalendarUnit::Month, whole_days(unit, whole) / 30)
        }
        (Precision::Day, unit) if unit_ns(unit).is_some_and(|ns| ns < NS_PER_DAY) => {
            (CalendarUnit::Day, whole_days(unit, whole))
        }
        (_, unit) => (unit, whole),
    };
    Ok(match unit {
        CalendarUnit::Year => whole.checked_mul(12).and_then(|months| add_months(date, months)),
        CalendarUnit::Month => add_months(date, whole),
        CalendarUnit::Second => seconds_ns(amount, sign).and_then(|added| at_ns(date, ns(date) + added)),
        unit => unit_ns(unit).and_then(|length| at_ns(date, ns(date) + length * i128::from(whole))),
    })
}

pub(super) fn add_to_time(
    time: &PartialTime,
    quantity: &Quantity<'_>,
    sign: i64,
) -> Result<Option<PartialTime>, Error> {
    let (unit, amount) = duration(quantity)?;
    let whole = amount.trunc().to_i64().and_then(|whole| whole.checked_mul(sign));
    let added = match unit {
        CalendarUnit::Second => seconds_ns(amount, sign),
        CalendarUnit::Hour | CalendarUnit::Minute | CalendarUnit::Millisecond => {
            whole.zip(unit_ns(unit)).map(|(whole, length)| i128::from(whole) * length)
        }
        _ => return Err(Error::Evaluation("days and longer cannot be added to a time of day")),
    };
    Ok(added.map(|added| time_at(time, time_ns(time) + added)))
}

/// Length of a unit; `None` for months and years.
fn unit_ns(unit: CalendarUnit) -> Option<i128> {
    Some(match unit {
        CalendarUnit::Year | CalendarUnit::Month => return None,
        CalendarUnit::Week => 7 * NS_PER_DAY,
        CalendarUnit::Day => NS_PER_DAY,
        CalendarUnit::Hour => 3600 * NS_PER_SECOND,
        CalendarUnit::Minute => 60 * NS_PER_SECOND,
        CalendarUnit::Second => NS_PER_SECOND,
        CalendarUnit::Millisecond => 1_000_000,
    })
}

fn whole_days(unit: CalendarUnit, whole: i64) -> i64 {
    let days = unit_ns(unit).map_or(0, |length| i128::from(whole) * length / NS_PER_DAY);
    i64::try_from(days).unwrap_or(0)
}

fn seconds_ns(amount: Decimal, sign: i64) -> Option<i128> {
    let nanoseconds = amount.checked_mul(Decimal::from(1_000_000_000))?.trunc().to_i128()?;
    Some(nanoseconds * i128::from(sign))
}

/// The day is cut to the length of the new month.
fn add_months(date: &PartialDateTime, months: i64) -> Option<PartialDateTime> {
    let total = (i64::from(date.year) * 12 + i64::from(date.month) - 1).checked_add(months)?;
    let year = i32::try_from(total.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
    let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
    Some(PartialDateTime { year, month, day: date.day.min(days_in_month(year, month)), ..*date })
}

/// `precision()`: number of digits that are written.
pub(super) fn date_digits(date: &PartialDateTime) -> i64 {
    match date.precision {
        Precision::Year => 4,
        Precision::Month => 6,
        Precision::Day => 8,
        _ => 8 + time_digits(&date.time),
    }
}

pub(super) fn time_digits(time: &PartialTime) -> i64 {
    match time.precision {
        Precision::Minute => 4,
        Precision::Second => 6 + i64::from(time.fraction_digits),
        _ => 2,
    }
}

/// The precision that has `digits` digits.
fn precision_of(digits: i64) -> Option<Precision> {
    Some(match digits {
        4 => Precision::Year,
        6 => Precision::Month,
        8 => Precision::Day,
        10 => Precision::Hour,
        12 => Precision::Minute,
        14 | 17 => Precision::Second,
        _ => return None,
    })
}

/// The earliest or latest value a date can mean, written with `digits` digits; `None` for a number of digits that no date has.
pub(super) fn date_boundary(date: &PartialDateTime, digits: i64, high: bool, is_date: bool) -> Option<PartialDateTime> {
    let wanted = precision_of(digits).filter(|wanted| !is_date || *wanted <= Precision::Day)?;
    let mut result = *date;
    if date.precision < Precision::Month && high {
        result.month = 12;
    }
    if date.precision < Precision::Day && high {
        result.day = days_in_month(result.year, result.month);
    }
    // FHIR has no times of hour precision: `T08` means `T08:00`.
    let known = if date.precision == Precision::Hour { Precision::Minute } else { date.precision };
    result.time = time_bounds(&result.time, known, high);
    result.time.fraction_digits = if digits == 17 { 3 } else { 0 };
    result.precision = wanted;
    result.time.precision = wanted.max(Precision::Hour);
    result.offset_minutes = match (wanted >= Precision::Hour, date.offset_minutes) {
        (false, _) => None,
        (true, Some(offset)) => Some(offset),
        (true, None) => Some(if high { -12 * 60 } else { 14 * 60 }),
    };
    Some(result)
}

pub(super) fn time_boundary(time: &PartialTime, digits: i64, high: bool) -> Option<PartialTime> {
    let wanted = precision_of(digits + 8).filter(|wanted| *wanted >= Precision::Hour)?;
    let mut result = time_bounds(time, time.precision, high);
    result.fraction_digits = if digits == 9 { 3 } else { 0 };
    result.precision = wanted;
    Some(result)
}

/// `time` with its unknown parts at their smallest or largest.
fn time_bounds(time: &PartialTime, known: Precision, high: bool) -> PartialTime {
    let mut result = *time;
    if !high {
        return result;
    }
    if known < Precision::Hour {
        result.hour = 23;
    }
    if known < Precision::Minute {
        result.minute = 59;
    }
    if known < Precision::Second {
        result.second = 59;
    }
    if known < Precision::Second || time.fraction_digits < 3 {
        let unknown = 10u32.pow(9 - u32::from(time.fraction_digits.min(3)));
        result.nanosecond = time.nanosecond + (unknown - 1_000_000);
    }
    result
}
