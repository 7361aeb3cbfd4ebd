//! Writes segments: from a table that is no longer written, or from older segments.

use super::SUMMARY_LEVELS;
use super::block::{BLOCK_BYTES, BlockBuilder};
use super::key::{self, PARAM_IDS, kind};
use super::manifest::SegmentInfo;
use super::posting::{self, Collected, PostingRef, TAG_FORWARD};
use super::segment::{Reader, Segment, SegmentCursor, encode_fences, seal_block};
use super::table::Table;
use crate::StoreError;
use fhir::defs::ParamId;
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Blocks handed to the storage at once: small enough that commits in between do not wait long.
const WRITE_BLOCKS: usize = 16;

/// Keys merged before other work gets its turn; few in tests, whose merges are small.
const KEYS_BETWEEN: u64 = if cfg!(test) { 16 } else { 32_768 };

/// Takes keys in ascending order, writes blocks.
struct Writer<'a> {
    reader: &'a Arc<Reader>,
    info: SegmentInfo,
    block: BlockBuilder,
    waiting: Vec<Vec<u8>>,
    written: u32,
    fences: Vec<Vec<u8>>,
    summaries: Summaries,
}

/// Summaries of the parameter that is being written: their keys come after its other keys.
#[derive(Default)]
struct Summaries {
    done: Vec<(Vec<u8>, Vec<u8>, u8)>,
    /// Of the keys that are being added.
    prefix: Vec<u8>,
    levels: [Group; SUMMARY_LEVELS],
}

/// Neighbouring keys of one prefix.
#[derive(Default)]
struct Group {
    first: u64,
    last: u64,
    keys: usize,
    ordinals: Collected,
    /// Whether the prefix has a summary of this level already.
    follows: bool,
}

impl Summaries {
    fn add(&mut self, key: &[u8], posting: PostingRef<'_>, keys_max: &[usize; SUMMARY_LEVELS]) {
        let Some((prefix, start)) = key::narrow_start(key) else { return };
        if self.prefix != prefix {
            self.end_prefix();
            self.prefix = prefix.to_vec();
        }
        // Keys with one start stay together, so that a summary covers a range of starts. Where a large one ends, the small ones end too.
        let is_full = |(group, max): (&Group, &usize)| group.keys >= *max && group.last != start;
        if let Some(level) = self.levels.iter().zip(keys_max).position(is_full) {
            (level..SUMMARY_LEVELS).for_each(|level| self.end(level));
        }
        for group in &mut self.levels {
            if group.keys == 0 {
                group.first = start;
            }
            group.last = start;
            group.keys += 1;
            posting.add_to(&mut group.ordinals);
        }
    }

    fn end(&mut self, level: usize) {
        let group = std::mem::take(&mut self.levels[level]);
        self.levels[level].follows = group.keys > 0;
        if group.keys > 0 {
            let mut bytes = Vec::new();
            let tag = posting::encode(&group.ordinals.finish(u32::MAX), &mut bytes);
            let number = u8::try_from(level).unwrap_or(u8::MAX);
            self.done.push((key::summary_key(number, &self.prefix, group.first, group.last), bytes, tag));
        }
    }

    /// The summaries of a level together cover all keys of a prefix, or there are none: where the next smaller ones, or the one key
    /// itself, say the same.
    fn end_prefix(&mut self) {
        for level in 0..SUMMARY_LEVELS {
            let smaller = self.levels.get(level + 1).map_or(self.levels[level].keys > 1, |smaller| smaller.follows);
            if self.levels[level].follows || smaller {
                self.end(level);
            }
            self.levels[level] = Group::default();
        }
    }
}

impl<'a> Writer<'a> {
    fn new(reader: &'a Arc<Reader>, id: u64, min: u32, max: u32) -> Writer<'a> {
        let info = SegmentInfo { id, min, max, ..SegmentInfo::default() };
        Writer {
            reader,
            info,
            block: BlockBuilder::default(),
            waiting: Vec::new(),
            written: 0,
            fences: Vec::new(),
            summaries: Summaries::default(),
        }
    }

    fn push(&mut self, key: &[u8], tag: u8, bytes: &[u8]) -> Result<(), StoreError> {
        let ends_values = self.summaries.prefix.get(..2) != key.get(..2) || key[2] > kind::SUMMARY;
        if ends_values {
            self.push_summaries()?;
        }
        self.summaries.add(key, PostingRef::Encoded { tag, bytes }, &self.reader.summary_keys);
        self.put(key, tag, bytes)
    }

    fn push_summaries(&mut self) -> Result<(), StoreError> {
        self.summaries.end_prefix();
        let mut done = std::mem::take(&mut self.summaries.done);
        done.sort_unstable();
        done.iter().try_for_each(|(key, bytes, tag)| self.put(key, *tag, bytes))
    }

    fn put(&mut self, key: &[u8], tag: u8, bytes: &[u8]) -> Result<(), StoreError> {
        if !self.block.is_empty() && self.block.len() + key.len() + bytes.len() > BLOCK_BYTES {
            self.end_block()?;
        }
        self.info.keys += 1;
        self.info.rows += PostingRef::Encoded { tag, bytes }.count();
        self.block.push(key, tag, bytes);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        self.fences.push(std::mem::take(&mut self.block.first));
        let plain = self.block.finish();
        self.add_block(&plain)?;
        self.info.blocks += 1;
        Ok(())
    }

    fn add_block(&mut self, plain: &[u8]) -> Result<(), StoreError> {
        let no = self.written + u32::try_from(self.waiting.len()).unwrap_or(0);
        let sealed = seal_block(self.reader.keys.as_ref(), self.info.id, no, plain)?;
        self.info.bytes += sealed.len() as u64;
        self.waiting.push(sealed);
        if self.waiting.len() >= WRITE_BLOCKS { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        let blocks = std::mem::take(&mut self.waiting);
        let count = u32::try_from(blocks.len()).unwrap_or(0);
        self.reader.storage.write(self.info.id, self.written, blocks)?;
        self.written += count;
        Ok(())
    }

    fn finish(mut self) -> Result<Segment, StoreError> {
        self.push_summaries()?;
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let fences = encode_fences(&self.fences);
        self.add_block(&fences)?;
        self.hand_over()?;
        Segment::open(self.reader, self.info)
    }
}

/// Collects the ordinals of the parameter that is being written, for its presence key.
#[derive(Default)]
struct Presence {
    param: Option<ParamId>,
    ordinals: Collected,
}

impl Presence {
    fn add(&mut self, key: &[u8], posting: PostingRef<'_>, writer: &mut Writer<'_>) -> Result<(), StoreError> {
        let param = ParamId(u16::from_be_bytes([key[0], key[1]]));
        if self.param != Some(param) {
            self.end(writer)?;
            self.param = (param.0 < PARAM_IDS).then_some(param);
        }
        if self.param.is_some() {
            posting.add_to(&mut self.ordinals);
        }
        Ok(())
    }

    fn end(&mut self, writer: &mut Writer<'_>) -> Result<(), StoreError> {
        let Some(param) = self.param.take() else { return Ok(()) };
        let mut bytes = Vec::new();
        let tag = posting::encode(&std::mem::take(&mut self.ordinals).finish(u32::MAX), &mut bytes);
        writer.push(&key::presence_key(param), tag, &bytes)
    }
}

/// A segment with everything in `table`.
pub(crate) fn from_table(reader: &Arc<Reader>, id: u64, min: u32, table: &Table) -> Result<Segment, StoreError> {
    let mut writer = Writer::new(reader, id, min, table.max());
    let mut presence = Presence::default();
    let mut bytes = Vec::new();
    table.each(|key, posting| {
        presence.add(key, posting, &mut writer)?;
        bytes.clear();
        let tag = match posting {
            PostingRef::Slice(slice) => posting::encode_list(slice.iter().copied(), &mut bytes),
            PostingRef::Bitmap(bitmap) => posting::encode(bitmap, &mut bytes),
            PostingRef::Encoded { tag, .. } => tag,
        };
        writer.push(key, tag, &bytes)
    })?;
    presence.end(&mut writer)?;
    table.each_chunk(|ids| {
        let bytes: Vec<u8> =
            ids.iter().flat_map(|(ordinal, hash)| std::iter::once(*ordinal as u8).chain(*hash)).collect();
        writer.push(&key::forward_key(ids[0].0), TAG_FORWARD, &bytes)
    })?;
    writer.finish()
}

/// One segment out of several neighbours, oldest first, without the ordinals in `dead`. `between` runs now and then.
pub(crate) fn merge(
    reader: &Arc<Reader>,
    id: u64,
    segments: &[Arc<Segment>],
    dead: &RoaringBitmap,
    between: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<Segment, StoreError> {
    let min = segments.iter().map(|segment| segment.info.min).min().unwrap_or(0);
    let max = segments.iter().map(|segment| segment.info.max).max().unwrap_or(0);
    let mut writer = Writer::new(reader, id, min, max);
    let mut cursors = segments.iter().map(|segment| segment.seek(&[], false)).collect::<Result<Vec<_>, _>>()?;
    let mut key = Vec::new();
    while let Some(smallest) = cursors.iter().filter_map(SegmentCursor::key).min() {
        key.clear();
        key.extend_from_slice(smallest);
        let mut merged = Merged::default();
        for cursor in &mut cursors {
            if cursor.key() == Some(&key) {
                merged.add(&key, cursor.posting(), dead);
                cursor.advance()?;
            }
        }
        if writer.info.keys.is_multiple_of(KEYS_BETWEEN) {
            between()?;
        }
        // Summaries are made anew.
        if key.get(2) != Some(&kind::SUMMARY) {
            merged.write(&key, dead, &mut writer)?;
        }
    }
    writer.finish()
}

/// One key's postings of several segments.
#[derive(Default)]
struct Merged {
    ordinals: Collected,
    forward: Vec<u8>,
}

impl Merged {
    fn add(&mut self, key: &[u8], posting: PostingRef<'_>, dead: &RoaringBitmap) {
        match posting {
            PostingRef::Encoded { tag: TAG_FORWARD, bytes } => {
                let chunk = key.last_chunk::<4>().map_or(0, |chunk| u32::from_be_bytes(*chunk) << 8);
                let alive = bytes.chunks_exact(9).filter(|pair| !dead.contains(chunk | u32::from(pair[0])));
                self.forward.extend(alive.flatten());
            }
            posting => posting.add_to(&mut self.ordinals),
        }
    }

    /// Nothing is written when nothing is left.
    fn write(self, key: &[u8], dead: &RoaringBitmap, writer: &mut Writer<'_>) -> Result<(), StoreError> {
        if !self.forward.is_empty() {
            return writer.push(key, TAG_FORWARD, &self.forward);
        }
        let mut bytes = Vec::new();
        match self.ordinals.encode_without(dead, &mut bytes) {
            Some(tag) => writer.push(key, tag, &bytes),
            None => Ok(()),
        }
    }
}
