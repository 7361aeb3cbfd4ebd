//! The writes of a transaction: who is who, what each entry writes, and the one commit.

use super::entry::PatchBody;
use super::parse::{Entry, Method, Target};
use super::resolve::{self, Links};
use super::respond::Answer;
use super::{in_entry, order};
use crate::audit::{self, Access};
use crate::conditional::{Guard, MATCHES_MAX, lock_key};
use crate::delete::deletion;
use crate::derived::NotCommitted;
use crate::patch::Operations;
use crate::prepare::{self, BodyId};
use crate::update::{ATTEMPTS_MAX, conditional_id, successor};
use crate::{Engine, Error, Resource, Session};
use fhir::defs::{self, TypeId};
use std::collections::{HashMap, HashSet};
use store::{Batch, CommitError, Op, Stored, Tenant};

/// Entries that are prepared before other tasks get their turn.
const PREPARED_AT_ONCE: usize = 64;

/// What an entry means on this server.
#[derive(Debug)]
struct Identity {
    ty: TypeId,
    /// Of the resource that is written or found; empty for a delete.
    id: String,
    /// Its state before the transaction. Not read for the id of a fresh POST.
    current: Option<Stored>,
    /// What a delete removes.
    doomed: Vec<Stored>,
    /// If-None-Exist found it: nothing is written.
    existed: bool,
}

/// A commit in the making.
#[derive(Default)]
struct Work {
    batch: Batch,
    /// Entry of each write of the batch.
    entry_of: Vec<usize>,
    /// Answers by entry; the time of the commit is put in afterwards.
    answers: Vec<Answer>,
}

impl Engine {
    /// Commits all writes; the answers of reads are left empty. Tries again when others were faster and no version was asked for.
    pub(super) async fn transact(&self, session: &Session, entries: &[Entry<'_>]) -> Result<Vec<Answer>, Error> {
        let tenant = self.tenant(session)?;
        let writes = order::writes(entries);
        let _guards = self.hold_all(session, &writes).await;
        let mut attempt = 1;
        loop {
            let mut work = self.plan(session, &tenant, entries, &writes).await?;
            if work.batch.writes.is_empty() {
                tenant.audit(std::mem::take(&mut work.batch.audit)).await;
                return Ok(work.answers);
            }
            match self.commit(session, &tenant, work.batch).await {
                Ok(committed) => {
                    for entry in work.entry_of {
                        work.answers[entry].last_updated_us = Some(committed.at_us);
                    }
                    return Ok(work.answers);
                }
                Err(NotCommitted::Commit(CommitError::Conflict { index, current })) => {
                    let entry = work.entry_of[index];
                    if entries[entry].precondition.names_version() {
                        return Err(in_entry(Error::stale(current), entry));
                    }
                    if attempt == ATTEMPTS_MAX {
                        return Err(in_entry(CommitError::Conflict { index, current }.into(), entry));
                    }
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Locks of conditional creates and updates, in one order for everybody.
    async fn hold_all(&self, session: &Session, writes: &[&Entry<'_>]) -> Vec<Guard<'_>> {
        let creating = writes.iter().filter(|entry| matches!(entry.method, Method::Post | Method::Put));
        let mut keys: Vec<String> = creating
            .filter_map(|entry| match &entry.target {
                Target::Type(ty) => Some(lock_key(session, *ty, entry.precondition.criteria.as_deref()?)),
                _ => None,
            })
            .collect();
        keys.sort();
        keys.dedup();
        let mut guards = Vec::with_capacity(keys.len());
        for key in keys {
            guards.push(self.inner.locks.lock(key).await);
        }
        guards
    }

    async fn plan(
        &self,
        session: &Session,
        tenant: &Tenant,
        entries: &[Entry<'_>],
        writes: &[&Entry<'_>],
    ) -> Result<Work, Error> {
        let identities = self.identify(session, tenant, writes).await?;
        let mut links = full_urls(writes, &identities)?;
        self.conditional_references(session, tenant, writes, &mut links).await?;
        let mut work = Work::default();
        work.answers.resize_with(entries.len(), Answer::default);
        for (at, (entry, identity)) in writes.iter().zip(identities).enumerate() {
            if at % PREPARED_AT_ONCE == PREPARED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            self.add(session, &mut work, entry, identity, &links).map_err(|error| in_entry(error, entry.index))?;
        }
        Ok(work)
    }

    /// In processing order, so that what is deleted is no match for later criteria.
    async fn identify(
        &self,
        session: &Session,
        tenant: &Tenant,
        writes: &[&Entry<'_>],
    ) -> Result<Vec<Identity>, Error> {
        let mut identities = Vec::with_capacity(writes.len());
        let mut doomed = HashSet::new();
        let mut written: HashMap<(TypeId, String), usize> = HashMap::new();
        for entry in writes {
            let identity = self.identity(session, tenant, entry, &doomed).await;
            let identity = identity.map_err(|error| in_entry(error, entry.index))?;
            doomed.extend(identity.doomed.iter().map(|stored| (stored.ty, stored.id.clone())));
            let touched = identity.doomed.iter().map(|stored| (stored.ty, stored.id.clone()));
            let own = (!identity.existed && !identity.id.is_empty()).then(|| (identity.ty, identity.id.clone()));
            for key in touched.chain(own) {
                if let Some(other) = written.insert(key, entry.index) {
                    let text = format!("entry {other} writes the same resource: a transaction may write it once");
                    return Err(in_entry(Error::new(400, "duplicate", text), entry.index));
                }
            }
            identities.push(identity);
        }
        Ok(identities)
    }

    async fn identity(
        &self,
        session: &Session,
        tenant: &Tenant,
        entry: &Entry<'_>,
        doomed: &HashSet<(TypeId, String)>,
    ) -> Result<Identity, Error> {
        let (ty, id) = match &entry.target {
            Target::Type(ty) => (*ty, None),
            Target::Instance(ty, id) => (*ty, Some(id)),
            _ => return Err(Error::new(400, "not-supported", "this entry cannot be part of a transaction")),
        };
        let mut identity = Identity { ty, id: String::new(), current: None, doomed: Vec::new(), existed: false };
        let criteria = entry.precondition.criteria.as_deref();
        if let Some(id) = id {
            prepare::check_client_id(ty, id)?;
            identity.current = tenant.read(ty, id).await?;
            entry.precondition.check(identity.current.as_ref())?;
            if entry.method == Method::Delete {
                identity.doomed.extend(identity.current.take().filter(|stored| stored.op != Op::Delete));
                return Ok(identity);
            }
            id.clone_into(&mut identity.id);
            if entry.method == Method::Patch {
                self.read_live(tenant, ty, id).await?;
            }
            return Ok(identity);
        }
        let Some(criteria) = criteria else {
            identity.id = self.new_id();
            return Ok(identity);
        };
        let limit = if entry.method == Method::Delete { MATCHES_MAX + 1 } else { 2 + doomed.len().min(MATCHES_MAX) };
        let mut found = self.find(session, tenant, ty, criteria, limit).await?;
        found.retain(|stored| !doomed.contains(&(stored.ty, stored.id.clone())));
        if found.len() > if entry.method == Method::Delete { MATCHES_MAX } else { 1 } {
            let text = "too many resources match the criteria: narrow them, by an identifier for instance";
            return Err(Error::new(412, "multiple-matches", text));
        }
        match entry.method {
            Method::Delete => {
                entry.precondition.check_each(&found)?;
                identity.doomed = found;
            }
            _ => self.conditional_identity(entry, found.pop(), &mut identity)?,
        }
        Ok(identity)
    }

    fn conditional_identity(
        &self,
        entry: &Entry<'_>,
        found: Option<Stored>,
        identity: &mut Identity,
    ) -> Result<(), Error> {
        match (entry.method, &found) {
            (Method::Post, Some(stored)) => {
                identity.existed = true;
                stored.id.clone_into(&mut identity.id);
            }
            (Method::Post, None) => identity.id = self.new_id(),
            (Method::Patch, None) => return Err(Error::not_found(defs::r4().ty(identity.ty).name)),
            (Method::Patch, Some(stored)) => stored.id.clone_into(&mut identity.id),
            _ => {
                let own = entry.body()?.str("id");
                identity.id = conditional_id(identity.ty, found.as_ref(), own.as_deref(), || self.new_id())?;
            }
        }
        entry.precondition.check(found.as_ref())?;
        identity.current = found;
        Ok(())
    }

    async fn conditional_references(
        &self,
        session: &Session,
        tenant: &Tenant,
        writes: &[&Entry<'_>],
        links: &mut Links,
    ) -> Result<(), Error> {
        for entry in writes {
            let mut references = Vec::new();
            if let Some(resource) = entry.resource {
                resolve::conditional(resource, &mut references);
            }
            for reference in references {
                if links.by_criteria.contains_key(&reference) {
                    continue;
                }
                let Some((ty, criteria)) = resolve::criteria(&reference) else { continue };
                let failed = |error| in_entry(error, entry.index);
                let mut hits = self.find(session, tenant, ty, criteria, 2).await.map_err(failed)?;
                match (hits.pop(), hits.pop()) {
                    (Some(stored), None) => drop(links.by_criteria.insert(reference, (ty, stored.id))),
                    (found, _) => {
                        let many = if found.is_some() { "several resources" } else { "no resource" };
                        let text = format!("a conditional reference matches {many}: it must match exactly one");
                        return Err(failed(Error::new(412, "multiple-matches", text)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what the entry writes, its audit records and its answer.
    fn add(
        &self,
        session: &Session,
        work: &mut Work,
        entry: &Entry<'_>,
        identity: Identity,
        links: &Links,
    ) -> Result<(), Error> {
        let interaction = match entry.method {
            Method::Delete => "delete",
            Method::Post => "create",
            Method::Put => "update",
            Method::Patch => "patch",
            Method::Get => "read",
        };
        let (ty, name) = (identity.ty, defs::r4().ty(identity.ty).name);
        let mut access =
            Access::new(session, interaction, name.to_owned()).with_criteria(entry.precondition.criteria.as_deref());
        if entry.method == Method::Delete {
            self.add_delete(work, entry, &identity, access);
            return Ok(());
        }
        if identity.existed {
            access.touches(ty, &identity.id, None);
            work.batch.audit.push(self.record(&access, 200));
            work.answers[entry.index] = unchanged(identity.current);
            return Ok(());
        }
        let prepared = match (entry.method, &identity.current) {
            (Method::Patch, Some(current)) => {
                let body = PatchBody::of(entry.body()?)?;
                self.patched(session, current, &Operations::parse(body.patch())?)?
            }
            _ => {
                let body = links.rewrite(entry.body()?, entry.full_url.as_deref())?;
                let by_id = matches!(entry.target, Target::Instance(..));
                let rule = if by_id { BodyId::MustMatch } else { BodyId::Ignored };
                self.prepare(session, ty, &identity.id, rule, &body)?
            }
        };
        access.touches(ty, &identity.id, prepared.patient.clone());
        let (expected, op) = successor(identity.current.as_ref());
        if op == Op::Update && identity.current.as_ref().is_some_and(|current| current.body == prepared.body) {
            work.batch.audit.push(self.record(&access, 200));
            work.answers[entry.index] = unchanged(identity.current);
            return Ok(());
        }
        let status = if op == Op::Create { 201 } else { 200 };
        work.batch.audit.push(self.record(&access, status));
        work.answers[entry.index] = Answer {
            location: Some(format!("{name}/{}/_history/{}", identity.id, expected + 1)),
            version: Some(expected + 1),
            ..Answer::status(status)
        };
        work.batch.writes.push(prepared.write(expected, op));
        work.entry_of.push(entry.index);
        Ok(())
    }

    fn add_delete(&self, work: &mut Work, entry: &Entry<'_>, identity: &Identity, mut access: Access<'_>) {
        work.answers[entry.index] = Answer::status(204);
        if let Target::Instance(ty, id) = &entry.target {
            access.touches(*ty, id, None);
        }
        if identity.doomed.is_empty() {
            work.batch.audit.push(self.record(&access, 204));
        }
        for stored in &identity.doomed {
            access.touches(stored.ty, &stored.id, audit::patient_in(stored.ty, &stored.id, &stored.body));
            work.batch.audit.push(self.record(&access, 204));
            work.batch.writes.push(deletion(stored));
            work.entry_of.push(entry.index);
        }
        if let [stored] = &identity.doomed[..] {
            work.answers[entry.index].version = Some(stored.version + 1);
        }
    }
}

fn unchanged(current: Option<Stored>) -> Answer {
    current.map_or_else(|| Answer::status(200), |stored| Answer::version(&Resource::from(stored), 200))
}

fn full_urls(writes: &[&Entry<'_>], identities: &[Identity]) -> Result<Links, Error> {
    let mut links = Links::default();
    for (entry, identity) in writes.iter().zip(identities) {
        let Some(full_url) = entry.full_url.as_ref().filter(|_| !identity.id.is_empty()) else { continue };
        let target = (identity.ty, identity.id.clone());
        if links.by_full_url.insert(full_url.clone(), target).is_some() {
            let text = "another entry has the same fullUrl: give every entry its own";
            return Err(in_entry(Error::new(400, "duplicate", text), entry.index));
        }
    }
    Ok(links)
}
