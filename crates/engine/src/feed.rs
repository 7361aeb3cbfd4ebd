//! The change log for those who follow it: delivery, subscriptions, derived state. Followers keep their own place and state,
//! in commits of their own, and see every version once it is durable.

use crate::audit::Access;
use crate::{Engine, Error, Resource, Session};
use fhir::defs::{self, TypeId};
use fhir::index::{Value, extract_param};
use fhir::json::{Document, Limits};
use store::{AuditRecord, Batch, ClaimChange, Happened, StateChange, Stored, Tenant};

/// One tenant's change log and the state that a follower keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feed {
    tenant: Tenant,
}

/// A version in commit order.
#[derive(Clone, Debug)]
pub struct Followed {
    pub seq: u64,
    pub resource: Resource,
    /// `Patient/id` whose record this is, when known.
    pub patient: Option<String>,
}

/// What a follower writes, whole or not at all.
#[derive(Debug, Default)]
pub struct Keep {
    pub state: Vec<StateChange>,
    /// Fails with 409 when somebody else holds one: the lease of a follower.
    pub claims: Vec<ClaimChange>,
    pub audit: Vec<AuditRecord>,
}

impl Engine {
    /// For followers only: what they read by it leaves no audit record, so they note what they pass on.
    pub async fn feed(&self, session: &Session) -> Result<Feed, Error> {
        let tenant = self.admit(&Access::new(session, "follow", String::new()), None).await?;
        Ok(Feed::of(tenant))
    }
}

impl Feed {
    pub(crate) fn of(tenant: Tenant) -> Feed {
        Feed { tenant }
    }

    /// Versions after `after`, in commit order, at most `limit`.
    pub async fn changes(&self, after: u64, limit: usize) -> Result<Vec<Followed>, Error> {
        let changes = self.tenant.changes(after, limit).await?;
        Ok(changes.into_iter().map(followed).collect())
    }

    /// Number of versions of `types` among the `span` changes after `after`, and the newest change that was looked at.
    pub async fn count_changes(&self, after: u64, span: u64, types: &[TypeId]) -> Result<(u64, u64), Error> {
        Ok(self.tenant.count_changes(after, span, types).await?)
    }

    /// The newest version, deletions included.
    pub async fn current(&self, ty: TypeId, id: &str) -> Result<Option<Followed>, Error> {
        Ok(self.tenant.read(ty, id).await?.map(followed))
    }

    pub async fn state(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.tenant.state(space, key).await?)
    }

    /// Kept values whose keys come after `after`, in order, at most `limit`.
    pub async fn states(&self, space: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        Ok(self.tenant.states(space, after, limit).await?)
    }

    /// Calls `found` with name, key and count of all counters that are not 0, in order.
    pub async fn counters(&self, found: impl FnMut(&str, &str, i64)) -> Result<(), Error> {
        Ok(self.tenant.counters(found).await?)
    }

    /// Events of a topic after number `after`, in commit order, at most `limit`.
    pub async fn events(&self, topic: &str, after: u64, limit: usize) -> Result<Vec<Happened>, Error> {
        Ok(self.tenant.events(topic, after, limit).await?)
    }

    /// Number of the newest event of any topic; 0 when there is none.
    pub async fn last_event(&self) -> Result<u64, Error> {
        Ok(self.tenant.last_event().await?)
    }

    pub async fn keep(&self, keep: Keep) -> Result<(), Error> {
        let batch = Batch { state: keep.state, claims: keep.claims, audit: keep.audit, ..Batch::default() };
        self.tenant.commit(batch).await?;
        Ok(())
    }
}

fn followed(stored: Stored) -> Followed {
    let patient = patient_of(&stored);
    Followed { seq: stored.seq, patient, resource: stored.into() }
}

/// The patient of the resource's compartment; the first one when there are several.
fn patient_of(stored: &Stored) -> Option<String> {
    let defs = defs::r4();
    let patient = defs.resource_by_name("Patient")?;
    if stored.ty == patient {
        return Some(format!("Patient/{}", stored.id));
    }
    let (_, params) = defs.compartment(patient)?.members.iter().find(|(member, _)| *member == stored.ty)?;
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    let document = Document::parse(&stored.body, &limits).ok()?;
    params.iter().flat_map(|param| extract_param(defs, *param, document.root())).find_map(|value| match value {
        Value::Reference { ty, id } if ty == patient => Some(format!("Patient/{id}")),
        _ => None,
    })
}
