//! What one search sees: the tables and segments at one moment, cut at a snapshot.

use super::key::{self, after};
use super::posting::{Collected, Posting, PostingRef};
use super::segment::{Segment, SegmentBackCursor, SegmentCursor};
use super::table::Table;
use super::{Index, Keys, SUMMARY_LEVELS, State};
use crate::{Seq, StoreError};
use fhir::defs::{ParamId, TypeId};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// Keys from `from` up to, not including, `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Vec<u8>,
    /// `None` = no end.
    pub(crate) to: Option<Vec<u8>>,
    /// Only the key `from`.
    pub(crate) is_point: bool,
    /// Starts of narrow intervals of which all in the range pass the check, whatever their ends.
    pub(crate) whole: Option<Whole>,
}

/// Keys with `prefix` and a start from `first` to `last`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) prefix: Vec<u8>,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Range {
    pub(crate) fn point(key: Vec<u8>) -> Range {
        Range { to: None, from: key, is_point: true, whole: None }
    }

    pub(crate) fn prefix(prefix: Vec<u8>) -> Range {
        Range { to: after(&prefix), from: prefix, is_point: false, whole: None }
    }

    pub(crate) fn span(from: Vec<u8>, to: Vec<u8>) -> Range {
        Range { from, to: Some(to), is_point: false, whole: None }
    }
}

impl Range {
    /// Keys in both; neither is a point.
    pub(crate) fn intersect(&self, other: &Range) -> Option<Range> {
        let from = self.from.clone().max(other.from.clone());
        let to = match (&self.to, &other.to) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (one, None) | (None, one) => one.clone(),
        };
        let whole = match (&self.whole, &other.whole) {
            (Some(a), Some(b)) if a.prefix == b.prefix => {
                let both = Whole { prefix: a.prefix.clone(), first: a.first.max(b.first), last: a.last.min(b.last) };
                Some(both).filter(|both| both.first <= both.last)
            }
            _ => None,
        };
        let is_empty = to.as_ref().is_some_and(|to| *to <= from);
        (!is_empty && !self.is_point && !other.is_point).then_some(Range { from, to, is_point: false, whole })
    }
}

/// How much a range holds, roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) keys: u64,
    pub(crate) rows: u64,
}

impl std::ops::AddAssign for Estimate {
    fn add_assign(&mut self, other: Estimate) {
        self.keys += other.keys;
        self.rows += other.rows;
    }
}

/// Ranges in at most this many blocks of a segment are counted, larger ones estimated.
const COUNT_BLOCKS_MAX: u64 = 1;
/// Keys of a table counted for an estimate.
const COUNT_TABLE_KEYS_MAX: usize = 1000;

pub(crate) struct View<'a> {
    pub(crate) index: &'a Index,
    state: Arc<State>,
    pub(crate) snapshot: u32,
    live: Mutex<HashMap<u16, Arc<RoaringBitmap>>>,
}

impl<'a> View<'a> {
    /// `snapshot` must be visible; [`StoreError::SnapshotExpired`] when it is too old.
    pub(crate) fn new(index: &'a Index, snapshot: Seq) -> Result<View<'a>, StoreError> {
        let snapshot = u32::try_from(snapshot).map_err(|_| StoreError::InvalidCursor)?;
        let view = View { index, state: index.state.load_full(), snapshot, live: Mutex::default() };
        // After the state is held: whatever is merged away later does not matter to this view.
        if u64::from(snapshot) < index.horizon() { Err(StoreError::SnapshotExpired) } else { Ok(view) }
    }

    pub(crate) fn keys(&self) -> &dyn Keys {
        self.index.reader.keys.as_ref()
    }

    /// Current resources of a type at the snapshot.
    pub(crate) fn live(&self, ty: TypeId) -> Arc<RoaringBitmap> {
        self.live.lock().entry(ty.0).or_insert_with(|| self.index.live.read().at(ty, self.snapshot)).clone()
    }

    /// Whether every version of a type up to the snapshot is current at it.
    pub(crate) fn is_all_live(&self, ty: TypeId) -> bool {
        self.index.live.read().is_all_live(ty)
    }

    fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.state.frozen.iter().chain([&self.state.active])
    }

    /// Adds the ordinals of one key.
    pub(crate) fn get(&self, key: &[u8], collected: &mut Collected) -> Result<(), StoreError> {
        for segment in &self.state.segments {
            segment.get(key, |posting| posting.add_to(collected))?;
        }
        for table in self.tables() {
            if let Some(posting) = table.get(key) {
                posting.as_ref().add_to(collected);
            }
        }
        Ok(())
    }

    /// Calls `each` with all keys of a range, one table or segment after another: a key may come several times.
    pub(crate) fn scan(&self, range: &Range, mut each: impl FnMut(&[u8], PostingRef<'_>)) -> Result<(), StoreError> {
        if range.is_point {
            for segment in &self.state.segments {
                segment.get(&range.from, |posting| each(&range.from, posting))?;
            }
            for posting in self.tables().filter_map(|table| table.get(&range.from)) {
                each(&range.from, posting.as_ref());
            }
            return Ok(());
        }
        for source in 0..self.sources() {
            let mut cursor = self.cursor(source, range, false)?;
            while let Some(key) = cursor.key() {
                each(key, cursor.posting());
                cursor.advance()?;
            }
        }
        Ok(())
    }

    /// Adds the ordinals of the keys of a range that `accepts` passes; whole summaries where they do.
    pub(crate) fn collect(
        &self,
        range: &Range,
        accepts: impl Fn(&[u8]) -> bool,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let Some(whole) = &range.whole else {
            return self.scan(range, |key, posting| {
                if accepts(key) {
                    posting.add_to(collected);
                }
            });
        };
        for source in 0..self.sources() {
            let segment = self.state.segments.get(source);
            let covered = segment.map(|segment| covered(segment, whole, collected)).transpose()?.flatten();
            let Some((first, last)) = covered else {
                self.cursor(source, range, false)?.add_accepted(&accepts, collected)?;
                continue;
            };
            let at = |start: u64| [whole.prefix.as_slice(), &start.to_be_bytes()].concat();
            // Summaries leave nothing out, so that an open end has no edge.
            if whole.first > 0 {
                let before = Range { to: Some(at(first)), ..range.clone() };
                self.cursor(source, &before, false)?.add_accepted(&accepts, collected)?;
            }
            if whole.last < u64::MAX {
                let behind = Range { from: after(&at(last)).unwrap_or_default(), ..range.clone() };
                self.cursor(source, &behind, false)?.add_accepted(&accepts, collected)?;
            }
        }
        Ok(())
    }

    pub(crate) fn estimate(&self, range: &Range) -> Result<Estimate, StoreError> {
        let mut estimate = Estimate::default();
        if range.is_point {
            self.scan(range, |_, posting| estimate += Estimate { keys: 1, rows: posting.count() })?;
            return Ok(estimate);
        }
        for segment in &self.state.segments {
            let blocks = segment.blocks_in(&range.from, range.to.as_deref());
            if blocks <= COUNT_BLOCKS_MAX {
                let mut cursor = Cursor::segment(segment, range, false)?;
                while cursor.key().is_some() {
                    estimate += Estimate { keys: 1, rows: cursor.posting().count() };
                    cursor.advance()?;
                }
            } else {
                let all = u64::from(segment.info.blocks).max(1);
                let share = |count: u64| u64::try_from(u128::from(count) * u128::from(blocks) / u128::from(all));
                estimate += Estimate {
                    keys: share(segment.info.keys).unwrap_or(u64::MAX),
                    rows: share(segment.info.rows).unwrap_or(u64::MAX),
                };
            }
        }
        for table in self.tables() {
            let (keys, rows) = table.count(&range.from, range.to.as_deref(), COUNT_TABLE_KEYS_MAX);
            estimate += Estimate { keys, rows };
        }
        Ok(estimate)
    }

    /// The distinct first `len` bytes of the keys that begin with `prefix`.
    pub(crate) fn groups(&self, prefix: &[u8], len: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut groups = BTreeSet::new();
        for segment in &self.state.segments {
            groups.extend(segment.groups(prefix, len)?.iter().cloned());
        }
        let end = after(prefix);
        for table in self.tables() {
            let mut from = Some(prefix.to_vec());
            while let Some(key) = from.and_then(|from| table.first(&from, end.as_deref())) {
                let group = key[..len.min(key.len())].to_vec();
                from = after(&group);
                groups.insert(group);
            }
        }
        Ok(groups.into_iter().collect())
    }

    /// All ordinals that have any value of a parameter.
    pub(crate) fn present(&self, param: ParamId) -> Result<RoaringBitmap, StoreError> {
        let mut collected = Collected::default();
        let key = key::presence_key(param);
        for segment in &self.state.segments {
            segment.get(&key, |posting| posting.add_to(&mut collected))?;
        }
        let range = Range::prefix(param.0.to_be_bytes().to_vec());
        for table in self.tables() {
            let mut cursor = Cursor::table(table, &range, false);
            while cursor.key().is_some() {
                cursor.posting().add_to(&mut collected);
                cursor.advance()?;
            }
        }
        Ok(collected.finish(self.snapshot))
    }

    /// The id hash of each ordinal, in any order, without duplicates.
    pub(crate) fn id_hashes(&self, ordinals: &RoaringBitmap) -> Result<Vec<[u8; 8]>, StoreError> {
        let mut hashes = Vec::with_capacity(ordinals.len() as usize);
        let all: Vec<u32> = ordinals.iter().collect();
        for chunk in all.chunk_by(|a, b| a >> 8 == b >> 8) {
            let key = key::forward_key(chunk[0]);
            let mut wanted = [false; 256];
            chunk.iter().for_each(|ordinal| wanted[(ordinal & 0xFF) as usize] = true);
            for segment in &self.state.segments {
                if segment.info.max < chunk[0] || segment.info.min > chunk[chunk.len() - 1] {
                    continue;
                }
                segment.get(&key, |posting| {
                    let PostingRef::Encoded { bytes, .. } = posting else { return };
                    let pairs = bytes.chunks_exact(9).filter(|pair| wanted[usize::from(pair[0])]);
                    hashes.extend(pairs.filter_map(|pair| pair.last_chunk::<8>().copied()));
                })?;
            }
            for table in self.tables() {
                hashes.extend(chunk.iter().filter_map(|ordinal| table.id_hash(*ordinal)));
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        Ok(hashes)
    }

    /// Number of tables and segments.
    pub(crate) fn sources(&self) -> usize {
        self.state.segments.len() + self.state.frozen.len() + 1
    }

    /// `back`: from the end of the range to its beginning.
    pub(crate) fn cursor(&self, source: usize, range: &Range, back: bool) -> Result<Cursor, StoreError> {
        let segments = &self.state.segments;
        match segments.get(source) {
            Some(segment) => Cursor::segment(segment, range, back),
            None => {
                let table = self.tables().nth(source - segments.len()).unwrap_or(&self.state.active);
                Ok(Cursor::table(table, range, back))
            }
        }
    }
}

/// Adds the summaries of a segment that lie within `whole`: large ones, then small ones beside them. Answers the starts that they
/// cover together.
fn covered(segment: &Arc<Segment>, whole: &Whole, collected: &mut Collected) -> Result<Option<(u64, u64)>, StoreError> {
    let mut covered: Option<(u64, u64)> = None;
    for level in 0..SUMMARY_LEVELS as u8 {
        let mut more = |first, last| summaries(segment, level, &whole.prefix, (first, last), collected);
        let Some((first, last)) = covered else {
            covered = more(whole.first, whole.last)?;
            continue;
        };
        let before = if 0 < whole.first && whole.first < first { more(whole.first, first - 1)? } else { None };
        let behind = if last < whole.last && whole.last < u64::MAX { more(last + 1, whole.last)? } else { None };
        covered = Some((before.map_or(first, |(first, _)| first), behind.map_or(last, |(_, last)| last)));
    }
    Ok(covered)
}

/// Adds the summaries of one level that lie within some starts; answers the starts that they cover.
fn summaries(
    segment: &Arc<Segment>,
    level: u8,
    prefix: &[u8],
    within: (u64, u64),
    collected: &mut Collected,
) -> Result<Option<(u64, u64)>, StoreError> {
    let from = key::summary_key(level, prefix, within.0, 0);
    let to = after(&key::summary_key(level, prefix, within.1, u64::MAX));
    let mut cursor = Cursor::segment(segment, &Range { from, to, is_point: false, whole: None }, false)?;
    let mut covered: Option<(u64, u64)> = None;
    while let Some((rest, last)) = cursor.key().and_then(<[u8]>::split_last_chunk::<8>) {
        let last = u64::from_be_bytes(*last);
        let first = rest.last_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
        if last > within.1 {
            break;
        }
        cursor.posting().add_to(collected);
        covered = Some((covered.map_or(first, |(first, _)| first), last));
        cursor.advance()?;
    }
    Ok(covered)
}

/// Walks one range of one table or segment, in key order or against it.
pub(crate) struct Cursor {
    source: Source,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

enum Source {
    Segment(SegmentCursor),
    SegmentBack(SegmentBackCursor),
    Table { table: Arc<Table>, copied: VecDeque<(Box<[u8]>, Posting)>, back: bool },
}

impl Cursor {
    fn segment(segment: &Arc<Segment>, range: &Range, back: bool) -> Result<Cursor, StoreError> {
        let source = if back {
            Source::SegmentBack(segment.seek_back(range.to.as_deref())?)
        } else {
            Source::Segment(segment.seek(&range.from, true)?)
        };
        Ok(Cursor { source, from: range.from.clone(), to: range.to.clone() })
    }

    fn table(table: &Arc<Table>, range: &Range, back: bool) -> Cursor {
        let copied = if back {
            table.copy_back(&range.from, range.to.as_deref())
        } else {
            table.copy(Bound::Included(&range.from), range.to.as_deref())
        };
        let source = Source::Table { table: table.clone(), copied: copied.into(), back };
        Cursor { source, from: range.from.clone(), to: range.to.clone() }
    }

    /// `None` at the end.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        let key = match &self.source {
            Source::Segment(cursor) => cursor.key(),
            Source::SegmentBack(cursor) => return cursor.key().filter(|key| *key >= self.from.as_slice()),
            Source::Table { copied, .. } => copied.front().map(|(key, _)| key.as_ref()),
        };
        key.filter(|key| self.to.as_deref().is_none_or(|to| *key < to))
    }

    /// Walks to the end and adds the ordinals of the keys that pass.
    fn add_accepted(&mut self, accepts: impl Fn(&[u8]) -> bool, collected: &mut Collected) -> Result<(), StoreError> {
        while let Some(key) = self.key() {
            if accepts(key) {
                self.posting().add_to(collected);
            }
            self.advance()?;
        }
        Ok(())
    }

    pub(crate) fn posting(&self) -> PostingRef<'_> {
        match &self.source {
            Source::Segment(cursor) => cursor.posting(),
            Source::SegmentBack(cursor) => cursor.posting(),
            Source::Table { copied, .. } => {
                copied.front().map_or(PostingRef::Slice(&[]), |(_, posting)| posting.as_ref())
            }
        }
    }

    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        match &mut self.source {
            Source::Segment(cursor) => cursor.advance(),
            Source::SegmentBack(cursor) => cursor.advance(),
            Source::Table { table, copied, back } => {
                if let Some((last, _)) = copied.pop_front()
                    && copied.is_empty()
                {
                    let more = if *back {
                        table.copy_back(&self.from, Some(&last))
                    } else {
                        table.copy(Bound::Excluded(&last), self.to.as_deref())
                    };
                    *copied = more.into();
                }
                Ok(())
            }
        }
    }
}
