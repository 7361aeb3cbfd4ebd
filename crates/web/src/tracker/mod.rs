//! The pages of the vaccine tracker: how many are vaccinated, who one person is and what is due, and which records may be one person.

mod assign;
mod chart;
mod compare;
mod dashboard;
mod events;
mod export;
mod find;
mod list;
mod lot;
mod names;
mod network;
mod numbers;
mod page;
mod person;
mod refused;
mod review;
mod say;
mod sections;
mod submitted;
mod table;
mod timeline;
mod unmerge;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use engine::{Engine, Session};
use fhir::nearest::hint;
use numbers::Counted;
use refused::InPage;
use registry::{Definition, Denominator, Network, Registry};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use store::TenantId;
use tokio::sync::{Semaphore, watch};

/// A form with a reason in it.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Pages that are live at the same time.
const WATCHERS_MAX: usize = 64;

/// What the handlers share.
struct Tracker {
    engine: Engine,
    registry: Registry,
    /// In every form: a page of another site cannot know it.
    token: String,
    watchers: Arc<Semaphore>,
    /// Changes or closes when the server stops.
    stop: watch::Receiver<()>,
    /// What was counted last, so that many live pages cost as much as one.
    counted: Mutex<HashMap<(TenantId, String), Counted>>,
    /// Names of clinics and providers by tenant and reference.
    places: Mutex<HashMap<(TenantId, String), String>>,
    /// The last count over all tenants.
    network: tokio::sync::Mutex<Option<Arc<Network>>>,
}

type Shared = axum::extract::State<Arc<Tracker>>;

/// Everything below `/tracker`, and `/ops/api/network`. Every request must carry an [`engine::Session`] as an extension. Live pages end when `stop`
/// changes or its sender is gone.
pub fn router(engine: Engine, registry: Registry, stop: watch::Receiver<()>) -> Router {
    let mut random = [0; 16];
    engine.fill_random(&mut random);
    let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
    let (counted, places, network) = (Mutex::default(), Mutex::default(), tokio::sync::Mutex::default());
    let tracker = Arc::new(Tracker { engine, registry, token, watchers, stop, counted, places, network });
    Router::new()
        .route("/tracker", get(dashboard::show))
        .route("/tracker/", get(dashboard::show))
        .route("/tracker/style.css", get(page::style))
        .route("/tracker/script.js", get(page::script))
        .route("/tracker/events", get(events::stream))
        .route("/tracker/export/{file}", get(export::download))
        .route("/tracker/list", get(list::show))
        .route("/tracker/lot", get(lot::show))
        .route("/tracker/person", get(person::show))
        .route("/tracker/person/find", post(find::find))
        .route("/tracker/person/unmerge", post(unmerge::unmerge))
        .route("/tracker/review", get(review::show))
        .route("/tracker/review/decide", post(review::decide))
        .route("/tracker/review/assign", post(assign::assign))
        .route("/ops/api/network", get(network::show))
        .method_not_allowed_fallback(refused::method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(tracker)
}

impl Tracker {
    fn token_field(&self) -> maud::Markup {
        maud::html! { input type="hidden" name="token" value=(self.token); }
    }

    /// The programme with this id; without one the first of surveillance, which people mean by "vaccinated".
    fn programme(&self, id: Option<&str>) -> Result<Definition, InPage> {
        let all = self.registry.definitions().list();
        let Some(id) = id else {
            let first = all.iter().find(|one| one.calculator != "clinical").or(all.first());
            return first.cloned().ok_or_else(|| InPage::not_found("no programme is set up"));
        };
        all.iter().find(|one| one.id == id).cloned().ok_or_else(|| {
            let hint = hint(id, all.iter().map(|one| one.id.as_str()));
            InPage::not_found(format!("there is no programme {}{hint}", short(id)))
        })
    }

    /// What shares are of: `known`, as without it, or `census`, which the tenant must have.
    fn denominator(&self, session: &Session, name: Option<&str>) -> Result<Denominator, InPage> {
        match name {
            None | Some("known") => Ok(Denominator::Known),
            Some("census") if self.registry.census(&session.tenant, self.registry.today()).is_some() => {
                Ok(Denominator::Census)
            }
            Some("census") => {
                let text = "no census table is set up here: the operator names one in vaccines.census_files";
                Err(InPage::not_found(text.to_owned()))
            }
            Some(other) => {
                let text = format!("denominator: known or census{}", hint(other, ["known", "census"]));
                Err(InPage::not_found(text))
            }
        }
    }
}

/// The start of what somebody has sent, to be shown to them.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// An address of ours with parameters.
fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn person_link(id: &str) -> String {
    link("/tracker/person", &[("id", id)])
}

/// The value of a parameter that [`crate::ops::origin::parameters`] has read.
fn value<'a>(pairs: &'a [(&str, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// As it is needed after a fault in another thread: what is kept here is only ever replaced whole.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The tenant's key in what is kept of several tenants.
fn of_tenant(session: &Session, name: &str) -> (TenantId, String) {
    (session.tenant.clone(), name.to_owned())
}
