//! From bits to a decision. The more records there are, the more of them are alike by chance.

use crate::score::Score;
use serde::{Deserialize, Serialize};

/// What is done with a record and its best candidate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Decision {
    /// Nobody in the index.
    New,
    /// A person must say.
    Review,
    /// The same person.
    Auto,
}

/// FHIR's `match-grade`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grade {
    Certain,
    Probable,
    Possible,
    CertainlyNot,
}

impl Grade {
    /// The code of the FHIR value set.
    pub fn code(self) -> &'static str {
        match self {
            Grade::Certain => "certain",
            Grade::Probable => "probable",
            Grade::Possible => "possible",
            Grade::CertainlyNot => "certainly-not",
        }
    }
}

/// Thresholds in bits, as they are at 38,000 records. Ten times the records raise both by 3.3 bits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// What decisions made with them are noted under.
    pub version: String,
    /// From here on a pair is linked without asking.
    pub auto: f32,
    /// From here on it is shown.
    pub review: f32,
}

/// The size of the index at which the defaults were measured.
const MEASURED_AT: f32 = 38_000.0;
/// A smaller index is treated like one of this size: with few records the first wrong link is still one too many.
const MIN_SIZE: usize = 1_000;
/// Above `auto` by this, a match is certain.
const CERTAIN: f32 = 8.0;

impl Default for Bands {
    fn default() -> Bands {
        Bands { version: "weir-1".to_owned(), auto: 20.0, review: 12.0 }
    }
}

impl Bands {
    /// The thresholds for an index of `size` records.
    pub fn at(&self, size: usize) -> Bands {
        let shift = shift(size);
        Bands { version: self.version.clone(), auto: self.auto + shift, review: self.review + shift }
    }

    /// What a pair must be worth to be shown, in an index of `size` records.
    pub(crate) fn least(&self, size: usize) -> f32 {
        self.review + shift(size)
    }

    /// For a score in an index of `size` records.
    pub fn decide(&self, score: &Score, size: usize) -> Decision {
        let shift = shift(size);
        match score.bits {
            bits if bits < self.least(size) => Decision::New,
            bits if bits >= self.auto + shift && score.guards.is_empty() => Decision::Auto,
            _ => Decision::Review,
        }
    }

    /// A guarded pair is possible at most.
    pub fn grade(&self, score: &Score, size: usize) -> Grade {
        match self.decide(score, size) {
            Decision::New => Grade::CertainlyNot,
            Decision::Review => Grade::Possible,
            Decision::Auto if score.bits >= self.auto + shift(size) + CERTAIN => Grade::Certain,
            Decision::Auto => Grade::Probable,
        }
    }
}

fn shift(size: usize) -> f32 {
    (size.max(MIN_SIZE) as f32 / MEASURED_AT).log2()
}
