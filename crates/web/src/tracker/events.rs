//! `/tracker/events`: what has changed on `/tracker`, once a second at most.

use super::numbers::Numbers;
use super::refused::InPage;
use super::{Shared, Tracker, sections, value};
use crate::ops::origin;
use crate::sse::{self, Watch};
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use axum::response::sse::Event;
use engine::Session;
use registry::{Definition, Denominator};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior};

const EVERY: Duration = Duration::from_secs(1);
/// Numbers that were counted so little before for another page are good enough: many pages cost as much as a few.
const SHARED: Duration = Duration::from_millis(300);

pub(super) async fn stream(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["programme", "denominator"])?;
    let programme = tracker.programme(value(&pairs, "programme"))?;
    let denominator = tracker.denominator(&session, value(&pairs, "denominator"))?;
    // Fails here, not in the stream, when the tenant's registry is not open.
    tracker.registry.changes(&session)?;
    let place = sse::place(&tracker.watchers)?;
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = tracker.stop.clone();
    let watcher = Watcher {
        tracker,
        session,
        programme,
        denominator,
        every,
        stop,
        sent: HashMap::new(),
        shown: None,
        _place: place,
    };
    Ok(sse::answer(watcher))
}

/// One open page.
struct Watcher {
    tracker: Arc<Tracker>,
    session: Session,
    programme: Definition,
    denominator: Denominator,
    every: Interval,
    stop: watch::Receiver<()>,
    /// What the page shows, by key.
    sent: HashMap<&'static str, String>,
    /// The numbers that it shows.
    shown: Option<Arc<Numbers>>,
    _place: OwnedSemaphorePermit,
}

impl Watch for Watcher {
    /// Waits for something new; `None` when the server stops or the registry cannot be read any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                _ = self.every.tick() => {}
                _ = self.stop.changed() => return None,
            }
            let numbers = self.tracker.numbers(&self.session, &self.programme, self.denominator, SHARED).ok()?;
            if self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &numbers)) {
                continue;
            }
            self.shown = Some(numbers.clone());
            let places = self.tracker.places(&self.session, &numbers, false).await.ok()?;
            let mut changed = Vec::new();
            for (key, markup) in sections::parts(&numbers, &places) {
                let html = markup.into_string();
                if self.sent.get(key) != Some(&html) {
                    self.sent.insert(key, html.clone());
                    changed.push((key, html));
                }
            }
            if !changed.is_empty() {
                let data = serde_json::json!({ "changed": changed });
                return Some(Event::default().event("numbers").data(data.to_string()));
            }
        }
    }
}
