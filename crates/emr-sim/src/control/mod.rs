//! The control API under `/sim/`: what happened, and what shall go wrong. Its calls are no arrivals.

mod page;

use crate::handle::Dropped;
use crate::options::Faults;
use crate::sim::Sim;
use crate::state::Emr;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

#[derive(Clone)]
struct Context {
    sim: Sim,
    /// Whether this port stays when the EMR goes down.
    stays: bool,
}

/// Answers a control request; `stays` says whether the port that it came by outlives the EMR's.
pub(crate) async fn answer(
    emr: Arc<Emr>,
    request: hyper::Request<Incoming>,
    stays: bool,
) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    let context = Context { sim: Sim::of(emr), stays };
    let response = router(context).oneshot(request.map(axum::body::Body::new)).await.map_err(|_| Dropped)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    Ok(hyper::Response::from_parts(parts, Full::new(body)))
}

fn router(context: Context) -> Router {
    let file = |kind: &'static str, text: &'static str| get(async move || ([(header::CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/sim", get(async || Redirect::permanent("/sim/")))
        .route("/sim/", get(show))
        .route("/sim/page.css", file("text/css; charset=utf-8", page::STYLE))
        .route("/sim/page.js", file("text/javascript; charset=utf-8", page::SCRIPT))
        .route("/sim/state", get(state))
        .route("/sim/arrivals", get(arrivals))
        .route("/sim/verify", get(verify))
        .route("/sim/faults", post(faults))
        .route("/sim/down", post(down))
        .route("/sim/advance", post(advance))
        .route("/sim/clients", get(clients))
        .route("/sim/approve", post(approve))
        .route("/sim/records/{resource_type}", get(records))
        .route("/sim/insert", post(insert))
        .route("/sim/edit", post(edit))
        .route("/sim/delete", post(delete))
        .with_state(context)
}

/// `{"error": ...}` with 400.
fn refused(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": message }))).into_response()
}

fn done(done: bool) -> Response {
    let status = if done { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, Json(json!({ "done": done }))).into_response()
}

async fn show(State(context): State<Context>) -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
        form-action 'none'; frame-ancestors 'none'";
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_SECURITY_POLICY, policy)];
    (headers, Html(page::page(&context.sim).into_string()))
}

async fn state(State(context): State<Context>) -> Json<Value> {
    Json(json!(context.sim.state()))
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn arrivals(State(context): State<Context>, Query(part): Query<Part>) -> Json<Value> {
    Json(json!(context.sim.arrivals(part.after, part.limit.unwrap_or(1_000).min(100_000))))
}

async fn verify(State(context): State<Context>) -> Json<Value> {
    Json(json!({ "intact": context.sim.verify_chain() }))
}

/// Members that are not given keep their value.
async fn faults(State(context): State<Context>, Json(changes): Json<Value>) -> Response {
    let mut all = json!(context.sim.state().faults);
    let Some(changes) = changes.as_object() else { return refused("an object of faults is needed") };
    for (name, value) in changes {
        all[name.as_str()] = value.clone();
    }
    match serde_json::from_value::<Faults>(all) {
        Ok(faults) => {
            context.sim.set_faults(faults);
            Json(json!(faults)).into_response()
        }
        Err(error) => refused(&error.to_string()),
    }
}

#[derive(Deserialize)]
struct Down {
    down: bool,
    for_ms: Option<u64>,
}

async fn down(State(context): State<Context>, Json(down): Json<Down>) -> Response {
    if down.down && down.for_ms.is_none() && !context.stays {
        return refused("this port goes down too: say for_ms, or start with --control ADDRESS and ask there");
    }
    let (sim, stays) = (context.sim.clone(), context.stays);
    tokio::spawn(async move {
        // So that the answer gets out before the port goes.
        if down.down && !stays {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sim.set_down(down.down);
        if let (true, Some(for_ms)) = (down.down, down.for_ms) {
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            sim.set_down(false);
        }
    });
    done(true)
}

#[derive(Deserialize)]
struct Advance {
    seconds: u64,
}

async fn advance(State(context): State<Context>, Json(by): Json<Advance>) -> Response {
    context.sim.advance(Duration::from_secs(by.seconds));
    done(true)
}

async fn clients(State(context): State<Context>) -> Json<Value> {
    Json(json!(context.sim.clients()))
}

#[derive(Deserialize)]
struct Client {
    client_id: String,
}

async fn approve(State(context): State<Context>, Json(client): Json<Client>) -> Response {
    done(context.sim.approve(&client.client_id))
}

async fn records(State(context): State<Context>, Path(resource_type): Path<String>) -> Json<Value> {
    Json(json!(context.sim.records(&resource_type)))
}

/// Takes a resource or a list of them; answers with their ids.
async fn insert(State(context): State<Context>, Json(resources): Json<Value>) -> Response {
    let list = match resources {
        Value::Array(list) => list,
        single => vec![single],
    };
    if list.iter().any(|resource| !resource["resourceType"].is_string()) {
        return refused("resources with a resourceType are needed");
    }
    let ids: Vec<String> = list.into_iter().map(|resource| context.sim.insert(resource)).collect();
    Json(json!({ "ids": ids })).into_response()
}

#[derive(Deserialize)]
struct Edit {
    #[serde(rename = "type")]
    resource_type: String,
    id: String,
    /// Members to replace; `null` removes one.
    set: serde_json::Map<String, Value>,
}

async fn edit(State(context): State<Context>, Json(edit): Json<Edit>) -> Response {
    done(context.sim.edit(&edit.resource_type, &edit.id, |body| {
        if let Some(members) = body.as_object_mut() {
            members.extend(edit.set);
            members.retain(|_, value| !value.is_null());
        }
    }))
}

#[derive(Deserialize)]
struct Delete {
    #[serde(rename = "type")]
    resource_type: String,
    id: String,
}

async fn delete(State(context): State<Context>, Json(record): Json<Delete>) -> Response {
    done(context.sim.delete(&record.resource_type, &record.id))
}
