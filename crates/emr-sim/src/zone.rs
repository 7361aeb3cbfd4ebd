//! The zone in which OpenEMR's server keeps its time.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

const INSTANT: &str = "%Y-%m-%dT%H:%M:%S%:z";

/// The server's zone. Columns hold its wall time without saying so.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

fn timestamp(us: i64) -> Timestamp {
    Timestamp::from_second(us.div_euclid(1_000_000)).unwrap_or_default()
}

impl Zone {
    /// An IANA name; `None` for one that does not exist.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    fn zoned(&self, us: i64) -> Zoned {
        timestamp(us).to_zoned(self.0.clone())
    }

    /// `meta.lastUpdated`: the wall time of then with the offset of now, which in the other half of the year is an hour wrong.
    pub(crate) fn last_updated(&self, us: i64, now_us: i64) -> String {
        let offset = self.0.to_offset(timestamp(now_us));
        let wall = self.zoned(us).datetime();
        offset
            .to_timestamp(wall)
            .map_or_else(|_| String::new(), |time| time.to_zoned(TimeZone::fixed(offset)).strftime(INSTANT).to_string())
    }

    /// An instant of whole seconds with the offset that it had.
    pub(crate) fn instant(&self, us: i64) -> String {
        self.zoned(us).strftime(INSTANT).to_string()
    }

    /// A wall time as an instant.
    pub(crate) fn wall_instant(&self, wall: DateTime) -> String {
        self.0.to_zoned(wall).map_or_else(|_| String::new(), |time| time.strftime(INSTANT).to_string())
    }

    /// A column of date and time, as MySQL prints it.
    pub(crate) fn column(&self, us: i64) -> String {
        self.zoned(us).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// A column's wall time, or date, as an instant.
    pub(crate) fn column_instant(&self, column: &str) -> String {
        let wall = column.parse::<DateTime>().unwrap_or_default();
        self.wall_instant(wall)
    }

    /// Second since 1970 of a wall time.
    pub(crate) fn second(&self, wall: DateTime) -> i64 {
        self.0.to_timestamp(wall).map_or(0, Timestamp::as_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_updated_is_an_hour_wrong_in_the_other_half_of_the_year() {
        let zone = Zone::named("America/New_York").unwrap_or(Zone(TimeZone::UTC));
        let (january_us, july_us) = (1_768_500_000_000_000, 1_784_100_000_000_000);
        assert_eq!(zone.instant(january_us), "2026-01-15T13:00:00-05:00");
        assert_eq!(zone.last_updated(january_us, january_us), "2026-01-15T13:00:00-05:00");
        assert_eq!(zone.last_updated(january_us, july_us), "2026-01-15T13:00:00-04:00");
    }

    #[test]
    fn columns_are_wall_time() {
        let zone = Zone::named("Europe/Berlin").unwrap_or(Zone(TimeZone::UTC));
        assert_eq!(zone.column(1_768_500_000_000_000), "2026-01-15 19:00:00");
        assert_eq!(zone.column_instant("2026-07-01 09:30:00"), "2026-07-01T09:30:00+02:00");
        assert_eq!(zone.column_instant("2026-07-01"), "2026-07-01T00:00:00+02:00");
        assert!(Zone::named("Europe/Nowhere").is_none());
    }
}
