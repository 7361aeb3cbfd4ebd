//! Changes to a JSON text by byte ranges, so that everything around them stays byte for byte as it came.

use std::ops::Range;

/// Replacements in a text. Ranges must not overlap.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    list: Vec<(Range<usize>, Vec<u8>)>,
}

impl Edits {
    pub(crate) fn replace(&mut self, range: Range<usize>, with: Vec<u8>) {
        let at = self.list.partition_point(|(other, _)| other.start <= range.start);
        self.list.insert(at, (range, with));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The text with all replacements made.
    pub(crate) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let grown: usize = self.list.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(text.len() + grown);
        let mut from = 0;
        for (range, with) in &self.list {
            out.extend_from_slice(&text[from..range.start]);
            out.extend_from_slice(with);
            from = range.end;
        }
        out.extend_from_slice(&text[from..]);
        out
    }

    /// Where a byte that stands before `offset` in the old text ends in the new one: edits that end at or before `offset` count.
    pub(crate) fn position(&self, offset: usize) -> usize {
        let before = self.list.iter().take_while(|(range, _)| range.end <= offset);
        before.fold(offset, |at, (range, with)| at + with.len() - range.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Edits;

    #[test]
    fn edits_apply_in_order_of_place_and_positions_follow() {
        let mut edits = Edits::default();
        assert!(edits.is_empty());
        edits.replace(6..7, b"long".to_vec());
        edits.replace(0..2, Vec::new());
        edits.replace(3..3, b"++".to_vec());
        assert_eq!(edits.apply(b"abcdefgh"), b"c++deflongh");
        assert_eq!(edits.position(2), 0);
        assert_eq!(edits.position(3), 3);
        assert_eq!(edits.position(7), 10);
    }
}
