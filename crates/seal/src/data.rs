//! The key of one tenant's data.

use crate::{Random, SealError};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

const TAG_LEN: usize = 16;

/// A data key under a master key, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// [`crate::MasterKey::id`] of the key that wrapped it.
    pub master_id: String,
    pub sealed: Vec<u8>,
}

/// Seals, opens and hashes the data of one tenant.
///
/// A nonce is 4 random bytes and a 64-bit counter with a random start, both drawn when the key is opened: unique within
/// a run, and two runs of one key would have to draw the same 4 bytes and overlapping counters to collide.
pub struct DataKey {
    bytes: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
    /// Separate from the sealing key: derived by HMAC with a label of its own. Ready to be fed: an encoded person takes some
    /// fifty short hashes, and the setting up of each in `aws-lc-rs` costs twice what the hashing does.
    hashing: Hmac<Sha256>,
    nonce_prefix: [u8; 4],
    nonce_next: AtomicU64,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    pub fn generate(random: Random<'_>) -> DataKey {
        let mut bytes = Zeroizing::new([0; 32]);
        random(bytes.as_mut());
        DataKey::new(bytes)
    }

    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> DataKey {
        let label = hashing_key(&bytes);
        let mut start = [0; NONCE_LEN];
        crate::system_random(&mut start);
        DataKey {
            cipher: cipher(&bytes),
            hashing: Hmac::new_from_slice(&label).expect("HMAC takes keys of any length"),
            bytes,
            nonce_prefix: [start[0], start[1], start[2], start[3]],
            nonce_next: AtomicU64::new(u64::from_le_bytes(start[4..].try_into().unwrap_or_default())),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Nonce, ciphertext and tag. `aad` is bound to it: [`DataKey::open`] must be given the same.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.nonce_prefix);
        nonce[4..].copy_from_slice(&self.nonce_next.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        seal_nonce(&self.cipher, nonce, aad, plain)
    }

    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        open_with(&self.cipher, aad, sealed)
    }

    /// A keyed 64-bit hash of `parts` within `domain`; parts are length-prefixed, so that their borders count.
    pub fn hash64(&self, domain: u8, parts: &[&[u8]]) -> u64 {
        let mut mac = self.hashing.clone();
        mac.update(&[domain]);
        for part in parts {
            mac.update(&(part.len() as u32).to_le_bytes());
            mac.update(part);
        }
        u64::from_be_bytes(mac.finalize().into_bytes()[..8].try_into().unwrap_or_default())
    }
}

fn hashing_key(bytes: &[u8; 32]) -> [u8; 32] {
    crate::hmac_sha256(bytes, b"weir index hash")
}

pub(crate) fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 keys are 32 bytes"))
}

pub(crate) fn seal_with(cipher: &LessSafeKey, aad: &[u8], plain: &[u8], random: Random<'_>) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce);
    seal_nonce(cipher, nonce, aad, plain)
}

fn seal_nonce(cipher: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let tag = cipher
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut out[NONCE_LEN..])
        .expect("texts are far below the 64 GiB of AES-GCM");
    out.extend_from_slice(tag.as_ref());
    out
}

pub(crate) fn open_with(cipher: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::DoesNotOpen)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::DoesNotOpen)?;
    let mut out = text.to_vec();
    let len = cipher.open_in_place(nonce, Aad::from(aad), &mut out).map_err(|_| SealError::DoesNotOpen)?.len();
    out.truncate(len);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn key(fill: u8) -> DataKey {
        DataKey::generate(&|out| out.fill(fill))
    }

    #[test]
    fn opens_only_what_was_sealed_for_it() {
        let sealed = key(1).seal(b"place", b"body");
        assert_eq!(key(1).open(b"place", &sealed).unwrap(), b"body");
        assert_eq!(key(2).open(b"place", &sealed), Err(SealError::DoesNotOpen));
        assert_eq!(key(1).open(b"other", &sealed), Err(SealError::DoesNotOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key(1).open(b"place", &changed), Err(SealError::DoesNotOpen), "byte {at}");
            assert_eq!(key(1).open(b"place", &sealed[..at]), Err(SealError::DoesNotOpen));
        }
    }

    #[test]
    fn nonces_never_repeat() {
        let key = key(1);
        let nonces: HashSet<Vec<u8>> = (0..1000).map(|_| key.seal(b"", b"")[..NONCE_LEN].to_vec()).collect();
        assert_eq!(nonces.len(), 1000);
    }

    #[test]
    fn hashes_depend_on_key_domain_and_borders() {
        let key1 = key(1);
        let hash = key1.hash64(1, &[b"ab", b"c"]);
        assert_eq!(hash, key(1).hash64(1, &[b"ab", b"c"]));
        for other in [
            key(2).hash64(1, &[b"ab", b"c"]),
            key1.hash64(2, &[b"ab", b"c"]),
            key1.hash64(1, &[b"a", b"bc"]),
            key1.hash64(1, &[b"abc"]),
        ] {
            assert_ne!(hash, other);
        }
    }

    #[test]
    fn a_hash_is_hmac_sha256_of_all_parts() {
        let key = key(1);
        let hashing = hashing_key(&key.bytes);
        for len in [0, 100, 110, 111, 112, 120, 500] {
            let long = vec![b'a'; len];
            let mut text = vec![3];
            for part in [&b"short"[..], &long, b"more"] {
                text.extend_from_slice(&(part.len() as u32).to_le_bytes());
                text.extend_from_slice(part);
            }
            let tag = crate::hmac_sha256(&hashing, &text);
            assert_eq!(key.hash64(3, &[b"short", &long, b"more"]).to_be_bytes(), tag[..8], "{len}");
        }
    }

    /// RFC 4231, test case 2, through the same primitive.
    #[test]
    fn hmac_is_hmac_sha256() {
        let tag = crate::hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
    }
}
