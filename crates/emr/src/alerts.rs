//! When an EMR needs somebody: four rules over the last five minutes. Who is told is others' work.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Clock;

const WINDOW_US: i64 = 300_000_000;
/// Fewer calls than this say nothing about a rate.
const CALLS_MIN: usize = 20;
const SUCCESS_MIN: f64 = 0.95;
const LATENCY_MAX_US: i64 = 5_000_000;
/// More failures of authentication than this.
const AUTHENTICATION_MAX: usize = 5;
/// Calls remembered; of more, the newest.
const CALLS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    /// Fewer than 95 % of the calls have succeeded.
    SuccessRate,
    /// A call takes more than 5 s on average.
    Latency,
    /// More than 5 calls were refused for who we are.
    Authentication,
    /// The last run did not come to its end.
    RunFailed,
}

impl Alert {
    pub const ALL: [Alert; 4] = [Alert::SuccessRate, Alert::Latency, Alert::Authentication, Alert::RunFailed];

    /// Its name in metrics and notifications.
    pub fn code(self) -> &'static str {
        match self {
            Alert::SuccessRate => "success-rate",
            Alert::Latency => "latency",
            Alert::Authentication => "authentication",
            Alert::RunFailed => "run-failed",
        }
    }

    /// What it says, for people.
    pub fn text(self) -> &'static str {
        match self {
            Alert::SuccessRate => "fewer than 95 % of the calls of the last five minutes have succeeded",
            Alert::Latency => "a call took more than 5 seconds on average in the last five minutes",
            Alert::Authentication => "more than 5 calls of the last five minutes were refused for who we are",
            Alert::RunFailed => "the last run of synchronisation did not come to its end",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    Succeeded,
    Failed,
    Unauthorised,
}

/// The calls and runs of one EMR. Times are microseconds since 1970 and never run backwards.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    calls: VecDeque<(i64, i64, Called)>,
    run_failed: bool,
}

impl Watch {
    pub fn called(&mut self, at_us: i64, latency_us: i64, called: Called) {
        self.calls.push_back((at_us, latency_us, called));
        if self.calls.len() > CALLS_MAX {
            self.calls.pop_front();
        }
    }

    pub fn ran(&mut self, succeeded: bool) {
        self.run_failed = !succeeded;
    }

    /// Those that hold now, in a fixed order.
    pub fn alerts(&mut self, now_us: i64) -> Vec<Alert> {
        while self.calls.front().is_some_and(|(at_us, ..)| *at_us <= now_us - WINDOW_US) {
            self.calls.pop_front();
        }
        let count = self.calls.len();
        let of = |wanted: Called| self.calls.iter().filter(|(.., called)| *called == wanted).count();
        let latency_us: i64 = self.calls.iter().map(|(_, latency_us, _)| latency_us).sum();
        let is_slow = count > 0 && latency_us > LATENCY_MAX_US.saturating_mul(count as i64);
        let rate = of(Called::Succeeded) as f64 / count.max(1) as f64;
        let rules = [
            (Alert::SuccessRate, count >= CALLS_MIN && rate < SUCCESS_MIN),
            (Alert::Latency, is_slow),
            (Alert::Authentication, of(Called::Unauthorised) > AUTHENTICATION_MAX),
            (Alert::RunFailed, self.run_failed),
        ];
        rules.into_iter().filter(|(_, holds)| *holds).map(|(alert, _)| alert).collect()
    }
}

/// Sees every call to one EMR. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Witness {
    watch: Arc<Mutex<(Watch, i64)>>,
    clock: Arc<dyn Clock>,
}

impl Witness {
    pub fn new(clock: Arc<dyn Clock>) -> Witness {
        Witness { watch: Arc::default(), clock }
    }

    pub(crate) fn called(&self, took: Duration, called: Called) {
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        let (mut watch, now_us) = self.look();
        watch.0.called(now_us, took_us, called);
    }

    /// The end of a run of synchronisation.
    pub fn ran(&self, succeeded: bool) {
        self.look().0.0.ran(succeeded);
    }

    /// Those that hold now.
    pub fn alerts(&self) -> Vec<Alert> {
        let (mut watch, now_us) = self.look();
        watch.0.alerts(now_us)
    }

    /// With the time, which does not run backwards even when the clock is set.
    fn look(&self) -> (MutexGuard<'_, (Watch, i64)>, i64) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.1 = watch.1.max(self.clock.now_us());
        let now_us = watch.1;
        (watch, now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn watch(calls: &[(usize, Called)], latency_us: i64) -> Watch {
        let mut watch = Watch::default();
        for (count, called) in calls {
            (0..*count).for_each(|_| watch.called(0, latency_us, *called));
        }
        watch
    }

    #[test]
    fn each_alert_has_its_threshold() {
        let alerts = |calls: &[(usize, Called)], latency_us| watch(calls, latency_us).alerts(SECOND);
        assert_eq!(alerts(&[(95, Called::Succeeded), (5, Called::Failed)], 0), []);
        assert_eq!(alerts(&[(94, Called::Succeeded), (6, Called::Failed)], 0), [Alert::SuccessRate]);
        assert_eq!(alerts(&[(3, Called::Failed)], 0), []);
        assert_eq!(alerts(&[(3, Called::Succeeded)], 5 * SECOND), []);
        assert_eq!(alerts(&[(3, Called::Succeeded)], 5 * SECOND + 1), [Alert::Latency]);
        assert_eq!(alerts(&[(5, Called::Unauthorised)], 0), []);
        assert_eq!(alerts(&[(6, Called::Unauthorised)], 0), [Alert::Authentication]);
    }

    #[test]
    fn what_is_five_minutes_old_is_forgotten_and_a_good_run_ends_its_alert() {
        let mut watch = watch(&[(6, Called::Unauthorised)], 0);
        watch.ran(false);
        assert_eq!(watch.alerts(299 * SECOND), [Alert::Authentication, Alert::RunFailed]);
        watch.ran(true);
        assert_eq!(watch.alerts(300 * SECOND), []);
    }
}
