//! OpenEMR's columns of time: its own wall time, without a zone.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A FHIR date, dateTime or instant as a local time; a date alone is its midnight, a month or year its first day. `None`: it is
/// none of them.
pub(super) fn local(text: &str, zone: &TimeZone) -> Option<DateTime> {
    if text.contains('T') {
        return text.parse::<Timestamp>().ok().map(|instant| zone.to_datetime(instant));
    }
    let date: Date = match text.len() {
        4 => format!("{text}-01-01").parse().ok()?,
        7 => format!("{text}-01").parse().ok()?,
        _ => text.parse().ok()?,
    };
    Some(date.at(0, 0, 0, 0))
}

/// `Y-m-d`.
pub(super) fn date(time: DateTime) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// `Y-m-d H:i:s`.
pub(super) fn date_time(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `H:i`.
pub(super) fn hour(time: DateTime) -> String {
    time.strftime("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_become_the_wall_time_of_the_emr() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let text = |text: &str| local(text, &zone).map(date_time);
        assert_eq!(text("2026-07-01T14:30:00Z").as_deref(), Some("2026-07-01 10:30:00"));
        assert_eq!(text("2026-12-01T14:30:00+01:00").as_deref(), Some("2026-12-01 08:30:00"));
        assert_eq!(text("2026-12-01").as_deref(), Some("2026-12-01 00:00:00"));
        assert_eq!(text("2026-12").as_deref(), Some("2026-12-01 00:00:00"));
        assert_eq!(text("2026").as_deref(), Some("2026-01-01 00:00:00"));
        assert_eq!(text("soon"), None);
        assert_eq!(local("2026-07-01T14:30:00Z", &zone).map(|time| (date(time), hour(time))).unwrap().1, "10:30");
    }
}
