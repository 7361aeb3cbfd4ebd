//! The vaccine tracker: who is who among the records of persons, who is vaccinated, and how many are.
//!
//! [`Registry`] is the engine's deriver: every commit that writes a Patient, an Immunization or a finding carries the
//! person's row, the counts it changes and the events that tell of it. Sources are never rewritten: a person is links
//! between Patients and, from the second record on, a golden Patient. See docs/adr/0004.

mod build;
mod cell;
mod census;
mod clinical;
mod day;
mod decide;
mod derive;
mod event;
mod export;
mod facts;
mod golden;
pub mod immds;
mod live;
mod locks;
mod matching;
mod network;
mod newcomer;
mod pages;
mod partner;
mod patient;
mod person;
mod programme;
mod queue;
mod read;
mod reencode;
mod ring;
mod row;
mod share;
mod stats;
mod summary;
mod tally;
mod tenancy;
mod turn;
mod weigh;

pub use cell::{KINDS, Kind};
pub use census::{Census, CensusError, CensusTable};
pub use event::{IDENTITY, VACCINATION};
pub use export::{Export, ExportError, Exported, ExportedDose, ExportedPerson, ExportedStanding, ExportedTable};
pub use facts::Sex;
pub use identity::{FIELDS, Grade, NAMES, Weights};
pub use matching::Match;
pub use network::{Counted, CountedTenant, Network, NetworkStats};
pub use partner::{Partner, PartnerError, PartnerExport, PartnerFormat, SharedRecord};
pub use person::{Evaluated, Given, InvalidDose, Linked, Listed, Persons, PersonsQuery, Programme, Recommended, Whole};
pub use programme::{Definition, DefinitionError, Definitions};
pub use queue::{ASSIGNED_MAX, Review, Reviews, ReviewsQuery};
pub use reencode::Rotated;
pub use row::{Link, PersonId};
pub use share::{CensusUsed, Denominator, OfCensus, Share};
pub use stats::{AGE_BANDS, Count, Group, People, SMALL, Stats, StatsQuery, hide_small};
pub use summary::{MARKS, Marks};
pub use turn::{Difference, Recount};
pub use weigh::{Applied, Estimated, Example, KeptWeights, SHIPPED, Shift};

use engine::{Error, Random};
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Clock, TenantId};
use tenancy::Tenancy;
pub use vaccines::Date;

/// See the crate's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    definitions: RwLock<Arc<Definitions>>,
    censuses: RwLock<Vec<Arc<Census>>>,
    zone: TimeZone,
    clock: Arc<dyn Clock>,
    random: Random,
    tenancies: RwLock<HashMap<TenantId, Arc<Tenancy>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// `zone`: where a day begins.
    pub fn new(definitions: Definitions, zone: TimeZone, clock: Arc<dyn Clock>, random: Random) -> Registry {
        let definitions = RwLock::new(Arc::new(definitions));
        let (censuses, tenancies) = (RwLock::default(), RwLock::default());
        Registry { inner: Arc::new(Inner { definitions, censuses, zone, clock, random, tenancies }) }
    }

    pub fn definitions(&self) -> Arc<Definitions> {
        self.inner.definitions.read().clone()
    }

    /// The day it is where the tenants are.
    pub fn today(&self) -> Date {
        day::of(self.inner.clock.now_us(), &self.inner.zone)
    }

    pub(crate) fn now_us(&self) -> i64 {
        self.inner.clock.now_us()
    }

    pub(crate) fn fill_random(&self, out: &mut [u8]) {
        (self.inner.random)(out);
    }

    pub(crate) fn tenancy(&self, tenant: &TenantId) -> Result<Arc<Tenancy>, Error> {
        self.inner.tenancies.read().get(tenant).cloned().ok_or_else(|| {
            Error::new(503, "transient", "the registry of this tenant is being read: repeat in a few seconds")
        })
    }
}

/// Where days begin when nothing is said.
pub fn utc() -> TimeZone {
    TimeZone::UTC
}

/// What is kept cannot be read: the operator's matter.
pub(crate) fn broken(what: &str, error: &dyn std::fmt::Display) -> Error {
    tracing::error!(what, error = %error, "the registry's own data is damaged");
    Error::new(500, "exception", "the registry's own data is damaged: the operator finds the reason in the log")
}
