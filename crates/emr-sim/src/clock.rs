//! The simulator's own time: it stands for another machine.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Wall and monotonic time of the simulated EMR.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    start_us: i64,
    shift: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        #[expect(clippy::disallowed_methods, reason = "the simulator is another machine with a clock of its own")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), start_us: since.as_micros() as i64, shift: Mutex::new(Duration::ZERO) }
    }

    /// Microseconds since the start; no shift changes it.
    pub(crate) fn mono_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Microseconds since 1970.
    pub(crate) fn wall_us(&self) -> i64 {
        self.start_us + self.mono_us() as i64 + self.shift.lock().as_micros() as i64
    }

    /// Sets the wall clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        *self.shift.lock() += by;
    }
}

/// A FHIR instant of whole seconds in UTC.
pub(crate) fn instant(us: i64) -> String {
    let time = jiff::Timestamp::from_second(us.div_euclid(1_000_000)).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// The time in HTTP's `Date`.
pub(crate) fn http_date(us: i64) -> String {
    let time = jiff::Timestamp::from_second(us.div_euclid(1_000_000)).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
