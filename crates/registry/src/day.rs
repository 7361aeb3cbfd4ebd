//! Days as they are kept, and which day it is.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serializer, de};
use vaccines::Date;

/// The day at `at_us` (microseconds since 1970) in `zone`.
pub(crate) fn of(at_us: i64, zone: &TimeZone) -> Date {
    let at = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    let (year, month, day) = (i32::from(at.year()), at.month().unsigned_abs(), at.day().unsigned_abs());
    Date::new(year, month, day).unwrap_or_else(epoch)
}

/// 1 January 1970.
pub(crate) fn epoch() -> Date {
    Date::new(1970, 1, 1).expect("the day exists")
}

/// The whole day of a FHIR date or dateTime; `None` when it has only a year or a month.
pub(crate) fn of_fhir(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

/// Writes a day that may be unknown as `YYYY-MM-DD`.
pub(crate) fn serialize<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_that_of_the_zone() {
        let new_york = TimeZone::get("America/New_York").unwrap();
        let at = "2026-11-28T03:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
        assert_eq!(of(at, &TimeZone::UTC).to_string(), "2026-11-28");
        assert_eq!(of(at, &new_york).to_string(), "2026-11-27");
    }

    #[test]
    fn a_year_or_a_month_is_no_day() {
        assert_eq!(of_fhir("1990"), None);
        assert_eq!(of_fhir("1990-05"), None);
        assert_eq!(of_fhir("1990-05-31T10:00:00+02:00").unwrap().to_string(), "1990-05-31");
    }
}
