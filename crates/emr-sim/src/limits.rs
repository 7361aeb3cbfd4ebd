//! How the `strict` and `fragile` profiles defend themselves, or do not.

use std::collections::VecDeque;
use std::time::Duration;

/// Calls per minute of the `strict` profile.
const CALLS_PER_MINUTE: u32 = 250;
const MINUTE_US: i64 = 60_000_000;

/// So many calls in each minute of the wall clock, then none until the next begins.
#[derive(Debug, Default)]
pub(crate) struct MinuteLimit {
    minute: i64,
    calls: u32,
}

impl MinuteLimit {
    /// Counts a call; whether it is refused.
    pub(crate) fn refuses(&mut self, wall_us: i64) -> bool {
        let minute = wall_us.div_euclid(MINUTE_US);
        if minute != self.minute {
            *self = MinuteLimit { minute, calls: 0 };
        }
        self.calls = self.calls.saturating_add(1);
        self.calls > CALLS_PER_MINUTE
    }
}

/// What an arrival does to a fragile EMR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Strain {
    None,
    Slow(Duration),
    /// Slow, and then perhaps a 500.
    Failing(Duration),
    Crash,
}

/// Pressure at which requests begin to fail, and at which the EMR crashes. One unit is one second's worth of arrivals beyond
/// the rate.
const FAILING: f64 = 1.0;
const CRASH: f64 = 3.0;
const SLOW_MS_PER_PRESSURE: f64 = 1_000.0;
/// Pressure that goes away per second without overload.
const RELIEF_PER_S: f64 = 0.5;

/// An EMR that falls over above a rate: first it slows down, then it fails, then it crashes.
#[derive(Debug)]
pub(crate) struct Fragile {
    rate_per_s: f64,
    recent_us: VecDeque<u64>,
    pressure: f64,
    last_us: u64,
}

impl Fragile {
    pub(crate) fn new(rate_per_s: f64) -> Fragile {
        Fragile { rate_per_s: rate_per_s.max(0.1), recent_us: VecDeque::new(), pressure: 0.0, last_us: 0 }
    }

    /// Counts an arrival and says what it does.
    pub(crate) fn arrive(&mut self, now_us: u64) -> Strain {
        while self.recent_us.front().is_some_and(|time| now_us - time >= 1_000_000) {
            self.recent_us.pop_front();
        }
        self.recent_us.push_back(now_us);
        if self.recent_us.len() as f64 > self.rate_per_s {
            self.pressure += 1.0 / self.rate_per_s;
        } else {
            let idle_s = now_us.saturating_sub(self.last_us) as f64 / 1e6;
            self.pressure = (self.pressure - idle_s * RELIEF_PER_S).max(0.0);
        }
        self.last_us = now_us;
        if self.pressure >= CRASH {
            return Strain::Crash;
        }
        let delay = Duration::from_millis((self.pressure * SLOW_MS_PER_PRESSURE) as u64);
        match self.pressure {
            pressure if pressure >= FAILING => Strain::Failing(delay),
            pressure if pressure > 0.0 => Strain::Slow(delay),
            _ => Strain::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_over_its_limit_is_over_until_the_next_begins() {
        let mut limit = MinuteLimit::default();
        let begin = 1_000 * MINUTE_US + 59_000_000;
        let refused = (0..300).filter(|call| limit.refuses(begin + call)).count();
        assert_eq!(refused, 50);
        assert!(limit.refuses(begin + 999_999));
        assert!(!limit.refuses(begin + 1_000_000));
    }

    fn run(rate_per_s: f64, spacing_us: u64, arrivals: u64) -> Vec<Strain> {
        let mut fragile = Fragile::new(rate_per_s);
        (0..arrivals).map(|n| fragile.arrive(n * spacing_us)).collect()
    }

    #[test]
    fn at_its_rate_it_never_suffers() {
        assert!(run(20.0, 50_000, 10_000).iter().all(|strain| *strain == Strain::None));
    }

    #[test]
    fn above_its_rate_it_slows_then_fails_then_crashes() {
        let strains = run(20.0, 25_000, 200);
        let first = |wanted: fn(&Strain) -> bool| strains.iter().position(wanted).unwrap_or(usize::MAX);
        let slow = first(|strain| matches!(strain, Strain::Slow(_)));
        let failing = first(|strain| matches!(strain, Strain::Failing(_)));
        let crash = first(|strain| *strain == Strain::Crash);
        assert!(slow < failing && failing < crash && crash < 200, "{slow} {failing} {crash}");
    }

    #[test]
    fn it_recovers_when_the_load_ends() {
        let mut fragile = Fragile::new(10.0);
        let last = (0..25).map(|n| fragile.arrive(n * 1_000)).last();
        assert!(matches!(last, Some(Strain::Failing(_))), "{last:?}");
        assert_eq!(fragile.arrive(20_000_000), Strain::None);
    }
}
