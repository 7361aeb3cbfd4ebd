//! The vaccine tracker as plain REST: persons, vaccinations, numbers, decisions about who is who, and the small resources
//! around them. Everything is FHIR underneath and passes the engine.
//!
//! `phi` has FHIR's names for its members; all other members of answers are in snake_case.

mod bucket;
mod csv;
mod decisions;
mod fields;
mod intake;
mod numbers;
mod openapi;
mod params;
mod patients;
mod phi;
mod resources;
mod route;
mod shapes;
mod stream;
mod vaccination;
mod vaccine;

pub(crate) use bucket::Buckets;
pub(crate) use openapi::paths;
pub(crate) use route::{Ask, ROOTS, ROWS, route};

use crate::error::Failure;
use crate::http::{Answer, Request};
use crate::negotiate::{Sent, content_type};
use axum::http::StatusCode;
use engine::Engine;
use fhir::json::{Document, Limits};
use registry::Registry;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

/// Watchers of numbers at the same time.
const WATCHERS_MAX: usize = 256;
/// Files that are read in at the same time.
const IMPORTS_MAX: usize = 4;
/// Locks among which the keys of vaccinations are spread.
const LOCKS: usize = 256;

/// What the endpoints share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tracker {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    watchers: Arc<Semaphore>,
    imports: Arc<Semaphore>,
    locks: Arc<[Arc<Mutex<()>>]>,
}

impl Tracker {
    pub(crate) fn new(engine: Engine, registry: Registry) -> Tracker {
        Tracker {
            engine,
            registry,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            imports: Arc::new(Semaphore::new(IMPORTS_MAX)),
            locks: (0..LOCKS).map(|_| Arc::default()).collect(),
        }
    }

    /// Held while something is looked for and, if it is not there, made. Of several keys the locks are taken in one order.
    async fn lock(&self, session: &engine::Session, keys: &[&str]) -> Vec<OwnedMutexGuard<()>> {
        let mut places: Vec<usize> = keys.iter().map(|key| place(&[&session.tenant.0, key], LOCKS)).collect();
        places.sort_unstable();
        places.dedup();
        let mut held = Vec::new();
        for place in places {
            held.push(self.locks[place].clone().lock_owned().await);
        }
        held
    }
}

/// The same place of `count` for the same words.
fn place(words: &[&str], count: usize) -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    (hasher.finish() % count as u64) as usize
}

/// `prefix` is what stands before the tracker's paths: nothing, or `/t/name`.
pub(crate) async fn run(tracker: &Tracker, request: Request, ask: Ask, prefix: &str) -> Result<Answer, Failure> {
    match ask {
        Ask::Patients => patients::list(tracker, &request).await,
        Ask::CreatePatient => patients::create(tracker, &request, prefix).await,
        Ask::Patient(id) => patients::one(tracker, &request, &id).await,
        Ask::Status(id) => patients::status(tracker, &request, &id).await,
        Ask::Merge(id) => decisions::merge(tracker, &request, &id).await,
        Ask::Unmerge(id) => decisions::unmerge(tracker, &request, &id).await,
        Ask::Assign => decisions::assign(tracker, &request).await,
        Ask::Reviews => decisions::reviews(tracker, &request).await,
        Ask::Apart => decisions::apart(tracker, &request).await,
        Ask::Dismiss => decisions::dismiss(tracker, &request).await,
        Ask::Vaccinate => vaccination::post(tracker, &request, prefix).await,
        Ask::Import => intake::import(tracker, request).await,
        Ask::Programmes => numbers::programmes(tracker, &request),
        Ask::Stats => numbers::stats(tracker, &request),
        Ask::StatsStream => stream::watch(tracker, &request),
        Ask::List(kind) => resources::list(tracker, &request, kind).await,
        Ask::Make(kind) => resources::make(tracker, &request, kind, prefix).await,
        Ask::Get(kind, id) => resources::get(tracker, &request, kind, &id).await,
        Ask::Put(kind, id) => resources::put(tracker, &request, kind, &id).await,
        Ask::Delete(kind, id) => resources::delete(tracker, &request, kind, &id).await,
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    Answer::json(status, serde_json::to_vec(value).expect("an answer is plain data"))
}

/// The body as JSON.
fn body(request: &Request) -> Result<Document, Failure> {
    match content_type(&request.headers)? {
        Sent::Unsaid | Sent::Json => {}
        _ => {
            let text = "send the body as application/json";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
        }
    }
    Document::parse(&request.body, &Limits::default()).map_err(|error| {
        let text = format!("the body is not valid JSON: {}", error_place(&error));
        Failure::new(StatusCode::BAD_REQUEST, "structure", text)
    })
}

/// A JSON error without the client's own text.
fn error_place(error: &fhir::json::JsonError) -> String {
    match error.kind {
        fhir::json::JsonErrorKind::DuplicateMember(_) => {
            format!("a member appears twice in one object at line {}, column {}: keep one", error.line, error.column)
        }
        _ => error.to_string(),
    }
}
