//! The operator's pages and their API: what is on its way to each destination, when it will be there, what went wrong.

mod act;
mod api;
mod card;
mod chart;
mod destination;
mod events;
mod history;
mod intent;
mod metrics;
pub(crate) mod origin;
mod overview;
mod page;
pub(crate) mod refused;
mod sync;

pub use metrics::Metrics;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use delivery::{Desk, Handle, Intent, State, Status};
use emr::Roster;
use engine::{Engine, Session};
use fhir::nearest::hint;
use history::History;
use refused::Refused;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::TenantId;
use tokio::sync::{Semaphore, watch};

/// Between two samples of the charts.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// A form with a resource in it.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Pages that are live at the same time.
const WATCHERS_MAX: usize = 64;

/// What the handlers share.
#[derive(Debug)]
struct Ops {
    desk: Desk,
    roster: Roster,
    engine: Engine,
    history: Mutex<History>,
    /// In every form: a page of another site cannot know it.
    token: String,
    watchers: Arc<Semaphore>,
    /// Changes or closes when the server stops.
    stop: watch::Receiver<()>,
}

type Shared = axum::extract::State<Arc<Ops>>;

/// Everything below `/ops` and `/sync`. Every request must carry an [`engine::Session`] for the default tenant as an extension. Must be
/// called inside a runtime: it takes samples for the charts until `stop` changes or its sender is gone; open streams of events
/// end then too.
pub fn router(desk: Desk, roster: Roster, engine: Engine, stop: watch::Receiver<()>) -> Router {
    let mut random = [0; 16];
    engine.fill_random(&mut random);
    let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
    let ops = Arc::new(Ops { desk, roster, engine, history: Mutex::default(), token, watchers, stop: stop.clone() });
    tokio::spawn(sample(ops.clone(), stop));
    Router::new()
        .route("/ops", get(overview::show))
        .route("/ops/", get(overview::show))
        .route("/ops/style.css", get(page::style))
        .route("/ops/live.js", get(page::script))
        .route("/ops/events", get(events::stream))
        .route("/ops/api/destinations", get(api::destinations))
        .route("/ops/api/destinations/{tenant}/{name}", get(api::destination))
        .route("/ops/api/destinations/{tenant}/{name}/intents", get(api::intents))
        .route("/ops/api/destinations/{tenant}/{name}/pause", post(api::pause::<true>))
        .route("/ops/api/destinations/{tenant}/{name}/resume", post(api::pause::<false>))
        .route("/ops/api/destinations/{tenant}/{name}/replay", post(api::replay))
        .route("/ops/{tenant}/{name}", get(destination::show))
        .route("/ops/{tenant}/{name}/pause", post(destination::pause::<true>))
        .route("/ops/{tenant}/{name}/resume", post(destination::pause::<false>))
        .route("/ops/{tenant}/{name}/replay", post(destination::replay))
        .route("/ops/{tenant}/{name}/round", post(sync::ask::<false>))
        .route("/ops/{tenant}/{name}/sweep", post(sync::ask::<true>))
        .route("/sync/status", get(sync::status))
        .route("/sync/patient", post(sync::now::<true, false>))
        .route("/sync/observation", post(sync::now::<false, true>))
        .route("/sync/patient-with-observations", post(sync::now::<true, true>))
        .route("/sync/run", post(sync::run))
        .route("/ops/{tenant}/{name}/intents/{no}", get(intent::show))
        .route("/ops/{tenant}/{name}/intents/{no}/replay", post(intent::replay))
        .route("/ops/{tenant}/{name}/intents/{no}/edit", post(intent::edit))
        .method_not_allowed_fallback(refused::method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(ops)
}

async fn sample(ops: Arc<Ops>, mut stop: watch::Receiver<()>) {
    let mut every = tokio::time::interval(SAMPLE_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {
                let statuses = ops.desk.statuses();
                ops.history.lock().unwrap_or_else(PoisonError::into_inner).add(ops.engine.now_us(), &statuses);
            }
            _ = stop.changed() => return,
        }
    }
}

impl Ops {
    /// Tenant and numbers of each destination, in the order of their names.
    fn statuses(&self) -> Vec<(String, Status)> {
        let mut all = self.desk.statuses();
        all.sort_by(|(tenant, status), (other, also)| (tenant, &status.name).cmp(&(other, &also.name)));
        all
    }

    fn handle(&self, tenant: &str, name: &str) -> Result<Handle, Refused> {
        self.desk.get(tenant, name).ok_or_else(|| {
            let all = self.desk.statuses();
            let names = all.iter().filter(|(other, _)| other == tenant).map(|(_, status)| status.name.as_str());
            let (tenant, name) = (short(tenant), short(name));
            Refused::not_found(format!("tenant {tenant} has no destination {name}{}", hint(&name, names)))
        })
    }

    /// A session of the same person for another tenant.
    fn session_for(&self, session: &Session, tenant: &str) -> Session {
        let mut session = session.clone();
        if session.tenant.0 != tenant {
            let origin = session.base.strip_suffix("/fhir").unwrap_or_default();
            session.base = format!("{origin}/t/{tenant}/fhir");
            session.tenant = TenantId(tenant.to_owned());
        }
        session
    }
}

/// Intents in the order of their numbers.
async fn list(handle: &Handle, state: Option<State>, limit: usize) -> Result<Vec<Intent>, Refused> {
    handle.list(state, limit).await.ok_or_else(Refused::ended)
}

async fn find(handle: &Handle, no: u64) -> Result<Intent, Refused> {
    let found = handle.find(no).await.ok_or_else(Refused::ended)?;
    let text = "nothing with this number waits or was refused: it may have been delivered meanwhile";
    found.ok_or_else(|| Refused::not_found(text))
}

/// The start of what somebody has sent, to be shown to them.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
