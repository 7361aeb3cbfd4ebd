//! Postings: sets of ordinals in memory, in blocks, and while a search collects them.

use super::bits::{self, Bits};
use roaring::RoaringBitmap;

/// Lists longer than this are kept as roaring bitmaps.
const LIST_MAX: usize = 32;

/// Ordinals of one key in the in-memory table, ascending.
#[derive(Clone, Debug)]
pub(crate) enum Posting {
    One(u32),
    List(Vec<u32>),
    Bitmap(Box<RoaringBitmap>),
}

impl Posting {
    /// Adds an ordinal that is not smaller than any in it. Answers the bytes by which it grew.
    pub(crate) fn push(&mut self, ordinal: u32) -> usize {
        match self {
            Posting::One(first) if *first == ordinal => 0,
            Posting::One(first) => {
                *self = Posting::List(vec![*first, ordinal]);
                24
            }
            Posting::List(list) if list.last() == Some(&ordinal) => 0,
            Posting::List(list) if list.len() < LIST_MAX => {
                list.push(ordinal);
                4
            }
            Posting::List(list) => {
                let mut bitmap = RoaringBitmap::from_sorted_iter(list.iter().copied()).unwrap_or_default();
                bitmap.insert(ordinal);
                *self = Posting::Bitmap(Box::new(bitmap));
                32
            }
            Posting::Bitmap(bitmap) => usize::from(bitmap.insert(ordinal)) * 2,
        }
    }

    pub(crate) fn as_ref(&self) -> PostingRef<'_> {
        match self {
            Posting::One(ordinal) => PostingRef::Slice(std::slice::from_ref(ordinal)),
            Posting::List(list) => PostingRef::Slice(list),
            Posting::Bitmap(bitmap) => PostingRef::Bitmap(bitmap),
        }
    }
}

/// A posting wherever it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PostingRef<'a> {
    Slice(&'a [u32]),
    Bitmap(&'a RoaringBitmap),
    Encoded { tag: u8, bytes: &'a [u8] },
}

/// Tags of encoded postings.
pub(crate) const TAG_LIST: u8 = 0;
pub(crate) const TAG_BITMAP: u8 = 1;
/// Not ordinals but `(low byte of ordinal, id hash)` pairs of a forward chunk, 9 bytes each.
pub(crate) const TAG_FORWARD: u8 = 2;

impl PostingRef<'_> {
    pub(crate) fn count(&self) -> u64 {
        match self {
            PostingRef::Slice(slice) => slice.len() as u64,
            PostingRef::Bitmap(bitmap) => bitmap.len(),
            PostingRef::Encoded { tag: TAG_LIST, bytes } => bytes.iter().filter(|byte| **byte < 0x80).count() as u64,
            PostingRef::Encoded { tag: TAG_BITMAP, bytes } => {
                bytes.first_chunk::<4>().map_or(0, |count| u64::from(u32::from_le_bytes(*count)))
            }
            PostingRef::Encoded { bytes, .. } => (bytes.len() / 9) as u64,
        }
    }

    pub(crate) fn add_to(&self, collected: &mut Collected) {
        match self {
            PostingRef::Slice(slice) => slice.iter().for_each(|ordinal| collected.push(*ordinal)),
            PostingRef::Bitmap(bitmap) => collected.bitmap |= *bitmap,
            PostingRef::Encoded { tag: TAG_LIST, bytes } => {
                ListIter { bytes, last: 0 }.for_each(|ordinal| collected.push(ordinal));
            }
            PostingRef::Encoded { tag: TAG_BITMAP, bytes } => collected.add_bitmap(bytes),
            PostingRef::Encoded { .. } => {}
        }
    }

    /// Whether any ordinal is in `set`.
    pub(crate) fn intersects(&self, set: &Members<'_>) -> bool {
        match self {
            PostingRef::Slice(slice) => slice.iter().any(|ordinal| set.contains(*ordinal)),
            PostingRef::Bitmap(bitmap) => !bitmap.is_disjoint(set.bitmap),
            PostingRef::Encoded { tag: TAG_LIST, bytes } => {
                ListIter { bytes, last: 0 }.any(|ordinal| set.contains(ordinal))
            }
            PostingRef::Encoded { tag: TAG_BITMAP, bytes } => {
                !decode_bitmap(after_count(bytes)).is_disjoint(set.bitmap)
            }
            PostingRef::Encoded { .. } => false,
        }
    }

    /// Calls `each` with every ordinal that is in `set`.
    pub(crate) fn for_each_in(&self, set: &RoaringBitmap, mut each: impl FnMut(u32)) {
        match self {
            PostingRef::Slice(slice) => slice.iter().copied().filter(|ordinal| set.contains(*ordinal)).for_each(each),
            PostingRef::Bitmap(bitmap) => (*bitmap & set).iter().for_each(&mut each),
            PostingRef::Encoded { tag: TAG_LIST, bytes } => {
                ListIter { bytes, last: 0 }.filter(|ordinal| set.contains(*ordinal)).for_each(each);
            }
            PostingRef::Encoded { tag: TAG_BITMAP, bytes } => {
                (decode_bitmap(after_count(bytes)) & set).iter().for_each(&mut each)
            }
            PostingRef::Encoded { .. } => {}
        }
    }
}

/// A set that is asked very often: also as plain bits.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    bitmap: &'a RoaringBitmap,
    words: Vec<u64>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(bitmap: &'a RoaringBitmap) -> Members<'a> {
        let mut words = vec![0; bitmap.max().map_or(0, |max| max as usize / 64 + 1)];
        bitmap.iter().for_each(|ordinal| words[(ordinal / 64) as usize] |= 1 << (ordinal % 64));
        Members { bitmap, words }
    }

    fn contains(&self, ordinal: u32) -> bool {
        self.words.get((ordinal / 64) as usize).is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }
}

/// Blocks are authenticated, so that a bitmap that cannot be read is not possible; it would read as empty.
fn decode_bitmap(bytes: &[u8]) -> RoaringBitmap {
    RoaringBitmap::deserialize_unchecked_from(bytes).unwrap_or_default()
}

/// The bitmap of an encoded one: the number of its values stands before it.
fn after_count(bytes: &[u8]) -> &[u8] {
    bytes.get(4..).unwrap_or_default()
}

struct ListIter<'a> {
    bytes: &'a [u8],
    last: u32,
}

impl Iterator for ListIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.bytes.is_empty() {
            return None;
        }
        let delta = read_varint(&mut self.bytes)?;
        self.last = self.last.wrapping_add(u32::try_from(delta).ok()?);
        Some(self.last)
    }
}

/// Encodes ascending ordinals; answers the tag.
pub(crate) fn encode(bitmap: &RoaringBitmap, out: &mut Vec<u8>) -> u8 {
    if bitmap.len() <= LIST_MAX as u64 {
        return encode_list(bitmap.iter(), out);
    }
    let mut bitmap = bitmap.clone();
    bitmap.optimize();
    out.extend(u32::try_from(bitmap.len()).unwrap_or(u32::MAX).to_le_bytes());
    bitmap.serialize_into(&mut *out).expect("writing to a vector");
    TAG_BITMAP
}

pub(crate) fn encode_list(ordinals: impl Iterator<Item = u32>, out: &mut Vec<u8>) -> u8 {
    let mut last = 0;
    for ordinal in ordinals {
        write_varint(out, u64::from(ordinal - last));
        last = ordinal;
    }
    TAG_LIST
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Collects ordinals from many postings in any order: a list first, a plain bit set once there are many.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    few: Vec<u32>,
    bits: Bits,
    /// The first bitmap with many values, serialized: often there is no other, and then it need not be taken apart.
    alone: Vec<u8>,
    /// Of bitmaps in memory and of sparse ones.
    bitmap: RoaringBitmap,
    sparse: usize,
}

const FEW_MAX: usize = 4096;
/// With fewer values a container it costs less to unite bitmaps than to set and read bits, which takes 8 KB for each container.
const DENSE: usize = 16;
/// More than so many are gathered as bits all the same.
const SPARSE_MAX: usize = 4;

impl Collected {
    pub(crate) fn push(&mut self, ordinal: u32) {
        if !self.bits.is_empty() {
            return self.bits.set(ordinal);
        }
        self.few.push(ordinal);
        if self.few.len() == FEW_MAX {
            for ordinal in std::mem::take(&mut self.few) {
                self.bits.set(ordinal);
            }
        }
    }

    fn add_bitmap(&mut self, bytes: &[u8]) {
        let Some((count, bitmap)) = bytes.split_first_chunk::<4>() else { return };
        let values = u32::from_le_bytes(*count) as usize;
        if bits::containers(bitmap).is_none_or(|containers| values < containers * DENSE) && self.sparse < SPARSE_MAX {
            self.sparse += 1;
            self.bitmap |= decode_bitmap(bitmap);
        } else if self.bits.is_empty() && self.alone.is_empty() {
            self.alone = bitmap.to_vec();
        } else {
            self.gather();
            // As in `decode_bitmap`: what cannot be read is not possible.
            let _ = self.bits.set_serialized(bitmap);
        }
    }

    /// Puts the one bitmap, if there is one, to the others.
    fn gather(&mut self) {
        if !self.alone.is_empty() {
            let _ = self.bits.set_serialized(&std::mem::take(&mut self.alone));
        }
    }

    /// All ordinals up to `snapshot`.
    pub(crate) fn finish(mut self, snapshot: u32) -> RoaringBitmap {
        if self.few.len() > LIST_MAX || bits::has_runs(&self.alone) {
            self.gather();
        }
        let mut result = if self.alone.is_empty() {
            if !self.bits.is_empty() {
                self.few.drain(..).for_each(|ordinal| self.bits.set(ordinal));
            }
            self.bits.into_bitmap()
        } else {
            decode_bitmap(&self.alone)
        };
        if !self.bitmap.is_empty() {
            // Without runs: intersecting them takes a search for each value.
            self.bitmap.remove_run_compression();
            result |= self.bitmap;
        }
        self.few.sort_unstable();
        self.few.dedup();
        if result.is_empty() {
            result = RoaringBitmap::from_sorted_iter(self.few).unwrap_or_default();
        } else {
            result.extend(self.few);
        }
        if result.max().is_some_and(|max| max > snapshot) {
            result.remove_range(snapshot.saturating_add(1)..);
        }
        result
    }
}

impl Collected {
    /// Encodes what is not in `dead`; `None` when nothing is left.
    pub(crate) fn encode_without(mut self, dead: &RoaringBitmap, out: &mut Vec<u8>) -> Option<u8> {
        let is_list = self.bits.is_empty() && self.alone.is_empty() && self.bitmap.is_empty();
        if is_list && self.few.len() <= LIST_MAX {
            self.few.sort_unstable();
            self.few.dedup();
            self.few.retain(|ordinal| !dead.contains(*ordinal));
            return (!self.few.is_empty()).then(|| encode_list(self.few.iter().copied(), out));
        }
        let left = self.finish(u32::MAX) - dead;
        (!left.is_empty()).then(|| encode(&left, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(tag: u8, bytes: &[u8]) -> Vec<u32> {
        let mut collected = Collected::default();
        PostingRef::Encoded { tag, bytes }.add_to(&mut collected);
        collected.finish(u32::MAX).iter().collect()
    }

    #[test]
    fn short_and_long_postings_read_back() {
        for count in [0u32, 1, 2, 32, 33, 5000, 70_000] {
            let ordinals: Vec<u32> = (0..count).map(|n| n * 7 + 3).collect();
            let bitmap: RoaringBitmap = ordinals.iter().copied().collect();
            let mut bytes = Vec::new();
            let tag = encode(&bitmap, &mut bytes);
            assert_eq!(decoded(tag, &bytes), ordinals);
            assert_eq!(PostingRef::Encoded { tag, bytes: &bytes }.count(), u64::from(count));
        }
    }

    #[test]
    fn a_list_of_one_near_the_start_takes_one_byte() {
        let mut bytes = Vec::new();
        encode(&RoaringBitmap::from_iter([100]), &mut bytes);
        assert_eq!(bytes.len(), 1);
    }

    #[test]
    fn collected_cuts_at_the_snapshot_whatever_the_form() {
        for count in [10u32, 4096, 10_000] {
            let mut collected = Collected::default();
            for n in (0..count).rev() {
                collected.push(n * 2);
            }
            let result = collected.finish(count);
            assert_eq!(result.len(), u64::from(count / 2 + 1));
            assert_eq!(result.max(), Some(count));
        }
    }

    #[test]
    fn pushing_grows_from_one_to_bitmap() {
        let mut posting = Posting::One(1);
        for ordinal in [1, 2, 2, 3].into_iter().chain(4..100) {
            posting.push(ordinal);
        }
        assert_eq!(posting.as_ref().count(), 99);
        let set = RoaringBitmap::from_iter([99]);
        assert!(posting.as_ref().intersects(&Members::new(&set)));
    }
}
