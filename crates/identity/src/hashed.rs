//! Maps whose keys are hashes already.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Takes a token as its own hash: tokens are keyed hashes, nobody outside can choose them.
#[derive(Default, Clone)]
pub(crate) struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, token: u32) {
        // Tables choose a place by the low bits and compare the high ones first.
        self.0 = u64::from(token) << 32 | u64::from(token);
    }

    fn write_u64(&mut self, token: u64) {
        self.0 = token;
    }
}

pub(crate) type TokenMap<V> = HashMap<u64, V, BuildHasherDefault<TokenHasher>>;
