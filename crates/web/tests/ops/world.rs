//! The operator's router over a real store and a real dispatcher, whose destination takes or refuses as the test says.

use crate::stand::stand;
use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{HeaderMap, Request, StatusCode};
use delivery::{Async, Calls, Desk, Destination, Dispatcher, EngineBook, Found, Handle, Item, Limit, Outcome, Problem};
use delivery::{Remote, Rule, Rules, Spec, State};
use engine::{Engine, Options, Precondition, Principal, Role, Session};
use fhir::defs::r4;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::TenantId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// 2026-11-24T12:00:00Z
pub(crate) const NOON_US: i64 = 1_795_521_600_000_000;
/// Longer than any of it takes; not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Refuses patients that are not active, and counts what it was asked.
#[derive(Debug, Default)]
struct Picky(Arc<AtomicUsize>);

impl Destination for Picky {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            drop(calls.next().await);
            self.0.fetch_add(1, Ordering::Relaxed);
            let active = item.body.as_ref().and_then(|body| body.get("active")).map(ToString::to_string);
            match active.as_deref() {
                Some("false") => Outcome::Refused(Problem::new(422, "must be <b>active</b>")),
                _ => Outcome::Done(Remote { id: "there".into(), more: Vec::new() }),
            }
        })
    }

    fn probe<'a>(&'a self, _: &'a Item, _: &'a Calls) -> Async<'a, Found> {
        Box::pin(async { Found::No })
    }

    fn quiesce(&self) -> Duration {
        Duration::ZERO
    }

    fn kind(&self) -> &'static str {
        "picky"
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) engine: Engine,
    pub(crate) desk: Desk,
    pub(crate) handle: Handle,
    /// Attempts that the destination has seen.
    pub(crate) attempts: Arc<AtomicUsize>,
    pub(crate) stop: watch::Sender<()>,
    running: JoinHandle<Result<(), engine::Error>>,
    _dir: tempfile::TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn is(self, status: u16) -> Reply {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The diagnostics of an OperationOutcome.
    pub(crate) fn reason(&self) -> String {
        self.json()["issue"][0]["diagnostics"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> &Reply {
        assert!(self.text.contains(text), "{text} is not in {}", self.text);
        self
    }

    /// The value of the first hidden field with this name.
    pub(crate) fn field(&self, name: &str) -> String {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\" value=\"")).expect(name);
        rest.split_once('"').unwrap().0.to_owned()
    }
}

pub(crate) fn session() -> Session {
    Session {
        tenant: TenantId("default".into()),
        who: Principal { id: "admin".into(), role: Role::Admin },
        request_id: "test".into(),
        base: "http://host/fhir".into(),
    }
}

impl World {
    pub(crate) async fn new() -> World {
        let (engine, store, clock, dir) = stand(Options::default(), NOON_US);
        store.tenant(&TenantId("default".into())).unwrap();
        let book = EngineBook::new(engine.clone(), session()).await.unwrap();
        let types = vec![r4().resource_by_name("Patient").unwrap()];
        let rules = Rules(vec![Rule { types, filter: None, priority: 100 }]);
        let spec = Spec::new("emr", rules, vec![Limit { count: 1_000, window_us: 1_000_000 }]);
        let attempts = Arc::<AtomicUsize>::default();
        let picky = Arc::new(Picky(attempts.clone()));
        let (dispatcher, handle) = Dispatcher::start(book, spec, picky, clock, 1).await.unwrap();
        let desk = Desk::default();
        desk.put("default", handle.clone());
        let (stop, stopped) = watch::channel(());
        let router =
            web::ops::router(desk.clone(), Default::default(), engine.clone(), stopped).layer(Extension(session()));
        let running = tokio::spawn(dispatcher.run());
        World { router, engine, desk, handle, attempts, stop, running, _dir: dir }
    }

    /// The dispatcher dies, as when its lease is lost.
    pub(crate) async fn end_delivery(&mut self) {
        self.running.abort();
        drop((&mut self.running).await);
    }

    pub(crate) async fn patient(&self, id: &str, active: bool) {
        let json = format!(r#"{{"resourceType":"Patient","id":"{id}","active":{active}}}"#);
        let ty = r4().resource_by_name("Patient").unwrap();
        self.engine.update(&session(), ty, Some(id), json.as_bytes(), &Precondition::default()).await.unwrap();
    }

    /// Waits until so many are delivered and so many are refused; answers the numbers of the refused ones.
    pub(crate) async fn until(&self, delivered: u64, refused: usize) -> Vec<u64> {
        let wait = async {
            loop {
                // Each question makes the dispatcher publish its numbers.
                let dead = self.handle.list(Some(State::Dead), usize::MAX).await.unwrap();
                let status = self.handle.status();
                if (status.delivered, status.dead, dead.len()) == (delivered, refused, refused) {
                    return dead.into_iter().map(|intent| intent.no).collect();
                }
                tokio::task::yield_now().await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, wait).await;
        outcome.unwrap_or_else(|_| panic!("never {delivered} and {refused}: {:?}", self.handle.status()))
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "host");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes).unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    /// Sends a form as a browser does, with the token of `page`.
    pub(crate) async fn submit(&self, page: &Reply, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &page.field("token")).extend_pairs(fields);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        self.ask("POST", path, &headers, &form.finish()).await
    }
}
