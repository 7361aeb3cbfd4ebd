//! From bits to a decision. The more records there are, the more of them are alike by chance.

use crate::score::Score;

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
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bands {
    pub auto: f32,
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
        Bands { auto: 20.0, review: 12.0 }
    }
}

impl Bands {
    /// The thresholds for an index of `size` records.
    pub fn at(&self, size: usize) -> Bands {
        let shift = (size.max(MIN_SIZE) as f32 / MEASURED_AT).log2();
        Bands { auto: self.auto + shift, review: self.review + shift }
    }

    /// For a score in an index of `size` records.
    pub fn decide(&self, score: &Score, size: usize) -> Decision {
        let bands = self.at(size);
        match score.bits {
            bits if bits < bands.review => Decision::New,
            bits if bits >= bands.auto && score.guards.is_empty() => Decision::Auto,
            _ => Decision::Review,
        }
    }

    /// A guarded pair is possible at most.
    pub fn grade(&self, score: &Score, size: usize) -> Grade {
        match self.decide(score, size) {
            Decision::New => Grade::CertainlyNot,
            Decision::Review => Grade::Possible,
            Decision::Auto if score.bits >= self.at(size).auto + CERTAIN => Grade::Certain,
            Decision::Auto => Grade::Probable,
        }
    }
}
