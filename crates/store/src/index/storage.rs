//! Where segments are kept.

use crate::StoreError;

/// Keeps sealed blocks of segments and one manifest. Everything passed in is already sealed.
///
/// Blocks are written before the manifest that names their segment is published, and removed after a manifest that no
/// longer names it: a crash in between leaves only blocks without an owner, which opening the index removes.
pub(crate) trait SegmentStorage: Send + Sync {
    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Ids of all segments of which any block is stored.
    fn segments(&self) -> Result<Vec<u64>, StoreError>;

    fn read(&self, segment: u64, block: u32) -> Result<Vec<u8>, StoreError>;

    /// Durable at the latest when the next `publish` is.
    fn write(&self, segment: u64, first_block: u32, blocks: Vec<Vec<u8>>) -> Result<(), StoreError>;

    /// Replaces the manifest, atomically and durably.
    fn publish(&self, manifest: Vec<u8>) -> Result<(), StoreError>;

    fn remove(&self, segment: u64) -> Result<(), StoreError>;
}

/// Cryptography that the index needs.
pub(crate) trait Keys: Send + Sync {
    fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Fails with [`StoreError::Unseal`] when key, context or bytes are not those of `seal`.
    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// A keyed hash.
    fn hash(&self, bytes: &[u8]) -> u64;
}
