//! What makes tokens: one key per tenant. Tokens of different keys have nothing to do with each other.

use crate::clk::Positions;
use seal::DataKey;

/// Domains of the keyed hash. Values of one tag can be compared, of different tags never: given names and surnames share
/// one, so that a swap shows, month and day too.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Tag {
    Name = 0x40,
    Root,
    Initial,
    Date,
    Year,
    MonthOrDay,
    Sex,
    Zip,
    Phone,
    Street,
    City,
    Assigner,
    Identifier,
    Bigram,
    Block,
}

/// The tenant's key for tokens with the tables of bit positions derived from it. Making one costs some 5,000 hashes: make
/// it when the tenant is opened and keep it.
pub struct Keys {
    key: DataKey,
    pub(crate) positions: Positions,
}

impl Keys {
    /// `key` must be another one than that which seals the tenant's data.
    pub fn new(key: DataKey) -> Keys {
        Keys { positions: Positions::new(&key), key }
    }

    /// The token of a value, 0 when there is none: no value is no evidence.
    pub(crate) fn token(&self, tag: Tag, value: &[u8]) -> u64 {
        if value.is_empty() { 0 } else { self.hash(tag, &[value]) }
    }

    pub(crate) fn hash(&self, tag: Tag, parts: &[&[u8]]) -> u64 {
        self.key.hash64(tag as u8, parts).max(1)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}
