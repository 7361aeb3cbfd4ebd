//! The schedule that is shipped: CDC's supporting data, a work of the US government and so in the public domain.

use crate::load::LoadError;
use crate::schedule::Schedule;

/// The version of the supporting data in [`Schedule::builtin`].
pub const BUILTIN_VERSION: &str = "4.64";

/// Written by `cargo xtask cdsi`: the documents, that of the schedule first, with NUL between them.
static PACKED: &[u8] = include_bytes!("../data/cdsi-4.64.zst");

/// More than the documents are; what is shipped is not hostile, but may be damaged.
const MAX_BYTES: usize = 8 << 20;

impl Schedule {
    /// Loads the schedule that is shipped, version [`BUILTIN_VERSION`]. It takes tens of milliseconds: load it once.
    pub fn builtin() -> Result<Self, LoadError> {
        let bytes = zstd::bulk::decompress(PACKED, MAX_BYTES).map_err(|error| LoadError::Packed(error.to_string()))?;
        let mut documents = bytes.split(|byte| *byte == 0);
        Self::load(BUILTIN_VERSION, documents.next().unwrap_or_default(), documents)
    }
}
