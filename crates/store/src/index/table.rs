//! The in-memory part of the index: entries since the last flush, searchable at once.

use super::Keys;
use super::key::{self, kind};
use super::posting::{Posting, PostingRef};
use crate::StoreError;
use fhir::defs::ParamId;
use fhir::index::Entry;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a key costs besides its bytes: tree node share, vector headers, posting.
const KEY_OVERHEAD_BYTES: usize = 72;

#[derive(Debug, Default)]
pub(crate) struct Table {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    map: BTreeMap<Box<[u8]>, Posting>,
    /// Id hashes of ordinals, ascending.
    ids: Vec<(u32, [u8; 8])>,
    bytes: usize,
    max: u32,
}

impl Inner {
    fn add(&mut self, key: &[u8], ordinal: u32) {
        if let Some(posting) = self.map.get_mut(key) {
            self.bytes += posting.push(ordinal);
        } else {
            self.bytes += key.len() + KEY_OVERHEAD_BYTES;
            self.map.insert(key.into(), Posting::One(ordinal));
        }
    }
}

/// A copied piece of a table.
pub(crate) type Copied = Vec<(Box<[u8]>, Posting)>;

/// Keys copied at once, so that no reader holds the lock for long.
const COPY_KEYS: usize = 256;

impl Table {
    /// Adds one version. `id_key` is its [`key::id_key`], which ends with the hash of its id.
    pub(crate) fn insert(&self, ordinal: u32, id_key: &[u8], deleted: bool, keys: &[Vec<u8>]) {
        let mut inner = self.inner.write();
        inner.max = ordinal;
        inner.ids.push((ordinal, id_key.last_chunk::<8>().copied().unwrap_or_default()));
        inner.bytes += 12;
        if !deleted {
            inner.add(id_key, ordinal);
            for key in keys {
                inner.add(key, ordinal);
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.inner.read().bytes
    }

    pub(crate) fn versions(&self) -> usize {
        self.inner.read().ids.len()
    }

    /// The largest ordinal ever inserted, 0 when empty.
    pub(crate) fn max(&self) -> u32 {
        self.inner.read().max
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Posting> {
        self.inner.read().map.get(key).cloned()
    }

    /// At most [`COPY_KEYS`] keys from `from` on.
    pub(crate) fn copy(&self, from: Bound<&[u8]>, to: Option<&[u8]>) -> Copied {
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        let empty = match (from, to) {
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
            _ => false,
        };
        if empty {
            return Vec::new();
        }
        let inner = self.inner.read();
        let range = inner.map.range::<[u8], _>((from, to));
        range.take(COPY_KEYS).map(|(key, posting)| (key.clone(), posting.clone())).collect()
    }

    /// The first key from `from` up to, not including, `to`.
    pub(crate) fn first(&self, from: &[u8], to: Option<&[u8]>) -> Option<Box<[u8]>> {
        if to.is_some_and(|to| from >= to) {
            return None;
        }
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        self.inner.read().map.range::<[u8], _>(range).next().map(|(key, _)| key.clone())
    }

    /// At most [`COPY_KEYS`] keys before `to`, the last first.
    pub(crate) fn copy_back(&self, from: &[u8], to: Option<&[u8]>) -> Copied {
        if to.is_some_and(|to| from >= to) {
            return Vec::new();
        }
        let inner = self.inner.read();
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let keys = inner.map.range::<[u8], _>(range).rev().take(COPY_KEYS);
        keys.map(|(key, posting)| (key.clone(), posting.clone())).collect()
    }

    /// Number of keys in a range, counted up to `max`, and of their ordinals.
    pub(crate) fn count(&self, from: &[u8], to: Option<&[u8]>, max: usize) -> (u64, u64) {
        if to.is_some_and(|to| from >= to) {
            return (0, 0);
        }
        let inner = self.inner.read();
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let counts = inner.map.range::<[u8], _>(range).take(max).map(|(_, posting)| posting.as_ref().count());
        counts.fold((0, 0), |(keys, rows), count| (keys + 1, rows + count))
    }

    pub(crate) fn id_hash(&self, ordinal: u32) -> Option<[u8; 8]> {
        let inner = self.inner.read();
        let at = inner.ids.binary_search_by_key(&ordinal, |(ordinal, _)| *ordinal).ok()?;
        Some(inner.ids[at].1)
    }

    /// Everything in key order: for a table that is no longer written.
    pub(crate) fn each(
        &self,
        mut each: impl FnMut(&[u8], PostingRef<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.inner.read().map.iter().try_for_each(|(key, posting)| each(key, posting.as_ref()))
    }

    /// Ordinals with their id hashes, ascending, by chunks of one forward key.
    pub(crate) fn each_chunk(
        &self,
        mut each: impl FnMut(&[(u32, [u8; 8])]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.inner.read().ids.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8).try_for_each(&mut each)
    }
}

/// All keys of a version.
pub(crate) fn keys_of(keys: &dyn Keys, entries: &[Entry]) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(entries.len() + 4);
    for entry in entries {
        key::entry_keys(keys, entry, &mut |key| all.push(key.to_vec()));
    }
    all.sort_unstable();
    all.dedup();
    let is_same_kind = |a: &[u8], b: &[u8]| a[..3] == b[..3] && matches!(a[2], kind::DATE | kind::NUMBER);
    let several = all.windows(2).filter(|pair| is_same_kind(&pair[0], &pair[1]));
    let several = several.map(|pair| {
        let param = ParamId(u16::from_be_bytes([pair[0][0], pair[0][1]]));
        key::several_key(param, pair[0][2])
    });
    let several: Vec<Vec<u8>> = several.collect();
    all.extend(several);
    all
}
