//! Weights learnt from a tenant's own records, without labels: expectation maximisation, offline.

use crate::index::Index;
use crate::levels::{FIELDS, Field, Levels, MAX_LEVELS, birth, first, last};
use crate::score::weigh;
use crate::weights::Weights;

/// Pairs drawn to see what agreement by chance is.
const RANDOM_PAIRS: usize = 400_000;
const MAX_ROUNDS: usize = 40;
/// A round that moves no weight further than this is the last.
const SETTLED_BITS: f32 = 0.01;
/// Added to every count: a level that was not seen is rare, not impossible.
const SMOOTHING: f32 = 0.5;
/// How often one person's records differ outright, at most. Without these bounds relatives, who share everything of a
/// household, are learnt as persons with two first names.
const BOUNDS: [(Field, u8, f32); 3] = [
    (Field::First, first::DIFFERENT, 0.04),
    (Field::Last, last::DIFFERENT, 0.08),
    (Field::Birth, birth::DIFFERENT, 0.006),
];

type Table = [[f32; MAX_LEVELS]; 8];

/// What was learnt.
#[derive(Clone, Debug)]
pub struct Estimate {
    pub weights: Weights,
    /// Expected pairs of one person among the compared ones.
    pub matches: f32,
    /// Rounds until the weights settled.
    pub rounds: usize,
}

/// Weights for the records of `index`, from the pairs that blocking finds and from random ones, drawn by `seed`. The
/// household cap and the weight of identifiers stay those of `start`, and so does the version: the caller names what it
/// keeps. `None` with fewer than two records.
pub fn estimate(index: &Index, start: &Weights, seed: u64) -> Option<Estimate> {
    let size = index.len();
    if size < 2 {
        return None;
    }
    let candidates: Vec<Levels> = index.pairs().filter_map(|(one, other)| index.levels(one, other)).collect();
    let by_chance = by_chance(index, seed);
    let mut estimate = Estimate { weights: start.clone(), matches: size as f32 / 4.0, rounds: 0 };
    let pairs = size as f32 * (size - 1) as f32 / 2.0;
    while estimate.rounds < MAX_ROUNDS {
        estimate.rounds += 1;
        let prior = (estimate.matches / pairs).log2();
        let mut counts: Table = [[0.0; MAX_LEVELS]; 8];
        estimate.matches = 1.0;
        for levels in &candidates {
            let posterior = 1.0 / (1.0 + (-(weigh(&estimate.weights, levels) + prior)).exp2());
            estimate.matches += posterior;
            count(&mut counts, levels, posterior);
        }
        let bits = bits(&bounded(shares(&counts)), &by_chance);
        let moved = furthest(&bits, &estimate.weights.bits);
        estimate.weights.bits = bits;
        if moved < SETTLED_BITS {
            break;
        }
    }
    Some(estimate)
}

/// How often each level shows in pairs of any two records.
fn by_chance(index: &Index, seed: u64) -> Table {
    let mut state = seed;
    let records: Vec<u32> = index.numbers().collect();
    let mut draw = || {
        // SplitMix64: even enough to draw pairs by.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        records[((bits ^ (bits >> 31)) % records.len() as u64) as usize]
    };
    let mut counts: Table = [[0.0; MAX_LEVELS]; 8];
    for _ in 0..RANDOM_PAIRS {
        let (one, other) = (draw(), draw());
        if one != other {
            index.levels(one, other).into_iter().for_each(|levels| count(&mut counts, &levels, 1.0));
        }
    }
    shares(&counts)
}

fn count(counts: &mut Table, levels: &Levels, weight: f32) {
    for field in FIELDS {
        counts[field as usize][usize::from(levels.level(field))] += weight;
    }
}

/// Each level's share of the pairs in which both values are known.
fn shares(counts: &Table) -> Table {
    let mut shares = *counts;
    for (field, row) in shares.iter_mut().enumerate() {
        let levels = crate::levels::NAMES[field].len();
        let total: f32 = row[1..levels].iter().map(|count| count + SMOOTHING).sum();
        for share in &mut row[1..levels] {
            *share = (*share + SMOOTHING) / total;
        }
    }
    shares
}

fn bounded(mut shares: Table) -> Table {
    for (field, level, most) in BOUNDS {
        let row = &mut shares[field as usize];
        let level = usize::from(level);
        if row[level] > most {
            let scale = (1.0 - most) / (1.0 - row[level]);
            for share in &mut row[1..] {
                *share *= scale;
            }
            row[level] = most;
        }
    }
    shares
}

fn bits(of_one: &Table, by_chance: &Table) -> Table {
    let mut bits: Table = [[0.0; MAX_LEVELS]; 8];
    for field in FIELDS {
        let field = field as usize;
        for level in 1..crate::levels::NAMES[field].len() {
            bits[field][level] = (of_one[field][level] / by_chance[field][level]).log2();
        }
    }
    bits
}

fn furthest(one: &Table, other: &Table) -> f32 {
    let moves = one.iter().flatten().zip(other.iter().flatten()).map(|(one, other)| (one - other).abs());
    moves.fold(0.0, f32::max)
}
