//! How far two records agree, field by field.

use crate::clk::Field as ClkField;
use crate::encoded::{Encoded, flag};

/// The compared fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    First,
    Last,
    Birth,
    Sex,
    Address,
    Phone,
    Zip,
    City,
}

/// All fields, in the order of weights and of [`Levels`].
pub const FIELDS: [Field; 8] =
    [Field::First, Field::Last, Field::Birth, Field::Sex, Field::Address, Field::Phone, Field::Zip, Field::City];

/// The most levels that a field has, 0 for a value missing on either side included.
pub const MAX_LEVELS: usize = 8;

/// Names of the levels of each field; index 0, a missing value, says nothing.
pub const NAMES: [&[&str]; 8] = [
    &["", "equal", "nickname", "close", "similar or initial", "different", "swapped"],
    &["", "equal", "part of double name", "close", "similar", "different", "swapped"],
    &[
        "",
        "equal",
        "day and month swapped",
        "default day in the same year",
        "one part differs",
        "same year",
        "far",
        "different",
    ],
    &["", "equal", "different"],
    &["", "equal", "close", "similar", "different"],
    &["", "equal", "different"],
    &["", "equal", "different"],
    &["", "equal", "different"],
];

pub(crate) mod first {
    pub(crate) const EQUAL: u8 = 1;
    pub(crate) const NICKNAME: u8 = 2;
    pub(crate) const CLOSE: u8 = 3;
    pub(crate) const SIMILAR: u8 = 4;
    pub(crate) const DIFFERENT: u8 = 5;
    pub(crate) const SWAPPED: u8 = 6;
}

pub(crate) mod last {
    pub(crate) const EQUAL: u8 = 1;
    pub(crate) const PART: u8 = 2;
    pub(crate) const CLOSE: u8 = 3;
    pub(crate) const SIMILAR: u8 = 4;
    pub(crate) const DIFFERENT: u8 = 5;
    pub(crate) const SWAPPED: u8 = 6;
}

pub(crate) mod birth {
    pub(crate) const EQUAL: u8 = 1;
    pub(crate) const SWAPPED: u8 = 2;
    pub(crate) const DEFAULT: u8 = 3;
    pub(crate) const NEAR: u8 = 4;
    pub(crate) const YEAR: u8 = 5;
    pub(crate) const FAR: u8 = 6;
    pub(crate) const DIFFERENT: u8 = 7;
}

const CLOSE: f32 = 0.65;
const SIMILAR: f32 = 0.45;
const ADDRESS_CLOSE: f32 = 0.8;
const ADDRESS_SIMILAR: f32 = 0.5;
const DIGITS_SIMILAR: f32 = 0.6;

/// The level of each field of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Levels(pub(crate) [u8; 8]);

impl Levels {
    /// Symmetric: the order of the records does not matter.
    pub fn of(one: &Encoded, other: &Encoded) -> Levels {
        let swapped = swapped(one, other);
        Levels([
            if swapped { first::SWAPPED } else { first_name(one, other) },
            if swapped { last::SWAPPED } else { last_name(one, other) },
            birth_date(one, other),
            exact(one.sex, other.sex),
            address(one, other),
            phone(one, other),
            exact(one.zip, other.zip),
            exact(one.city, other.city),
        ])
    }

    /// The level of a field, for [`NAMES`].
    pub fn level(&self, field: Field) -> u8 {
        self.0[field as usize]
    }
}

/// Each one's given name is the other's surname, as far as spelling goes, and the names do not agree as they stand.
fn swapped(one: &Encoded, other: &Encoded) -> bool {
    if one.first == other.first || one.last == other.last {
        return false;
    }
    let (there, back) = (crossed(one, other), crossed(other, one));
    let strong = one.first == other.last || one.last == other.first;
    let initial =
        |one: &Encoded, other: &Encoded| other.has(flag::BARE_INITIAL) && one.initial_of_last == other.initial;
    (there && back) || (strong && ((there && initial(one, other)) || (back && initial(other, one))))
}

/// Whether the given name of `one` is the surname of `other`, or close to it.
fn crossed(one: &Encoded, other: &Encoded) -> bool {
    one.first != 0
        && other.last != 0
        && (one.first == other.last || one.clk(ClkField::First).dice(other.clk(ClkField::Last)) >= CLOSE)
}

fn exact(one: u64, other: u64) -> u8 {
    match (one, other) {
        (0, _) | (_, 0) => 0,
        (one, other) if one == other => 1,
        _ => 2,
    }
}

fn meet(one: &[u64], other: &[u64]) -> bool {
    one.iter().any(|token| other.contains(token))
}

fn first_name(one: &Encoded, other: &Encoded) -> u8 {
    if one.first == 0 || other.first == 0 {
        return 0;
    }
    if one.first == other.first {
        return first::EQUAL;
    }
    if meet(&one.roots, &other.roots) || (one.first == other.middle || one.middle == other.first) {
        return first::NICKNAME;
    }
    if one.initial == other.initial && (one.has(flag::BARE_INITIAL) || other.has(flag::BARE_INITIAL)) {
        return first::SIMILAR;
    }
    match one.clk(ClkField::First).dice(other.clk(ClkField::First)) {
        CLOSE.. => first::CLOSE,
        SIMILAR.. => first::SIMILAR,
        _ => first::DIFFERENT,
    }
}

fn last_name(one: &Encoded, other: &Encoded) -> u8 {
    if one.last == 0 || other.last == 0 {
        return 0;
    }
    if one.last == other.last {
        return last::EQUAL;
    }
    if one.last_parts.iter().any(|part| *part != 0 && other.last_parts.contains(part)) {
        return last::PART;
    }
    match one.clk(ClkField::Last).dice(other.clk(ClkField::Last)) {
        CLOSE.. => last::CLOSE,
        SIMILAR.. => last::SIMILAR,
        _ => last::DIFFERENT,
    }
}

fn birth_date(one: &Encoded, other: &Encoded) -> u8 {
    if one.birth == 0 || other.birth == 0 {
        return 0;
    }
    if one.birth == other.birth {
        return birth::EQUAL;
    }
    let (year, month, day) = (one.year == other.year, one.month == other.month, one.day == other.day);
    if year && one.month == other.day && one.day == other.month {
        return birth::SWAPPED;
    }
    if year && (one.has(flag::DEFAULT_DATE) || other.has(flag::DEFAULT_DATE)) {
        return birth::DEFAULT;
    }
    let parts = u8::from(year) + u8::from(month) + u8::from(day);
    let alike = one.clk(ClkField::Birth).dice(other.clk(ClkField::Birth)) >= DIGITS_SIMILAR;
    match (parts, alike) {
        (2, true) => birth::NEAR,
        _ if year => birth::YEAR,
        (2, _) | (_, true) => birth::FAR,
        _ => birth::DIFFERENT,
    }
}

fn address(one: &Encoded, other: &Encoded) -> u8 {
    if one.street == 0 || other.street == 0 {
        return 0;
    }
    if one.street == other.street {
        return 1;
    }
    match one.clk(ClkField::Address).dice(other.clk(ClkField::Address)) {
        ADDRESS_CLOSE.. => 2,
        ADDRESS_SIMILAR.. => 3,
        _ => 4,
    }
}

fn phone(one: &Encoded, other: &Encoded) -> u8 {
    match (one.phones.is_empty(), other.phones.is_empty()) {
        (true, _) | (_, true) => 0,
        _ if meet(&one.phones, &other.phones) => 1,
        _ => 2,
    }
}
