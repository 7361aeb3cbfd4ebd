//! A router on a temporary store, and short ways to ask it.

use crate::stand::stand;
use api::{Config, Metrics};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use engine::{Engine, Options, Principal, Role, Session};
use fhir::json::Value;
use http_body_util::BodyExt;
use jiff::tz::TimeZone;
use registry::{Definitions, Registry};
use std::sync::{Arc, OnceLock};
use store::ManualClock;
use tower::ServiceExt;

pub(crate) const FHIR: (&str, &str) = ("content-type", "application/fhir+json");
pub(crate) const PATIENT: &str =
    r#"{"resourceType":"Patient","active":true,"name":[{"family":"Ito","given":["Aiko"]}],"birthDate":"1990-05-01"}"#;

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<ManualClock>,
    /// Of a world that tracks.
    pub(crate) registry: Option<registry::Registry>,
    _dir: tempfile::TempDir,
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        Value::parse(self.text()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks the status and, for a failure, that an OperationOutcome explains it.
    pub(crate) fn is(self, status: u16) -> Reply {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        if status >= 400 && !self.bytes.is_empty() {
            assert_eq!(self.json().get("resourceType").and_then(Value::as_str), Some("OperationOutcome"));
        }
        self
    }

    pub(crate) fn id(&self) -> String {
        self.json().get("id").and_then(Value::as_str).unwrap().to_owned()
    }

    /// The resources of a Bundle's entries with this search mode.
    pub(crate) fn found(&self, mode: &str) -> Vec<Value> {
        let has_mode = |entry: &&Value| {
            entry.get("search").and_then(|search| search.get("mode")).and_then(Value::as_str) == Some(mode)
        };
        self.entries().iter().filter(has_mode).map(|entry| entry.get("resource").unwrap().clone()).collect()
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        match self.json().get("entry") {
            Some(Value::Array(entries)) => entries.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn link(&self, relation: &str) -> Option<String> {
        let json = self.json();
        let Some(Value::Array(links)) = json.get("link") else { return None };
        let link = links.iter().find(|link| link.get("relation").and_then(Value::as_str) == Some(relation))?;
        Some(link.get("url")?.as_str()?.strip_prefix("http://host").expect("links are absolute").to_owned())
    }

    pub(crate) fn total(&self) -> Option<String> {
        self.json().get("total").map(Value::to_string)
    }
}

/// Random by the engine's source, on its clock, with the programmes that weir ships.
fn registry(engine: &Engine, clock: &Arc<ManualClock>) -> Registry {
    static SCHEDULE: OnceLock<Arc<vaccines::Schedule>> = OnceLock::new();
    let schedule = SCHEDULE.get_or_init(|| Arc::new(vaccines::Schedule::builtin().unwrap())).clone();
    let programmes = vaccines::surveillance::Programme::builtin().unwrap();
    let definitions = Definitions::new(vec![schedule], programmes).unwrap();
    let random = engine.clone();
    Registry::new(definitions, TimeZone::UTC, clock.clone(), Arc::new(move |out: &mut [u8]| random.fill_random(out)))
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> World {
        let (engine, store, clock, dir) = stand(Options::default(), 1_760_000_000_000_000);
        for name in &config.other_tenants {
            store.tenant(&store::TenantId(name.clone())).unwrap();
        }
        let registry = registry(&engine, &clock);
        let metrics = Arc::new(Metrics::default());
        let router = api::router(engine, registry, config, metrics.clone());
        World { router, metrics, clock, registry: None, _dir: dir }
    }

    /// With a registry that follows every commit of the default tenant and of the tenant `other`.
    pub(crate) async fn tracking(config: Config) -> World {
        let (engine, store, clock, dir) = stand(Options::default(), 1_760_000_000_000_000);
        let registry = registry(&engine, &clock);
        let engine = engine.with_deriver(Arc::new(registry.clone()));
        let config = Config { other_tenants: vec!["other".into()], ..config };
        for name in ["default", "other"] {
            store.tenant(&store::TenantId(name.into())).unwrap();
            let session = Session {
                tenant: store::TenantId(name.into()),
                who: Principal { id: "admin".into(), role: Role::Admin },
                request_id: String::new(),
                base: String::new(),
            };
            registry.open(&engine, &session).await.unwrap();
        }
        let metrics = Arc::new(Metrics::default());
        let router = api::router(engine, registry.clone(), config, metrics.clone());
        World { router, metrics, clock, registry: Some(registry), _dir: dir }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "host");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.ask(method, path, &[FHIR], body.to_owned()).await
    }

    /// A new Patient's id.
    pub(crate) async fn patient(&self) -> String {
        self.send("POST", "/fhir/Patient", PATIENT).await.is(201).id()
    }
}
