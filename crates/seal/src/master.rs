//! The key of the whole installation.

use crate::data::{self, DataKey, WrappedKey};
use crate::{Random, SealError};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// The key that wraps all others: 32 bytes that the operator keeps outside the data directory.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterKey {
    pub fn generate(random: Random<'_>) -> MasterKey {
        let mut bytes = Zeroizing::new([0; 32]);
        random(bytes.as_mut());
        MasterKey { bytes }
    }

    /// 64 hexadecimal digits (white space around them is ignored) or 32 raw bytes.
    pub fn parse(text: &[u8]) -> Result<MasterKey, SealError> {
        if let Ok(bytes) = <[u8; 32]>::try_from(text) {
            return Ok(MasterKey { bytes: Zeroizing::new(bytes) });
        }
        let text = text.trim_ascii();
        if text.len() != 64 {
            return Err(SealError::KeyLength);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
            let digit = |at: usize| (pair[at] as char).to_digit(16).ok_or(SealError::KeyLength);
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Ok(MasterKey { bytes })
    }

    /// The form that [`MasterKey::parse`] reads: 64 hexadecimal digits and a line feed.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.bytes.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        text.push('\n');
        text
    }

    /// Tells keys apart in messages; says nothing about the key itself.
    pub fn id(&self) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_ref()), b"weir master key id");
        tag.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn wrap(&self, key: &DataKey, random: Random<'_>) -> WrappedKey {
        let cipher = data::cipher(&self.bytes);
        WrappedKey { master_id: self.id(), sealed: data::seal_with(&cipher, b"weir data key", key.bytes(), random) }
    }

    pub fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, SealError> {
        if wrapped.master_id != self.id() {
            return Err(SealError::OtherMasterKey { found: wrapped.master_id.clone(), given: self.id() });
        }
        let opened = Zeroizing::new(data::open_with(&data::cipher(&self.bytes), b"weir data key", &wrapped.sealed)?);
        let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| SealError::DoesNotOpen)?;
        Ok(DataKey::new(Zeroizing::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let key = MasterKey::generate(&|out| out.copy_from_slice(&[0xA5; 32]));
        let again = MasterKey::parse(key.to_hex().as_bytes()).unwrap();
        assert_eq!(again.id(), key.id());
        assert_eq!(MasterKey::parse(&[0xA5; 32]).unwrap().id(), key.id());
        for bad in [&b""[..], b"abc", &[b'g'; 64], &[1; 31], &[b'a'; 63]] {
            assert_eq!(MasterKey::parse(bad).unwrap_err(), SealError::KeyLength);
        }
    }

    #[test]
    fn another_master_key_does_not_unwrap() {
        let random = |out: &mut [u8]| out.fill(7);
        let (one, two) = (MasterKey::parse(&[1; 32]).unwrap(), MasterKey::parse(&[2; 32]).unwrap());
        let data = DataKey::generate(&random);
        let mut wrapped = one.wrap(&data, &random);
        assert_eq!(one.unwrap(&wrapped).unwrap().bytes(), data.bytes());
        assert!(matches!(two.unwrap(&wrapped), Err(SealError::OtherMasterKey { .. })));
        wrapped.sealed[20] ^= 1;
        assert_eq!(one.unwrap(&wrapped).unwrap_err(), SealError::DoesNotOpen);
    }

    #[test]
    fn debug_output_hides_the_key() {
        let key = MasterKey::parse(&[0xAB; 32]).unwrap();
        assert!(!format!("{key:?}").contains("abab"));
    }
}
