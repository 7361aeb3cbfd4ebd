//! Keys and everything done with them. All cryptography of weir lives here.

/// The key that wraps all others. 32 bytes, from a file or the environment.
#[derive(Debug)]
pub struct MasterKey;
