//! Slowing down before the destination falls over: the rate follows its answers, and a breaker keeps away while it is down.

use crate::intent::Problem;
use std::collections::VecDeque;
use std::time::Duration;

/// How an attempt ended, for pacing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answered, whatever it said about the content.
    Healthy,
    /// 429, 408, 5xx, no answer, no connection.
    Strained,
    /// 401: our credentials, not its health.
    Unauthorised,
}

impl Sign {
    /// What a problem that passes is a sign of; `asked` is the `Retry-After` that came with it, kept where it means everybody.
    pub(crate) fn of(problem: &Problem, asked: Option<Duration>) -> (Sign, Option<Duration>) {
        match problem.status {
            401 => (Sign::Unauthorised, None),
            // Not there in time for its probe, or not to be noted by us: ours, not the destination's.
            409 => (Sign::Healthy, None),
            429 | 503 => (Sign::Strained, asked),
            _ => (Sign::Strained, None),
        }
    }

    /// The same for a question. That it may not be asked, or that nothing is there, is an answer.
    pub(crate) fn of_question(problem: &Problem, asked: Option<Duration>) -> (Sign, Option<Duration>) {
        match problem.status {
            401 | 408 | 425 | 429 => Sign::of(problem, asked),
            400..500 => (Sign::Healthy, None),
            _ => Sign::of(problem, asked),
        }
    }
}

/// Calls that are looked back at for slowing down.
const RECENT: usize = 40;
/// A share of strained calls below this is the weather, not the climate: one of eight that fails by chance stays below it.
const SLOW_DOWN_AT: f64 = 0.3;
/// Failures among the last [`BREAK_RECENT`] calls that open the breaker.
const BREAK_AT: usize = 10;
const BREAK_RECENT: usize = 20;
const FACTOR_MIN: f64 = 0.1;
/// Of the allowed rate, won back in a minute.
const RECOVERY_PER_MINUTE: f64 = 0.05;
/// Recovery is quicker while the strain is far below where it counts.
const RECOVERY_IN_FAIR_WEATHER: f64 = 0.5;
const SLOW_DOWN_EVERY_US: i64 = 1_000_000;
const OPEN_FIRST_US: i64 = 5_000_000;
const OPEN_MAX_US: i64 = 300_000_000;
/// A 95th percentile of this many times the usual latency is strain.
const LATENCY_RATIO: f64 = 2.0;
/// Latencies below this are never strain.
const LATENCY_FLOOR_US: f64 = 500_000.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaker {
    Closed,
    /// No call until then.
    Open {
        until_us: i64,
    },
    /// One attempt may try.
    HalfOpen,
}

#[derive(Clone, Debug)]
pub(crate) struct Pace {
    factor: f64,
    recent: VecDeque<(Sign, f64)>,
    /// A slow average of latencies of healthy calls.
    usual_us: Option<f64>,
    slowed_us: i64,
    recovered_us: i64,
    frozen_until_us: i64,
    breaker: Breaker,
    open_for_us: i64,
    /// The first call of the attempt that was let through while half open and has not ended.
    canary: Option<u64>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            factor: 1.0,
            recent: VecDeque::new(),
            usual_us: None,
            slowed_us: i64::MIN,
            recovered_us: 0,
            frozen_until_us: i64::MIN,
            breaker: Breaker::Closed,
            open_for_us: OPEN_FIRST_US,
            canary: None,
        }
    }
}

impl Pace {
    /// Share of the allowed rate, 0.1 to 1.
    pub(crate) fn factor(&self) -> f64 {
        self.factor
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.breaker
    }

    /// The earliest time of the next call as far as health goes; `None` while the canary is another than `own`.
    pub(crate) fn ready_us(&mut self, now_us: i64, own: Option<u64>) -> Option<i64> {
        match self.breaker {
            Breaker::Open { until_us } if now_us < until_us => Some(until_us.max(self.frozen_until_us)),
            Breaker::Open { .. } => {
                self.breaker = Breaker::HalfOpen;
                Some(self.frozen_until_us)
            }
            Breaker::HalfOpen if self.canary.is_some() && self.canary != own => None,
            _ => Some(self.frozen_until_us),
        }
    }

    /// Call `no` is made. `true`: its attempt is the canary from now on.
    pub(crate) fn sent(&mut self, no: u64) -> bool {
        let is_first = self.breaker == Breaker::HalfOpen && self.canary.is_none();
        if is_first {
            self.canary = Some(no);
        }
        is_first
    }

    /// The canary has ended without a sign: another may try.
    pub(crate) fn gave_up(&mut self, no: u64) {
        if self.canary == Some(no) {
            self.canary = None;
        }
    }

    /// `Retry-After`.
    pub(crate) fn freeze(&mut self, until_us: i64) {
        self.frozen_until_us = self.frozen_until_us.max(until_us);
    }

    pub(crate) fn answered(&mut self, now_us: i64, latency_us: i64, sign: Sign) {
        self.recover(now_us);
        if self.breaker == Breaker::HalfOpen {
            self.canary = None;
            match sign {
                Sign::Healthy => {
                    self.breaker = Breaker::Closed;
                    self.open_for_us = OPEN_FIRST_US;
                    self.recent.clear();
                }
                _ => self.open(now_us),
            }
            return;
        }
        let latency = latency_us as f64;
        let slow = self.usual_us.is_some_and(|usual| latency > (usual * LATENCY_RATIO).max(LATENCY_FLOOR_US));
        self.recent.push_back((if slow && sign == Sign::Healthy { Sign::Strained } else { sign }, latency));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        if sign == Sign::Healthy {
            let usual = self.usual_us.get_or_insert(latency);
            // Slow to rise, so that a long strain does not become the usual.
            *usual += (latency - *usual) * if latency > *usual { 0.005 } else { 0.1 };
        }
        // Slow answers slow us down, but only failures open the breaker.
        let failing = sign != Sign::Healthy;
        let among = |recent: usize, wanted: Sign| {
            self.recent.iter().rev().take(recent).filter(|(sign, _)| *sign == wanted).count()
        };
        let worst = among(BREAK_RECENT, Sign::Strained).max(among(BREAK_RECENT, Sign::Unauthorised));
        let strained = among(RECENT, Sign::Strained) as f64 / RECENT as f64;
        if failing && worst >= BREAK_AT && self.breaker == Breaker::Closed {
            self.open(now_us);
        }
        if strained >= SLOW_DOWN_AT
            && now_us >= self.slowed_us.saturating_add(SLOW_DOWN_EVERY_US)
            && sign != Sign::Unauthorised
        {
            self.slowed_us = now_us;
            self.factor = (self.factor / 2.0).max(FACTOR_MIN);
        }
    }

    fn open(&mut self, now_us: i64) {
        self.breaker = Breaker::Open { until_us: now_us + self.open_for_us };
        self.open_for_us = (self.open_for_us * 2).min(OPEN_MAX_US);
    }

    fn recover(&mut self, now_us: i64) {
        let minutes = (now_us - self.recovered_us).clamp(0, 60_000_000) as f64 / 60e6;
        self.recovered_us = now_us;
        let strained = self.recent.iter().filter(|(sign, _)| *sign != Sign::Healthy).count() as f64;
        let fair = self.recent.len() == RECENT && strained < SLOW_DOWN_AT / 2.0 * RECENT as f64;
        let rate = if fair { RECOVERY_IN_FAIR_WEATHER } else { RECOVERY_PER_MINUTE };
        self.factor = (self.factor + minutes * rate).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_few_failures_are_weather_many_slow_down_and_most_break() {
        let mut pace = Pace::default();
        for turn in 0..200 {
            let sign = if turn % 8 == 0 { Sign::Strained } else { Sign::Healthy };
            pace.answered(turn * SECOND, 20_000, sign);
        }
        assert_eq!((pace.factor(), pace.breaker()), (1.0, Breaker::Closed));
        for turn in 200..208 {
            pace.answered(turn * SECOND, 20_000, Sign::Strained);
        }
        assert!(pace.factor() < 0.6 && pace.breaker() == Breaker::Closed, "{pace:?}");
        for turn in 208..212 {
            pace.answered(turn * SECOND, 20_000, Sign::Strained);
        }
        assert!(matches!(pace.breaker(), Breaker::Open { .. }));
    }

    #[test]
    fn a_canary_decides_whether_the_breaker_closes() {
        let mut pace = Pace::default();
        for turn in 0..10 {
            pace.answered(turn, 1, Sign::Strained);
        }
        let Breaker::Open { until_us } = pace.breaker() else { panic!("{pace:?}") };
        assert_eq!(pace.ready_us(until_us - 1, None), Some(until_us));
        assert!(pace.ready_us(until_us, None).is_some_and(|at| at <= until_us));
        assert!(pace.sent(7));
        assert_eq!(pace.ready_us(until_us, None), None, "one attempt at a time");
        assert!(pace.ready_us(until_us, Some(7)).is_some() && !pace.sent(8), "which may need several calls");
        pace.answered(until_us + 1, 1, Sign::Strained);
        let Breaker::Open { until_us: second } = pace.breaker() else { panic!("{pace:?}") };
        assert_eq!(second, until_us + 1 + 2 * OPEN_FIRST_US, "longer each time");
        pace.ready_us(second, None);
        assert!(pace.sent(9));
        pace.gave_up(7);
        assert_eq!(pace.ready_us(second, None), None, "an earlier one has no say");
        pace.gave_up(9);
        assert!(pace.ready_us(second, None).is_some() && pace.sent(10), "the next one tries");
        pace.answered(second, 1, Sign::Healthy);
        assert_eq!(pace.breaker(), Breaker::Closed);
    }

    #[test]
    fn slow_answers_slow_us_down_and_the_rate_comes_back() {
        let mut pace = Pace::default();
        for turn in 0..40 {
            pace.answered(turn * SECOND, 50_000, Sign::Healthy);
        }
        for turn in 40..55 {
            pace.answered(turn * SECOND, 3_000_000, Sign::Healthy);
        }
        assert!(pace.factor() <= 0.25 && pace.breaker() == Breaker::Closed, "{pace:?}");
        for turn in 55..300 {
            pace.answered(turn * SECOND, 50_000, Sign::Healthy);
        }
        assert_eq!(pace.factor(), 1.0);
        pace.freeze(400 * SECOND);
        assert_eq!(pace.ready_us(300 * SECOND, None), Some(400 * SECOND));
    }
}
