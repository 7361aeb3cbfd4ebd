//! `/ops/api/network`: the numbers of all tenants together, for the operator's programs.

use super::{Shared, Tracker, short};
use crate::ops::origin;
use crate::ops::refused::{InJson, Refused};
use axum::extract::{Extension, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use engine::Session;
use fhir::nearest::hint;
use registry::{Denominator, Network, StatsQuery};
use std::sync::Arc;

/// A count as old as this is still answered, unless a new one is asked for: counting reads every Patient.
const AGE_MAX_US: i64 = 10 * 60 * 1_000_000;
const DIMENSIONS_MAX: usize = 3;

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InJson> {
    let (query, fresh) = asked(query.as_deref())?;
    tracker.registry.check_query(&query).map_err(Refused::from)?;
    let network = tracker.network(&session, fresh).await?;
    let stats = network.stats(&query).map_err(Refused::from)?;
    let text = serde_json::to_string(&stats).unwrap_or_default();
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// The query, and whether persons must be counted anew. Small counts are always hidden: the numbers are of several houses.
fn asked(query: Option<&str>) -> Result<(StatsQuery, bool), Refused> {
    let (mut asked, mut fresh) = (StatsQuery { suppress: true, ..StatsQuery::default() }, false);
    for (name, value) in origin::parameters(query, &["programme", "by", "as_of", "denominator", "fresh"])? {
        match name {
            "programme" => asked.programme = value,
            "by" => asked.by = value.split(',').filter(|by| !by.is_empty()).map(str::to_owned).collect(),
            "as_of" => {
                let day =
                    value.parse().map_err(|_| Refused::invalid("as_of must be a day that exists, as YYYY-MM-DD"))?;
                asked.as_of = Some(day);
            }
            "denominator" => asked.denominator = denominator(&value)?,
            _ => {
                fresh = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(Refused::invalid("fresh must be true or false")),
                }
            }
        }
    }
    if asked.programme.is_empty() {
        return Err(Refused::invalid("programme is missing: GET /programmes lists them"));
    }
    let is_twice = asked.by.iter().enumerate().any(|(at, by)| asked.by[..at].contains(by));
    if asked.by.len() > DIMENSIONS_MAX || is_twice {
        return Err(Refused::invalid("by must name one to three dimensions, each once"));
    }
    Ok((asked, fresh))
}

fn denominator(value: &str) -> Result<Denominator, Refused> {
    match value {
        "known" => Ok(Denominator::Known),
        "census" => Ok(Denominator::Census),
        other => {
            let text = format!("denominator {}{}: use known or census", short(other), hint(other, ["known", "census"]));
            Err(Refused::invalid(text))
        }
    }
}

impl Tracker {
    /// A count that is not too old, or a new one. One counts, the others wait for it.
    async fn network(&self, session: &Session, fresh: bool) -> Result<Arc<Network>, Refused> {
        let mut kept = self.network.lock().await;
        let is_good = |network: &&Arc<Network>| {
            let age = self.engine.now_us() - network.counted().at_us;
            !fresh && (0..=AGE_MAX_US).contains(&age) && network.today() == self.registry.today()
        };
        if let Some(network) = kept.as_ref().filter(is_good) {
            self.registry.note_network(&self.engine, session).await.map_err(Refused::from)?;
            return Ok(network.clone());
        }
        let counted = self.registry.network(&self.engine, session).await.map_err(Refused::from)?;
        Ok(kept.insert(Arc::new(counted)).clone())
    }
}
