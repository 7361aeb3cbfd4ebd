//! `GET /stats/stream`: numbers as server-sent events.

use super::Tracker;
use super::numbers;
use super::params::Params;
use crate::error::Failure;
use crate::http::{Answer, Request};
use crate::serve::Stopping;
use axum::body::Body;
use axum::http::{StatusCode, header};
use engine::Session;
use futures_util::stream::unfold;
use registry::{Registry, StatsQuery};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Between two events of one stream at least.
const PACE: Duration = Duration::from_millis(250);
/// A comment after so much silence shows both sides that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct Watcher {
    registry: Registry,
    session: Session,
    query: StatsQuery,
    changes: watch::Receiver<u64>,
    stopping: Option<Stopping>,
    /// When the last event was sent; `None` before the first.
    sent: Option<Instant>,
    _place: OwnedSemaphorePermit,
}

pub(super) fn watch(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &["programme", "by", "denominator", "suppress"])?;
    let query = numbers::query(&params)?;
    // Whatever is wrong with it is said before the stream begins.
    tracker.registry.stats(&request.session, &query)?;
    let place = tracker.watchers.clone().try_acquire_owned().map_err(|_| {
        let text = "too many watch these numbers: ask for /stats now and then, or try again later";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "throttled", text).retry_after(10)
    })?;
    let watcher = Watcher {
        registry: tracker.registry.clone(),
        session: request.session.clone(),
        query,
        changes: tracker.registry.changes(&request.session)?,
        stopping: request.stopping.clone(),
        sent: None,
        _place: place,
    };
    let events = unfold(watcher, async |mut watcher| {
        let text = watcher.next().await?;
        Some((Ok::<_, Infallible>(text), watcher))
    });
    let answer = Answer::stream(StatusCode::OK, Body::from_stream(events));
    // Proxies must not collect events.
    let answer = answer.with(header::CONTENT_TYPE, "text/event-stream").with(header::CACHE_CONTROL, "no-store");
    Ok(answer.with(axum::http::HeaderName::from_static("x-accel-buffering"), "no"))
}

impl Watcher {
    /// The next piece of the stream; `None` when it ends.
    async fn next(&mut self) -> Option<String> {
        if let Some(sent) = self.sent {
            let changes = &mut self.changes;
            let stopped = async {
                match &mut self.stopping {
                    Some(stopping) => stopping.stopped().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stopped => return None,
                changed = changes.changed() => changed.ok()?,
                () = sleep(HEARTBEAT) => return Some(": still here\n\n".into()),
            }
            sleep_until(sent + PACE).await;
        }
        self.sent = Some(Instant::now());
        // What changes from here on is news again.
        self.changes.borrow_and_update();
        let stats = self.registry.stats(&self.session, &self.query).ok()?;
        let json = serde_json::to_string(&stats).ok()?;
        Some(format!("event: stats\nid: {}\ndata: {json}\n\n", stats.at_us))
    }
}
