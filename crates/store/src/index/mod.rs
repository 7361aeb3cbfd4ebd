//! The derived index of a tenant: sealed sorted segments, an in-memory table before them, bitmaps of what is current.
//! It can always be built again from the log. Why it is made so: `docs/adr/0001-sealed-segment-index.md`.
//!
//! One thread writes ([`Index::insert`], in the order of the log), one thread maintains ([`Index::maintain`]), any number
//! search. Nothing here knows a wall clock.

mod bits;
mod block;
mod build;
mod cache;
pub(crate) mod key;
mod live;
mod manifest;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod posting;
mod segment;
mod snapshots;
mod storage;
mod table;
pub(crate) mod view;

pub(crate) use storage::{Keys, SegmentStorage};

use crate::embedded::Applied;
use crate::{Op, Seq, StoreError};
use arc_swap::ArcSwap;
use cache::Cache;
use fhir::defs::{ParamId, TypeId};
use live::Live;
use manifest::{Manifest, SegmentInfo};
use parking_lot::{Mutex, RwLock};
use segment::{Reader, Segment};
use snapshots::Snapshots;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use table::Table;

/// What the index must know of the definitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema {
    /// [`fhir::defs::Definitions::fingerprint`]: an index made under another one is thrown away.
    pub(crate) fingerprint: u64,
    /// The `_id` parameter of a resource type: its entries order resources by id.
    pub(crate) id_param: fn(TypeId) -> Option<ParamId>,
}

/// Sizes of summaries.
pub(crate) const SUMMARY_LEVELS: usize = 2;

/// When to do what. The defaults suit a server; tests make them small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A table of this many bytes is closed and written.
    pub(crate) table_bytes_max: usize,
    /// Or of this many versions: they are what is replayed from the log after a restart.
    pub(crate) table_versions_max: usize,
    /// Or after this long without a change: memory is given back, and a start has nothing to replay.
    pub(crate) idle_us: i64,
    /// Closed tables waiting to be written before [`Index::is_overloaded`].
    pub(crate) frozen_max: usize,
    /// Neighbouring segments of about the same size before they are merged.
    pub(crate) merge_segments: usize,
    /// How long a page link stays valid after it was handed out.
    pub(crate) snapshot_us: i64,
    /// Replaced versions that are kept searchable for open snapshots; beyond it the oldest snapshots expire early.
    pub(crate) superseded_max: usize,
    /// Neighbouring keys with intervals whose ordinals are also kept together, most first: the inner part of a range reads
    /// large summaries, its edges small ones, and only what is left at the very edges key by key.
    pub(crate) summary_keys: [usize; SUMMARY_LEVELS],
    /// Keys that can be scanned in the time in which one body is read and one parameter extracted.
    pub(crate) keys_per_body: u64,
    /// Keys that can be scanned in the time of one lookup in one table or segment.
    pub(crate) keys_per_lookup: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            table_bytes_max: 24 << 20,
            table_versions_max: 16_384,
            idle_us: 30 * 1_000_000,
            frozen_max: 8,
            merge_segments: 4,
            snapshot_us: 10 * 60 * 1_000_000,
            superseded_max: 2_000_000,
            summary_keys: [1024, 64],
            keys_per_body: 300,
            keys_per_lookup: 40,
        }
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) reader: Arc<Reader>,
    pub(crate) state: ArcSwap<State>,
    pub(crate) live: RwLock<Live>,
    schema: Schema,
    pub(crate) limits: Limits,
    visible: AtomicU64,
    /// Smallest snapshot that can still be read.
    horizon: AtomicU64,
    snapshots: Mutex<Snapshots>,
    /// Held while `state` is replaced.
    change: Mutex<()>,
    /// Held by the one that writes segments.
    maintenance: Mutex<Maintenance>,
}

#[derive(Debug)]
struct Maintenance {
    applied: u64,
    next_segment: u64,
    /// The newest version seen by the last maintenance that saw a new one, and when that was.
    last_change: (Seq, i64),
    /// Merged away, still read by somebody.
    retired: Vec<Arc<Segment>>,
}

impl Maintenance {
    fn take_id(&mut self) -> u64 {
        self.next_segment += 1;
        self.next_segment - 1
    }
}

/// Replaced as a whole; searches hold on to the one they began with.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) active: Arc<Table>,
    /// Oldest first.
    pub(crate) frozen: Vec<Arc<Table>>,
    /// Oldest first; their ranges of ordinals do not overlap.
    pub(crate) segments: Vec<Arc<Segment>>,
}

/// The largest change number that the index can hold: ordinals are 32 bits.
pub(crate) const SEQ_MAX: Seq = u32::MAX as Seq - 1;

const MANIFEST: &[u8] = b"index manifest";

impl Index {
    /// Opens the index in `storage`. Afterwards the caller inserts all versions after [`Index::applied`] from the log:
    /// after a change of format or definitions (another `fingerprint`) that is all of them.
    pub(crate) fn open(
        storage: Arc<dyn SegmentStorage>,
        keys: Arc<dyn Keys>,
        fingerprint: u64,
        cache_bytes_max: usize,
    ) -> Result<Index, StoreError> {
        let schema = Schema { fingerprint, id_param: |ty| fhir::defs::r4().param_by_code(ty, "_id") };
        Index::open_with(storage, keys, schema, Limits::default(), cache_bytes_max)
    }

    pub(crate) fn open_with(
        storage: Arc<dyn SegmentStorage>,
        keys: Arc<dyn Keys>,
        schema: Schema,
        limits: Limits,
        cache_bytes_max: usize,
    ) -> Result<Index, StoreError> {
        let manifest = match storage.manifest()? {
            Some(sealed) => Manifest::decode(&keys.unseal(MANIFEST, &sealed)?)?,
            None => None,
        };
        let manifest = manifest.filter(|manifest| manifest.fingerprint == schema.fingerprint).unwrap_or_default();
        for stored in storage.segments()? {
            if !manifest.segments.iter().any(|segment| segment.id == stored) {
                storage.remove(stored)?;
            }
        }
        let reader =
            Arc::new(Reader { storage, keys, cache: Cache::new(cache_bytes_max), summary_keys: limits.summary_keys });
        let open = |info: &SegmentInfo| Segment::open(&reader, *info).map(Arc::new);
        let segments = manifest.segments.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Index {
            state: ArcSwap::from_pointee(State { segments, ..State::default() }),
            live: RwLock::new(manifest.live),
            schema,
            limits,
            visible: AtomicU64::new(manifest.applied),
            horizon: AtomicU64::new(manifest.horizon),
            snapshots: Mutex::default(),
            change: Mutex::default(),
            maintenance: Mutex::new(Maintenance {
                applied: manifest.applied,
                next_segment: manifest.next_segment.max(1),
                last_change: (manifest.applied, i64::MAX),
                retired: Vec::new(),
            }),
            reader,
        })
    }

    /// All versions up to this one need not be replayed.
    pub(crate) fn applied(&self) -> Seq {
        self.maintenance.lock().applied
    }

    /// The newest version that searches see.
    pub(crate) fn visible(&self) -> Seq {
        self.visible.load(Ordering::Acquire)
    }

    /// Snapshots before this one can no longer be read.
    pub(crate) fn horizon(&self) -> Seq {
        self.horizon.load(Ordering::Acquire)
    }

    pub(crate) fn id_param(&self, ty: TypeId) -> Option<ParamId> {
        (self.schema.id_param)(ty)
    }

    /// Makes committed versions searchable, all at once. `applied` are in the order of the log; those that are already
    /// in are left out. Called by one thread at a time, after the durable commit.
    pub(crate) fn insert(&self, applied: &[Applied]) {
        let visible = self.visible();
        let mut last = visible;
        for version in applied.iter().filter(|version| version.seq > visible) {
            self.insert_one(version);
            last = version.seq;
        }
        self.visible.store(last, Ordering::Release);
        let state = self.state.load();
        let full = state.active.bytes() >= self.limits.table_bytes_max
            || state.active.versions() >= self.limits.table_versions_max;
        if full {
            self.freeze();
        }
    }

    fn insert_one(&self, version: &Applied) {
        let keys = self.reader.keys.as_ref();
        let mut encoded = table::keys_of(keys, &version.entries);
        if let Some(param) = (self.schema.id_param)(version.ty) {
            encoded.push(key::plain_id_key(keys, param, &version.id));
        }
        let ordinal = ordinal_of(version.seq);
        let deleted = version.op == Op::Delete;
        let id_key = key::id_key(version.ty, key::id_hash(keys, &version.id));
        self.state.load().active.insert(ordinal, &id_key, deleted, &encoded);
        let previous = (version.prev > 0).then(|| ordinal_of(version.prev));
        self.live.write().insert(version.ty, ordinal, deleted, previous);
    }

    /// Whether the writer should wait: tables come in faster than they are written.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.state.load().frozen.len() >= self.limits.frozen_max
    }

    fn freeze(&self) {
        let _change = self.change.lock();
        let mut state = State::clone(&self.state.load());
        if state.active.versions() > 0 {
            state.frozen.push(std::mem::take(&mut state.active));
            self.state.store(Arc::new(state));
        }
    }

    /// Writes tables that are closed, merges segments where there are many, forgets snapshots whose time is over.
    pub(crate) fn maintain(&self, now_us: i64) -> Result<(), StoreError> {
        let mut maintenance = self.maintenance.lock();
        self.expire_snapshots(now_us, maintenance.applied);
        self.remove_retired(&mut maintenance)?;
        let visible = self.visible();
        if maintenance.last_change.0 != visible {
            maintenance.last_change = (visible, now_us);
        } else if now_us.saturating_sub(maintenance.last_change.1) >= self.limits.idle_us {
            self.freeze();
        }
        self.flush_waiting(&mut maintenance)?;
        let candidates = self.merge_candidates(&self.state.load());
        match candidates {
            Some(range) => self.merge(&mut maintenance, range),
            None => Ok(()),
        }
    }

    /// Writes everything that is only in memory.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let mut maintenance = self.maintenance.lock();
        self.freeze();
        self.flush_waiting(&mut maintenance)
    }

    fn flush_waiting(&self, maintenance: &mut Maintenance) -> Result<(), StoreError> {
        while !self.state.load().frozen.is_empty() {
            self.flush_oldest(maintenance)?;
        }
        Ok(())
    }

    /// Writes everything and merges all segments into one.
    pub(crate) fn merge_all(&self, now_us: i64) -> Result<(), StoreError> {
        self.flush()?;
        let mut maintenance = self.maintenance.lock();
        self.expire_snapshots(now_us, maintenance.applied);
        let count = self.state.load().segments.len();
        if count > 0 {
            self.merge(&mut maintenance, 0..count)?;
        }
        self.remove_retired(&mut maintenance)
    }

    fn flush_oldest(&self, maintenance: &mut Maintenance) -> Result<(), StoreError> {
        let state = self.state.load_full();
        let Some(frozen) = state.frozen.first() else { return Ok(()) };
        let id = maintenance.take_id();
        let min = ordinal_of(maintenance.applied).saturating_add(1);
        let segment = Arc::new(build::from_table(&self.reader, id, min, frozen)?);
        let mut segments = state.segments.clone();
        segments.push(segment);
        self.publish(maintenance, segments, u64::from(frozen.max()), 1)
    }

    fn merge(&self, maintenance: &mut Maintenance, range: std::ops::Range<usize>) -> Result<(), StoreError> {
        let state = self.state.load_full();
        let dead = self.live.read().as_of(ordinal_of(maintenance.applied)).dead();
        let id = maintenance.take_id();
        // A long merge must not keep tables waiting.
        let mut between = || self.flush_waiting(maintenance);
        let merged = build::merge(&self.reader, id, &state.segments[range.clone()], &dead, &mut between)?;
        // What was written meanwhile stands behind.
        let mut segments = self.state.load().segments.clone();
        let merged = Arc::new(merged);
        maintenance.retired.extend(segments.splice(range, [merged]));
        let applied = maintenance.applied;
        self.publish(maintenance, segments, applied, 0)
    }

    /// Makes `segments` the segments, on disk and in memory, and drops the oldest `frozen` tables.
    fn publish(
        &self,
        maintenance: &mut Maintenance,
        segments: Vec<Arc<Segment>>,
        applied: u64,
        frozen: usize,
    ) -> Result<(), StoreError> {
        let manifest = Manifest {
            fingerprint: self.schema.fingerprint,
            applied,
            horizon: self.horizon(),
            next_segment: maintenance.next_segment,
            segments: segments.iter().map(|segment| segment.info).collect(),
            live: self.live.read().as_of(ordinal_of(applied)),
        };
        let sealed = self.reader.keys.seal(MANIFEST, &manifest.encode())?;
        self.reader.storage.publish(sealed)?;
        maintenance.applied = applied;
        let _change = self.change.lock();
        let mut state = State::clone(&self.state.load());
        state.segments = segments;
        state.frozen.drain(..frozen);
        self.state.store(Arc::new(state));
        Ok(())
    }

    /// Neighbours to merge: the newest run of segments of about the same size that is long enough.
    fn merge_candidates(&self, state: &State) -> Option<std::ops::Range<usize>> {
        let size = |segment: &Arc<Segment>| segment.info.rows.max(1);
        for end in (1..=state.segments.len()).rev() {
            let mut total = size(&state.segments[end - 1]);
            let mut start = end - 1;
            // A neighbour joins while it is not much larger than what has been joined so far.
            while start > 0 && size(&state.segments[start - 1]) <= total * 2 {
                start -= 1;
                total += size(&state.segments[start]);
            }
            if end - start >= self.limits.merge_segments {
                return Some(start..end);
            }
        }
        None
    }

    fn remove_retired(&self, maintenance: &mut Maintenance) -> Result<(), StoreError> {
        let retired = std::mem::take(&mut maintenance.retired);
        let (free, held): (Vec<_>, Vec<_>) = retired.into_iter().partition(|segment| Arc::strong_count(segment) == 1);
        maintenance.retired = held;
        for segment in free {
            self.reader.cache.remove_segment(segment.info.id);
            self.reader.storage.remove(segment.info.id)?;
        }
        Ok(())
    }

    /// Notes that a page link with `snapshot` was handed out.
    pub(crate) fn pin(&self, snapshot: Seq, now_us: i64) {
        self.snapshots.lock().pin(snapshot, now_us);
    }

    /// Moves the horizon up to the oldest snapshot that a valid page link may carry.
    fn expire_snapshots(&self, now_us: i64, applied: u64) {
        let oldest = self.snapshots.lock().oldest(now_us, self.limits.snapshot_us);
        // Never past `applied`: the manifest of the next flush needs the state as it is then.
        let mut horizon = oldest.unwrap_or(u64::MAX).min(self.visible()).min(applied);
        let mut live = self.live.write();
        if live.superseded_len() > self.limits.superseded_max {
            horizon = self.visible().min(applied);
        }
        self.horizon.fetch_max(horizon, Ordering::AcqRel);
        live.forget_before(ordinal_of(horizon));
    }

    /// Forgets everything, in memory and stored, so that a replay can start at 0. Nobody inserts meanwhile.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        let mut maintenance = self.maintenance.lock();
        self.visible.store(0, Ordering::Release);
        *self.live.write() = Live::default();
        let segments = self.state.swap(Arc::default()).segments.clone();
        maintenance.retired.extend(segments);
        self.publish(&mut maintenance, Vec::new(), 0, 0)?;
        self.horizon.store(0, Ordering::Release);
        self.remove_retired(&mut maintenance)
    }

    /// Current resources by type, types without any left out.
    pub(crate) fn counts(&self) -> Vec<(TypeId, u64)> {
        let live = self.live.read();
        let counts = live.types.iter().map(|(ty, of_type)| (TypeId(*ty), of_type.live.len()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Current resources of a type.
    pub(crate) fn count(&self, ty: TypeId) -> u64 {
        self.live.read().types.get(&ty.0).map_or(0, |of_type| of_type.live.len())
    }

    /// Versions in memory that no segment covers yet.
    pub(crate) fn pending(&self) -> u64 {
        let state = self.state.load();
        let frozen: usize = state.frozen.iter().map(|table| table.versions()).sum();
        (frozen + state.active.versions()) as u64
    }

    pub(crate) fn segments(&self) -> u64 {
        self.state.load().segments.len() as u64
    }
}

/// The writer commits nothing past [`SEQ_MAX`].
fn ordinal_of(seq: Seq) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}
