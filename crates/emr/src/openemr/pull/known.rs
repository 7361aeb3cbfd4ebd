//! What a pull remembers of each record, and where the caller keeps it.

use delivery::Async;
use serde::{Deserialize, Serialize};

/// What is known of a record there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Hash of its content without `meta` and `text`.
    pub hash: u64,
    /// The sweep that met it last.
    pub sweep: u32,
}

impl Mark {
    pub const BYTES: usize = 12;

    pub fn to_bytes(self) -> [u8; Mark::BYTES] {
        let mut bytes = [0; Mark::BYTES];
        bytes[..8].copy_from_slice(&self.hash.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sweep.to_be_bytes());
        bytes
    }

    /// `None`: these are not the bytes of a mark.
    pub fn from_bytes(bytes: &[u8]) -> Option<Mark> {
        let (hash, sweep) = bytes.split_first_chunk::<8>()?;
        let sweep = u32::from_be_bytes(sweep.try_into().ok()?);
        Some(Mark { hash: u64::from_be_bytes(*hash), sweep })
    }
}

/// What a pull remembers. Each mark and each touched patient is an entry of its own, and a [`super::Step`] names those that it
/// changes: nothing grows but the number of entries. A mark is [`Mark::BYTES`] beside type and id, a touched patient its id.
///
/// A round writes the marks of what has changed, a sweep once every mark.
pub trait Known: Send + Sync + std::fmt::Debug {
    /// The marks of these records of a type, in their order.
    fn marks<'a>(&'a self, ty: &'a str, ids: &'a [String]) -> Async<'a, Result<Vec<Option<Mark>>, KnownError>>;
    /// Marks of a type with ids above `after`, in the order of their ids.
    fn list<'a>(
        &'a self,
        ty: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Async<'a, Result<Vec<(String, Mark)>, KnownError>>;
    /// Touched patients with ids above `after`, in the order of their ids.
    fn touched<'a>(&'a self, after: &'a str, limit: usize) -> Async<'a, Result<Vec<String>, KnownError>>;
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the marks of what was pulled cannot be read: {0}")]
pub struct KnownError(pub String);

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_mark_comes_back_from_its_bytes_and_from_no_others() {
        let mark = Mark { hash: 0x0102_0304_0506_0708, sweep: 9 };
        assert_eq!(Mark::from_bytes(&mark.to_bytes()), Some(mark));
        for bytes in [&mark.to_bytes()[1..], &[], &[0; Mark::BYTES + 1]] {
            assert_eq!(Mark::from_bytes(bytes), None);
        }
    }
}
