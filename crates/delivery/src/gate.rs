//! The one way to a destination: every call waits here for rate, window, health and the operator.

use crate::intent::Intent;
use crate::limit::{Limiter, Ready};
use crate::pace::{Breaker, Pace, Sign};
use crate::window::{Opening, Windows};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Clock, StateChange};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

/// Calls stop this long before a window closes: what has been sent must also arrive inside.
const BEFORE_CLOSING_US: i64 = 2_000_000;

/// Microseconds since 1970 that never jump: the wall clock at the start, then the steady clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    wall_us: i64,
    start: Instant,
}

impl Steady {
    pub(crate) fn new(clock: &dyn Clock) -> Steady {
        Steady { wall_us: clock.now_us(), start: Instant::now() }
    }

    pub(crate) fn now_us(&self) -> i64 {
        self.wall_us + i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub(crate) fn instant(&self, us: i64) -> Instant {
        self.start + Duration::from_micros(u64::try_from(us - self.wall_us).unwrap_or(0))
    }
}

/// Why no call may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until a time, unless something changes before.
    Until(i64),
    /// Until something changes.
    Change,
}

struct Inside {
    limiter: Limiter,
    pace: Pace,
    windows: Windows,
    paused: bool,
}

/// See the module documentation.
pub(crate) struct Gate {
    inside: Mutex<Inside>,
    /// For attempts that wait for a further call.
    changed: Notify,
    /// For the dispatcher, which may be busy when it happens.
    news: Notify,
    wall: Arc<dyn Clock>,
    pub(crate) steady: Steady,
    /// Where calls beyond the first of an attempt are written down before they are made.
    writer: mpsc::Sender<WriteDown>,
    space: String,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({})", self.space)
    }
}

/// What must be on disk before a call is made.
pub(crate) type WriteDown = (Vec<StateChange>, oneshot::Sender<()>);

impl Gate {
    /// Calls are remembered in `space`; `writer` puts them on disk.
    pub(crate) fn new(
        limiter: Limiter,
        windows: Windows,
        paused: bool,
        wall: Arc<dyn Clock>,
        steady: Steady,
        space: String,
        writer: mpsc::Sender<WriteDown>,
    ) -> Gate {
        let inside = Mutex::new(Inside { limiter, pace: Pace::default(), windows, paused });
        Gate { inside, changed: Notify::new(), news: Notify::new(), wall, steady, writer, space }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when something has changed since it completed last.
    pub(crate) async fn changed(&self) {
        self.news.notified().await;
    }

    fn tell(&self) {
        self.changed.notify_waiters();
        self.news.notify_one();
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.inside().paused = paused;
        self.tell();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.inside().paused
    }

    pub(crate) fn opening(&self) -> Opening {
        self.inside().windows.at(self.wall.now_us())
    }

    pub(crate) fn pace(&self) -> (f64, Breaker) {
        let inside = self.inside();
        (inside.pace.factor(), inside.pace.breaker())
    }

    /// Calls in the last `window_us`, and the most that the limits allow per second.
    pub(crate) fn rates(&self, window_us: i64) -> (usize, f64) {
        let inside = self.inside();
        (inside.limiter.calls_since(self.steady.now_us() - window_us), inside.limiter.rate_per_s())
    }

    pub(crate) fn windows(&self) -> Windows {
        self.inside().windows.clone()
    }

    /// Whether a call may be made now.
    pub(crate) fn look(&self) -> Result<(), Wait> {
        self.may(&mut self.inside())
    }

    fn may(&self, inside: &mut Inside) -> Result<(), Wait> {
        if inside.paused {
            return Err(Wait::Change);
        }
        let now = self.steady.now_us();
        let healthy = inside.pace.ready_us(now).ok_or(Wait::Change)?;
        let at = match inside.limiter.ready(inside.pace.factor()) {
            Ready::At(at) => at.max(healthy),
            Ready::AfterOthers => return Err(Wait::Change),
        };
        if at > now {
            return Err(Wait::Until(at));
        }
        // Windows are hours of the wall clock; waiting for them is not: each look asks again.
        let wall = self.wall.now_us();
        match inside.windows.at(wall) {
            Opening::Closed { opens_us } => {
                Err(opens_us.map_or(Wait::Until(now + 3_600_000_000), |opens| Wait::Until(now + (opens - wall))))
            }
            Opening::Open { since_us, until_us, quota } => {
                let closing = until_us.filter(|until| *until <= wall + BEFORE_CLOSING_US);
                let since = now - (wall - since_us.max(0));
                let used_up = quota.is_some_and(|quota| inside.limiter.calls_since(since) >= quota as usize);
                match (closing, used_up) {
                    (Some(until), _) => Err(Wait::Until(now + (until - wall))),
                    (None, true) => Err(Wait::Until(now + (until_us.unwrap_or(wall + 3_600_000_000) - wall))),
                    (None, false) => Ok(()),
                }
            }
        }
    }

    /// Takes a call if one may be made now. It must be written down ([`Call::rows`]) before [`Call::start`].
    pub(crate) fn take(self: &Arc<Gate>) -> Result<Call, Wait> {
        let mut inside = self.inside();
        self.may(&mut inside)?;
        let now = self.steady.now_us();
        let forgotten = inside.limiter.oldest_needed();
        let no = inside.limiter.take(now);
        inside.pace.sent();
        let forget = forgotten..inside.limiter.oldest_needed();
        drop(inside);
        Ok(Call { gate: self.clone(), no, at_us: now, forget, started_us: None, slowest_us: Arc::default() })
    }

    /// Waits until a call may be made, writes it down, and starts it.
    async fn next(self: &Arc<Gate>) -> Option<Call> {
        loop {
            let changed = self.changed.notified();
            match self.take() {
                Ok(mut call) => {
                    let (done, written) = oneshot::channel();
                    self.writer.send((call.rows(), done)).await.ok()?;
                    written.await.ok()?;
                    call.start();
                    return Some(call);
                }
                Err(Wait::Until(us)) => tokio::select! {
                    _ = tokio::time::timeout_at(self.steady.instant(us), changed) => {}
                    () = self.writer.closed() => return None,
                },
                Err(Wait::Change) => tokio::select! {
                    () = changed => {}
                    () = self.writer.closed() => return None,
                },
            }
        }
    }

    /// The end of an attempt, for pacing.
    pub(crate) fn answered(&self, latency_us: i64, sign: Sign, freeze: Option<Duration>) {
        let now = self.steady.now_us();
        let mut inside = self.inside();
        inside.pace.answered(now, latency_us, sign);
        if let Some(freeze) = freeze {
            inside.pace.freeze(now + i64::try_from(freeze.as_micros()).unwrap_or(i64::MAX / 2));
        }
        drop(inside);
        self.tell();
    }
}

/// A call that is counted. Dropping it says that its answer is here or will never be.
#[derive(Debug)]
pub struct Call {
    gate: Arc<Gate>,
    no: u64,
    at_us: i64,
    /// Calls that no limit looks at any more.
    forget: std::ops::Range<u64>,
    started_us: Option<i64>,
    /// Of the calls of its attempt.
    slowest_us: Arc<AtomicI64>,
}

impl Call {
    /// What must be on disk before the first byte leaves.
    pub(crate) fn rows(&self) -> Vec<StateChange> {
        let space = &self.gate.space;
        let row = |no: u64, value| StateChange { space: space.clone(), key: Intent::row(no), value };
        let mut rows = vec![row(self.no, Some(self.at_us.to_le_bytes().to_vec()))];
        rows.extend(self.forget.clone().map(|no| row(no, None)));
        rows
    }

    /// Its first byte leaves now.
    pub(crate) fn start(&mut self) {
        let now = self.gate.steady.now_us();
        self.started_us = Some(now);
        self.gate.inside().limiter.started(self.no, now);
        self.gate.tell();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now = self.gate.steady.now_us();
        if let Some(started_us) = self.started_us {
            self.slowest_us.fetch_max(now - started_us, Ordering::Relaxed);
        }
        self.gate.inside().limiter.settled(self.no, now);
        self.gate.tell();
    }
}

/// The calls of one attempt, the first of which is taken already, or of somebody who reads.
#[derive(Debug)]
pub struct Calls {
    gate: Arc<Gate>,
    first: Mutex<Option<Call>>,
    slowest_us: Arc<AtomicI64>,
}

impl Calls {
    pub(crate) fn new(gate: Arc<Gate>, first: Call) -> Calls {
        let slowest_us = first.slowest_us.clone();
        Calls { gate, first: Mutex::new(Some(first)), slowest_us }
    }

    /// How long the slowest of the calls that are over took. The waits between them are ours, and no sign of the destination's health.
    pub(crate) fn slowest_us(&self) -> i64 {
        self.slowest_us.load(Ordering::Relaxed)
    }

    /// Calls of which none is taken yet.
    pub(crate) fn waiting(gate: Arc<Gate>) -> Calls {
        Calls { gate, first: Mutex::new(None), slowest_us: Arc::default() }
    }

    /// Waits until the next request may be made. Hold the answer until its response is read. `None`: the dispatcher ends.
    pub async fn next(&self) -> Option<Call> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(call) => Some(call),
            None => {
                let mut call = self.gate.next().await?;
                call.slowest_us = self.slowest_us.clone();
                Some(call)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use store::ManualClock;

    /// An attempt of several calls waits for its turns, longer the slower the pace is: taken for slowness of the destination, that
    /// would slow it down further, for ever.
    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_is_no_latency() {
        let clock = Arc::new(ManualClock::new(1_767_225_600_000_000));
        let steady = Steady::new(&*clock);
        let (writer, mut to_write) = mpsc::channel::<WriteDown>(16);
        tokio::spawn(async move {
            while let Some((_, done)) = to_write.recv().await {
                done.send(()).unwrap();
            }
        });
        let limiter = Limiter::new(vec![Limit { count: 1, window_us: 10_000_000 }], 0);
        let gate = Arc::new(Gate::new(limiter, Windows::default(), false, clock, steady, "sent".into(), writer));
        let mut first = gate.take().unwrap();
        first.start();
        let (begun, calls) = (Instant::now(), Calls::new(gate, first));
        for answered_ms in [70, 30] {
            let call = calls.next().await.unwrap();
            tokio::time::sleep(Duration::from_millis(answered_ms)).await;
            drop(call);
        }
        assert!(begun.elapsed() >= Duration::from_secs(10));
        assert_eq!(calls.slowest_us(), 70_000);
    }
}
