//! Guards: what makes a pair a question for a person, however many bits it has.

use crate::encoded::{Encoded, flag};
use crate::levels::{Field, Levels, birth, first, last};

/// A set of guards that hold for a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Guards(u8);

/// Guards with their codes for storage, which stay what they are, and the words for the review queue.
const REASONS: [(u8, &str, &str); 7] = [
    (TWINS, "twins", "same birth date, different first name: twins, or a middle name"),
    (GENERATIONS, "generations", "same name and household, different birth date: parent and child"),
    (IDENTIFIER, "identifier", "different numbers of the same assigner"),
    (SEX, "sex", "different sex"),
    (DECEASED, "deceased", "one of them has died"),
    (NO_BIRTH, "no-birth-date", "no birth date and no number in common"),
    (NEWBORN, "newborn", "a newborn without a name"),
];

const TWINS: u8 = 1;
const GENERATIONS: u8 = 2;
const IDENTIFIER: u8 = 4;
const SEX: u8 = 8;
const DECEASED: u8 = 16;
const NO_BIRTH: u8 = 32;
const NEWBORN: u8 = 64;

impl Guards {
    /// No guard holds: the bits decide.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In words.
    pub fn reasons(self) -> impl Iterator<Item = &'static str> {
        self.held().map(|(_, _, reason)| *reason)
    }

    /// Stable short codes.
    pub fn codes(self) -> impl Iterator<Item = &'static str> {
        self.held().map(|(_, code, _)| *code)
    }

    /// The words for a code of [`Guards::codes`].
    pub fn reason(code: &str) -> Option<&'static str> {
        REASONS.iter().find(|(_, known, _)| *known == code).map(|(_, _, reason)| *reason)
    }

    fn held(self) -> impl Iterator<Item = &'static (u8, &'static str, &'static str)> {
        REASONS.iter().filter(move |(guard, _, _)| self.0 & guard != 0)
    }

    /// One bit per guard, for storage.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// `None` when there are bits that no guard has.
    pub fn from_bits(bits: u8) -> Option<Guards> {
        let all = REASONS.iter().fold(0, |all, (guard, _, _)| all | guard);
        (bits & !all == 0).then_some(Guards(bits))
    }
}

/// `shared`: both have the same number of the same assigner.
pub(crate) fn of(one: &Encoded, other: &Encoded, levels: &Levels, shared: bool) -> Guards {
    let level = |field: Field| levels.level(field);
    let alike =
        !matches!(level(Field::First), 0 | first::DIFFERENT) && !matches!(level(Field::Last), 0 | last::DIFFERENT);
    let same_name = level(Field::First) == first::EQUAL && matches!(level(Field::Last), last::EQUAL | last::PART);
    let same_home = level(Field::Address) == 1 || level(Field::Phone) == 1;
    let near_home = same_home || matches!(level(Field::Address), 2..=3) || level(Field::Zip) == 1;
    let birth_date = level(Field::Birth);
    let (far, different) = (birth_date == birth::FAR, birth_date == birth::DIFFERENT);
    let generations =
        (one.has(flag::JUNIOR) && other.has(flag::SENIOR)) || (one.has(flag::SENIOR) && other.has(flag::JUNIOR));
    let holds = [
        (TWINS, birth_date == birth::EQUAL && level(Field::First) == first::DIFFERENT),
        (GENERATIONS, generations || (alike && near_home && different) || (same_name && same_home && far)),
        (IDENTIFIER, !shared && conflicting(one, other)),
        (SEX, level(Field::Sex) == 2),
        (DECEASED, one.has(flag::DECEASED) != other.has(flag::DECEASED)),
        (NO_BIRTH, birth_date == 0 && !shared),
        (NEWBORN, (one.has(flag::NEWBORN) || other.has(flag::NEWBORN)) && !shared),
    ];
    Guards(holds.iter().filter(|(_, holds)| *holds).fold(0, |all, (guard, _)| all | guard))
}

/// An assigner gives one number to a person, so two of its numbers are two people.
fn conflicting(one: &Encoded, other: &Encoded) -> bool {
    let differs = |(assigner, value): &(u64, u64)| {
        let same = other.identifiers.iter().filter(|(another, _)| another == assigner);
        same.clone().next().is_some() && same.clone().all(|(_, another)| another != value)
    };
    one.identifiers.iter().any(differs)
}
