//! All routes, and what happens to every request on its way in and out.

use crate::body::Room;
use crate::error::Failure;
use crate::http::{Answer, Request};
use crate::request_log::{self, RequestIds};
use crate::route::{NoRoute, route};
use crate::serve::Stopping;
use crate::tracker::{self, Buckets, Tracker};
use crate::{Config, Metrics, auth, body, compress, health, interactions, negotiate, openapi, query};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use axum::response::Response;
use axum::routing::{any, get};
use engine::{Engine, Session};
use registry::Registry;
use std::sync::Arc;
use std::time::Instant;
use store::TenantId;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

struct App {
    engine: Engine,
    tracker: Tracker,
    buckets: Buckets,
    config: Config,
    metrics: Arc<Metrics>,
    room: Room,
    ids: RequestIds,
}

type Shared = State<Arc<App>>;

/// Marks requests of a connection that [`crate::serve`] decrypts itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// Every route of the server. Pages of other crates are merged with it.
pub fn router(engine: Engine, registry: Registry, config: Config, metrics: Arc<Metrics>) -> Router {
    let cors = cors(&config);
    let room = Room::new(config.bodies_bytes_max.max(config.body_bytes_max));
    let tracker = Tracker::new(engine.clone(), registry);
    let buckets = Buckets::default();
    let app = Arc::new(App { engine, tracker, buckets, config, metrics, room, ids: RequestIds::new() });
    let mut router = Router::new()
        .route("/healthz", get(|| async { plain(health::live()) }).fallback(get_only))
        .route("/readyz", get(ready).fallback(get_only))
        .route("/metrics", get(metrics_text).fallback(get_only))
        .route("/openapi.json", get(openapi_text).fallback(get_only))
        .route("/fhir", any(default_tenant))
        .route("/fhir/", any(default_tenant))
        .route("/fhir/{*path}", any(default_tenant))
        .route("/t/{tenant}/fhir", any(other_tenant))
        .route("/t/{tenant}/fhir/", any(other_tenant))
        .route("/t/{tenant}/fhir/{*path}", any(other_tenant));
    for root in tracker::ROOTS {
        for rest in ["", "/", "/{*path}"] {
            router = router
                .route(&format!("/{root}{rest}"), any(default_tracker))
                .route(&format!("/t/{{tenant}}/{root}{rest}"), any(other_tracker));
        }
    }
    let router = router.fallback(nothing_here).with_state(app);
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn cors(config: &Config) -> Option<CorsLayer> {
    if config.cors_origins.is_empty() {
        return None;
    }
    let origins: Vec<HeaderValue> = config.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let any = config.cors_origins.iter().any(|origin| origin == "*");
    let exposed = [header::ETAG, header::LAST_MODIFIED, header::LOCATION, header::CONTENT_LOCATION, REQUEST_ID];
    Some(
        CorsLayer::new()
            .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(origins) })
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            // Mirrored, because `*` does not cover Authorization.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(exposed),
    )
}

pub(crate) fn plain(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn openapi_text() -> Response {
    plain(Answer::json(StatusCode::OK, openapi().into_bytes()))
}

async fn get_only() -> Response {
    plain(Failure::from(NoRoute::Method("GET, HEAD")).into_answer())
}

async fn nothing_here() -> Response {
    let text = "nothing is served at this path: the FHIR API is at /fhir, the vaccine tracker at /patients and /vaccines, their description at /openapi.json";
    plain(Failure::new(StatusCode::NOT_FOUND, "not-found", text).into_answer())
}

fn system_session(app: &App) -> Session {
    Session {
        tenant: TenantId(app.config.default_tenant.clone()),
        who: engine::Principal { id: "weir".into(), role: engine::Role::Admin },
        request_id: String::new(),
        base: String::new(),
    }
}

async fn ready(State(app): Shared) -> Response {
    plain(health::ready(&app.engine, &system_session(&app)).await)
}

async fn metrics_text(State(app): Shared, headers: HeaderMap) -> Response {
    if let Err(failure) = auth::principal(&app.config, &headers) {
        return plain(failure.into_answer());
    }
    let stats = app.engine.stats(&system_session(&app)).await.ok();
    let mut response = Response::new(Body::from(app.metrics.text(stats.as_ref())));
    let media = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

type Captured = Path<Vec<(String, String)>>;

async fn default_tenant(State(app): Shared, request: axum::extract::Request) -> Response {
    enter(&app, Space::Fhir, None, request).await
}

async fn other_tenant(State(app): Shared, captured: Captured, request: axum::extract::Request) -> Response {
    enter(&app, Space::Fhir, Some(captured), request).await
}

async fn default_tracker(State(app): Shared, request: axum::extract::Request) -> Response {
    enter(&app, Space::Tracker, None, request).await
}

async fn other_tracker(State(app): Shared, captured: Captured, request: axum::extract::Request) -> Response {
    enter(&app, Space::Tracker, Some(captured), request).await
}

/// `captured`: the tenant that the path names; without it, the default one.
async fn enter(app: &Arc<App>, space: Space, captured: Option<Captured>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let (tenant, before) = match captured {
        None => (app.config.default_tenant.clone(), String::new()),
        Some(Path(captured)) => {
            let tenant = captured.into_iter().next().map(|(_, tenant)| tenant).unwrap_or_default();
            let before = format!("/t/{tenant}");
            (tenant, before)
        }
    };
    let prefix = before + space.base();
    let path = below(parts.uri.path(), &prefix);
    handle(app, parts, body, Place { space, tenant, prefix, path }).await
}

/// Which of the two interfaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Fhir,
    Tracker,
}

impl Space {
    /// What its paths begin with, after the tenant's.
    fn base(self) -> &'static str {
        match self {
            Space::Fhir => "/fhir",
            Space::Tracker => "",
        }
    }

    fn rows(self) -> &'static [crate::route::Row] {
        match self {
            Space::Fhir => crate::route::ROWS,
            Space::Tracker => tracker::ROWS,
        }
    }
}

/// What a path means: whose data, and what of it.
struct Place {
    space: Space,
    tenant: String,
    /// What stands before `path`.
    prefix: String,
    path: String,
}

/// The path after the base.
fn below(path: &str, prefix: &str) -> String {
    path.strip_prefix(prefix).unwrap_or("").trim_matches('/').to_owned()
}

/// Counts, bounds, and answers one request; whatever happens, the answer is a proper one.
async fn handle(app: &App, parts: Parts, body: Body, place: Place) -> Response {
    let started = Instant::now();
    let request_id = app.ids.of(&parts.headers);
    let (encoding, is_head) = (compress::accepted(&parts.headers), parts.method == Method::HEAD);
    let pairs = query::pairs(parts.uri.query().unwrap_or(""));
    let is_pretty = pairs.as_ref().is_ok_and(|pairs| {
        pairs.iter().rev().find(|(name, _)| name == "_pretty").is_some_and(|(_, value)| value == "true")
    });
    let in_flight = InFlight::begin(app);
    let (method, rows, shown_path) = (parts.method.clone(), place.space.rows(), place.path.clone());
    let mut stage = Stage::default();
    let outcome = if in_flight.over_limit {
        let text = "too many requests are in work";
        Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "throttled", text).retry_after(1))
    } else {
        let work = answer(app, parts, pairs, body, place, request_id.clone(), &mut stage);
        match tokio::time::timeout(app.config.request_timeout, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(stage.too_late()),
        }
    };
    let (answer, media) = match outcome {
        Ok((answer, media)) => (answer, media),
        Err(failure) => (failure.into_answer(), "application/fhir+json; charset=utf-8"),
    };
    let took = started.elapsed();
    app.metrics.record(stage.code, answer.status, took);
    request_log::write(&method, rows, &shown_path, answer.status, took, &request_id);
    finish(answer, media, encoding, &request_id, is_head, is_pretty)
}

/// How far a request has come.
struct Stage {
    /// Of the interaction, for metrics.
    code: &'static str,
    writes: bool,
    in_engine: bool,
}

impl Default for Stage {
    fn default() -> Self {
        Stage { code: "none", writes: false, in_engine: false }
    }
}

impl Stage {
    /// What giving up at this stage means for the client.
    fn too_late(&self) -> Failure {
        let text = match (self.in_engine, self.writes) {
            (false, _) => "the request did not arrive in time: nothing was changed, send it again",
            (true, false) => "the request took too long: ask for less at once",
            (true, true) => {
                "the request took too long, and what it writes may have been stored nevertheless: read it back or search \
                 for it before you repeat; a create with If-None-Exist can be repeated without harm"
            }
        };
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", text);
        // Retry-After would invite clients to do it twice.
        if self.in_engine && self.writes { failure } else { failure.retry_after(5) }
    }
}

/// Counts a request as in work for as long as it lives, however it ends.
struct InFlight<'a> {
    metrics: &'a Metrics,
    over_limit: bool,
}

impl<'a> InFlight<'a> {
    fn begin(app: &'a App) -> InFlight<'a> {
        let now = app.metrics.begin();
        InFlight { metrics: &app.metrics, over_limit: now > app.config.in_flight_max as i64 }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.end();
    }
}

async fn answer(
    app: &App,
    parts: Parts,
    pairs: Result<Vec<(String, String)>, Failure>,
    body: Body,
    place: Place,
    request_id: String,
    stage: &mut Stage,
) -> Result<(Answer, &'static str), Failure> {
    let config = &app.config;
    let Place { space, tenant, prefix, path } = place;
    let who = auth::principal(config, &parts.headers)?;
    if tenant != config.default_tenant && !config.other_tenants.contains(&tenant) {
        return Err(Failure::new(StatusCode::NOT_FOUND, "not-found", "there is no such tenant here"));
    }
    let path = query::decode_path(&path).ok_or_else(|| {
        Failure::new(StatusCode::BAD_REQUEST, "invalid", "the path is not valid percent-encoded UTF-8")
    })?;
    let wanted = match space {
        Space::Fhir => Wanted::Fhir(route(fhir::defs::r4(), &parts.method, &path)?),
        Space::Tracker => Wanted::Tracker(tracker::route(&parts.method, &path)?),
    };
    (stage.code, stage.writes) = wanted.about();
    let text = parts.uri.query().unwrap_or("").to_owned();
    let pairs = pairs?;
    let (media, below) = match wanted {
        Wanted::Fhir(_) => (negotiate::wanted(&parts.headers, &pairs)?, ""),
        Wanted::Tracker(_) => ("application/json; charset=utf-8", "/fhir"),
    };
    // References are to FHIR resources, wherever the question came in.
    let base = format!("{}{prefix}{below}", base_url(config, &parts));
    let is_post = parts.method == Method::POST;
    let body = match parts.method {
        Method::GET | Method::HEAD | Method::DELETE => body::Held::default(),
        _ => body::read(&parts.headers, body, config.body_bytes_max, &app.room).await?,
    };
    stage.in_engine = true;
    let session = Session { tenant: TenantId(tenant), who, request_id, base };
    let stopping = parts.extensions.get::<Stopping>().cloned();
    let request = Request { session, headers: parts.headers, query: text, pairs, body, is_post, stopping };
    let answer = match wanted {
        Wanted::Fhir(interaction) => {
            interactions::run(&app.tracker, &app.buckets, &request, interaction, &path).await?
        }
        Wanted::Tracker(ask) => tracker::run(&app.tracker, request, ask, &prefix).await?,
    };
    Ok((answer, media))
}

/// What is wanted, of either interface.
enum Wanted {
    Fhir(crate::route::Interaction),
    Tracker(tracker::Ask),
}

impl Wanted {
    /// The name in metrics, and whether it writes.
    fn about(&self) -> (&'static str, bool) {
        match self {
            Wanted::Fhir(interaction) => (interaction.code(), interaction.writes()),
            Wanted::Tracker(ask) => (ask.code(), ask.writes()),
        }
    }
}

/// Scheme and host as the client sees them.
pub(crate) fn base_url(config: &Config, parts: &Parts) -> String {
    if let Some(base) = &config.base_url {
        return base.clone();
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let is_tls = parts.extensions.get::<OverTls>().is_some() || header("x-forwarded-proto") == Some("https");
    let scheme = if is_tls { "https" } else { "http" };
    let is_host = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte));
    let host = header("x-forwarded-host").or(header("host")).or(parts.uri.authority().map(|host| host.as_str()));
    format!("{scheme}://{}", host.filter(is_host).unwrap_or("localhost"))
}

fn finish(
    answer: Answer,
    media: &'static str,
    encoding: compress::Encoding,
    request_id: &str,
    is_head: bool,
    pretty: bool,
) -> Response {
    let Answer { status, mut headers, mut body, stream } = answer;
    let is_json = !headers.contains_key(header::CONTENT_TYPE);
    if pretty && is_json {
        body = fhir::json::pretty(&body);
    }
    if !body.is_empty() {
        if is_json {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        body = compress::compress(encoding, &mut headers, body);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    let body = match stream {
        Some(_) if is_head => Body::empty(),
        Some(stream) => stream,
        None => {
            if is_head {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
                body.clear();
            }
            Body::from(body)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
