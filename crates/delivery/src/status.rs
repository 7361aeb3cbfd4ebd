//! What an operator sees of a destination, and what he may do.

use crate::board::Board;
use crate::gate::{Calls, Gate};
use crate::intent::{Intent, Problem, State};
use crate::pace::Breaker;
use crate::shelf::Counts;
use crate::spec::Spec;
use crate::tempo::Tempo;
use crate::window::{Opening, Windows};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Over which the rate is measured.
const RATE_WINDOW_US: i64 = 10_000_000;
/// How far the end of the backlog is looked for.
const ETA_MAX_S: f64 = 400.0 * 86_400.0;

/// Numbers of one destination, as of its last turn. Times in microseconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub name: String,
    pub kind: &'static str,
    /// `false` once its dispatcher has ended: the numbers are its last ones.
    pub running: bool,
    pub paused: bool,
    pub open: bool,
    /// When the window closes or opens.
    pub window_changes_us: Option<i64>,
    /// Resources with changes that are not there yet, those refused left out.
    pub depth: u64,
    pub in_flight: usize,
    pub retrying: usize,
    pub probing: usize,
    pub dead: usize,
    pub oldest_since_us: Option<i64>,
    pub delivered: u64,
    pub coalesced: u64,
    pub failed: u64,
    /// Calls a second, over the last ten seconds.
    pub rate_per_s: f64,
    /// What limits and health allow now.
    pub allowed_per_s: f64,
    /// Share of the allowed rate that health leaves.
    pub factor: f64,
    pub breaker: &'static str,
    /// Seconds until the backlog is delivered within the windows, as fast as it was seen to go in the last minute, or at the allowed
    /// rate before that is known. `None` while it is paused, does not answer, or nothing goes.
    pub eta_s: Option<f64>,
    /// When, and what, without content.
    pub last_problem: Option<(i64, Problem)>,
    pub as_of_us: i64,
}

impl Status {
    pub(crate) fn new(spec: &Spec, kind: &'static str) -> Status {
        Status {
            name: spec.name.clone(),
            kind,
            running: true,
            paused: false,
            open: true,
            window_changes_us: None,
            depth: 0,
            in_flight: 0,
            retrying: 0,
            probing: 0,
            dead: 0,
            oldest_since_us: None,
            delivered: 0,
            coalesced: 0,
            failed: 0,
            rate_per_s: 0.0,
            allowed_per_s: 0.0,
            factor: 1.0,
            breaker: "closed",
            eta_s: None,
            last_problem: None,
            as_of_us: 0,
        }
    }

    /// `oldest_since_us`: of what is on disk only.
    pub(crate) fn update(&mut self, gate: &Gate, board: &Board, counts: &Counts, oldest_since_us: Option<i64>) {
        let (factor, breaker) = gate.pace();
        let (calls, limit) = gate.rates(RATE_WINDOW_US);
        self.as_of_us = gate.steady.now_us();
        self.paused = gate.is_paused();
        (self.open, self.window_changes_us) = match gate.opening() {
            Opening::Open { until_us, .. } => (true, until_us),
            Opening::Closed { opens_us } => (false, opens_us),
        };
        let dead = board.count(State::Dead);
        self.dead = dead + counts.dead as usize;
        self.depth = (board.len() - dead) as u64 + counts.parked + counts.unplanned;
        self.in_flight = board.count(State::InFlight);
        self.retrying = board.count(State::Retry);
        self.probing = board.count(State::Probe);
        self.oldest_since_us = board.oldest_since_us().into_iter().chain(oldest_since_us).min();
        self.rate_per_s = calls as f64 * 1e6 / RATE_WINDOW_US as f64;
        self.factor = factor;
        self.allowed_per_s = if limit.is_finite() { limit * factor } else { self.rate_per_s };
        self.breaker = match breaker {
            Breaker::Closed => "closed",
            Breaker::Open { .. } => "open",
            Breaker::HalfOpen => "half-open",
        };
    }

    /// After the numbers are up to date. Until a tempo was seen, what is allowed is hoped for.
    pub(crate) fn tell_end(&mut self, gate: &Gate, tempo: &mut Tempo) {
        let is_up = !self.paused && self.breaker == "closed";
        let done = self.delivered + self.coalesced;
        let seen_per_s = tempo.see(self.as_of_us, done, self.factor, is_up && self.open && self.depth > 0);
        let per_s = seen_per_s.unwrap_or(self.allowed_per_s);
        // While it is down nobody knows for how long.
        self.eta_s = is_up.then(|| eta_s(self.depth as f64, per_s, &gate.windows(), self.as_of_us)).flatten();
    }
}

/// Seconds until `depth` calls are made at `rate` within the windows.
fn eta_s(depth: f64, rate: f64, windows: &Windows, now_us: i64) -> Option<f64> {
    if depth <= 0.0 {
        return Some(0.0);
    }
    if rate <= 0.0 {
        return None;
    }
    let (mut left, mut at_us) = (depth, now_us);
    while ((at_us - now_us) as f64) < ETA_MAX_S * 1e6 {
        match windows.at(at_us) {
            Opening::Open { until_us, quota, .. } => {
                let needed_us = left / rate * 1e6;
                let room_us = until_us.map_or(f64::INFINITY, |until| (until - at_us) as f64);
                let quota = quota.map_or(f64::INFINITY, f64::from);
                if needed_us <= room_us && left <= quota {
                    return Some((at_us - now_us) as f64 / 1e6 + needed_us / 1e6);
                }
                left -= (room_us / 1e6 * rate).min(quota);
                at_us = until_us?;
            }
            Opening::Closed { opens_us } => at_us = opens_us?,
        }
    }
    None
}

/// What an operator asks of a running dispatcher.
#[derive(Debug)]
pub(crate) enum Command {
    /// Finish what is in flight and end.
    Stop,
    Pause(bool, oneshot::Sender<()>),
    /// Refused intents with these numbers, or all; answers how many.
    Replay(Option<Vec<u64>>, oneshot::Sender<usize>),
    List(Option<State>, usize, oneshot::Sender<Vec<Intent>>),
    Find(u64, oneshot::Sender<Option<Intent>>),
}

/// A running dispatcher as others see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    status: Arc<Mutex<Status>>,
    gate: Arc<Gate>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    pub(crate) fn new(status: Arc<Mutex<Status>>, gate: Arc<Gate>, commands: mpsc::Sender<Command>) -> Handle {
        Handle { status, gate, commands }
    }

    /// Calls for reading from the same host: rate, windows, pause and breaker are one.
    pub fn calls(&self) -> Calls {
        Calls::waiting(self.gate.clone())
    }

    pub fn status(&self) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.running = !self.commands.is_closed();
        status
    }

    /// Durable: a paused destination stays paused when the process starts anew. `false` when the dispatcher has ended.
    pub async fn pause(&self, paused: bool) -> bool {
        self.ask(|done| Command::Pause(paused, done)).await.is_some()
    }

    /// Asks it to finish what is in flight and to end.
    pub async fn stop(&self) {
        drop(self.commands.send(Command::Stop).await);
    }

    /// Sends refused changes again: those with these numbers, or all.
    pub async fn replay(&self, numbers: Option<Vec<u64>>) -> Option<usize> {
        self.ask(|done| Command::Replay(numbers, done)).await
    }

    /// Intents in memory and refused ones, oldest first.
    pub async fn list(&self, state: Option<State>, limit: usize) -> Option<Vec<Intent>> {
        self.ask(|done| Command::List(state, limit, done)).await
    }

    /// The intent with this number, in memory or refused, `Some(None)` when there is none.
    pub async fn find(&self, no: u64) -> Option<Option<Intent>> {
        self.ask(|done| Command::Find(no, done)).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;
    use jiff::civil::Time;
    use jiff::tz::TimeZone;

    #[test]
    fn the_end_of_a_backlog_is_told_across_closed_hours() {
        let hour = Window {
            days: [true; 7],
            from: Time::constant(1, 0, 0, 0),
            until: Time::constant(2, 0, 0, 0),
            zone: TimeZone::UTC,
            quota: None,
        };
        let windows = Windows(vec![hour.clone()]);
        let midnight = 1_767_225_600_000_000;
        assert_eq!(eta_s(0.0, 1.0, &windows, midnight), Some(0.0));
        assert_eq!(eta_s(1_800.0, 1.0, &windows, midnight), Some(5_400.0));
        assert_eq!(eta_s(5_400.0, 1.0, &windows, midnight), Some(86_400.0 + 5_400.0));
        assert_eq!(eta_s(100.0, 10.0, &Windows::default(), midnight), Some(10.0));
        let small = Windows(vec![Window { quota: Some(600), ..hour }]);
        assert_eq!(eta_s(1_800.0, 1.0, &small, midnight), Some(2.0 * 86_400.0 + 3_600.0 + 600.0));
        assert_eq!(eta_s(1.0, 0.0, &Windows::default(), midnight), None);
    }
}
