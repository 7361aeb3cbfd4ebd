//! What agreement and disagreement are worth, in bits.

use crate::levels::MAX_LEVELS;
use serde::{Deserialize, Serialize};

/// A set of weights. `bits[field][level]` is log2 of how much more often a pair of one person's records shows that level
/// than a pair of two people's; level 0, a missing value, is worth nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// What decisions made with them are noted under.
    pub version: String,
    pub bits: [[f32; MAX_LEVELS]; 8],
    /// The same number of the same assigner.
    pub identifier: f32,
    /// The most that address, ZIP, phone and city together may add: people of one household share all of them, so that
    /// they are one piece of evidence. Infinite for data without households; then it is
    /// written as null.
    #[serde(with = "cap")]
    pub household_cap: f32,
}

/// The least that the household part may be: people move.
pub(crate) const HOUSEHOLD_FLOOR: f32 = -4.0;

/// The bits of the shipped weights.
pub(crate) const SHIPPED: [[f32; MAX_LEVELS]; 8] = [
    [0.0, 8.0, 4.6, 5.7, 1.5, -5.0, 9.3, 0.0],
    [0.0, 9.5, 9.6, 7.4, 0.4, -6.1, 9.3, 0.0],
    [0.0, 12.2, 8.9, 5.7, 4.4, -0.2, -7.9, -11.9],
    [0.0, 1.0, -4.7, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 11.1, 11.0, 3.4, -2.9, 0.0, 0.0, 0.0],
    [0.0, 11.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 7.4, -2.6, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 5.3, -2.2, 0.0, 0.0, 0.0, 0.0, 0.0],
];

impl Default for Weights {
    /// The shipped weights.
    fn default() -> Weights {
        Weights { version: "weir-1".to_owned(), bits: SHIPPED, identifier: 16.0, household_cap: 7.0 }
    }
}

/// Infinity is null: JSON has no number for it.
mod cap {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(cap: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        cap.is_finite().then_some(*cap).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f32::INFINITY))
    }
}
