//! Fellegi-Sunter: the bits of the person and of the household, with the guards that no number of bits overrules.

use crate::bytes::BadEncoding;
use crate::encoded::Encoded;
use crate::frequency::{CLIP, Frequencies};
use crate::guard::{self, Guards};
use crate::levels::{Comparison, FIELDS, Field, Levels, NAMES, compare_household, compare_person, first, last};
use crate::weights::{HOUSEHOLD_FLOOR, Weights};

/// In bits: two records that are less alike than this keep their clusters apart, however alike others of them are. On
/// the clinic set it raises precision from .989 to .991.
pub const LEAST_IN_CLUSTER: f32 = 5.0;

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
        let (compared, shared) = (compare_person(one, other), shared_identifier(one, other));
        Score::finish(weights, frequencies, (one, other), compared, shared)
    }

    /// [`Score::of`] when it is worth `least` bits. Of most candidates the person alone is too different for any
    /// household to make up for it, and then the household is not looked at.
    pub(crate) fn at_least(
        weights: &Weights,
        frequencies: &Frequencies,
        (one, other): (&Encoded, &Encoded),
        least: f32,
    ) -> Option<Score> {
        let (compared, shared) = (compare_person(one, other), shared_identifier(one, other));
        let identifier = if shared { weights.identifier } else { 0.0 };
        let most = weigh(weights, &compared.levels) + identifier + weights.household_cap.max(HOUSEHOLD_FLOOR) + CLIP;
        // Sums of the same numbers in another order may differ a little.
        if most + 0.01 < least {
            return None;
        }
        Some(Score::finish(weights, frequencies, (one, other), compared, shared)).filter(|score| score.bits >= least)
    }

    fn finish(
        weights: &Weights,
        frequencies: &Frequencies,
        (one, other): (&Encoded, &Encoded),
        Comparison { mut levels, name }: Comparison<'_>,
        shared: bool,
    ) -> Score {
        compare_household(&mut levels, one, other);
        let equal = |field: Field, level: u8, token: u64| (levels.level(field) == level).then_some(token);
        let bits = weigh(weights, &levels)
            + if shared { weights.identifier } else { 0.0 }
            + frequencies
                .correction(equal(Field::First, first::EQUAL, name.first), equal(Field::Last, last::EQUAL, name.last));
        Score { bits, levels, guards: guard::of(one, other, &levels, shared) }
    }

    /// The length of [`Score::to_bytes`].
    pub const BYTES: usize = 9;

    /// For storage: the bits, two levels a byte, the guards.
    pub fn to_bytes(&self) -> [u8; Score::BYTES] {
        let mut bytes = [0; Score::BYTES];
        bytes[..4].copy_from_slice(&self.bits.to_le_bytes());
        for (byte, pair) in bytes[4..8].iter_mut().zip(self.levels.0.chunks_exact(2)) {
            *byte = pair[0] | (pair[1] << 4);
        }
        bytes[8] = self.guards.bits();
        bytes
    }

    /// What [`Score::to_bytes`] made, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Score, BadEncoding> {
        let bytes: &[u8; Score::BYTES] = bytes.try_into().map_err(|_| BadEncoding::Length)?;
        let (bits, levels) = bytes.split_at(4);
        let bits = f32::from_le_bytes(bits.try_into().unwrap_or_default());
        let levels = Levels(std::array::from_fn(|field| (levels[field / 2] >> (field % 2 * 4)) & 15));
        let known = FIELDS.iter().all(|field| usize::from(levels.level(*field)) < NAMES[*field as usize].len());
        match Guards::from_bits(bytes[8]) {
            Some(guards) if known && bits.is_finite() => Ok(Score { bits, levels, guards }),
            _ => Err(BadEncoding::Value),
        }
    }

    /// Each compared field with what was found, without a word of the persons: for the review queue and the audit.
    pub fn reasons(&self) -> impl Iterator<Item = (Field, &'static str)> + '_ {
        FIELDS.iter().filter_map(|field| {
            let level = usize::from(self.levels.level(*field));
            (level > 0).then(|| (*field, NAMES[*field as usize][level]))
        })
    }
}

/// Whether a pair of this score may be of one cluster: below [`LEAST_IN_CLUSTER`] it keeps the two clusters apart.
pub fn agrees(score: &Score) -> bool {
    score.bits >= LEAST_IN_CLUSTER
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
