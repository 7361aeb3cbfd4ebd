//! How fast a backlog goes down, as it was seen: a delivery may cost several calls, and a destination may ask for pauses.

use std::collections::VecDeque;

/// Looked back over at least this, and this many deliveries; further back for those that are few.
const SPAN_US: i64 = 60_000_000;
const DONE_MIN: u64 = 30;
const SPAN_MAX_US: i64 = 600_000_000;
/// Before this much was seen, nothing is said.
const SPAN_MIN_US: i64 = 20_000_000;
/// Between two samples.
const EVERY_US: i64 = 1_000_000;

/// Samples while nothing but the destination itself holds deliveries up.
#[derive(Debug, Default)]
pub(crate) struct Tempo {
    /// Time, and what was done by then.
    samples: VecDeque<(i64, u64)>,
    factor: f64,
}

impl Tempo {
    /// Deliveries a second; `None`: not known yet. `is_going`: there is a backlog, and it may be sent. With another `factor`, the
    /// share of the rate that health leaves, what was seen before says nothing.
    pub(crate) fn see(&mut self, now_us: i64, done: u64, factor: f64, is_going: bool) -> Option<f64> {
        if !is_going || (factor - self.factor).abs() > 0.01 {
            self.samples.clear();
            self.factor = factor;
        }
        if !is_going {
            return None;
        }
        if self.samples.back().is_none_or(|(at, _)| now_us - at >= EVERY_US) {
            self.samples.push_back((now_us, done));
        }
        while self.samples.front().is_some_and(|(at, _)| now_us - at > SPAN_MAX_US) {
            self.samples.pop_front();
        }
        let is_enough = |(at, before): &&(i64, u64)| now_us - at >= SPAN_US && done.saturating_sub(*before) >= DONE_MIN;
        let (at, before) = self.samples.iter().rev().find(is_enough).or(self.samples.front()).copied()?;
        let span_us = now_us - at;
        let is_told = span_us >= SPAN_MIN_US && (done.saturating_sub(before) >= DONE_MIN || span_us >= SPAN_MAX_US / 2);
        is_told.then(|| done.saturating_sub(before) as f64 * 1e6 / span_us as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// What is told after `seconds` of `per_second` deliveries.
    fn after(tempo: &mut Tempo, seconds: std::ops::Range<i64>, per_second: f64) -> Option<f64> {
        let mut told = None;
        for second in seconds {
            told = tempo.see(second * SECOND, (second as f64 * per_second) as u64, 1.0, true);
        }
        told
    }

    #[test]
    fn what_was_seen_lately_counts() {
        let mut tempo = Tempo::default();
        assert_eq!(after(&mut tempo, 0..15, 10.0), None, "too short");
        let told = after(&mut tempo, 15..120, 10.0).unwrap();
        assert!((told - 10.0).abs() < 0.5, "{told}");
        assert_eq!(tempo.see(121 * SECOND, 1_210, 0.5, true), None, "at another share it is another tempo");
        assert_eq!(tempo.see(122 * SECOND, 1_220, 0.5, false), None);
    }

    #[test]
    fn few_deliveries_are_looked_at_over_a_longer_time() {
        let mut tempo = Tempo::default();
        assert_eq!(after(&mut tempo, 0..200, 0.05), None);
        let told = after(&mut tempo, 200..500, 0.05).unwrap();
        assert!((told - 0.05).abs() < 0.01, "{told}");
        // Nothing goes: no end is promised.
        let mut still = Tempo::default();
        assert_eq!(after(&mut still, 0..400, 0.0), Some(0.0));
    }
}
