//! Keys and everything done with them. All cryptography of weir lives here.
//!
//! One [`MasterKey`] per installation wraps one [`DataKey`] per tenant. The data key seals bodies and index blocks
//! (AES-256-GCM) and, through a key derived from it, makes the hashes by which values are found without standing in clear.

mod data;
pub mod jwt;
mod master;
mod secret;

use aws_lc_rs::hmac;

pub use data::{DataKey, WrappedKey};
pub use master::MasterKey;
pub use secret::{Secret, same};

/// Fills a buffer with random bytes. The operating system's source in production, a seeded one in tests.
pub type Random<'a> = &'a dyn Fn(&mut [u8]);

/// Random bytes of the operating system.
pub fn system_random(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system has a random source");
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Another key, other associated data, or changed bytes: AES-GCM does not tell which.
    #[error("sealed data does not open: wrong key or changed bytes")]
    DoesNotOpen,
    #[error("a master key is 32 bytes, as 64 hexadecimal digits or raw")]
    KeyLength,
    #[error("the data key was wrapped by another master key (key id {found}, this one is {given})")]
    OtherMasterKey { found: String, given: String },
    #[error("a signing key is an RSA private key in PKCS #8, as PEM")]
    SigningKey,
}

/// The SHA-256 of `bytes` in hexadecimal digits: tells one content from another, keeps no secret of a short one.
pub fn fingerprint(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA256 of `text` under a secret that another party knows too, for formats that ask for it.
pub fn hmac_sha256(secret: &[u8], text: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text);
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
}
