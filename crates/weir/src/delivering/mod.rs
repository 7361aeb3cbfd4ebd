//! The dispatchers of all configured destinations, from start to stop.

mod gnu_health;
mod openemr;
mod sync;

use crate::config::destination::Destination;
use crate::wiring::{SystemClock, secret};
use anyhow::{Context, Result};
use delivery::{Desk, Dispatcher, EngineBook, Spec};
use emr::openemr::Follower;
use emr::sync::{Kind, Quality, SyncCheck, Synced};
use emr::{Auth, FhirServer, Http, Maps, Roster, Translated, Watched, Witness};
use engine::{Engine, Principal, Role, Session};
use registry::Registry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::TenantId;
use tokio::task::JoinSet;

/// Between two tries to start a dispatcher that has failed.
const AGAIN: Duration = Duration::from_secs(5);

/// All dispatchers of a server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivering {
    pub(crate) desk: Desk,
    pub(crate) roster: Roster,
    tasks: Arc<Mutex<JoinSet<()>>>,
    /// They end with the process: each step is whole or has not been.
    followers: Arc<Mutex<JoinSet<()>>>,
}

impl Delivering {
    /// Starts a dispatcher for each destination. Wrong settings are errors here; what fails later is tried again.
    pub(crate) async fn start(&self, destinations: &[Destination], engine: &Engine, registry: &Registry) -> Result<()> {
        for destination in destinations {
            let session = session(destination);
            let witness = Witness::new(Arc::new(SystemClock));
            let side = side(destination, engine, registry, &session, witness.clone()).await;
            let side = side.with_context(|| format!("destination {}", destination.name))?;
            let (tenant, name) = (destination.tenant.clone(), destination.name.clone());
            self.roster.put(Watched { tenant, name, witness, follower: side.follower.clone() });
            if let Some(follower) = side.follower.clone() {
                let (tenant, name) = (destination.tenant.clone(), destination.name.clone());
                let (schedule, desk) = (sync::schedule(destination)?, self.desk.clone());
                self.followers().spawn(async move {
                    let calls = || Some(desk.get(&tenant, &name)?.calls());
                    follower.run(&schedule, calls).await;
                });
            }
            let (destination, engine, desk) = (destination.clone(), engine.clone(), self.desk.clone());
            self.tasks().spawn(async move {
                while let Err(error) = run(&destination, &engine, &session, &side, &desk).await {
                    let (name, error) = (&destination.name, format!("{error:#}"));
                    tracing::error!(delivery.destination = name, error, "delivery stopped, starts again");
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        Ok(())
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn followers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes what is in flight, for `timeout` at most. What is not finished is looked for at the destination at the next start.
    pub(crate) async fn stop(&self, timeout: Duration) {
        self.followers().abort_all();
        self.desk.stop().await;
        let mut tasks = std::mem::take(&mut *self.tasks());
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!("deliveries were cut off after the shutdown timeout");
        }
    }
}

/// The other side of a destination.
struct Side {
    connector: Arc<dyn delivery::Destination>,
    check: Arc<dyn delivery::Check>,
    follower: Option<Arc<Follower>>,
}

async fn side(
    destination: &Destination,
    engine: &Engine,
    registry: &Registry,
    session: &Session,
    witness: Witness,
) -> Result<Side> {
    let client = emr::client(Duration::from_secs(destination.timeout_s))?.seen_by(witness.clone());
    let quiesce = Duration::from_secs(destination.quiesce_s);
    let feed = engine.feed(session).await?;
    let maps = Arc::new(Maps::new(feed.clone(), destination.concept_maps.clone()));
    if destination.kind == "openemr" {
        let emr = Arc::new(openemr::connector(destination, client, quiesce, feed).await?);
        let quality = Quality { kind: Kind::OpenEmr, maps: Some(maps.clone()) };
        let connector = Arc::new(Translated::new(emr.clone(), maps));
        if !destination.sync.enabled {
            return Ok(Side { connector, check: Arc::new(SyncCheck::new(None, quality)), follower: None });
        }
        let sync = sync::shared(destination, &emr, engine, registry, session).await?;
        let follower = Follower::new(emr, sync.clone(), witness, Arc::new(SystemClock)).await?;
        let check = Arc::new(SyncCheck::new(Some(sync.clone()), quality));
        let connector = Arc::new(Synced::new(connector, sync));
        return Ok(Side { connector, check, follower: Some(Arc::new(follower)) });
    }
    let connector: Arc<dyn delivery::Destination> = if destination.kind == "gnu-health" {
        let connector = Arc::new(gnu_health::connector(destination, client, quiesce)?);
        Arc::new(Translated::new(connector, maps.clone()))
    } else {
        let auth = match destination.token_file.as_os_str().is_empty() {
            true => Auth::None,
            false => Auth::Bearer(secret(&destination.token_file)?),
        };
        let http = Http::new(client, &destination.url, auth);
        let connector = Arc::new(FhirServer::new(http, destination.mode()?, quiesce));
        Arc::new(Translated::new(connector, maps.clone()))
    };
    let quality = Quality { kind: Kind::Fhir, maps: Some(maps) };
    Ok(Side { connector, check: Arc::new(SyncCheck::new(None, quality)), follower: None })
}

/// As whom the dispatcher reads and notes.
fn session(destination: &Destination) -> Session {
    Session {
        tenant: TenantId(destination.tenant.clone()),
        who: Principal { id: format!("delivery/{}", destination.name), role: Role::Admin },
        request_id: String::new(),
        base: "http://localhost/fhir".into(),
    }
}

/// Runs one dispatcher to its end.
async fn run(destination: &Destination, engine: &Engine, session: &Session, side: &Side, desk: &Desk) -> Result<()> {
    let last_seq = engine.stats(session).await?.last_seq;
    let book = EngineBook::new(engine.clone(), session.clone()).await?;
    let mut seed = [0; 8];
    seal::system_random(&mut seed);
    let spec = Spec { check: Some(side.check.clone()), ..destination.spec(last_seq)? };
    let (dispatcher, handle) =
        Dispatcher::start(book, spec, side.connector.clone(), Arc::new(SystemClock), u64::from_le_bytes(seed)).await?;
    desk.put(&destination.tenant, handle);
    dispatcher.run().await?;
    Ok(())
}
