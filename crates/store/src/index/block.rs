//! A block: about 16 KB of sorted keys with their postings, keys shortened by the prefix they share with the one before.
//!
//! Entry: `varint shared, varint rest, varint (posting bytes << 2 | tag), rest of the key, posting`. Every 16th key is
//! whole; the offsets of these (u32 LE) and their number end the block, for binary search.

use super::posting::{PostingRef, read_varint, write_varint};
use std::sync::Arc;

pub(crate) const BLOCK_BYTES: usize = 16 * 1024;
const RESTART_EVERY: usize = 16;

/// Builds a block.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    entries: usize,
    last: Vec<u8>,
    pub(crate) first: Vec<u8>,
}

impl BlockBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, key: &[u8], tag: u8, posting: &[u8]) {
        let shared = if self.entries.is_multiple_of(RESTART_EVERY) {
            self.restarts.push(u32::try_from(self.bytes.len()).expect("a block is far below 4 GB"));
            0
        } else {
            self.last.iter().zip(key).take_while(|(a, b)| a == b).count()
        };
        if self.entries == 0 {
            self.first = key.to_vec();
        }
        write_varint(&mut self.bytes, shared as u64);
        write_varint(&mut self.bytes, (key.len() - shared) as u64);
        write_varint(&mut self.bytes, (posting.len() as u64) << 2 | u64::from(tag));
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(posting);
        self.last.clear();
        self.last.extend_from_slice(key);
        self.entries += 1;
    }

    /// The bytes of the block; the builder is empty again.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut block = std::mem::take(self);
        for restart in &block.restarts {
            block.bytes.extend_from_slice(&restart.to_le_bytes());
        }
        block.bytes.extend_from_slice(&u32::try_from(block.restarts.len()).unwrap_or(0).to_le_bytes());
        block.bytes
    }
}

/// A decoded block.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// Where the entries end and the restart offsets begin.
    end: usize,
    restarts: usize,
}

impl Block {
    /// `None` when the bytes are not a block.
    pub(crate) fn new(bytes: Vec<u8>) -> Option<Block> {
        let (body, count) = bytes.split_last_chunk::<4>()?;
        let restarts = u32::from_le_bytes(*count) as usize;
        let end = body.len().checked_sub(restarts * 4)?;
        Some(Block { bytes, end, restarts })
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + 64
    }

    fn restart(&self, index: usize) -> usize {
        let at = self.end + index * 4;
        self.bytes[at..at + 4].first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }

    fn header(&self, at: usize) -> Option<Header> {
        let mut rest = self.bytes.get(at..self.end)?;
        if rest.is_empty() {
            return None;
        }
        let shared = read_varint(&mut rest)? as usize;
        let suffix = read_varint(&mut rest)? as usize;
        let posting = read_varint(&mut rest)?;
        let key_at = self.end - rest.len();
        Some(Header { shared, key_at, posting_at: key_at + suffix, posting })
    }

    /// Index of the last restart whose key is smaller than `target`, or 0.
    fn restart_before(&self, target: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.restarts);
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            let smaller = self
                .header(self.restart(middle))
                .is_some_and(|header| &self.bytes[header.key_at..header.posting_at] < target);
            if smaller { low = middle } else { high = middle }
        }
        low
    }
}

struct Header {
    shared: usize,
    key_at: usize,
    posting_at: usize,
    posting: u64,
}

/// Walks a block.
#[derive(Debug)]
pub(crate) struct BlockCursor {
    block: Arc<Block>,
    key: Vec<u8>,
    posting: (usize, usize),
    tag: u8,
    next: usize,
}

impl BlockCursor {
    /// Before the first entry.
    pub(crate) fn new(block: Arc<Block>) -> BlockCursor {
        BlockCursor { block, key: Vec::with_capacity(64), posting: (0, 0), tag: 0, next: 0 }
    }

    /// On the first entry whose key is not smaller than `target`; `false` when there is none.
    pub(crate) fn seek(&mut self, target: &[u8]) -> bool {
        self.next = if self.block.restarts == 0 { 0 } else { self.block.restart(self.block.restart_before(target)) };
        self.key.clear();
        while self.advance() {
            if self.key.as_slice() >= target {
                return true;
            }
        }
        false
    }

    pub(crate) fn advance(&mut self) -> bool {
        let Some(header) = self.block.header(self.next) else { return false };
        let posting_end = header.posting_at + (header.posting >> 2) as usize;
        if posting_end > self.block.end {
            return false;
        }
        self.key.truncate(header.shared);
        self.key.extend_from_slice(&self.block.bytes[header.key_at..header.posting_at]);
        self.posting = (header.posting_at, posting_end);
        self.tag = (header.posting & 3) as u8;
        self.next = posting_end;
        true
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn posting(&self) -> PostingRef<'_> {
        PostingRef::Encoded { tag: self.tag, bytes: &self.block.bytes[self.posting.0..self.posting.1] }
    }
}

/// Walks a block from its end.
#[derive(Debug)]
pub(crate) struct BlockBackCursor {
    block: Arc<Block>,
    keys: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: (usize, usize),
    posting: (usize, usize),
    tag: u8,
}

impl BlockBackCursor {
    /// On the last entry.
    pub(crate) fn new(block: Arc<Block>) -> BlockBackCursor {
        let mut forward = BlockCursor::new(block.clone());
        let mut cursor = BlockBackCursor { block, keys: Vec::new(), entries: Vec::new() };
        while forward.advance() {
            let start = cursor.keys.len();
            cursor.keys.extend_from_slice(forward.key());
            let entry = Entry { key: (start, cursor.keys.len()), posting: forward.posting, tag: forward.tag };
            cursor.entries.push(entry);
        }
        cursor
    }

    /// `None` before the first entry.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.entries.last().map(|entry| &self.keys[entry.key.0..entry.key.1])
    }

    pub(crate) fn posting(&self) -> PostingRef<'_> {
        self.entries.last().map_or(PostingRef::Slice(&[]), |entry| PostingRef::Encoded {
            tag: entry.tag,
            bytes: &self.block.bytes[entry.posting.0..entry.posting.1],
        })
    }

    pub(crate) fn back(&mut self) {
        self.entries.pop();
    }

    /// Leaves out the keys from `to` on.
    pub(crate) fn back_before(&mut self, to: &[u8]) {
        let keep = self.entries.partition_point(|entry| &self.keys[entry.key.0..entry.key.1] < to);
        self.entries.truncate(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seek_finds_every_key_and_the_gaps() {
        let mut builder = BlockBuilder::default();
        for n in 0..500u32 {
            builder.push(format!("key{:05}", n * 2).as_bytes(), 0, &[n as u8 & 0x7F]);
        }
        let block = Arc::new(Block::new(builder.finish()).unwrap());
        for n in 0..1000u32 {
            let mut cursor = BlockCursor::new(block.clone());
            let found = cursor.seek(format!("key{n:05}").as_bytes());
            assert_eq!(found, n <= 998);
            if found {
                assert_eq!(cursor.key(), format!("key{:05}", n.next_multiple_of(2)).as_bytes());
            }
        }
    }

    #[test]
    fn damaged_bytes_are_no_block() {
        assert!(Block::new(vec![1, 2]).is_none());
        assert!(Block::new(vec![0, 0, 0, 9]).is_none());
    }
}
