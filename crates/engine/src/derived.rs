//! State that is derived from resources and must be right the moment a write is acknowledged: persons, vaccination status,
//! counters. A [`Deriver`] sees every commit before it is made, and what it answers is written with it or not at all.

use crate::prepare::BodyId;
use crate::update::successor;
use crate::{Engine, Error, Feed, Session};
use fhir::defs::TypeId;
use std::pin::Pin;
use store::{AuditRecord, Batch, CommitError, Committed, CounterChange, Event, Op, StateChange, Tenant, Write};

/// A future that a trait object answers.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// See the module documentation. One that answers an error refuses the commit.
pub trait Deriver: Send + Sync {
    /// Types of which a write is shown to it. A commit that writes none of them passes it by.
    fn follows(&self, ty: TypeId) -> bool;

    /// What a commit changes besides its `writes`. It may be called again for the same writes when the commit was lost to
    /// another.
    fn derive<'a>(
        &'a self,
        session: &'a Session,
        feed: &'a Feed,
        writes: &'a [Write],
    ) -> Boxed<'a, Result<Derived, Error>>;

    /// The ids of all Patient resources of the person whose Patient `id` is, itself included.
    fn same_person(&self, session: &Session, id: &str) -> Vec<String>;
}

/// What is written with a commit.
#[derive(Default)]
pub struct Derived {
    pub state: Vec<StateChange>,
    pub counters: Vec<CounterChange>,
    pub events: Vec<Event>,
    pub audit: Vec<AuditRecord>,
    pub resources: Vec<DerivedResource>,
    /// Told when all of it is durable. Dropped without a word when it is not.
    pub ticket: Option<Box<dyn Ticket>>,
}

/// A resource that is weir's own, such as the golden record of a person.
#[derive(Debug)]
pub struct DerivedResource {
    pub ty: TypeId,
    pub id: String,
    /// JSON with its id; `None` deletes it. The same content as before writes nothing.
    pub body: Option<Vec<u8>>,
}

/// What a deriver holds while its part of a commit is on the way.
pub trait Ticket: Send {
    fn committed(self: Box<Self>, committed: &Committed);
}

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Derived")
    }
}

/// Why a commit was not made.
pub(crate) enum NotCommitted {
    /// The deriver refused it.
    Refused(Error),
    Commit(CommitError),
}

impl From<CommitError> for NotCommitted {
    fn from(error: CommitError) -> NotCommitted {
        NotCommitted::Commit(error)
    }
}

impl From<NotCommitted> for Error {
    fn from(not: NotCommitted) -> Error {
        match not {
            NotCommitted::Refused(error) => error,
            NotCommitted::Commit(error) => error.into(),
        }
    }
}

impl Engine {
    /// The engine with a deriver; engines cloned from it before stay without.
    pub fn with_deriver(mut self, deriver: std::sync::Arc<dyn Deriver>) -> Engine {
        self.deriver = Some(deriver);
        self
    }

    /// The one way of resources into the store. A conflict names a write of `batch` as it was given.
    pub(crate) async fn commit(
        &self,
        session: &Session,
        tenant: &Tenant,
        mut batch: Batch,
    ) -> Result<Committed, NotCommitted> {
        let Some(deriver) = self.deriver.as_ref().filter(|deriver| followed(deriver.as_ref(), &batch.writes)) else {
            return Ok(tenant.commit(batch).await?);
        };
        let feed = Feed::of(tenant.clone());
        let derived = deriver.derive(session, &feed, &batch.writes).await.map_err(NotCommitted::Refused)?;
        let own = batch.writes.len();
        let ticket = self.include(session, tenant, &mut batch, derived).await.map_err(NotCommitted::Refused)?;
        let mut committed = match tenant.commit(batch).await {
            // A resource of weir's own was written by others, who are not allowed to: as if the first write had lost.
            Err(CommitError::Conflict { index, .. }) if index >= own => {
                return Err(CommitError::Conflict { index: 0, current: 0 }.into());
            }
            other => other?,
        };
        if let Some(ticket) = ticket {
            ticket.committed(&committed);
        }
        committed.seqs.truncate(own);
        Ok(committed)
    }

    /// Writes what a deriver has to write of its own accord: a merge, a status that the day has changed.
    pub async fn commit_derived(&self, session: &Session, derived: Derived) -> Result<(), Error> {
        let tenant = self.tenant(session)?;
        let mut batch = Batch::default();
        let ticket = self.include(session, &tenant, &mut batch, derived).await?;
        let committed = tenant.commit(batch).await?;
        if let Some(ticket) = ticket {
            ticket.committed(&committed);
        }
        Ok(())
    }

    async fn include(
        &self,
        session: &Session,
        tenant: &Tenant,
        batch: &mut Batch,
        derived: Derived,
    ) -> Result<Option<Box<dyn Ticket>>, Error> {
        batch.state.extend(derived.state);
        batch.counters.extend(derived.counters);
        batch.events.extend(derived.events);
        batch.audit.extend(derived.audit);
        for resource in derived.resources {
            let current = tenant.read(resource.ty, &resource.id).await?;
            let Some(body) = resource.body else {
                batch
                    .writes
                    .extend(current.filter(|stored| stored.op != Op::Delete).as_ref().map(crate::delete::deletion));
                continue;
            };
            let prepared = self.prepare(session, resource.ty, &resource.id, BodyId::MustMatch, &body)?;
            let (expected, op) = successor(current.as_ref());
            if op == Op::Create || current.is_none_or(|stored| stored.body != prepared.body) {
                batch.writes.push(prepared.write(expected, op));
            }
        }
        Ok(derived.ticket)
    }

    /// The ids of all Patient resources of a person, the given one first.
    pub(crate) fn same_person(&self, session: &Session, id: &str) -> Vec<String> {
        let mut ids = vec![id.to_owned()];
        if let Some(deriver) = &self.deriver {
            ids.extend(deriver.same_person(session, id).into_iter().filter(|other| other != id));
        }
        ids
    }
}

fn followed(deriver: &dyn Deriver, writes: &[Write]) -> bool {
    writes.iter().any(|write| deriver.follows(write.ty))
}
