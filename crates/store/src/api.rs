//! The contract between the store and everything above it: plain data, no engine inside.

use crate::Clock;
use fhir::defs::TypeId;
use fhir::index::Entry;
use fhir::query::{Filter, Sort};
use std::path::PathBuf;
use std::sync::Arc;

/// A tenant's name: 1 to 64 characters of `a-z 0-9 -`; it is also a directory name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub String);

/// Change number within a tenant: dense, starting at 1, in commit order.
pub type Seq = u64;

/// How to open a store.
#[derive(Debug)]
pub struct Options {
    pub dir: PathBuf,
    pub master_key: seal::MasterKey,
    pub clock: Arc<dyn Clock>,
    /// Decoded index blocks kept in memory, per tenant.
    pub cache_bytes_max: usize,
    /// Batches waiting for the writer before `commit` answers [`CommitError::Busy`].
    pub queue_max: usize,
}

/// Everything that one commit changes. Applied whole or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    pub writes: Vec<Write>,
    pub claims: Vec<ClaimChange>,
    pub counters: Vec<CounterChange>,
    pub queue: Vec<QueueMessage>,
    pub events: Vec<Event>,
    pub state: Vec<StateChange>,
    pub audit: Vec<AuditRecord>,
}

/// A value that a follower of the change log keeps: its place, what it has done. `None` removes it.
/// Space and key stand in clear on disk and order [`crate::Tenant::states`]; the value is sealed.
#[derive(Clone, Debug)]
pub struct StateChange {
    pub space: String,
    pub key: String,
    pub value: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Create,
    Update,
    Delete,
}

/// One new version of one resource.
#[derive(Debug)]
pub struct Write {
    pub ty: TypeId,
    pub id: String,
    pub op: Op,
    /// Version of the current state, deleted or not, that this write replaces; 0 = there must never have been one.
    /// The new version is `expected + 1`.
    pub expected: u64,
    /// Minified JSON without `meta.versionId` and `meta.lastUpdated`; empty for a delete.
    pub body: Vec<u8>,
    /// Where the two meta members go when the body is read.
    pub splice: Splice,
    pub entries: Vec<Entry>,
}

/// Where `versionId` and `lastUpdated` are put into a body: a byte offset and what stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Splice {
    /// No `meta`: insert `,"meta":{…}` at the offset, which is right after a member's value.
    NoMeta(u32),
    /// `"meta":{}`: insert members after its brace.
    EmptyMeta(u32),
    /// A `meta` with members: insert members and a comma after its brace.
    Meta(u32),
    #[default]
    None,
}

/// A unique key. `take` fails the batch when somebody else holds it (slots, conditional creates, idempotency keys).
#[derive(Clone, Debug)]
pub enum ClaimChange {
    Take { key: String, owner: String, expires_us: Option<i64> },
    Release { key: String, owner: String },
}

/// Adds to a counter. Its name stands in clear on disk, its key is sealed.
#[derive(Clone, Debug)]
pub struct CounterChange {
    pub name: String,
    pub key: String,
    pub delta: i64,
}

/// Something that happened, for those who follow a topic. The topic stands in clear on disk, the payload is sealed.
#[derive(Clone, Debug)]
pub struct Event {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// An event and its place: numbers grow in commit order, over all topics of a tenant, and are never used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub no: u64,
    pub at_us: i64,
    pub payload: Vec<u8>,
}

/// A row of a durable queue.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    pub queue: String,
    /// Messages with the same group are leased one at a time, in order.
    pub group: String,
    pub not_before_us: i64,
    pub payload: Vec<u8>,
}

/// A message that is leased to one consumer until it is acknowledged, released or the lease ends.
#[derive(Clone, Debug)]
pub struct Leased {
    pub id: u64,
    pub group: String,
    pub attempts: u32,
    pub payload: Vec<u8>,
}

/// A compact audit record, readable as a FHIR AuditEvent by the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    pub at_us: i64,
    /// The FHIR interaction: `read`, `vread`, `update`, `patch`, `delete`, `history-instance`, `create`, `search-type`, …
    pub interaction: String,
    /// `0` success, `4` minor failure, `8` serious failure: AuditEvent.outcome.
    pub outcome: u8,
    /// HTTP-like status.
    pub status: u16,
    pub who: String,
    pub request_id: String,
    /// `Type/id` or `Type/id/_history/n` or `Type` touched; empty for system-level.
    pub entity: String,
    /// Patient whose data was touched, when known: `Patient/id`.
    pub patient: Option<String>,
    /// Search parameters without their values.
    pub query: Option<String>,
}

/// A stored audit record and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    pub no: u64,
    pub record: AuditRecord,
}

/// Which audit records; newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
    pub entity: Option<String>,
    pub patient: Option<String>,
    pub who: Option<String>,
    pub interaction: Option<String>,
    /// Only records with a smaller `no`.
    pub before: Option<u64>,
    pub limit: usize,
}

/// What a commit answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// One per write, in the order of the batch; consecutive.
    pub seqs: Vec<Seq>,
    pub at_us: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The write at `index` expected another version; `current` is 0 when there is none.
    #[error("version conflict in write {index}: current version is {current}")]
    Conflict { index: usize, current: u64 },
    #[error("claim is held by another owner")]
    ClaimTaken { key: String },
    #[error("too many writes are waiting")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("store is closed")]
    Closed,
    #[error("unknown tenant")]
    UnknownTenant,
    #[error("{0} is in use by another weir process")]
    InUse(String),
    /// The format on disk is not the one this build reads and writes.
    #[error("store format {found} found, this build needs {needed}: {hint}")]
    Format { found: u32, needed: u32, hint: &'static str },
    #[error("wrong key or damaged data: {0}")]
    Unseal(String),
    #[error("snapshot is too old: search again")]
    SnapshotExpired,
    #[error("invalid page link")]
    InvalidCursor,
    #[error("a limit of the store was passed: {0}")]
    Limit(&'static str),
    #[error("storage failed: {0}")]
    Io(String),
}

/// One version of one resource as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub seq: Seq,
    pub ty: TypeId,
    pub id: String,
    pub version: u64,
    pub at_us: i64,
    pub op: Op,
    /// As in [`Write::body`].
    pub body: Vec<u8>,
    pub splice: Splice,
}

#[derive(Clone, Debug)]
pub struct SearchRequest<'a> {
    pub types: &'a [TypeId],
    /// Without `InList` and `Terminology`, which the engine resolves.
    pub filter: &'a Filter,
    pub sort: &'a [Sort],
    /// A cursor of an earlier page (it carries the snapshot), or `None` for the first page.
    pub cursor: Option<&'a str>,
    pub limit: usize,
    pub total: bool,
}

#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    pub hits: Vec<Stored>,
    pub total: Option<u64>,
    /// Opaque; `None` on the last page.
    pub next: Option<String>,
    pub previous: Option<String>,
}

#[derive(Clone, Debug)]
pub enum HistoryScope {
    Instance(TypeId, String),
    Type(TypeId),
    System,
}

#[derive(Clone, Debug)]
pub struct HistoryRequest {
    pub scope: HistoryScope,
    /// `_since`: only versions at or after.
    pub since_us: Option<i64>,
    /// `_at`: only versions that were current at some time in this range.
    pub at_us: Option<(i64, i64)>,
    pub cursor: Option<String>,
    pub limit: usize,
}

/// Versions newest first.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    pub versions: Vec<Stored>,
    pub total: Option<u64>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Current resources by type.
    pub counts: Vec<(TypeId, u64)>,
    pub last_seq: Seq,
    pub disk_bytes: u64,
    pub pending: u64,
    pub segments: u64,
}

/// What `doctor` found and did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub checked: Vec<String>,
    pub problems: Vec<String>,
    pub repaired: Vec<String>,
}
