//! Runs searches on the index: filter → set of ordinals → total, order, page.

mod effort;
mod exec;
mod interval;
mod join;
mod leaf;
mod page;
#[cfg(test)]
mod properties;
mod sort;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;

use crate::embedded::Shared;
use crate::index::Index;
use crate::index::view::View;
use crate::{SearchPage, SearchRequest, Seq, StoreError};
pub(crate) use effort::may_take_long;
use exec::{Exec, Trace};
use fhir::defs::{ParamId, TypeId};
use fhir::index::{Value, extract_param};
use fhir::json::{Document, Limits};
use fhir::query::Filter;
use page::Cursor;
use parking_lot::Mutex;
use roaring::RoaringBitmap;

/// What a search must read outside the index.
pub(crate) trait Resources {
    /// The values of one parameter in the body of a version.
    fn values(&self, seq: Seq, param: ParamId) -> Result<Vec<Value>, StoreError>;

    /// The last version that was committed at or before a time; 0 when there is none.
    fn seq_at(&self, at_us: i64) -> Result<Seq, StoreError>;
}

/// A page of versions, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) seqs: Vec<Seq>,
    /// When asked for.
    pub(crate) total: Option<u64>,
    pub(crate) next: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) snapshot: Seq,
}

impl Resources for Shared {
    fn values(&self, seq: Seq, param: ParamId) -> Result<Vec<Value>, StoreError> {
        let Some(stored) = self.reading(|connection| self.by_seq(connection, seq))? else { return Ok(Vec::new()) };
        if fhir::defs::r4().param(param).code == "_id" {
            return Ok(vec![Value::Token { system: None, code: stored.id }]);
        }
        let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
        // A deleted version has no body, and no values.
        let document = Document::parse(&stored.body, &limits);
        Ok(document.map_or(Vec::new(), |document| extract_param(fhir::defs::r4(), param, document.root())))
    }

    fn seq_at(&self, at_us: i64) -> Result<Seq, StoreError> {
        Shared::seq_at(self, at_us)
    }
}

pub(crate) fn search(shared: &Shared, request: &SearchRequest<'_>) -> Result<SearchPage, StoreError> {
    let found = shared.index().search(shared, request, shared.now_us())?;
    let hits = shared.reading(|connection| {
        let read = |seq: &Seq| shared.by_seq(connection, *seq).transpose();
        found.seqs.iter().filter_map(read).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(SearchPage { hits, total: found.total, next: found.next, previous: found.previous })
}

pub(crate) fn count(shared: &Shared, types: &[TypeId], filter: &Filter) -> Result<u64, StoreError> {
    let request = SearchRequest { types, filter, sort: &[], cursor: None, limit: 0, total: true };
    let found = shared.index().search(shared, &request, shared.now_us())?;
    Ok(found.total.unwrap_or(0))
}

pub(crate) fn explain(shared: &Shared, types: &[TypeId], filter: &Filter) -> Result<String, StoreError> {
    let request = SearchRequest { types, filter, sort: &[], cursor: None, limit: 20, total: true };
    shared.index().explain(shared, &request)
}

/// How often a first page begins again because its snapshot expired while it was read.
const RETRIES: usize = 3;

impl Index {
    /// Runs a search. Blocks on storage and on `resources`: not for an async thread.
    ///
    /// [`StoreError::InvalidCursor`] for a link of another search, [`StoreError::SnapshotExpired`] for one that is too old.
    pub(crate) fn search(
        &self,
        resources: &dyn Resources,
        request: &SearchRequest<'_>,
        now_us: i64,
    ) -> Result<Found, StoreError> {
        let query = self.query_hash(request);
        if let Some(text) = request.cursor {
            let cursor = Cursor::decode(text, query)?;
            return self.page(resources, request, cursor, now_us);
        }
        let mut tries = 0;
        loop {
            let first = Cursor { snapshot: self.visible(), offset: 0, query };
            match self.page(resources, request, first, now_us) {
                Err(StoreError::SnapshotExpired) if tries < RETRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// How a search is run, with the sizes of all intermediate sets and without any value of the search.
    pub(crate) fn explain(&self, resources: &dyn Resources, request: &SearchRequest<'_>) -> Result<String, StoreError> {
        let view = View::new(self, self.visible())?;
        let exec = Exec { view: &view, resources, trace: Some(Mutex::new(Trace::default())) };
        let set = evaluate(&exec, request)?;
        exec.note(|| format!("found: {}", set.len()));
        exec.order(&set, request.types, request.sort, 0, request.limit)?;
        let lines = exec.trace.map(|trace| trace.into_inner().lines).unwrap_or_default();
        Ok(format!("snapshot {}, {} tables and segments\n{}\n", view.snapshot, view.sources(), lines.join("\n")))
    }

    fn query_hash(&self, request: &SearchRequest<'_>) -> u64 {
        let text = format!("{:?} {:?} {:?}", request.types, request.filter, request.sort);
        self.reader.keys.hash(text.as_bytes())
    }

    fn page(
        &self,
        resources: &dyn Resources,
        request: &SearchRequest<'_>,
        cursor: Cursor,
        now_us: i64,
    ) -> Result<Found, StoreError> {
        if cursor.snapshot > self.visible() {
            return Err(StoreError::InvalidCursor);
        }
        let view = View::new(self, cursor.snapshot)?;
        let exec = Exec { view: &view, resources, trace: None };
        let set = evaluate(&exec, request)?;
        let ordinals = exec.order(&set, request.types, request.sort, cursor.offset, request.limit)?;
        if self.horizon() > cursor.snapshot {
            return Err(StoreError::SnapshotExpired);
        }
        let end = cursor.offset.saturating_add(ordinals.len() as u64);
        let link = |offset: u64| Cursor { offset, ..cursor }.encode();
        let next = (end < set.len() && !ordinals.is_empty()).then(|| link(end));
        let previous = (cursor.offset > 0).then(|| link(cursor.offset.saturating_sub(request.limit as u64)));
        if next.is_some() || previous.is_some() {
            self.pin(cursor.snapshot, now_us);
        }
        Ok(Found {
            seqs: ordinals.into_iter().map(u64::from).collect(),
            total: request.total.then(|| set.len()),
            next,
            previous,
            snapshot: cursor.snapshot,
        })
    }
}

fn evaluate(exec: &Exec<'_>, request: &SearchRequest<'_>) -> Result<RoaringBitmap, StoreError> {
    let mut set = RoaringBitmap::new();
    for ty in request.types {
        set |= exec.matching(request.filter, *ty)?;
    }
    Ok(set)
}
