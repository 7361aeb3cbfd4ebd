//! Who says when the next request to an EMR may be made.

use delivery::{Async, Calls, Problem};
use std::any::Any;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The right to make one request. Held until its answer is read.
pub struct Turn(Box<dyn Any + Send>);

impl Turn {
    /// A turn that keeps `held` until it is over.
    pub fn holding(held: impl Any + Send) -> Turn {
        Turn(Box::new(held))
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Turn({:?})", (*self.0).type_id())
    }
}

/// Gives out turns. Every request to the host takes one, whatever it is for.
pub trait Turns: Send + Sync + std::fmt::Debug {
    /// Waits until the next request may be made. `None`: no more requests.
    fn next(&self) -> Async<'_, Option<Turn>>;

    /// What the turns since the last time were taken for has succeeded, or failed with a problem and its `Retry-After`. For whoever
    /// reads: how an attempt to deliver has ended is known otherwise.
    fn heard(&self, _failed: Option<(&Problem, Option<Duration>)>) {}
}

impl Turns for Calls {
    fn next(&self) -> Async<'_, Option<Turn>> {
        Box::pin(async { Calls::next(self).await.map(Turn::holding) })
    }

    fn heard(&self, failed: Option<(&Problem, Option<Duration>)>) {
        Calls::heard(self, failed);
    }
}

/// Turns for enrolment, when there is no dispatcher yet: evenly spaced.
#[derive(Debug)]
pub struct Spaced {
    spacing: Duration,
    next: Mutex<Option<Instant>>,
}

impl Spaced {
    pub fn new(spacing: Duration) -> Spaced {
        Spaced { spacing, next: Mutex::new(None) }
    }
}

impl Turns for Spaced {
    fn next(&self) -> Async<'_, Option<Turn>> {
        Box::pin(async {
            let mut next = self.next.lock().await;
            // The timer has ticks of a millisecond, and waiting for what has passed would cost one.
            if let Some(at) = next.filter(|at| *at > Instant::now()) {
                tokio::time::sleep_until(at).await;
            }
            *next = Some(Instant::now() + self.spacing);
            Some(Turn::holding(()))
        })
    }
}
