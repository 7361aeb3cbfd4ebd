//! Two-way synchronisation of a destination from its settings.

use crate::config::destination::Destination;
use anyhow::Result;
use emr::OpenEmr;
use emr::openemr::Schedule;
use emr::sync::{BusinessIdentifier, Kind, Settings, Sync};
use engine::{Engine, Principal, Session};
use std::sync::Arc;
use std::time::Duration;

/// What delivery and the pull of a synchronised OpenEMR share.
pub(crate) async fn shared(
    destination: &Destination,
    emr: &OpenEmr,
    engine: &Engine,
    session: &Session,
) -> Result<Arc<Sync>> {
    let settings = Settings {
        name: destination.name.clone(),
        kind: Kind::OpenEmr,
        base: emr.fhir_base().to_owned(),
        identifier_system: destination.identifier_system.clone(),
        types: destination.sync.types()?,
        tombstone: destination.sync.tombstone()?,
    };
    let who = Principal { id: format!("sync/{}", destination.name), ..session.who.clone() };
    let session = Session { who, ..session.clone() };
    Ok(Arc::new(Sync::new(engine.clone(), session, settings, Arc::new(BusinessIdentifier)).await?))
}

pub(crate) fn schedule(destination: &Destination) -> Result<Schedule> {
    Ok(Schedule {
        every: Duration::from_secs(destination.sync.every_s),
        sweep_at: destination.sync.sweep_at()?,
        zone: destination.zone()?,
    })
}
