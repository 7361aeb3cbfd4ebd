//! An immutable sorted segment: sealed blocks, and the first key of each block in memory.

use super::block::{Block, BlockBackCursor, BlockBuilder, BlockCursor};
use super::cache::Cache;
use super::key::{self, HEAD};
use super::manifest::SegmentInfo;
use super::posting::{PostingRef, TAG_LIST};
use super::{Keys, SUMMARY_LEVELS, SegmentStorage};
use crate::StoreError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads blocks: storage, keys and cache together.
pub(crate) struct Reader {
    pub(crate) storage: Arc<dyn SegmentStorage>,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) cache: Cache,
    /// Keys in one summary of each level, most first.
    pub(crate) summary_keys: [usize; SUMMARY_LEVELS],
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("cache_bytes", &self.cache.bytes()).finish_non_exhaustive()
    }
}

/// No decoded block is larger: one key with a posting over all 2^32 ordinals takes 512 MB, which nothing reaches.
const DECODED_BYTES_MAX: usize = 1 << 30;
const ZSTD_LEVEL: i32 = 3;

fn context(segment: u64, block: u32) -> Vec<u8> {
    let mut context = b"index block".to_vec();
    context.extend(segment.to_le_bytes());
    context.extend(block.to_le_bytes());
    context
}

fn damaged() -> StoreError {
    StoreError::Unseal("index block is damaged".to_owned())
}

/// Compresses and seals a block.
pub(crate) fn seal_block(keys: &dyn Keys, segment: u64, no: u32, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut packed = u32::try_from(plain.len()).map_err(|_| damaged())?.to_le_bytes().to_vec();
    packed.extend(zstd::bulk::compress(plain, ZSTD_LEVEL).map_err(|error| StoreError::Io(error.to_string()))?);
    keys.seal(&context(segment, no), &packed)
}

impl Reader {
    fn read(&self, segment: u64, no: u32) -> Result<Arc<Block>, StoreError> {
        let sealed = self.storage.read(segment, no)?;
        let packed = self.keys.unseal(&context(segment, no), &sealed)?;
        let (size, packed) = packed.split_first_chunk::<4>().ok_or_else(damaged)?;
        let size = (u32::from_le_bytes(*size) as usize).min(DECODED_BYTES_MAX);
        let plain = zstd::bulk::decompress(packed, size).map_err(|_| damaged())?;
        Block::new(plain).map(Arc::new).ok_or_else(damaged)
    }

    fn block(&self, segment: u64, no: u32, use_cache: bool) -> Result<Arc<Block>, StoreError> {
        if let Some(block) = self.cache.get((segment, no)) {
            return Ok(block);
        }
        let block = self.read(segment, no)?;
        if use_cache {
            self.cache.insert((segment, no), &block);
        }
        Ok(block)
    }
}

/// First keys of blocks, as a block.
pub(crate) fn encode_fences(fences: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = BlockBuilder::default();
    for fence in fences {
        builder.push(fence, TAG_LIST, &[]);
    }
    builder.finish()
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) info: SegmentInfo,
    fences: Vec<Box<[u8]>>,
    /// What [`Segment::groups`] has found, by prefix and length.
    groups: Mutex<HashMap<(Vec<u8>, usize), Groups>>,
    reader: Arc<Reader>,
}

/// Beginnings of keys, ascending.
type Groups = Arc<[Vec<u8>]>;

impl Segment {
    pub(crate) fn open(reader: &Arc<Reader>, info: SegmentInfo) -> Result<Segment, StoreError> {
        let mut cursor = BlockCursor::new(reader.read(info.id, info.blocks)?);
        let mut fences = Vec::with_capacity(info.blocks as usize);
        while cursor.advance() {
            fences.push(cursor.key().into());
        }
        if fences.len() != info.blocks as usize {
            return Err(damaged());
        }
        Ok(Segment { info, fences, groups: Mutex::default(), reader: reader.clone() })
    }

    /// The block in which `key` would be, if any block could have it.
    fn block_of(&self, key: &[u8]) -> Option<u32> {
        let after = self.fences.partition_point(|fence| fence.as_ref() <= key);
        u32::try_from(after.checked_sub(1)?).ok()
    }

    /// Calls `found` with the posting of `key`, if there is one.
    pub(crate) fn get<T>(&self, key: &[u8], found: impl FnOnce(PostingRef<'_>) -> T) -> Result<Option<T>, StoreError> {
        let Some(no) = self.block_of(key) else { return Ok(None) };
        let mut cursor = BlockCursor::new(self.reader.block(self.info.id, no, true)?);
        Ok((cursor.seek(key) && cursor.key() == key).then(|| found(cursor.posting())))
    }

    /// Blocks that a range touches.
    pub(crate) fn blocks_in(&self, from: &[u8], to: Option<&[u8]>) -> u64 {
        let first = self.block_of(from).unwrap_or(0);
        let last = match to {
            Some(to) => self.fences.partition_point(|fence| fence.as_ref() < to),
            None => self.fences.len(),
        };
        (last as u64).saturating_sub(u64::from(first))
    }

    /// A cursor on the first key not smaller than `from`.
    pub(crate) fn seek(self: &Arc<Self>, from: &[u8], use_cache: bool) -> Result<SegmentCursor, StoreError> {
        let mut cursor = SegmentCursor { segment: self.clone(), no: 0, block: None, use_cache };
        if self.info.blocks > 0 {
            cursor.no = self.block_of(from).unwrap_or(0);
            let mut block = BlockCursor::new(self.reader.block(self.info.id, cursor.no, use_cache)?);
            if block.seek(from) {
                cursor.block = Some(block);
            } else {
                cursor.next_block()?;
            }
        }
        Ok(cursor)
    }
}

impl Segment {
    /// The distinct first `len` bytes of the keys that begin with `prefix`. Looked for once where `prefix` is only the head of a key:
    /// there are few heads, but searches can ask for any number of values.
    pub(crate) fn groups(self: &Arc<Self>, prefix: &[u8], len: usize) -> Result<Groups, StoreError> {
        let id = (prefix.to_vec(), len);
        if let Some(groups) = self.groups.lock().get(&id) {
            return Ok(groups.clone());
        }
        let mut groups = Vec::new();
        let mut from = Some(prefix.to_vec());
        while let Some(cursor) = from.map(|from| self.seek(&from, true)).transpose()? {
            let Some(key) = cursor.key().filter(|key| key.starts_with(prefix)) else { break };
            let group = key[..len.min(key.len())].to_vec();
            from = key::after(&group);
            groups.push(group);
        }
        let groups: Groups = groups.into();
        if prefix.len() == HEAD {
            self.groups.lock().insert(id, groups.clone());
        }
        Ok(groups)
    }

    /// A cursor on the last key smaller than `to`.
    pub(crate) fn seek_back(self: &Arc<Self>, to: Option<&[u8]>) -> Result<SegmentBackCursor, StoreError> {
        let blocks = match to {
            Some(to) => self.fences.partition_point(|fence| fence.as_ref() < to),
            None => self.fences.len(),
        };
        let mut cursor =
            SegmentBackCursor { segment: self.clone(), left: u32::try_from(blocks).unwrap_or(0), block: None };
        cursor.previous_block()?;
        if let (Some(block), Some(to)) = (&mut cursor.block, to) {
            block.back_before(to);
        }
        Ok(cursor)
    }
}

/// Walks a segment against the key order.
#[derive(Debug)]
pub(crate) struct SegmentBackCursor {
    segment: Arc<Segment>,
    /// Blocks that have not been entered.
    left: u32,
    block: Option<BlockBackCursor>,
}

impl SegmentBackCursor {
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.block.as_ref().and_then(BlockBackCursor::key)
    }

    pub(crate) fn posting(&self) -> PostingRef<'_> {
        self.block.as_ref().map_or(PostingRef::Slice(&[]), BlockBackCursor::posting)
    }

    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        if let Some(block) = &mut self.block {
            block.back();
        }
        if self.key().is_some() { Ok(()) } else { self.previous_block() }
    }

    fn previous_block(&mut self) -> Result<(), StoreError> {
        self.block = None;
        if let Some(no) = self.left.checked_sub(1) {
            self.left = no;
            self.block = Some(BlockBackCursor::new(self.segment.reader.block(self.segment.info.id, no, true)?));
        }
        Ok(())
    }
}

/// Walks a segment in key order.
#[derive(Debug)]
pub(crate) struct SegmentCursor {
    segment: Arc<Segment>,
    no: u32,
    /// `None` at the end.
    block: Option<BlockCursor>,
    use_cache: bool,
}

impl SegmentCursor {
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.block.as_ref().map(BlockCursor::key)
    }

    pub(crate) fn posting(&self) -> PostingRef<'_> {
        self.block.as_ref().map_or(PostingRef::Slice(&[]), BlockCursor::posting)
    }

    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        if self.block.as_mut().is_some_and(BlockCursor::advance) { Ok(()) } else { self.next_block() }
    }

    fn next_block(&mut self) -> Result<(), StoreError> {
        self.block = None;
        self.no += 1;
        if self.no < self.segment.info.blocks {
            let reader = &self.segment.reader;
            let mut block = BlockCursor::new(reader.block(self.segment.info.id, self.no, self.use_cache)?);
            if block.advance() {
                self.block = Some(block);
            }
        }
        Ok(())
    }
}
