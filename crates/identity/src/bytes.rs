//! [`Encoded`] as bytes, to be sealed and stored. What is not known takes no room.
//!
//! One byte for this layout, the normaliser's version, then parts in a fixed order, each led by a byte that says which of
//! its values follow. Numbers are little-endian. There is one spelling for a record: what another one would be is refused.

use crate::block::MAX_KEYS;
use crate::clk::Clk;
use crate::encoded::{Address, Birth, Encoded, More, Name, flag};
use crate::nickname::MAX_ROOTS;
use crate::person::{MAX_ADDRESSES, MAX_IDENTIFIERS, MAX_NAMES, MAX_PHONES};

/// The version of this layout.
const LAYOUT: u8 = 1;

/// Bytes that no record was written as.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadEncoding {
    #[error("a record's encoding is of layout {0}, which this version does not know: encode the record again")]
    Layout(u8),
    #[error("an encoding ends too early or too late: encode the record again")]
    Length,
    #[error("an encoding holds what none can hold: encode the record again")]
    Value,
}

type Read<T> = Result<T, BadEncoding>;

/// Which parts of a record follow.
mod has {
    pub(super) const BIRTH: u8 = 1;
    pub(super) const SEX: u8 = 2;
    pub(super) const ALL: u8 = 3;
}

mod name_has {
    pub(super) const FIRST: u8 = 1;
    pub(super) const MIDDLE: u8 = 2;
    pub(super) const LAST: u8 = 4;
    pub(super) const BARE_INITIAL: u8 = 8;
    /// The first part of the surname is not the whole.
    pub(super) const PART: u8 = 16;
    pub(super) const SECOND_PART: u8 = 32;
    pub(super) const ALL: u8 = 63;
}

mod address_has {
    pub(super) const ZIP: u8 = 1;
    pub(super) const STREET: u8 = 2;
    pub(super) const CITY: u8 = 4;
    pub(super) const ALL: u8 = 7;
}

impl Encoded {
    /// The record for storage, some 570 bytes for one name, address and telephone number. Seal it: see [`Encoded`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(640));
        out.byte(LAYOUT);
        out.0.extend_from_slice(&self.version.to_le_bytes());
        out.byte(self.flags);
        let (names, addresses) = (self.names().count(), self.addresses().count());
        out.byte(bit(self.birth.date != 0, has::BIRTH) | bit(self.sex != 0, has::SEX));
        out.byte(names as u8 | ((addresses as u8) << 4));
        out.byte(self.phones.len() as u8 | ((self.identifiers.len() as u8) << 2));
        out.byte(self.blocks.len() as u8);
        out.birth(&self.birth);
        out.short(self.sex);
        self.names().for_each(|name| out.name(name));
        self.addresses().for_each(|address| out.address(address));
        self.phones.iter().for_each(|phone| out.token(*phone));
        for (assigner, value) in &self.identifiers {
            out.token(*assigner);
            out.token(*value);
        }
        out.0.extend_from_slice(self.blocks.as_flattened());
        out.0
    }

    /// What [`Encoded::to_bytes`] made, of any version of the normaliser; everything else is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Encoded, BadEncoding> {
        let mut from = Reader(bytes);
        match from.byte()? {
            LAYOUT => {}
            other => return Err(BadEncoding::Layout(other)),
        }
        let version = u16::from_le_bytes(from.array()?);
        let flags = from.bits(flag::ALL)?;
        let parts = from.bits(has::ALL)?;
        let (counts, numbers) = (from.byte()?, from.byte()?);
        let (names, addresses) = (usize::from(counts & 15), usize::from(counts >> 4));
        let (phones, identifiers) = (usize::from(numbers & 3), usize::from(numbers >> 2));
        let blocks = usize::from(from.byte()?);
        let fits = (1..=MAX_NAMES).contains(&names)
            && (1..=MAX_ADDRESSES).contains(&addresses)
            && phones <= MAX_PHONES
            && identifiers <= MAX_IDENTIFIERS
            && blocks <= MAX_KEYS;
        ensure(fits && version != 0)?;
        let birth = if parts & has::BIRTH != 0 { from.birth()? } else { Birth::default() };
        let sex = if parts & has::SEX != 0 { from.short()? } else { 0 };
        let (name, other_names) = (from.name()?, from.many(names - 1, Reader::name)?);
        let (address, other_addresses) = (from.address()?, from.many(addresses - 1, Reader::address)?);
        let more = More { names: other_names, addresses: other_addresses };
        let encoded = Encoded {
            version,
            flags,
            sex,
            birth,
            name,
            address,
            more: (more != More::default()).then(|| Box::new(more)),
            phones: from.many(phones, Reader::token)?.into(),
            identifiers: from.many(identifiers, |from| Ok((from.token()?, from.token()?)))?.into(),
            blocks: from.many(blocks, Reader::array)?.into(),
        };
        ensure(encoded.blocks().is_sorted_by(|one, next| one < next))?;
        if from.0.is_empty() { Ok(encoded) } else { Err(BadEncoding::Length) }
    }
}

fn ensure(holds: bool) -> Read<()> {
    if holds { Ok(()) } else { Err(BadEncoding::Value) }
}

fn bit(on: bool, bit: u8) -> u8 {
    if on { bit } else { 0 }
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Nothing for a value that is not known.
    fn token(&mut self, token: u64) {
        if token != 0 {
            self.0.extend_from_slice(&token.to_le_bytes());
        }
    }

    fn short(&mut self, token: u32) {
        if token != 0 {
            self.0.extend_from_slice(&token.to_le_bytes());
        }
    }

    fn clk(&mut self, clk: &Clk) {
        for word in clk.bits() {
            self.0.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn birth(&mut self, birth: &Birth) {
        if birth.date != 0 {
            self.token(birth.date);
            [birth.year, birth.month, birth.day].into_iter().for_each(|part| self.short(part));
            self.clk(&birth.clk);
        }
    }

    fn name(&mut self, name: &Name) {
        let (part, second) = (name.last_parts[0], name.last_parts[1]);
        self.byte(
            bit(name.first != 0, name_has::FIRST)
                | bit(name.middle != 0, name_has::MIDDLE)
                | bit(name.last != 0, name_has::LAST)
                | bit(name.bare_initial, name_has::BARE_INITIAL)
                | bit(part != name.last, name_has::PART)
                | bit(second != 0, name_has::SECOND_PART),
        );
        if name.first != 0 {
            self.token(name.first);
            self.short(name.initial);
            self.byte(name.roots.len() as u8);
            name.roots.iter().for_each(|root| self.token(*root));
            self.clk(&name.first_clk);
        }
        self.token(name.middle);
        if name.last != 0 {
            self.token(name.last);
            self.short(name.initial_of_last);
            self.clk(&name.last_clk);
        }
        self.token(if part == name.last { 0 } else { part });
        self.token(second);
    }

    fn address(&mut self, address: &Address) {
        self.byte(
            bit(address.zip != 0, address_has::ZIP)
                | bit(address.street != 0, address_has::STREET)
                | bit(address.city != 0, address_has::CITY),
        );
        self.token(address.zip);
        if address.street != 0 {
            self.token(address.street);
            self.clk(&address.clk);
        }
        self.token(address.city);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk().ok_or(BadEncoding::Length)?;
        self.0 = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A byte with no bits but these.
    fn bits(&mut self, known: u8) -> Read<u8> {
        let bits = self.byte()?;
        ensure(bits & !known == 0)?;
        Ok(bits)
    }

    fn token(&mut self) -> Read<u64> {
        let token = u64::from_le_bytes(self.array()?);
        ensure(token != 0)?;
        Ok(token)
    }

    fn short(&mut self) -> Read<u32> {
        let token = u32::from_le_bytes(self.array()?);
        ensure(token != 0)?;
        Ok(token)
    }

    fn clk(&mut self) -> Read<Clk> {
        let bytes: [u8; 64] = self.array()?;
        let mut bits = [0; 8];
        for (word, bytes) in bits.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Clk::of_bits(bits))
    }

    fn many<T>(&mut self, count: usize, one: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        (0..count).map(|_| one(self)).collect()
    }

    fn birth(&mut self) -> Read<Birth> {
        Ok(Birth {
            date: self.token()?,
            year: self.short()?,
            month: self.short()?,
            day: self.short()?,
            clk: self.clk()?,
        })
    }

    fn name(&mut self) -> Read<Name> {
        let bits = self.bits(name_has::ALL)?;
        let has = |bit: u8| bits & bit != 0;
        // Parts are of a surname and an initial of a given name.
        ensure(has(name_has::LAST) || !(has(name_has::PART) || has(name_has::SECOND_PART)))?;
        ensure(has(name_has::FIRST) || !has(name_has::BARE_INITIAL))?;
        let mut name = Name { bare_initial: has(name_has::BARE_INITIAL), ..Name::default() };
        if has(name_has::FIRST) {
            (name.first, name.initial) = (self.token()?, self.short()?);
            let roots = usize::from(self.byte()?);
            ensure(roots <= MAX_ROOTS)?;
            name.roots = self.many(roots, Reader::token)?.into();
            name.first_clk = self.clk()?;
        }
        if has(name_has::MIDDLE) {
            name.middle = self.token()?;
        }
        if has(name_has::LAST) {
            (name.last, name.initial_of_last, name.last_clk) = (self.token()?, self.short()?, self.clk()?);
        }
        name.last_parts[0] = if has(name_has::PART) { self.token()? } else { name.last };
        ensure(name.last_parts[0] != name.last || !has(name_has::PART))?;
        if has(name_has::SECOND_PART) {
            name.last_parts[1] = self.token()?;
        }
        Ok(name)
    }

    fn address(&mut self) -> Read<Address> {
        let bits = self.bits(address_has::ALL)?;
        let mut address = Address::default();
        if bits & address_has::ZIP != 0 {
            address.zip = self.token()?;
        }
        if bits & address_has::STREET != 0 {
            (address.street, address.clk) = (self.token()?, self.clk()?);
        }
        if bits & address_has::CITY != 0 {
            address.city = self.token()?;
        }
        Ok(address)
    }
}
