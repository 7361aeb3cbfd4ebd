//! Records in memory: what matches a new one.

use crate::band::Bands;
use crate::encoded::Encoded;
use crate::frequency::Frequencies;
use crate::levels::Levels;
use crate::postings::Postings;
use crate::records::Records;
use crate::score::Score;
use crate::weights::Weights;
use std::sync::atomic::{AtomicU64, Ordering};

/// A record that may be the same person.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The number that [`Index::insert`] gave it.
    pub record: u32,
    pub score: Score,
}

/// Encoded records with their postings and name counts. All must be of one key and one version. Reading needs no
/// exclusive access: many may match at once while nobody inserts.
#[derive(Default)]
pub struct Index {
    records: Records,
    postings: Postings,
    frequencies: Frequencies,
    compared: AtomicU64,
    skipped: AtomicU64,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("records", &self.len()).finish_non_exhaustive()
    }
}

impl Index {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pairs that were scored by [`Index::matches`].
    pub fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }

    /// Keys that were passed over because too many records share them.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// The record of a number, unless there is none or it was removed.
    pub fn get(&self, record: u32) -> Option<&Encoded> {
        self.records.get(record)
    }

    /// The numbers of all records, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.records.iter().map(|(number, _)| number)
    }

    /// Adds a record without matching it. Its number is its own until it is removed, then it may be another's.
    pub fn insert(&mut self, encoded: Encoded) -> u32 {
        self.frequencies.add(&encoded);
        let record = self.records.add(encoded);
        for key in self.records.get(record).into_iter().flat_map(Encoded::blocks) {
            self.postings.add(key, record);
        }
        record
    }

    /// Takes a record out; the index is as if it had never been there. `None` when there is none of that number.
    pub fn remove(&mut self, record: u32) -> Option<Encoded> {
        let encoded = self.records.remove(record)?;
        for key in encoded.blocks() {
            self.postings.remove(key, record);
        }
        self.frequencies.remove(&encoded);
        Some(encoded)
    }

    /// Records sharing a blocking key with `encoded`, ascending, and how many keys were too common to look at.
    fn candidates(&self, encoded: &Encoded) -> (Vec<u32>, u64) {
        let mut found = Vec::with_capacity(64);
        let mut skipped = 0;
        for key in encoded.blocks() {
            skipped += u64::from(!self.postings.collect(key, &mut found));
        }
        found.sort_unstable();
        found.dedup();
        (found, skipped)
    }

    /// The records that may be `encoded`'s person, best first, down to the review band. A record that is in the index
    /// finds itself too. Changes nothing but counters.
    pub fn matches(&self, weights: &Weights, bands: &Bands, encoded: &Encoded) -> Vec<Candidate> {
        let (found, skipped) = self.candidates(encoded);
        self.compared.fetch_add(found.len() as u64, Ordering::Relaxed);
        self.skipped.fetch_add(skipped, Ordering::Relaxed);
        // All at once: memory then answers many at a time, and not one comparison after the other.
        let touched = found.iter().filter_map(|record| self.get(*record)).fold(0, |sum, record| sum ^ record.touch());
        std::hint::black_box(touched);
        let least = bands.least(self.len());
        let scored = |record| {
            let score = Score::at_least(weights, &self.frequencies, (encoded, self.get(record)?), least)?;
            Some(Candidate { record, score })
        };
        let mut candidates: Vec<Candidate> = found.into_iter().filter_map(scored).collect();
        candidates
            .sort_by(|one, other| other.score.bits.total_cmp(&one.score.bits).then(one.record.cmp(&other.record)));
        candidates
    }

    /// What `encoded`, in the index or not, and a record of the index are worth as a pair. `None` when there is no record
    /// of that number.
    pub fn score(&self, weights: &Weights, encoded: &Encoded, record: u32) -> Option<Score> {
        Some(Score::of(weights, &self.frequencies, encoded, self.get(record)?))
    }

    /// [`Index::score`] of two records of the index.
    pub fn score_pair(&self, weights: &Weights, one: u32, other: u32) -> Option<Score> {
        self.score(weights, self.get(one)?, other)
    }

    /// How far two records agree. `None` when one of them is not there.
    pub fn levels(&self, one: u32, other: u32) -> Option<Levels> {
        Some(Levels::of(self.get(one)?, self.get(other)?))
    }

    /// Every pair of records that blocking finds, each once, the lower number first.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.records.iter().flat_map(|(number, record)| {
            let (found, _) = self.candidates(record);
            found.into_iter().take_while(move |other| *other < number).map(move |other| (other, number))
        })
    }
}
