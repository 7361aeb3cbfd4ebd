//! Fellegi-Sunter: the bits of the person and of the household, with the guards that no number of bits overrules.

use crate::encoded::Encoded;
use crate::frequency::Frequencies;
use crate::guard::{self, Guards};
use crate::levels::{FIELDS, Field, Levels, NAMES, first, last};
use crate::weights::{HOUSEHOLD_FLOOR, Weights};

/// What a pair of records is worth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// log2 of how much likelier the pair is one person than two.
    pub bits: f32,
    pub levels: Levels,
    /// Why the pair must be looked at by a person whatever its bits.
    pub guards: Guards,
}

impl Score {
    pub fn of(weights: &Weights, frequencies: &Frequencies, one: &Encoded, other: &Encoded) -> Score {
        let levels = Levels::of(one, other);
        let shared = shared_identifier(one, other);
        let equal = |field: Field, level: u8, token: u64| (levels.level(field) == level).then_some(token);
        let bits = weigh(weights, &levels)
            + if shared { weights.identifier } else { 0.0 }
            + frequencies
                .correction(equal(Field::First, first::EQUAL, one.first), equal(Field::Last, last::EQUAL, one.last));
        Score { bits, levels, guards: guard::of(one, other, &levels, shared) }
    }

    /// Each compared field with what was found, without a word of the persons: for the review queue and the audit.
    pub fn reasons(&self) -> impl Iterator<Item = (Field, &'static str)> + '_ {
        FIELDS.iter().filter_map(|field| {
            let level = usize::from(self.levels.level(*field));
            (level > 0).then(|| (*field, NAMES[*field as usize][level]))
        })
    }
}

/// The bits of the levels alone.
pub(crate) fn weigh(weights: &Weights, levels: &Levels) -> f32 {
    let bits = |field: Field| weights.bits[field as usize][usize::from(levels.level(field))];
    let person = bits(Field::First) + bits(Field::Last) + bits(Field::Birth) + bits(Field::Sex);
    let best = bits(Field::Address).max(bits(Field::Zip)).max(bits(Field::Phone)).max(0.0);
    let all = bits(Field::Address) + bits(Field::Zip) + bits(Field::Phone) + bits(Field::City);
    let household = if weights.household_cap.is_finite() { best + (all - best) / 4.0 } else { all };
    person + household.clamp(HOUSEHOLD_FLOOR, weights.household_cap.max(HOUSEHOLD_FLOOR))
}

fn shared_identifier(one: &Encoded, other: &Encoded) -> bool {
    one.identifiers.iter().any(|identifier| other.identifiers.contains(identifier))
}
