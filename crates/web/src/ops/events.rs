//! `/ops/events`: what has changed on a page, once a second.

use super::refused::Refused;
use super::{Ops, Shared, card, origin};
use crate::sse::{self, Watch};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::response::sse::Event;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Interval;

const EVERY: Duration = Duration::from_secs(1);

/// Without parameters all destinations, else the one that `tenant` and `destination` name.
pub(super) async fn stream(State(ops): Shared, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    let pairs = origin::parameters(query.as_deref(), &["tenant", "destination"])?;
    let of = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    let only = match (of("tenant"), of("destination")) {
        (Some(tenant), Some(name)) => {
            ops.handle(&tenant, &name)?;
            Some((tenant, name))
        }
        (None, None) => None,
        _ => return Err(Refused::invalid("tenant and destination belong together")),
    };
    let place = sse::place(&ops.watchers)?;
    let (every, stop) = (tokio::time::interval(EVERY), ops.stop.clone());
    let watcher = Watcher { ops, only, every, stop, sent: HashMap::new(), listed: None, _place: place };
    Ok(sse::answer(watcher))
}

/// One open page.
struct Watcher {
    ops: Arc<Ops>,
    only: Option<(String, String)>,
    every: Interval,
    stop: watch::Receiver<()>,
    /// What the page shows, by key.
    sent: HashMap<String, String>,
    /// The destinations as the page has been told.
    listed: Option<Vec<String>>,
    _place: OwnedSemaphorePermit,
}

impl Watch for Watcher {
    /// Waits for something new; `None` when the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                _ = self.every.tick() => {}
                _ = self.stop.changed() => return None,
            }
            let (listed, changed) = self.look();
            if listed || !changed.is_empty() {
                let destinations = listed.then_some(&self.listed);
                let data = serde_json::json!({ "destinations": destinations, "changed": changed });
                return Some(Event::default().event("numbers").data(data.to_string()));
            }
        }
    }
}

impl Watcher {
    /// Whether there are other destinations than before, and the parts that are new.
    fn look(&mut self) -> (bool, Vec<(String, String)>) {
        let now_us = self.ops.engine.now_us();
        let mut all = self.ops.statuses();
        if let Some((tenant, name)) = &self.only {
            all.retain(|(other, status)| other == tenant && status.name == *name);
        }
        let mut changed = Vec::new();
        for (tenant, status) in &all {
            let samples = self.ops.samples(tenant, status, now_us);
            for (part, markup) in card::parts(status, &samples) {
                let (key, html) = (card::key(tenant, &status.name, part), markup.into_string());
                if self.sent.get(&key) != Some(&html) {
                    self.sent.insert(key.clone(), html.clone());
                    changed.push((key, html));
                }
            }
        }
        let names = all.iter().map(|(tenant, status)| format!("{tenant}/{}", status.name)).collect();
        let listed = self.listed.as_ref() != Some(&names);
        self.listed = Some(names);
        (listed, changed)
    }
}
