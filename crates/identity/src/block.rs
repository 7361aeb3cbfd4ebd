//! Blocking keys: two records are compared when they share one. Each is a hash of a few parts of a person, so that an
//! error in any one part leaves enough of the others.

use crate::keys::{Keys, Tag};
use crate::normalise::{FullName, Normal, Place};
use crate::soundex::soundex;

/// Bits of a key. With 20 million keys in an index, one look-up in 50,000 meets a stranger's: it is scored and dropped.
pub(crate) const KEY_BITS: u32 = 40;
/// The most keys of one person: three names at three addresses with three telephones and sixteen numbers have 155.
pub(crate) const MAX_KEYS: usize = 160;
/// The most parts of a surname that have keys of their own.
const MAX_PARTS: usize = 4;

/// A key as a record keeps it: the low bytes of its number first.
pub(crate) type Key = [u8; KEY_BITS as usize / 8];

fn key(number: u64) -> Key {
    let [one, two, three, four, five, ..] = number.to_le_bytes();
    [one, two, three, four, five]
}

pub(crate) fn number([one, two, three, four, five]: Key) -> u64 {
    u64::from_le_bytes([one, two, three, four, five, 0, 0, 0])
}

/// All keys of a person, ascending, each once. A key with an unknown part is left out.
pub(crate) fn keys(keys: &Keys, normal: &Normal) -> Box<[Key]> {
    let mut blocks = Blocks { keys, found: Vec::with_capacity(32) };
    let birth = Birth { digits: normal.birth.map(|date| date.digits()) };
    blocks.add(7, &[birth.part(0..8)]);
    for name in &normal.names {
        of_name(&mut blocks, name, &birth);
        for phone in &normal.phones {
            blocks.add(10, &[phone.as_bytes(), head(&name.first, 1)]);
        }
        for place in &normal.places {
            of_name_and_place(&mut blocks, name, place, &birth);
        }
    }
    for phone in &normal.phones {
        blocks.add(11, &[phone.as_bytes(), birth.part(0..8)]);
        blocks.add(12, &[phone.as_bytes(), birth.part(0..6)]);
    }
    for place in &normal.places {
        of_place(&mut blocks, place, &birth);
    }
    for (assigner, value) in &normal.identifiers {
        blocks.add(40, &[assigner.as_bytes(), value.as_bytes()]);
    }
    blocks.found.sort_unstable();
    blocks.found.dedup();
    blocks.found.into_iter().take(MAX_KEYS).map(key).collect()
}

struct Blocks<'a> {
    keys: &'a Keys,
    found: Vec<u64>,
}

impl Blocks<'_> {
    /// `kind` keeps keys of different kinds apart; it is the first part of what is hashed.
    fn add(&mut self, kind: u8, parts: &[&[u8]]) {
        if parts.iter().all(|part| !part.is_empty()) {
            let mut hashed: [&[u8]; 6] = [&[]; 6];
            let kind = [kind];
            hashed[0] = &kind;
            hashed[1..=parts.len()].copy_from_slice(parts);
            self.found.push(self.keys.hash(Tag::Block, &hashed[..=parts.len()]) >> (u64::BITS - KEY_BITS));
        }
    }
}

/// The parts of a birth date that keys use; empty when it is not known.
struct Birth {
    digits: Option<[u8; 8]>,
}

impl Birth {
    fn part(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.digits.as_ref().map_or(&[], |digits| &digits[range])
    }
}

fn head(text: &str, len: usize) -> &[u8] {
    &text.as_bytes()[..len.min(text.len())]
}

/// The beginnings of both names, the smaller first: a swap changes nothing.
fn sorted(name: &FullName) -> [&[u8]; 2] {
    let mut pair = [head(&name.first, 3), head(&name.last, 3)];
    pair.sort();
    pair
}

fn of_name(blocks: &mut Blocks<'_>, name: &FullName, birth: &Birth) {
    let (day, year, month_day) = (birth.part(0..8), birth.part(0..4), birth.part(4..8));
    let first = soundex(&name.first);
    let first = first.as_ref().map_or(&[][..], |code| &code[..]);
    for part in name.last_parts.iter().take(MAX_PARTS) {
        if let Some(last) = soundex(part) {
            blocks.add(1, &[&last, day]);
            blocks.add(3, &[first, &last, year]);
        }
    }
    blocks.add(2, &[first, day]);
    let [small, big] = sorted(name);
    blocks.add(4, &[small, big, month_day]);
    blocks.add(5, &[small, big, year]);
    blocks.add(6, &[name.first.as_bytes(), name.last.as_bytes()]);
}

fn of_place(blocks: &mut Blocks<'_>, place: &Place, birth: &Birth) {
    let (zip, house, street) = (place.zip.as_bytes(), place.house.as_bytes(), place.street.as_bytes());
    blocks.add(21, &[zip, house, birth.part(4..8)]);
    blocks.add(25, &[street, birth.part(0..8)]);
    blocks.add(26, &[birth.part(0..8), zip]);
    blocks.add(27, &[head(&place.zip, 3), house, birth.part(0..6)]);
    blocks.add(30, &[street, zip]);
}

fn of_name_and_place(blocks: &mut Blocks<'_>, name: &FullName, place: &Place, birth: &Birth) {
    let (zip, house, street) = (place.zip.as_bytes(), place.house.as_bytes(), place.street.as_bytes());
    let (first, last) = (name.first.as_bytes(), name.last.as_bytes());
    blocks.add(20, &[zip, house, head(&name.first, 1)]);
    blocks.add(22, &[zip, head(&name.first, 4), birth.part(0..4)]);
    blocks.add(23, &[zip, head(&name.last, 4), head(&name.first, 2)]);
    blocks.add(24, &[street, head(&name.first, 1)]);
    blocks.add(28, &[last, zip]);
    blocks.add(29, &[first, zip]);
    let [small, big] = sorted(name);
    blocks.add(31, &[small, big, head(&place.zip, 3)]);
    blocks.add(32, &[head(&name.first, 3), head(&place.street, 8)]);
}
