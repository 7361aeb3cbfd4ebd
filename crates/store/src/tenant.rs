//! Everything one tenant has.

use crate::embedded::Embedded;
use crate::*;
use fhir::defs::TypeId;
use fhir::query::Filter;
use std::path::Path;
use std::sync::Arc;

/// A tenant's data. Cheap to clone. Methods are asynchronous because an engine behind a network will be; the embedded
/// engine answers reads at once, on the caller's thread. A search that may take long lets other tasks of a multi-threaded runtime go
/// on elsewhere.
#[derive(Clone)]
pub struct Tenant {
    pub(crate) embedded: Arc<Embedded>,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tenant")
    }
}

impl Tenant {
    pub fn now_us(&self) -> i64 {
        self.embedded.shared.now_us()
    }

    /// Applies a batch whole or not at all. When it answers, the batch is on disk and every reader sees it.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.embedded.shared.commit(batch).await
    }

    /// The current version; a deleted resource answers its deletion ([`Op::Delete`]).
    pub async fn read(&self, ty: TypeId, id: &str) -> Result<Option<Stored>, StoreError> {
        self.embedded.shared.read(ty, id)
    }

    pub async fn read_version(&self, ty: TypeId, id: &str, version: u64) -> Result<Option<Stored>, StoreError> {
        self.embedded.shared.read_version(ty, id, version)
    }

    pub async fn history(&self, request: &HistoryRequest) -> Result<HistoryPage, StoreError> {
        self.embedded.shared.history(request)
    }

    /// The change feed: versions after `after` in commit order.
    pub async fn changes(&self, after: Seq, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.embedded.shared.changes(after, limit)
    }

    pub async fn search(&self, request: &SearchRequest<'_>) -> Result<SearchPage, StoreError> {
        let shared = &self.embedded.shared;
        let is_long = crate::search::may_take_long(shared, request.types, request.filter, request.sort);
        aside(is_long, || crate::search::search(shared, request))
    }

    pub async fn count(&self, types: &[TypeId], filter: &Filter) -> Result<u64, StoreError> {
        let shared = &self.embedded.shared;
        aside(crate::search::may_take_long(shared, types, filter, &[]), || crate::search::count(shared, types, filter))
    }

    /// How a search would be executed, with the number of candidates at each step.
    pub async fn explain(&self, types: &[TypeId], filter: &Filter) -> Result<String, StoreError> {
        aside(true, || crate::search::explain(&self.embedded.shared, types, filter))
    }

    /// Records accesses that write nothing else. They are on disk after 100 ms at the latest, at once at close.
    pub async fn audit(&self, records: Vec<AuditRecord>) {
        self.embedded.shared.audit(records);
    }

    pub async fn audit_query(&self, query: &AuditQuery) -> Result<Vec<Audited>, StoreError> {
        self.embedded.shared.audit_query(query)
    }

    pub async fn audit_get(&self, no: u64) -> Result<Option<Audited>, StoreError> {
        self.embedded.shared.audit_get(no)
    }

    /// Number of audit records, those in memory included.
    pub async fn audit_count(&self) -> Result<u64, StoreError> {
        self.embedded.shared.audit_count()
    }

    pub async fn claim(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.embedded.shared.claim(key)
    }

    /// Calls `found` with name, key and count of all counters that are not 0, in order.
    pub async fn counters(&self, found: impl FnMut(&str, &str, i64)) -> Result<(), StoreError> {
        self.embedded.shared.counters(found)
    }

    /// Events of a topic after number `after`, in order, at most `limit`.
    pub async fn events(&self, topic: &str, after: u64, limit: usize) -> Result<Vec<Happened>, StoreError> {
        self.embedded.shared.events(topic, after, limit)
    }

    /// Number of the newest event of any topic; 0 when there is none.
    pub async fn last_event(&self) -> Result<u64, StoreError> {
        self.embedded.shared.last_event()
    }

    pub async fn queue_lease(
        &self,
        queue: &str,
        consumer: &str,
        limit: usize,
        lease_us: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        self.embedded.shared.queue_lease(queue, consumer, limit, lease_us)
    }

    pub async fn queue_ack(&self, ids: Vec<u64>) -> Result<(), StoreError> {
        self.embedded.shared.queue_ack(ids)
    }

    pub async fn queue_release(&self, id: u64, not_before_us: i64) -> Result<(), StoreError> {
        self.embedded.shared.queue_release(id, not_before_us)
    }

    pub async fn queue_depth(&self, queue: &str) -> Result<u64, StoreError> {
        self.embedded.shared.queue_depth(queue)
    }

    /// A value that a follower keeps.
    pub async fn state(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.embedded.shared.state(space, key)
    }

    /// Kept values of a space whose keys come after `after`, in the order of their keys, at most `limit`.
    pub async fn states(&self, space: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.embedded.shared.states(space, after, limit)
    }

    /// How many versions of these types there are among the `span` changes after `after`, and the newest change that was
    /// looked at.
    pub async fn count_changes(&self, after: Seq, span: u64, types: &[TypeId]) -> Result<(u64, Seq), StoreError> {
        self.embedded.shared.count_changes(after, span, types)
    }

    pub async fn blob_put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        self.embedded.shared.blob_put(bytes)
    }

    pub async fn blob_get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.embedded.shared.blob_get(key)
    }

    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.embedded.shared.stats()
    }

    /// Writes a consistent copy of the tenant's file while others go on.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.embedded.shared.backup(to)
    }

    pub fn doctor(&self, rebuild: bool) -> Result<Report, StoreError> {
        self.embedded.shared.doctor(rebuild)
    }

    /// Makes the file as small as it can be; answers the number of bodies written anew.
    pub fn compact(&self) -> Result<u64, StoreError> {
        self.embedded.shared.compact()
    }
}

/// Runs `work` here. Where it may take long and the runtime has other threads, they take over what else waits for this one: that costs
/// some ten microseconds, which short work must not pay.
fn aside<T>(is_long: bool, work: impl FnOnce() -> T) -> T {
    let has_others = || {
        let runtime = tokio::runtime::Handle::try_current();
        runtime.is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread)
    };
    if is_long && has_others() { tokio::task::block_in_place(work) } else { work() }
}
