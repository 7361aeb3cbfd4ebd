//! What makes tokens: one key per tenant. Tokens of different keys have nothing to do with each other.

use crate::clk::Positions;
use crate::nickname;
use seal::DataKey;

/// Domains of the keyed hash. Values of one tag can be compared, of different tags never: given names and surnames share
/// one, so that a swap shows, month and day too.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Tag {
    Name = 0x40,
    Root,
    Initial,
    Date,
    Year,
    MonthOrDay,
    Sex,
    Zip,
    Phone,
    Street,
    City,
    Assigner,
    Identifier,
    Bigram,
    Block,
}

/// Years with a token at hand.
const YEARS: std::ops::Range<u16> = 1880..2060;

/// The tenant's key for tokens with tables derived from it: of bit positions, and of the tokens of what has few values.
/// Making one costs some 6,000 hashes: make it when the tenant is opened and keep it.
pub struct Keys {
    key: DataKey,
    pub(crate) positions: Positions,
    /// By number of the root.
    roots: Box<[u64]>,
    /// By letter or digit.
    initials: Box<[u32]>,
    years: Box<[u32]>,
    months_and_days: Box<[u32]>,
    sexes: [u32; 2],
}

impl Keys {
    /// `key` must be another one than that which seals the tenant's data.
    pub fn new(key: DataKey) -> Keys {
        let short = |tag: Tag, value: &str| short(key.hash64(tag as u8, &[value.as_bytes()]));
        Keys {
            positions: Positions::new(&key),
            roots: nickname::all().map(|root| key.hash64(Tag::Root as u8, &[root.as_bytes()]).max(1)).collect(),
            initials: (0..128u8).map(|byte| short(Tag::Initial, char::from(byte).encode_utf8(&mut [0; 4]))).collect(),
            years: YEARS.map(|year| short(Tag::Year, &format!("{year:04}"))).collect(),
            months_and_days: (0..32).map(|number| short(Tag::MonthOrDay, &format!("{number:02}"))).collect(),
            sexes: ["m", "f"].map(|sex| short(Tag::Sex, sex)),
            key,
        }
    }

    /// The token of a value, 0 when there is none: no value is no evidence.
    pub(crate) fn token(&self, tag: Tag, value: &[u8]) -> u64 {
        if value.is_empty() { 0 } else { self.hash(tag, &[value]) }
    }

    pub(crate) fn hash(&self, tag: Tag, parts: &[&[u8]]) -> u64 {
        self.key.hash64(tag as u8, parts).max(1)
    }

    pub(crate) fn root(&self, number: u16) -> u64 {
        self.roots[usize::from(number)]
    }

    /// The token of the first letter or digit of a normalised text.
    pub(crate) fn initial(&self, text: &str) -> u32 {
        text.bytes().next().map_or(0, |byte| self.initials[usize::from(byte & 127)])
    }

    pub(crate) fn year(&self, year: u16) -> u32 {
        match YEARS.contains(&year) {
            true => self.years[usize::from(year - YEARS.start)],
            false => short(self.hash(Tag::Year, &[format!("{year:04}").as_bytes()])),
        }
    }

    /// `number` is a month or a day of a date.
    pub(crate) fn month_or_day(&self, number: u8) -> u32 {
        self.months_and_days[usize::from(number % 32)]
    }

    pub(crate) fn sex(&self, sex: Option<u8>) -> u32 {
        sex.map_or(0, |sex| self.sexes[usize::from(sex == b'f')])
    }
}

/// Of a value of few: 32 bits tell them apart.
fn short(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}
