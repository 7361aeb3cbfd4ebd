//! The one way to a destination: every call waits here for rate, window, health and the operator.

use crate::intent::{Intent, Problem};
use crate::limit::{Limiter, Ready};
use crate::pace::{Breaker, Pace, Sign};
use crate::window::{Opening, Windows};
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
        self.may(&mut self.inside(), None)
    }

    /// `canary`: the attempt's first call, should it be the one that tries whether the destination is back.
    fn may(&self, inside: &mut Inside, canary: Option<u64>) -> Result<(), Wait> {
        if inside.paused {
            return Err(Wait::Change);
        }
        let now = self.steady.now_us();
        let healthy = inside.pace.ready_us(now, canary).ok_or(Wait::Change)?;
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
        self.take_for(&Arc::default())
    }

    fn take_for(self: &Arc<Gate>, attempt: &Arc<Mutex<Attempt>>) -> Result<Call, Wait> {
        let mut its = locked(attempt);
        let mut inside = self.inside();
        self.may(&mut inside, its.canary)?;
        let now = self.steady.now_us();
        let forgotten = inside.limiter.oldest_needed();
        let no = inside.limiter.take(now);
        if inside.pace.sent(no) {
            its.canary = Some(no);
        }
        let forget = forgotten..inside.limiter.oldest_needed();
        Ok(Call { gate: self.clone(), no, at_us: now, forget, started_us: None, attempt: attempt.clone() })
    }

    /// Waits until a call may be made, writes it down, and starts it.
    async fn next(self: &Arc<Gate>, attempt: &Arc<Mutex<Attempt>>) -> Option<Call> {
        loop {
            let changed = self.changed.notified();
            match self.take_for(attempt) {
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
    fn answered(&self, latency_us: i64, sign: Sign, freeze: Option<Duration>) {
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
    attempt: Arc<Mutex<Attempt>>,
}

/// What the calls of one attempt have in common, until its end is told.
#[derive(Debug, Default)]
struct Attempt {
    /// How long the slowest of the calls that are over took. The waits between them are ours, and no sign of the destination's health.
    slowest_us: Option<i64>,
    /// The call with which it became the canary.
    canary: Option<u64>,
}

fn locked(attempt: &Mutex<Attempt>) -> MutexGuard<'_, Attempt> {
    attempt.lock().unwrap_or_else(PoisonError::into_inner)
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
            let mut attempt = locked(&self.attempt);
            attempt.slowest_us = attempt.slowest_us.max(Some(now - started_us));
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
    attempt: Arc<Mutex<Attempt>>,
}

impl Calls {
    pub(crate) fn new(gate: Arc<Gate>, first: Call) -> Calls {
        let attempt = first.attempt.clone();
        Calls { gate, first: Mutex::new(Some(first)), attempt }
    }

    /// Calls of which none is taken yet.
    pub(crate) fn waiting(gate: Arc<Gate>) -> Calls {
        Calls { gate, first: Mutex::new(None), attempt: Arc::default() }
    }

    fn first(&self) -> Option<Call> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until the next request may be made. Hold the answer until its response is read. `None`: the dispatcher ends.
    pub async fn next(&self) -> Option<Call> {
        if let Some(first) = self.first() {
            return Some(first);
        }
        self.gate.next(&self.attempt).await
    }

    /// The calls since the last end were an attempt of their own, which ended like this: its health is the destination's.
    pub(crate) fn ended(&self, sign: Sign, freeze: Option<Duration>) {
        drop(self.first());
        let Attempt { slowest_us, .. } = std::mem::take(&mut *locked(&self.attempt));
        self.gate.answered(slowest_us.unwrap_or_default(), sign, freeze);
    }

    /// What the calls since the last end were made for has succeeded, or failed with a problem and the `Retry-After` beside it.
    /// Whoever reads from a destination tells it here: the rate follows, and comes back, even when nothing is delivered.
    pub fn heard(&self, failed: Option<(&Problem, Option<Duration>)>) {
        if locked(&self.attempt).slowest_us.is_none() {
            return;
        }
        let (sign, freeze) = failed.map_or((Sign::Healthy, None), |(problem, asked)| Sign::of_question(problem, asked));
        self.ended(sign, freeze);
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        drop(self.first());
        if let Some(canary) = locked(&self.attempt).canary.take() {
            self.gate.inside().pace.gave_up(canary);
            self.gate.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use store::ManualClock;

    const START_US: i64 = 1_767_225_600_000_000;

    /// A gate of which every write is on disk at once.
    fn gate(limit: Limit) -> Arc<Gate> {
        let clock = Arc::new(ManualClock::new(START_US));
        let steady = Steady::new(&*clock);
        let (writer, mut to_write) = mpsc::channel::<WriteDown>(16);
        tokio::spawn(async move {
            while let Some((_, done)) = to_write.recv().await {
                done.send(()).unwrap();
            }
        });
        let limiter = Limiter::new(vec![limit], 0);
        Arc::new(Gate::new(limiter, Windows::default(), false, clock, steady, "sent".into(), writer))
    }

    /// An attempt of several calls waits for its turns, longer the slower the pace is: taken for slowness of the destination, that
    /// would slow it down further, for ever.
    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_is_no_latency() {
        let gate = gate(Limit { count: 1, window_us: 10_000_000 });
        let mut first = gate.take().unwrap();
        first.start();
        let (begun, calls) = (Instant::now(), Calls::new(gate, first));
        for answered_ms in [70, 30] {
            let call = calls.next().await.unwrap();
            tokio::time::sleep(Duration::from_millis(answered_ms)).await;
            drop(call);
        }
        assert!(begun.elapsed() >= Duration::from_secs(10));
        assert_eq!(locked(&calls.attempt).slowest_us, Some(70_000));
    }

    /// Fails until the breaker opens.
    fn open(gate: &Arc<Gate>) {
        while gate.pace().1 == Breaker::Closed {
            gate.answered(1_000, Sign::Strained, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_attempt_that_tries_a_broken_destination_may_need_several_calls() {
        let gate = gate(Limit { count: 100, window_us: 1_000_000 });
        open(&gate);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let mut first = gate.take().unwrap();
        first.start();
        assert_eq!(gate.look(), Err(Wait::Change), "nobody else");
        let calls = Calls::new(gate.clone(), first);
        for _ in 0..3 {
            let call = tokio::time::timeout(Duration::from_secs(60), calls.next()).await;
            drop(call.expect("the same attempt goes on").unwrap());
            assert_eq!(gate.look(), Err(Wait::Change), "nobody else");
        }
        calls.ended(Sign::Healthy, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((gate.look(), gate.pace().1), (Ok(()), Breaker::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_tries_a_broken_destination_too_and_tells_how_it_went() {
        let gate = gate(Limit { count: 100, window_us: 1_000_000 });
        open(&gate);
        let read = async || {
            let calls = Calls::waiting(gate.clone());
            drop(tokio::time::timeout(Duration::from_secs(400), calls.next()).await.expect("its turn comes").unwrap());
            tokio::time::sleep(Duration::from_secs(1)).await;
            calls
        };
        drop(read().await);
        assert_eq!((gate.look(), gate.pace().1), (Ok(()), Breaker::HalfOpen), "who says nothing leaves it to the next");
        read().await.heard(Some((&Problem::new(503, "down"), Some(Duration::from_secs(60)))));
        assert!(matches!(gate.pace().1, Breaker::Open { .. }));
        let failed = Instant::now();
        read().await.heard(None);
        assert!(failed.elapsed() >= Duration::from_secs(60), "as it was asked for");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((gate.look(), gate.pace().1), (Ok(()), Breaker::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_comes_back_when_there_is_nothing_but_reading() {
        let gate = gate(Limit { count: 100, window_us: 1_000_000 });
        for n in 0..40 {
            gate.answered(1_000, if n % 2 == 0 { Sign::Strained } else { Sign::Healthy }, None);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let slow = gate.pace().0;
        for _ in 0..200 {
            let calls = Calls::waiting(gate.clone());
            drop(calls.next().await.unwrap());
            calls.heard(None);
            // Without a call nothing was seen.
            calls.heard(Some((&Problem::new(503, "down"), None)));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(slow < 0.5 && gate.pace().0 == 1.0, "{slow}, then {}", gate.pace().0);
    }
}
