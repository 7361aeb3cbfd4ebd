//! A storage in memory and keys without cryptography worth the name, for tests.

use super::{Keys, SegmentStorage};
use crate::StoreError;
use parking_lot::Mutex;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct MemoryStorage {
    manifest: Mutex<Option<Vec<u8>>>,
    blocks: Mutex<BTreeMap<(u64, u32), Vec<u8>>>,
}

impl MemoryStorage {
    /// All stored bytes.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let manifest = self.manifest.lock();
        manifest.iter().chain(self.blocks.lock().values()).flatten().copied().collect()
    }

    pub(crate) fn block_count(&self) -> usize {
        self.blocks.lock().len()
    }

    /// Changes a byte in every block.
    pub(crate) fn damage(&self) {
        for block in self.blocks.lock().values_mut() {
            *block.last_mut().unwrap() ^= 1;
        }
    }
}

impl SegmentStorage for MemoryStorage {
    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.manifest.lock().clone())
    }

    fn segments(&self) -> Result<Vec<u64>, StoreError> {
        let mut ids: Vec<u64> = self.blocks.lock().keys().map(|(segment, _)| *segment).collect();
        ids.dedup();
        Ok(ids)
    }

    fn read(&self, segment: u64, block: u32) -> Result<Vec<u8>, StoreError> {
        let found = self.blocks.lock().get(&(segment, block)).cloned();
        found.ok_or_else(|| StoreError::Io("no such block".to_owned()))
    }

    fn write(&self, segment: u64, first_block: u32, blocks: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.blocks.lock().extend(blocks.into_iter().zip(first_block..).map(|(data, no)| ((segment, no), data)));
        Ok(())
    }

    fn publish(&self, manifest: Vec<u8>) -> Result<(), StoreError> {
        *self.manifest.lock() = Some(manifest);
        Ok(())
    }

    fn remove(&self, segment: u64) -> Result<(), StoreError> {
        self.blocks.lock().retain(|(of, _), _| *of != segment);
        Ok(())
    }
}

/// A keyed stream and checksum: enough to notice a wrong key, a wrong place and clear text.
#[derive(Debug)]
pub(crate) struct TestKeys(pub(crate) u64);

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl TestKeys {
    fn sum(&self, context: &[u8], bytes: &[u8]) -> [u8; 8] {
        let mut sum = self.0;
        for byte in context.iter().chain([&0]).chain(bytes) {
            sum = mix(sum.wrapping_add(u64::from(*byte) + 1));
        }
        sum.to_le_bytes()
    }

    fn stream(&self, bytes: &mut [u8]) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte ^= mix(self.0.wrapping_add(at as u64)) as u8;
        }
    }
}

impl Keys for TestKeys {
    fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = plain.to_vec();
        self.stream(&mut sealed);
        sealed.extend(self.sum(context, plain));
        Ok(sealed)
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let wrong = || StoreError::Unseal("index".to_owned());
        let (body, sum) = sealed.split_last_chunk::<8>().ok_or_else(wrong)?;
        let mut plain = body.to_vec();
        self.stream(&mut plain);
        if self.sum(context, &plain) == *sum { Ok(plain) } else { Err(wrong()) }
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        u64::from_le_bytes(self.sum(b"hash", bytes))
    }
}
