//! Two-way synchronisation of a destination from its settings.

use crate::config::destination::Destination;
use anyhow::Result;
use delivery::Async;
use emr::OpenEmr;
use emr::openemr::Schedule;
use emr::sync::{BusinessIdentifier, Finder, Kind, Match, Settings, Sync};
use engine::{Engine, Error, Principal, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::{Document, Limits, Value};
use registry::{Grade, Registry};
use std::sync::Arc;
use std::time::Duration;

/// What delivery and the pull of a synchronised OpenEMR share.
pub(crate) async fn shared(
    destination: &Destination,
    emr: &OpenEmr,
    engine: &Engine,
    registry: &Registry,
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
    let finder = Arc::new(Recognised(registry.clone()));
    Ok(Arc::new(Sync::new(engine.clone(), session, settings, finder).await?))
}

/// By an identifier that both have; a Patient without one by all that is known of the person, if that is certain.
#[derive(Debug)]
struct Recognised(Registry);

impl Finder for Recognised {
    fn find<'a>(
        &'a self,
        engine: &'a Engine,
        session: &'a Session,
        ty: TypeId,
        theirs: &'a Value,
    ) -> Async<'a, Result<Match, Error>> {
        Box::pin(async move {
            let found = BusinessIdentifier.find(engine, session, ty, theirs).await?;
            if found != Match::No || r4().ty(ty).name != "Patient" {
                return Ok(found);
            }
            let mut bytes = Vec::new();
            theirs.write(&mut bytes);
            let document = Document::parse(&bytes, &Limits::default())?;
            self.recognise(session, &document)
        })
    }
}

impl Recognised {
    fn recognise(&self, session: &Session, patient: &Document) -> Result<Match, Error> {
        let found = match self.0.find(session, patient.root()) {
            // Too little to find anybody by.
            Err(error) if error.status == 422 => return Ok(Match::No),
            found => found?,
        };
        let mut certain = found.into_iter().filter(|one| one.grade == Grade::Certain);
        Ok(match (certain.next(), certain.next()) {
            (None, _) => Match::No,
            (Some(one), None) => Match::One(one.record),
            // Records of one person, or of two: which one is theirs, somebody must say.
            (Some(_), Some(_)) => Match::Unsure,
        })
    }
}

pub(crate) fn schedule(destination: &Destination) -> Result<Schedule> {
    Ok(Schedule {
        every: Duration::from_secs(destination.sync.every_s),
        sweep_at: destination.sync.sweep_at()?,
        zone: destination.zone()?,
    })
}
