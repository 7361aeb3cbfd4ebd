//! A person as tokens and field CLKs: all that matching knows.

use crate::block;
use crate::clk::{Clk, Field};
use crate::keys::{Keys, Tag};
use crate::nickname;
use crate::normalise::{Generation, Normal, VERSION};
use crate::person::Person;

/// A person under a tenant's keys. Nothing of it can be turned back without them, and they never leave the tenant; the
/// CLKs must be sealed at rest all the same, for their bits show how alike two people's values are.
#[derive(Clone, PartialEq)]
pub struct Encoded {
    pub(crate) version: u16,
    pub(crate) flags: u8,
    pub(crate) first: u64,
    pub(crate) initial: u64,
    pub(crate) initial_of_last: u64,
    pub(crate) middle: u64,
    pub(crate) last: u64,
    /// The parts of a double surname; the second is 0 for a single one.
    pub(crate) last_parts: [u64; 2],
    pub(crate) birth: u64,
    pub(crate) year: u64,
    pub(crate) month: u64,
    pub(crate) day: u64,
    pub(crate) sex: u64,
    pub(crate) zip: u64,
    pub(crate) street: u64,
    pub(crate) city: u64,
    pub(crate) roots: Box<[u64]>,
    pub(crate) phones: Box<[u64]>,
    /// Assigner and value.
    pub(crate) identifiers: Box<[(u64, u64)]>,
    pub(crate) clks: [Clk; 4],
    pub(crate) blocks: Box<[u64]>,
}

/// Facts that guards need and that tell nobody apart.
pub(crate) mod flag {
    pub(crate) const DEFAULT_DATE: u8 = 1;
    pub(crate) const NEWBORN: u8 = 2;
    pub(crate) const JUNIOR: u8 = 4;
    pub(crate) const SENIOR: u8 = 8;
    pub(crate) const BARE_INITIAL: u8 = 16;
    pub(crate) const DECEASED: u8 = 32;
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoded")
    }
}

/// Normalises `person` and turns it into tokens under `keys`. The clear text ends here.
pub fn encode(keys: &Keys, person: &Person<'_>) -> Encoded {
    let normal = Normal::of(person);
    let token = |tag, value: &str| keys.token(tag, value.as_bytes());
    let name = |value: &str| token(Tag::Name, value);
    let birth = normal.birth.map(|date| (date, date.digits()));
    let part = |range: std::ops::Range<usize>, tag| birth.map_or(0, |(_, digits)| keys.token(tag, &digits[range]));
    // Lines of an address come in any order: its token is that of its sorted words.
    let mut street: Vec<&str> = normal.street.split(' ').collect();
    street.sort_unstable();
    let last_part = |index: usize| normal.last_parts.get(index).map_or(0, |part| name(part));
    Encoded {
        version: VERSION,
        flags: flags(&normal, person.deceased),
        first: name(&normal.first),
        initial: token(Tag::Initial, normal.first.get(..1).unwrap_or_default()),
        initial_of_last: token(Tag::Initial, normal.last.get(..1).unwrap_or_default()),
        middle: if normal.middle.len() > 1 { name(&normal.middle) } else { 0 },
        last: name(&normal.last),
        last_parts: [last_part(0), last_part(1)],
        birth: part(0..8, Tag::Date),
        year: part(0..4, Tag::Year),
        month: part(4..6, Tag::MonthOrDay),
        day: part(6..8, Tag::MonthOrDay),
        sex: normal.sex.map_or(0, |sex| keys.token(Tag::Sex, &[sex])),
        zip: token(Tag::Zip, &normal.zip),
        street: token(Tag::Street, &street.concat()),
        city: token(Tag::City, &normal.city),
        roots: roots(keys, &normal.first),
        phones: normal.phones.iter().map(|phone| token(Tag::Phone, phone)).collect(),
        identifiers: identifiers(keys, &normal.identifiers),
        clks: [
            Clk::text(&keys.positions, Field::First, &normal.first),
            Clk::text(&keys.positions, Field::Last, &normal.last),
            Clk::text(&keys.positions, Field::Address, &normal.street),
            birth.map_or(Clk::default(), |(_, digits)| Clk::date(&keys.positions, &digits)),
        ],
        blocks: block::keys(keys, &normal),
    }
}

fn roots(keys: &Keys, first: &str) -> Box<[u64]> {
    if first.len() < 2 {
        return Box::default();
    }
    nickname::roots(first).map(|root| keys.token(Tag::Root, root.as_bytes())).collect()
}

fn identifiers(keys: &Keys, identifiers: &[(String, String)]) -> Box<[(u64, u64)]> {
    let token = |(assigner, value): &(String, String)| {
        let both: [&[u8]; 2] = [assigner.as_bytes(), value.as_bytes()];
        (keys.hash(Tag::Assigner, &both[..1]), keys.hash(Tag::Identifier, &both))
    };
    identifiers.iter().map(token).collect()
}

fn flags(normal: &Normal, deceased: bool) -> u8 {
    let mut flags = 0;
    let mut set = |on: bool, flag: u8| flags |= if on { flag } else { 0 };
    set(normal.birth.is_some_and(|date| date.is_default()), flag::DEFAULT_DATE);
    set(normal.newborn, flag::NEWBORN);
    set(normal.generation == Some(Generation::Junior), flag::JUNIOR);
    set(normal.generation == Some(Generation::Senior), flag::SENIOR);
    set(normal.first.len() == 1, flag::BARE_INITIAL);
    set(deceased, flag::DECEASED);
    flags
}

impl Encoded {
    /// The [`VERSION`] of the normaliser that made it.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The keys under which records that may be the same person are found: about 21, in ascending order.
    pub fn blocks(&self) -> &[u64] {
        &self.blocks
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn clk(&self, field: Field) -> &Clk {
        &self.clks[field as usize]
    }
}
