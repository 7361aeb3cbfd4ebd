//! The numbers and acts for programs: JSON, refusals as OperationOutcome.

use super::refused::{InJson, Refused};
use super::{Shared, list, origin};
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use delivery::Status;
use engine::Session;
use serde::{Deserialize, Serialize};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;
const STATES: [&str; 5] = ["pending", "in-flight", "retry", "probe", "dead"];

type Answer = Result<Response, InJson>;
type Name = Path<(String, String)>;

#[derive(Serialize)]
struct Destination {
    tenant: String,
    #[serde(flatten)]
    status: Status,
}

pub(super) fn json(value: &impl Serialize) -> Response {
    let text = serde_json::to_string(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

pub(super) async fn destinations(State(ops): Shared, RawQuery(query): RawQuery) -> Answer {
    origin::parameters(query.as_deref(), &[])?;
    let all = ops.statuses().into_iter().map(|(tenant, status)| Destination { tenant, status });
    Ok(json(&serde_json::json!({ "destinations": all.collect::<Vec<_>>() })))
}

pub(super) async fn destination(State(ops): Shared, Path((tenant, name)): Name, RawQuery(query): RawQuery) -> Answer {
    origin::parameters(query.as_deref(), &[])?;
    let status = ops.handle(&tenant, &name)?.status();
    Ok(json(&Destination { tenant, status }))
}

pub(super) async fn intents(State(ops): Shared, Path((tenant, name)): Name, RawQuery(query): RawQuery) -> Answer {
    let (mut state, mut limit) = (None, LIMIT_DEFAULT);
    for (parameter, value) in origin::parameters(query.as_deref(), &["state", "limit"])? {
        match parameter {
            "state" => state = Some(state_of(&value)?),
            _ => limit = limit_of(&value)?,
        }
    }
    let handle = ops.handle(&tenant, &name)?;
    Ok(json(&serde_json::json!({ "intents": list(&handle, state, limit).await? })))
}

fn state_of(text: &str) -> Result<delivery::State, Refused> {
    serde_json::from_value(text.into()).map_err(|_| {
        let hint = fhir::nearest::hint(text, STATES);
        Refused::invalid(format!("unknown state{hint}: use one of {}", STATES.join(", ")))
    })
}

fn limit_of(text: &str) -> Result<usize, Refused> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Refused::invalid(format!("limit must be a number from 1 to {LIMIT_MAX}")))
}

/// Pauses, or lets it go on.
pub(super) async fn pause<const PAUSED: bool>(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name)): Name,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    origin::check(&headers, &uri)?;
    ops.pause(&session, (&tenant, &name), PAUSED).await?;
    Ok(json(&serde_json::json!({ "paused": PAUSED })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Must be there, so that nobody sends everything again by a slip.
    #[serde(deserialize_with = "Option::deserialize")]
    numbers: Option<Vec<u64>>,
}

pub(super) async fn replay(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name)): Name,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    origin::check(&headers, &uri)?;
    let which: Which = serde_json::from_slice(&body).map_err(|error| {
        let text = "the body must be {\"numbers\": [1, 2]}, or {\"numbers\": null} for all that was refused";
        Refused::invalid(format!("{text} ({error})"))
    })?;
    let replayed = ops.replay(&session, (&tenant, &name), which.numbers).await?;
    Ok(json(&serde_json::json!({ "replayed": replayed })))
}
