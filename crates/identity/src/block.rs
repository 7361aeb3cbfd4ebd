//! Blocking keys: two records are compared when they share one. Each is a hash of a few parts of a person, so that an
//! error in any one part leaves enough of the others.

use crate::keys::{Keys, Tag};
use crate::normalise::Normal;
use crate::soundex::soundex;

/// All keys of a person, ascending, each once. A key with an unknown part is left out.
pub(crate) fn keys(keys: &Keys, normal: &Normal) -> Box<[u64]> {
    let mut blocks = Blocks { keys, found: Vec::with_capacity(28) };
    names(&mut blocks, normal);
    phones(&mut blocks, normal);
    places(&mut blocks, normal);
    for (assigner, value) in &normal.identifiers {
        blocks.add(40, &[assigner.as_bytes(), value.as_bytes()]);
    }
    blocks.found.sort_unstable();
    blocks.found.dedup();
    blocks.found.into()
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
            self.found.push(self.keys.hash(Tag::Block, &hashed[..=parts.len()]));
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

fn birth(normal: &Normal) -> Birth {
    Birth { digits: normal.birth.map(|date| date.digits()) }
}

fn head(text: &str, len: usize) -> &[u8] {
    &text.as_bytes()[..len.min(text.len())]
}

/// The beginnings of both names, the smaller first: a swap changes nothing.
fn sorted(normal: &Normal) -> [&[u8]; 2] {
    let mut pair = [head(&normal.first, 3), head(&normal.last, 3)];
    pair.sort();
    pair
}

fn names(blocks: &mut Blocks<'_>, normal: &Normal) {
    let birth = birth(normal);
    let (day, year, month_day) = (birth.part(0..8), birth.part(0..4), birth.part(4..8));
    let first = soundex(&normal.first);
    let first = first.as_ref().map_or(&[][..], |code| &code[..]);
    for part in &normal.last_parts {
        if let Some(last) = soundex(part) {
            blocks.add(1, &[&last, day]);
            blocks.add(3, &[first, &last, year]);
        }
    }
    blocks.add(2, &[first, day]);
    let [small, big] = sorted(normal);
    blocks.add(4, &[small, big, month_day]);
    blocks.add(5, &[small, big, year]);
    blocks.add(6, &[normal.first.as_bytes(), normal.last.as_bytes()]);
    blocks.add(7, &[day]);
}

fn phones(blocks: &mut Blocks<'_>, normal: &Normal) {
    let birth = birth(normal);
    for phone in &normal.phones {
        blocks.add(10, &[phone.as_bytes(), head(&normal.first, 1)]);
        blocks.add(11, &[phone.as_bytes(), birth.part(0..8)]);
        blocks.add(12, &[phone.as_bytes(), birth.part(0..6)]);
    }
}

fn places(blocks: &mut Blocks<'_>, normal: &Normal) {
    let birth = birth(normal);
    let (day, year) = (birth.part(0..8), birth.part(0..4));
    let (zip, house, street) = (normal.zip.as_bytes(), normal.house.as_bytes(), normal.street.as_bytes());
    let (first, last) = (normal.first.as_bytes(), normal.last.as_bytes());
    blocks.add(20, &[zip, house, head(&normal.first, 1)]);
    blocks.add(21, &[zip, house, birth.part(4..8)]);
    blocks.add(22, &[zip, head(&normal.first, 4), year]);
    blocks.add(23, &[zip, head(&normal.last, 4), head(&normal.first, 2)]);
    blocks.add(24, &[street, head(&normal.first, 1)]);
    blocks.add(25, &[street, day]);
    blocks.add(26, &[day, zip]);
    blocks.add(27, &[head(&normal.zip, 3), house, birth.part(0..6)]);
    blocks.add(28, &[last, zip]);
    blocks.add(29, &[first, zip]);
    blocks.add(30, &[street, zip]);
    let [small, big] = sorted(normal);
    blocks.add(31, &[small, big, head(&normal.zip, 3)]);
    blocks.add(32, &[head(&normal.first, 3), head(&normal.street, 8)]);
}
