//! What other weights or bands would decide, before they are taken.

use crate::band::{Bands, Decision};
use crate::index::Index;
use crate::weights::Weights;

/// A pair about which the two sets disagree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    pub records: (u32, u32),
    pub before: Decision,
    pub after: Decision,
}

/// Every pair of `index` that is decided otherwise with `after` than with `before`. Nothing is changed.
pub fn diff(index: &Index, before: (&Weights, &Bands), after: (&Weights, &Bands)) -> Vec<Change> {
    let decide = |(weights, bands): (&Weights, &Bands), (one, other): (u32, u32)| {
        let score = index.score_pair(weights, one, other);
        score.map_or(Decision::New, |score| bands.decide(&score, index.len()))
    };
    let change = |records| Change { records, before: decide(before, records), after: decide(after, records) };
    index.pairs().map(change).filter(|change| change.before != change.after).collect()
}
