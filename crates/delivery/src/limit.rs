//! How fast a destination may be called: several limits at once, each a sliding window, and even spacing between calls.
//!
//! The promise is about arrivals at the destination, which we do not see. A call arrives between the moment it is sent and the
//! moment its answer is here. Call number `k` is therefore sent only when the latest time at which call `k - N` can have
//! arrived is a whole window ago: whatever the network does, no window of the destination's clock holds more than `N` arrivals.

use std::collections::VecDeque;

/// At most `count` calls in any window of `window_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub count: u32,
    pub window_us: i64,
}

/// A request that has not been answered after this has arrived all the same: it is the network's time, not the destination's.
const TRANSIT_MAX_US: i64 = 250_000;
/// Between taking a call number and its first byte lies a commit, which a dying process may not have finished.
const RESTORED_SLACK_US: i64 = 2_000_000;
/// Clocks tick, timers fire early.
const MARGIN_US: i64 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Call {
    no: u64,
    at_us: i64,
    /// The latest time at which it can have arrived; `None` while it has not been sent.
    arrived_by_us: Option<i64>,
    settled: bool,
}

/// When the next call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    At(i64),
    /// A call that is taken must be sent or given up first.
    AfterOthers,
}

/// Times in microseconds of one steady clock.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    limits: Vec<Limit>,
    /// Newest last; as many as the largest limit asks for.
    calls: VecDeque<Call>,
    keep: usize,
    next_no: u64,
}

impl Limiter {
    /// `keep_also`: history for [`Limiter::calls_since`] beyond what the limits need.
    pub(crate) fn new(limits: Vec<Limit>, keep_also: usize) -> Limiter {
        let largest = limits.iter().map(|limit| limit.count as usize).max().unwrap_or(1);
        Limiter { limits, calls: VecDeque::new(), keep: largest.max(keep_also).max(1), next_no: 1 }
    }

    /// Calls of an earlier process, oldest first. A time in the future, by a clock that was set back, counts as now.
    pub(crate) fn restore(&mut self, calls: impl IntoIterator<Item = (u64, i64)>, now_us: i64) {
        for (no, at_us) in calls {
            let at_us = at_us.min(now_us);
            let arrived_by_us = Some((at_us + TRANSIT_MAX_US + RESTORED_SLACK_US).min(now_us));
            self.calls.push_back(Call { no, at_us, arrived_by_us, settled: true });
            self.next_no = self.next_no.max(no + 1);
        }
        self.trim();
    }

    /// `factor` (0 to 1] slows the spacing down; the limits hold in any case.
    pub(crate) fn ready(&self, factor: f64) -> Ready {
        let mut at_us = self.calls.back().map_or(i64::MIN, |last| last.at_us + self.spacing_us(factor));
        for limit in &self.limits {
            let Some(index) = self.calls.len().checked_sub(limit.count as usize) else { continue };
            match self.calls.get(index).map(|call| call.arrived_by_us) {
                Some(Some(arrived)) => at_us = at_us.max(arrived + limit.window_us + MARGIN_US),
                Some(None) => return Ready::AfterOthers,
                None => {}
            }
        }
        Ready::At(at_us)
    }

    /// The spacing that the tightest limit asks for.
    fn spacing_us(&self, factor: f64) -> i64 {
        let spacing = self.limits.iter().map(|limit| limit.window_us / i64::from(limit.count.max(1)));
        // A limit of a day is for bursts to use up, not to be spread over the day.
        let tightest = spacing.filter(|spacing| *spacing <= 60_000_000).max().unwrap_or(0);
        (tightest as f64 / factor.clamp(0.01, 1.0)) as i64
    }

    /// Takes the next call; the caller has waited for [`Limiter::ready`].
    pub(crate) fn take(&mut self, now_us: i64) -> u64 {
        let no = self.next_no;
        self.next_no += 1;
        self.calls.push_back(Call { no, at_us: now_us, arrived_by_us: None, settled: false });
        self.trim();
        no
    }

    /// The first byte leaves now.
    pub(crate) fn started(&mut self, no: u64, now_us: i64) {
        if let Some(call) = self.call(no) {
            call.arrived_by_us = Some(now_us + TRANSIT_MAX_US);
        }
    }

    /// Its answer, or its end, is here: it has arrived, or never will.
    pub(crate) fn settled(&mut self, no: u64, now_us: i64) {
        if let Some(call) = self.call(no)
            && !call.settled
        {
            call.settled = true;
            call.arrived_by_us = Some(call.arrived_by_us.map_or(now_us, |by| by.min(now_us)));
        }
    }

    fn call(&mut self, no: u64) -> Option<&mut Call> {
        // Numbers rise, but not one by one: a process may have died between taking a call and writing it down.
        let at = self.calls.binary_search_by_key(&no, |call| call.no).ok()?;
        self.calls.get_mut(at)
    }

    /// Numbers below this need not be remembered any more.
    pub(crate) fn oldest_needed(&self) -> u64 {
        self.calls.front().map_or(self.next_no, |call| call.no)
    }

    pub(crate) fn calls_since(&self, at_us: i64) -> usize {
        self.calls.iter().rev().take_while(|call| call.at_us >= at_us).count()
    }

    /// Calls per second that the limits allow at most.
    pub(crate) fn rate_per_s(&self) -> f64 {
        let rates = self.limits.iter().map(|limit| f64::from(limit.count) * 1e6 / limit.window_us as f64);
        rates.fold(f64::INFINITY, f64::min)
    }

    fn trim(&mut self) {
        while self.calls.len() > self.keep {
            self.calls.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;

    fn per_second(count: u32) -> Limit {
        Limit { count, window_us: SECOND }
    }

    #[test]
    fn calls_are_spaced_and_a_full_window_waits() {
        let mut limiter = Limiter::new(vec![per_second(2)], 0);
        assert_eq!(limiter.ready(1.0), Ready::At(i64::MIN));
        let first = limiter.take(0);
        assert_eq!(limiter.ready(1.0), Ready::At(500_000));
        assert_eq!(limiter.ready(0.5), Ready::At(1_000_000));
        let second = limiter.take(500_000);
        assert_eq!(limiter.ready(1.0), Ready::AfterOthers, "the first may not have left yet");
        limiter.started(first, 10_000);
        assert_eq!(limiter.ready(1.0), Ready::At(10_000 + TRANSIT_MAX_US + SECOND + MARGIN_US));
        limiter.settled(first, 30_000);
        limiter.settled(first, 900_000);
        assert_eq!(limiter.ready(1.0), Ready::At(30_000 + SECOND + MARGIN_US));
        limiter.settled(second, 600_000);
        assert_eq!(limiter.calls_since(500_000), 1);
    }

    #[test]
    fn what_an_earlier_process_sent_counts() {
        let mut limiter = Limiter::new(vec![per_second(2)], 0);
        limiter.restore([(7, 100), (8, 5 * SECOND), (9, 99 * SECOND)], 6 * SECOND);
        assert_eq!(limiter.ready(1.0), Ready::At(7 * SECOND + MARGIN_US), "a time in the future counts as now");
        assert_eq!((limiter.take(8 * SECOND), limiter.oldest_needed()), (10, 9));
        let mut gap = Limiter::new(vec![per_second(2)], 0);
        gap.restore([(3, 0), (7, 0)], SECOND);
        let no = gap.take(9 * SECOND);
        gap.started(no, 9 * SECOND);
        gap.settled(no, 9 * SECOND);
        gap.take(10 * SECOND);
        assert!(matches!(gap.ready(1.0), Ready::At(_)), "what was settled is settled");
    }

    proptest! {
        /// Whatever the delays between taking, sending, arriving and answering are, no window holds more than its limit.
        #[test]
        fn no_window_of_arrivals_is_too_full(
            counts in (1_u32..8, 5_u32..30),
            delays in prop::collection::vec((0_i64..80_000, 0_i64..240_000, 0_i64..900_000), 20..120),
            restart in 0_usize..120,
        ) {
            let limits = vec![per_second(counts.0), Limit { count: counts.1, window_us: 5 * SECOND }];
            let mut limiter = Limiter::new(limits.clone(), 0);
            let mut now = 0;
            let mut arrivals = Vec::new();
            // Answers that are on their way: time and number.
            let mut answers: Vec<(i64, u64)> = Vec::new();
            for (turn, (commit, transit, work)) in delays.into_iter().enumerate() {
                loop {
                    let at = match limiter.ready(1.0) { Ready::At(at) => at, Ready::AfterOthers => i64::MAX };
                    let next = answers.iter().map(|(at, _)| *at).min().unwrap_or(i64::MAX);
                    if at <= now { break; }
                    now = at.min(next).max(now);
                    answers.retain(|(at, no)| { if *at <= now { limiter.settled(*no, *at) } *at > now });
                }
                let no = limiter.take(now);
                let sent = now + commit;
                limiter.started(no, sent);
                arrivals.push(sent + transit);
                answers.push((sent + transit + work, no));
                if turn == restart {
                    let sent: Vec<_> = limiter.calls.iter().map(|call| (call.no, call.at_us)).collect();
                    limiter = Limiter::new(limits.clone(), 0);
                    now += 300_000;
                    limiter.restore(sent, now);
                    answers.clear();
                }
            }
            arrivals.sort_unstable();
            for limit in limits {
                for (at, arrival) in arrivals.iter().enumerate() {
                    let inside = arrivals[at..].iter().take_while(|other| **other < arrival + limit.window_us).count();
                    prop_assert!(inside <= limit.count as usize, "{inside} in a window of {}", limit.count);
                }
            }
        }
    }
}
