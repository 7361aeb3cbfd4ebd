//! How common names are: two Smiths are less alike than two Kimbrells. Counted by token, never by name.

use crate::encoded::Encoded;
use crate::hashed::TokenMap;

/// The furthest that a rare or common name moves the score, in bits.
const CLIP: f32 = 4.0;
/// Fewer records say nothing of how common a name is.
const MIN_RECORDS: u64 = 500;

/// Counts of one kind of name.
#[derive(Default, Clone)]
struct Counts {
    of: TokenMap<u32>,
    total: u64,
    /// Sum of the squared counts: how often two records share a name by chance.
    squares: u64,
}

impl Counts {
    fn add(&mut self, token: u64) {
        if token != 0 {
            let count = self.of.entry(token).or_default();
            self.squares += 2 * u64::from(*count) + 1;
            *count += 1;
            self.total += 1;
        }
    }

    /// log2 of how much rarer the name is than a shared name is on average.
    fn bits(&self, token: u64) -> f32 {
        if self.total < MIN_RECORDS {
            return 0.0;
        }
        let average = self.squares as f32 / self.total as f32;
        let count = self.of.get(&token).copied().unwrap_or(0).max(1);
        (average / count as f32).log2()
    }
}

/// How often each given name and surname stands in an index.
#[derive(Default, Clone)]
pub struct Frequencies {
    first: Counts,
    last: Counts,
}

impl Frequencies {
    pub fn add(&mut self, record: &Encoded) {
        self.first.add(record.first);
        self.last.add(record.last);
    }

    /// The correction for equal names, in bits, within ±4.
    pub(crate) fn correction(&self, first: Option<u64>, last: Option<u64>) -> f32 {
        let first = first.map_or(0.0, |token| self.first.bits(token));
        let last = last.map_or(0.0, |token| self.last.bits(token));
        (first + last).clamp(-CLIP, CLIP)
    }
}

impl std::fmt::Debug for Frequencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Frequencies")
    }
}
