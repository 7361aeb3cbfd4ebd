//! The derived index. This file is the contract the embedded engine is written against; the index itself follows.

mod storage;

pub use storage::{Keys, SegmentStorage};

use crate::StoreError;
use crate::embedded::Applied;
use fhir::defs::TypeId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Index {
    applied: AtomicU64,
    counts: Mutex<BTreeMap<TypeId, u64>>,
}

impl Index {
    /// `fingerprint`: of the definitions; an index made with another one is thrown away and replayed from the log.
    pub(crate) fn open(
        _storage: Arc<dyn SegmentStorage>,
        _keys: Arc<dyn Keys>,
        _fingerprint: u64,
        _cache_bytes_max: usize,
    ) -> Result<Index, StoreError> {
        Ok(Index { applied: AtomicU64::new(0), counts: Mutex::default() })
    }

    /// Called by the writer after the durable commit, in seq order, before anybody may see these changes.
    pub(crate) fn insert(&self, applied: &[Applied]) {
        let mut counts = self.counts.lock();
        for change in applied {
            let count = counts.entry(change.ty).or_default();
            match change.op {
                crate::Op::Create => *count += 1,
                crate::Op::Delete => *count -= 1,
                crate::Op::Update => {}
            }
        }
        if let Some(last) = applied.last() {
            self.applied.store(last.seq, Ordering::Relaxed);
        }
    }

    /// Last seq that the stored segments cover: where a replay starts.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Current resources by type.
    pub(crate) fn counts(&self) -> Vec<(TypeId, u64)> {
        self.counts.lock().iter().map(|(ty, count)| (*ty, *count)).collect()
    }

    /// Entries in memory that no segment covers yet.
    pub(crate) fn pending(&self) -> u64 {
        0
    }

    pub(crate) fn segments(&self) -> u64 {
        0
    }

    /// Writes everything in memory to a segment. Never called on the writer's thread.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// One step of flushing and merging when due: called about five times a second by the keeper.
    pub(crate) fn maintain(&self, _now_us: i64) -> Result<(), StoreError> {
        Ok(())
    }

    pub(crate) fn merge_all(&self, _now_us: i64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Forgets everything, in memory and stored, so that a replay can start at 0.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        self.counts.lock().clear();
        self.applied.store(0, Ordering::Relaxed);
        Ok(())
    }
}
