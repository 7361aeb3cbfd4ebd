//! Live pages: a stream of events for each, as many as there is room for.

use crate::ops::refused::Refused;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one open page is told.
pub(crate) trait Watch: Send + 'static {
    /// Waits for something new; `None` ends the stream.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// The place of a page among those that are live, as long as it is held.
pub(crate) fn place(watchers: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refused> {
    watchers.clone().try_acquire_owned().map_err(|_| {
        let text = "too many pages are live already: close some";
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "throttled", text)
    })
}

pub(crate) fn answer(watcher: impl Watch) -> Response {
    let events = unfold(watcher, async |mut watcher| {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::default());
    // Proxies of the nginx kind would hold the events back.
    ([("x-accel-buffering", "no")], sse).into_response()
}
