//! Decoded blocks in memory, bounded by bytes, shared by all searches of a tenant. Second-chance eviction per shard:
//! a hit sets a flag under a read lock, so that searches do not wait for one another.

use super::block::Block;
use parking_lot::RwLock;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SHARDS: usize = 16;

/// Segment id and block number.
pub(crate) type BlockId = (u64, u32);

#[derive(Debug)]
pub(crate) struct Cache {
    shards: Vec<RwLock<Shard>>,
    shard_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    blocks: HashMap<BlockId, Cached>,
    queue: VecDeque<BlockId>,
    bytes: usize,
}

#[derive(Debug)]
struct Cached {
    block: Arc<Block>,
    used: AtomicBool,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), shard_bytes_max: bytes_max / SHARDS }
    }

    fn shard(&self, id: BlockId) -> &RwLock<Shard> {
        let mixed = (id.0 ^ u64::from(id.1).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[(mixed >> 60) as usize % SHARDS]
    }

    pub(crate) fn get(&self, id: BlockId) -> Option<Arc<Block>> {
        let shard = self.shard(id).read();
        let cached = shard.blocks.get(&id)?;
        cached.used.store(true, Ordering::Relaxed);
        Some(cached.block.clone())
    }

    pub(crate) fn insert(&self, id: BlockId, block: &Arc<Block>) {
        let mut shard = self.shard(id).write();
        if block.size() > self.shard_bytes_max || shard.blocks.contains_key(&id) {
            return;
        }
        while shard.bytes + block.size() > self.shard_bytes_max {
            let Some(oldest) = shard.queue.pop_front() else { break };
            let Some(cached) = shard.blocks.get(&oldest) else { continue };
            if cached.used.swap(false, Ordering::Relaxed) {
                shard.queue.push_back(oldest);
            } else {
                shard.bytes -= cached.block.size();
                shard.blocks.remove(&oldest);
            }
        }
        shard.bytes += block.size();
        shard.blocks.insert(id, Cached { block: block.clone(), used: AtomicBool::new(false) });
        shard.queue.push_back(id);
    }

    /// Forgets the blocks of a segment that is gone.
    pub(crate) fn remove_segment(&self, segment: u64) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let shard = &mut *shard;
            shard.blocks.retain(|id, cached| {
                let keep = id.0 != segment;
                if !keep {
                    shard.bytes -= cached.block.size();
                }
                keep
            });
            shard.queue.retain(|id| id.0 != segment);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::block::BlockBuilder;

    fn block() -> Arc<Block> {
        let mut builder = BlockBuilder::default();
        builder.push(b"key", 0, &[0; 1000]);
        Arc::new(Block::new(builder.finish()).unwrap())
    }

    #[test]
    fn stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = Cache::new(SHARDS * 10_000);
        cache.insert((1, 0), &block());
        for no in 1..1000 {
            assert!(cache.get((1, 0)).is_some(), "a block in use was evicted");
            cache.insert((1, no), &block());
        }
        assert!(cache.bytes() <= SHARDS * 10_000);
        assert!(cache.bytes() > SHARDS * 5_000);
        cache.remove_segment(1);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_block_larger_than_a_shard_is_not_kept() {
        let cache = Cache::new(SHARDS * 100);
        cache.insert((1, 0), &block());
        assert!(cache.get((1, 0)).is_none());
    }
}
