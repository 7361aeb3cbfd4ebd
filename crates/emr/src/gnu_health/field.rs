//! Values as Tryton writes them in JSON.

use fhir::json;
use fhir::json::Value;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A FHIR date; one without a month or a day is its first day, and estimated. `None`: it is no date.
pub(super) fn date(text: &str) -> Option<(Value, bool)> {
    let (day, estimated): (Date, bool) = match text.len() {
        4 => (format!("{text}-01-01").parse().ok()?, true),
        7 => (format!("{text}-01").parse().ok()?, true),
        _ => (text.parse().ok()?, false),
    };
    Some((
        json!({ "__class__": "date", "year": i32::from(day.year()), "month": i32::from(day.month()), "day": i32::from(day.day()) }),
        estimated,
    ))
}

/// A FHIR instant or dateTime. Tryton keeps UTC; a day alone is its noon there, which is the same day almost everywhere.
pub(super) fn date_time(text: &str) -> Option<Value> {
    let time: DateTime = if text.contains('T') {
        TimeZone::UTC.to_datetime(text.parse::<Timestamp>().ok()?)
    } else {
        text.parse::<Date>().ok()?.at(12, 0, 0, 0)
    };
    Some(json!({
        "__class__": "datetime",
        "year": i32::from(time.year()), "month": i32::from(time.month()), "day": i32::from(time.day()),
        "hour": i32::from(time.hour()), "minute": i32::from(time.minute()), "second": i32::from(time.second()), "microsecond": 0
    }))
}

/// `[["create", [ROW…]]]`: rows to add to a list of a record.
pub(super) fn added(rows: Vec<Value>) -> Value {
    Value::Array(vec![Value::Array(vec!["create".into(), Value::Array(rows)])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_days_stay_days() {
        let parts = |value: &Value| {
            let names = ["year", "month", "day", "hour", "minute"];
            names.iter().filter_map(|name| value.get(name)?.scalar()?.parse().ok()).collect::<Vec<i64>>()
        };
        assert_eq!(parts(&date_time("2026-12-01T00:30:00+01:00").unwrap()), [2026, 11, 30, 23, 30]);
        assert_eq!(parts(&date_time("2026-12-01").unwrap()), [2026, 12, 1, 12, 0]);
        assert_eq!(date_time("soon"), None);
        assert_eq!(
            date("1980-02-29").map(|(day, estimated)| (parts(&day), estimated)),
            Some((vec![1980, 2, 29], false))
        );
        assert_eq!(date("1980").map(|(day, estimated)| (parts(&day), estimated)), Some((vec![1980, 1, 1], true)));
        assert_eq!(date("1981-02-29"), None);
    }
}
