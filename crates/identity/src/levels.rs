//! How far two records agree, field by field.

use crate::encoded::{Address, Encoded, Name, flag};
use crate::weights::SHIPPED;

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

impl Field {
    /// For storage: it stays what it is.
    pub fn code(self) -> &'static str {
        ["first", "last", "birth", "sex", "address", "phone", "zip", "city"][self as usize]
    }

    pub fn from_code(code: &str) -> Option<Field> {
        FIELDS.into_iter().find(|field| field.code() == code)
    }
}

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
        compare(one, other).levels
    }

    /// The level of a field, for [`NAMES`].
    pub fn level(&self, field: Field) -> u8 {
        self.0[field as usize]
    }
}

/// The levels of a pair with the name of `one` that they were found with.
pub(crate) struct Comparison<'a> {
    pub(crate) levels: Levels,
    pub(crate) name: &'a Name,
}

/// Of several names and addresses, the pair counts that is worth most by the shipped weights: which one it is must not
/// depend on weights that are just being learnt.
pub(crate) fn compare<'a>(one: &'a Encoded, other: &'a Encoded) -> Comparison<'a> {
    let mut comparison = compare_person(one, other);
    compare_household(&mut comparison.levels, one, other);
    comparison
}

/// Names, birth date and sex; the other levels are missing.
pub(crate) fn compare_person<'a>(one: &'a Encoded, other: &'a Encoded) -> Comparison<'a> {
    let (mut name, mut names) = (&one.name, [0; 2]);
    if one.more.is_none() && other.more.is_none() {
        names = of_names(&one.name, &other.name);
    } else {
        let mut best = None;
        // Of two pairs of names that are worth the same, the sum of tokens picks one whatever the order of the records.
        let sum = |name: &Name| name.first.wrapping_add(name.last);
        for (mine, its) in pairs(one.names(), other.names()) {
            let levels = of_names(mine, its);
            let rank = (worth(&NAME_FIELDS, &levels), sum(mine).wrapping_add(sum(its)));
            if best.is_none_or(|best| rank > best) {
                (name, names, best) = (mine, levels, Some(rank));
            }
        }
    }
    let levels = Levels([names[0], names[1], birth_date(one, other), exact(one.sex, other.sex), 0, 0, 0, 0]);
    Comparison { levels, name }
}

/// Fills in what [`compare_person`] left out.
pub(crate) fn compare_household(levels: &mut Levels, one: &Encoded, other: &Encoded) {
    let mut addresses = of_addresses(&one.address, &other.address);
    if one.more.is_some() || other.more.is_some() {
        for (mine, its) in pairs(one.addresses(), other.addresses()) {
            let levels = of_addresses(mine, its);
            if worth(&ADDRESS_FIELDS, &levels) > worth(&ADDRESS_FIELDS, &addresses) {
                addresses = levels;
            }
        }
    }
    let [address, zip, city] = addresses;
    levels.0[4..].copy_from_slice(&[address, phone(one, other), zip, city]);
}

const NAME_FIELDS: [Field; 2] = [Field::First, Field::Last];
const ADDRESS_FIELDS: [Field; 3] = [Field::Address, Field::Zip, Field::City];

fn pairs<'a, T: 'a>(
    one: impl Iterator<Item = &'a T>,
    other: impl Iterator<Item = &'a T> + Clone,
) -> impl Iterator<Item = (&'a T, &'a T)> {
    one.flat_map(move |mine| other.clone().map(move |its| (mine, its)))
}

fn worth(fields: &[Field], levels: &[u8]) -> f32 {
    fields.iter().zip(levels).map(|(field, level)| SHIPPED[*field as usize][usize::from(*level)]).sum()
}

fn of_names(one: &Name, other: &Name) -> [u8; 2] {
    if swapped(one, other) {
        return [first::SWAPPED, last::SWAPPED];
    }
    [first_name(one, other), last_name(one, other)]
}

fn of_addresses(one: &Address, other: &Address) -> [u8; 3] {
    [street(one, other), exact(one.zip, other.zip), exact(one.city, other.city)]
}

/// Each one's given name is the other's surname, as far as spelling goes, and the names do not agree as they stand.
fn swapped(one: &Name, other: &Name) -> bool {
    if one.first == other.first || one.last == other.last {
        return false;
    }
    let (there, back) = (crossed(one, other), crossed(other, one));
    let strong = one.first == other.last || one.last == other.first;
    let initial = |one: &Name, other: &Name| other.bare_initial && one.initial_of_last == other.initial;
    (there && back) || (strong && ((there && initial(one, other)) || (back && initial(other, one))))
}

/// Whether the given name of `one` is the surname of `other`, or close to it.
fn crossed(one: &Name, other: &Name) -> bool {
    one.first != 0 && other.last != 0 && (one.first == other.last || one.first_clk.dice(&other.last_clk) >= CLOSE)
}

fn exact<T: Default + PartialEq>(one: T, other: T) -> u8 {
    let unknown = T::default();
    match (one, other) {
        (one, other) if one == unknown || other == unknown => 0,
        (one, other) if one == other => 1,
        _ => 2,
    }
}

fn meet(one: &[u64], other: &[u64]) -> bool {
    one.iter().any(|token| other.contains(token))
}

fn first_name(one: &Name, other: &Name) -> u8 {
    if one.first == 0 || other.first == 0 {
        return 0;
    }
    if one.first == other.first {
        return first::EQUAL;
    }
    if meet(&one.roots, &other.roots) || (one.first == other.middle || one.middle == other.first) {
        return first::NICKNAME;
    }
    if one.initial == other.initial && (one.bare_initial || other.bare_initial) {
        return first::SIMILAR;
    }
    match one.first_clk.dice(&other.first_clk) {
        CLOSE.. => first::CLOSE,
        SIMILAR.. => first::SIMILAR,
        _ => first::DIFFERENT,
    }
}

fn last_name(one: &Name, other: &Name) -> u8 {
    if one.last == 0 || other.last == 0 {
        return 0;
    }
    if one.last == other.last {
        return last::EQUAL;
    }
    if one.last_parts.iter().any(|part| *part != 0 && other.last_parts.contains(part)) {
        return last::PART;
    }
    match one.last_clk.dice(&other.last_clk) {
        CLOSE.. => last::CLOSE,
        SIMILAR.. => last::SIMILAR,
        _ => last::DIFFERENT,
    }
}

fn birth_date(one: &Encoded, other: &Encoded) -> u8 {
    let default = one.has(flag::DEFAULT_DATE) || other.has(flag::DEFAULT_DATE);
    let (one, other) = (&one.birth, &other.birth);
    if one.date == 0 || other.date == 0 {
        return 0;
    }
    if one.date == other.date {
        return birth::EQUAL;
    }
    let (year, month, day) = (one.year == other.year, one.month == other.month, one.day == other.day);
    if year && one.month == other.day && one.day == other.month {
        return birth::SWAPPED;
    }
    if year && default {
        return birth::DEFAULT;
    }
    let parts = u8::from(year) + u8::from(month) + u8::from(day);
    let alike = one.clk.dice(&other.clk) >= DIGITS_SIMILAR;
    match (parts, alike) {
        (2, true) => birth::NEAR,
        _ if year => birth::YEAR,
        (2, _) | (_, true) => birth::FAR,
        _ => birth::DIFFERENT,
    }
}

fn street(one: &Address, other: &Address) -> u8 {
    if one.street == 0 || other.street == 0 {
        return 0;
    }
    if one.street == other.street {
        return 1;
    }
    match one.clk.dice(&other.clk) {
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
