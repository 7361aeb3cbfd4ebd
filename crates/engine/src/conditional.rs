//! Criteria of conditional interactions: who they mean, and that two of them at the same time do not both create.
//!
//! The embedded store is written by this process only, so a lock held over search and commit is enough. On PostgreSQL, where several
//! nodes write, the same key becomes a `ClaimChange::Take` in the batch: the second commit fails and searches again.

use crate::{Engine, Error, Session};
use fhir::defs::TypeId;
use fhir::query::{self, Context, Filter, Handling};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{SearchRequest, Stored, Tenant};

/// Most resources that one conditional delete removes.
pub(crate) const MATCHES_MAX: usize = 1_000;

/// Locks by key; a key is there only while somebody holds or awaits it.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A held lock; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    locks: &'a Locks,
    key: String,
    held: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Locks {
    pub(crate) async fn lock(&self, key: String) -> Guard<'_> {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.entry(key.clone()).or_default().clone()
        };
        // The guard is made first, so that a caller who gives up while waiting cleans up as well.
        let mut guard = Guard { locks: self, key, held: None };
        guard.held = Some(lock.lock_owned().await);
        guard
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut held = self.locks.held.lock().unwrap_or_else(PoisonError::into_inner);
        // One count is the map's own: nobody else waits.
        if held.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            held.remove(&self.key);
        }
    }
}

/// How many resources fit the criteria.
#[derive(Debug)]
pub(crate) enum Found {
    None,
    One(Box<Stored>),
    Many,
}

impl Found {
    /// For interactions that need at most one.
    pub(crate) fn at_most_one(self) -> Result<Option<Stored>, Error> {
        match self {
            Found::None => Ok(None),
            Found::One(stored) => Ok(Some(*stored)),
            Found::Many => Err(Error::new(
                412,
                "multiple-matches",
                "several resources match the criteria: make them select at most one, by an identifier for instance",
            )),
        }
    }
}

impl Engine {
    /// Holds everybody off who comes with the same criteria for the same type, until the guard is dropped.
    pub(crate) async fn hold(&self, session: &Session, ty: TypeId, criteria: &str) -> Guard<'_> {
        self.inner.locks.lock(lock_key(session, ty, criteria)).await
    }

    pub(crate) async fn find_one(
        &self,
        session: &Session,
        tenant: &Tenant,
        ty: TypeId,
        criteria: &str,
    ) -> Result<Found, Error> {
        let mut hits = self.find(session, tenant, ty, criteria, 2).await?;
        Ok(match hits.len() {
            0 => Found::None,
            1 => hits.pop().map_or(Found::None, |stored| Found::One(Box::new(stored))),
            _ => Found::Many,
        })
    }

    /// The first `limit` current resources that fit the criteria, for the engine's own use: no audit record.
    pub(crate) async fn find(
        &self,
        session: &Session,
        tenant: &Tenant,
        ty: TypeId,
        criteria: &str,
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let own_bases = [session.base.clone()];
        let context = Context {
            defs: fhir::defs::r4(),
            resource: Some(ty),
            handling: Handling::Strict,
            now: self.now_us(),
            own_bases: &own_bases,
        };
        let query = query::parse(context, &pairs(criteria)?).map_err(|issues| Error::from_issues(400, issues))?;
        if query.filter == Filter::All {
            return Err(Error::new(
                412,
                "invalid",
                "the criteria select everything: give at least one search parameter with a value",
            ));
        }
        let filter = self.resolve(tenant, &query.types, query.filter).await?;
        let types = [ty];
        let request = SearchRequest { types: &types, filter: &filter, sort: &[], cursor: None, limit, total: false };
        Ok(tenant.search(&request).await?.hits)
    }
}

/// The same criteria in another order are the same key.
pub(crate) fn lock_key(session: &Session, ty: TypeId, criteria: &str) -> String {
    // What cannot be read is refused when it is used.
    let mut pairs = pairs(criteria).unwrap_or_default();
    pairs.sort();
    format!("{}\n{}\n{pairs:?}", session.tenant.0, ty.0)
}

/// Decodes a query string, with or without a leading `?` or `Type?`, into pairs in their order.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    let query = query.split_once('?').map_or(query, |(_, query)| query);
    let text = "the criteria are not valid percent-encoded UTF-8: write % as %25";
    query::form::pairs(query).ok_or_else(|| Error::invalid(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_decoded_or_refused() {
        let expected = vec![("a".to_owned(), "x y|ü".to_owned()), ("b:exact".to_owned(), "1,2".to_owned())];
        assert_eq!(pairs("Patient?a=x+y%7C%c3%bc&b%3Aexact=1,2").unwrap(), expected);
        assert_eq!(pairs("?a").unwrap(), vec![("a".to_owned(), String::new())]);
        assert_eq!(pairs("a=%zz").unwrap_err().status, 400);
    }

    #[tokio::test]
    async fn a_key_is_held_by_one_and_forgotten_afterwards() {
        let locks = Locks::default();
        let first = locks.lock("k".into()).await;
        let other = locks.lock("other".into()).await;
        // A caller who gives up waiting must not keep the key.
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), locks.lock("k".into())).await;
        assert!(waited.is_err());
        drop((first, other));
        drop(locks.lock("k".into()).await);
        assert!(locks.held.lock().unwrap().is_empty());
    }
}
