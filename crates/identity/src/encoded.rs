//! A person as tokens and field CLKs: all that matching knows.

use crate::block::{self, Key};
use crate::clk::{Clk, Field};
use crate::keys::{Keys, Tag};
use crate::nickname;
use crate::normalise::{FullName, Generation, Normal, Place, VERSION};
use crate::person::Person;

/// A person under a tenant's keys. Nothing of it can be turned back without them, and they never leave the tenant; the
/// CLKs must be sealed at rest all the same, for their bits show how alike two people's values are.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Default))]
pub struct Encoded {
    pub(crate) version: u16,
    pub(crate) flags: u8,
    pub(crate) sex: u32,
    pub(crate) birth: Birth,
    pub(crate) name: Name,
    pub(crate) address: Address,
    /// Most people have one name and one address: the others take no room then.
    pub(crate) more: Option<Box<More>>,
    pub(crate) phones: Box<[u64]>,
    /// Assigner and value.
    pub(crate) identifiers: Box<[(u64, u64)]>,
    pub(crate) blocks: Box<[Key]>,
}

/// In all of these, 0 is a value that is not known.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Birth {
    pub(crate) date: u64,
    pub(crate) year: u32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) clk: Clk,
}

#[derive(Clone, Default, PartialEq)]
pub(crate) struct Name {
    pub(crate) first: u64,
    pub(crate) middle: u64,
    pub(crate) last: u64,
    /// The parts of a double surname; the second is 0 for a single one.
    pub(crate) last_parts: [u64; 2],
    pub(crate) initial: u32,
    pub(crate) initial_of_last: u32,
    /// The given name is one letter.
    pub(crate) bare_initial: bool,
    pub(crate) roots: Box<[u64]>,
    pub(crate) first_clk: Clk,
    pub(crate) last_clk: Clk,
}

#[derive(Clone, Default, PartialEq)]
pub(crate) struct Address {
    pub(crate) zip: u64,
    pub(crate) street: u64,
    pub(crate) city: u64,
    pub(crate) clk: Clk,
}

/// Names and addresses behind the first.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct More {
    pub(crate) names: Vec<Name>,
    pub(crate) addresses: Vec<Address>,
}

/// Facts that guards need and that tell nobody apart.
pub(crate) mod flag {
    pub(crate) const DEFAULT_DATE: u8 = 1;
    pub(crate) const NEWBORN: u8 = 2;
    pub(crate) const JUNIOR: u8 = 4;
    pub(crate) const SENIOR: u8 = 8;
    pub(crate) const DECEASED: u8 = 16;
    pub(crate) const ALL: u8 = 31;
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoded")
    }
}

/// Normalises `person` and turns it into tokens under `keys`. The clear text ends here.
pub fn encode(keys: &Keys, person: &Person<'_>) -> Encoded {
    let normal = Normal::of(person);
    let mut names = normal.names.iter().map(|name| self::name(keys, name));
    let mut addresses = normal.places.iter().map(|place| address(keys, place));
    let (first_name, first_address) = (names.next().unwrap_or_default(), addresses.next().unwrap_or_default());
    let more = More { names: names.collect(), addresses: addresses.collect() };
    Encoded {
        version: VERSION,
        flags: flags(&normal, person.deceased),
        sex: keys.sex(normal.sex),
        birth: birth(keys, &normal),
        name: first_name,
        address: first_address,
        more: (more != More::default()).then(|| Box::new(more)),
        phones: normal.phones.iter().map(|phone| keys.token(Tag::Phone, phone.as_bytes())).collect(),
        identifiers: identifiers(keys, &normal.identifiers),
        blocks: block::keys(keys, &normal),
    }
}

fn name(keys: &Keys, name: &FullName) -> Name {
    let token = |value: &str| keys.token(Tag::Name, value.as_bytes());
    let last = token(&name.last);
    let part = |index: usize| match name.last_parts.get(index) {
        Some(part) if part == &name.last => last,
        part => part.map_or(0, |part| token(part)),
    };
    Name {
        first: token(&name.first),
        middle: if name.middle.len() > 1 { token(&name.middle) } else { 0 },
        last,
        last_parts: [part(0), part(1)],
        initial: keys.initial(&name.first),
        initial_of_last: keys.initial(&name.last),
        bare_initial: name.first.len() == 1,
        roots: nickname::roots(&name.first).iter().map(|root| keys.root(*root)).collect(),
        first_clk: Clk::text(&keys.positions, Field::Name, &name.first),
        last_clk: Clk::text(&keys.positions, Field::Name, &name.last),
    }
}

fn address(keys: &Keys, place: &Place) -> Address {
    let token = |tag, value: &str| keys.token(tag, value.as_bytes());
    // Lines of an address come in any order: its token is that of its sorted words.
    let mut words: Vec<&str> = place.street.split(' ').collect();
    words.sort_unstable();
    Address {
        zip: token(Tag::Zip, &place.zip),
        street: token(Tag::Street, &words.concat()),
        city: token(Tag::City, &place.city),
        clk: Clk::text(&keys.positions, Field::Address, &place.street),
    }
}

fn birth(keys: &Keys, normal: &Normal) -> Birth {
    let Some(date) = normal.birth else { return Birth::default() };
    let digits = date.digits();
    Birth {
        date: keys.token(Tag::Date, &digits),
        year: keys.year(date.year),
        month: keys.month_or_day(date.month),
        day: keys.month_or_day(date.day),
        clk: Clk::date(&keys.positions, &digits),
    }
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
    set(deceased, flag::DECEASED);
    flags
}

impl Encoded {
    /// The [`VERSION`] of the normaliser that made it. Records of different versions cannot be compared.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The keys under which records that may be the same person are found: about 21, in ascending order.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.blocks.iter().map(|key| block::number(*key))
    }

    /// One at least, which may be empty.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> + Clone {
        let more = self.more.as_deref().map_or(&[][..], |more| &more.names);
        std::iter::once(&self.name).chain(more)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> + Clone {
        let more = self.more.as_deref().map_or(&[][..], |more| &more.addresses);
        std::iter::once(&self.address).chain(more)
    }

    /// Reads from each line of memory that comparing persons looks at.
    pub(crate) fn touch(&self) -> u64 {
        let clks = [&self.birth.clk, &self.name.first_clk, &self.name.last_clk].map(Clk::bits);
        clks.iter().fold(self.name.first ^ self.birth.date, |sum, bits| sum ^ bits[0] ^ bits[7])
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
