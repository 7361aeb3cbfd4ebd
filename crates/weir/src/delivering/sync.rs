//! Two-way synchronisation of a destination from its settings.

use crate::config::destination::Destination;
use crate::delivering::Delivering;
use crate::wiring::SystemClock;
use anyhow::Result;
use delivery::Calls;
use emr::openemr::{Follower, Schedule};
use emr::sync::{BusinessIdentifier, Kind, Quality, Settings, Sync, SyncCheck, Synced};
use emr::{OpenEmr, Witness};
use engine::{Engine, Session};
use std::sync::Arc;
use std::time::Duration;

/// What delivery and the pull of a synchronised OpenEMR share.
pub(crate) struct Synchronised {
    pub(crate) connector: Arc<dyn delivery::Destination>,
    pub(crate) check: Arc<dyn delivery::Check>,
    pub(crate) follower: Arc<Follower>,
}

pub(crate) async fn synchronised(
    destination: &Destination,
    emr: Arc<OpenEmr>,
    engine: &Engine,
    session: &Session,
    witness: Witness,
) -> Result<Synchronised> {
    let settings = Settings {
        name: destination.name.clone(),
        kind: Kind::OpenEmr,
        base: emr.fhir_base().to_owned(),
        identifier_system: destination.identifier_system.clone(),
        types: destination.sync.types()?,
        tombstone: destination.sync.tombstone()?,
    };
    let session = Session {
        who: engine::Principal { id: format!("sync/{}", destination.name), ..session.who.clone() },
        ..session.clone()
    };
    let sync = Arc::new(Sync::new(engine.clone(), session, settings, Arc::new(BusinessIdentifier)).await?);
    let check = SyncCheck::new(sync.clone(), Quality { kind: Kind::OpenEmr, mapped: None });
    let follower = Follower::new(emr.clone(), sync.clone(), witness, Arc::new(SystemClock)).await?;
    let connector = Arc::new(Synced::new(emr, sync));
    Ok(Synchronised { connector, check: Arc::new(check), follower: Arc::new(follower) })
}

/// Follows until the process ends.
pub(crate) async fn follow(destination: Destination, follower: Arc<Follower>, delivering: Delivering) -> Result<()> {
    let schedule = Schedule {
        every: Duration::from_secs(destination.sync.every_s),
        sweep_at: destination.sync.sweep_at()?,
        zone: destination.zone()?,
    };
    let calls = || -> Option<Calls> { Some(delivering.desk.get(&destination.tenant, &destination.name)?.calls()) };
    follower.run(&schedule, calls).await;
    Ok(())
}
