//! `/ops`: all destinations.

use super::history::Sample;
use super::refused::Refused;
use super::{Ops, Shared, card, origin, page};
use crate::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use delivery::Status;
use maud::html;
use std::sync::PoisonError;

pub(super) async fn show(State(ops): Shared, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    origin::parameters(query.as_deref(), &[])?;
    let (statuses, now_us) = (ops.statuses(), ops.engine.now_us());
    let content = html! {
        h1 { "What is on its way" }
        p.lead { "weir sends each record on at the pace that the receiving system can bear." }
        @if statuses.is_empty() {
            p { "No destination is set up yet. The configuration file names them." }
        } @else {
            (page::live("/ops/events", &words::instant(now_us, now_us)))
        }
        @for (tenant, status) in &statuses {
            section.card {
                h2 { a href=(card::path(tenant, &status.name)) { (status.name) } }
                p.aside { "Kind: " (status.kind) ". Tenant: " (tenant) "." }
                (card::card(tenant, status, &ops.samples(tenant, status, now_us)))
                p { a href=(card::path(tenant, &status.name)) {
                    "Pause " (status.name) ", see what waits and what was refused"
                } }
            }
        }
    };
    Ok(page::page("Destinations", content))
}

impl Ops {
    /// What the chart shows: the samples, and the numbers of now.
    pub(super) fn samples(&self, tenant: &str, status: &Status, now_us: i64) -> Vec<Sample> {
        let mut samples = self.history.lock().unwrap_or_else(PoisonError::into_inner).of(tenant, &status.name);
        if samples.is_empty() {
            samples.push(Sample::new(now_us, status));
        }
        samples
    }
}
