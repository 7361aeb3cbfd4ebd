//! Page links: the snapshot, the position in the result, and a keyed hash of the search they belong to.

use crate::{Seq, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) snapshot: Seq,
    pub(crate) offset: u64,
    pub(crate) query: u64,
}

impl Cursor {
    pub(crate) fn encode(self) -> String {
        format!("{:x}.{:x}.{:x}", self.snapshot, self.offset, self.query)
    }

    /// [`StoreError::InvalidCursor`] when it is not a cursor of the search `query`.
    pub(crate) fn decode(text: &str, query: u64) -> Result<Cursor, StoreError> {
        let mut numbers = text.split('.').map(|part| u64::from_str_radix(part, 16).ok());
        let mut number = || numbers.next().flatten().ok_or(StoreError::InvalidCursor);
        let cursor = Cursor { snapshot: number()?, offset: number()?, query: number()? };
        if cursor.query == query && numbers.next().is_none() { Ok(cursor) } else { Err(StoreError::InvalidCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_one_search() {
        let cursor = Cursor { snapshot: 77, offset: 40, query: u64::MAX };
        assert_eq!(Cursor::decode(&cursor.encode(), u64::MAX).unwrap(), cursor);
        for text in ["", "4d.28", "4d.28.1", "4d.28.ffffffffffffffff.0", "x.28.ffffffffffffffff"] {
            assert!(matches!(Cursor::decode(text, u64::MAX), Err(StoreError::InvalidCursor)), "{text}");
        }
    }
}
