//! Records in memory: what matches a new one.

use crate::band::{Bands, Decision};
use crate::encoded::Encoded;
use crate::frequency::Frequencies;
use crate::hashed::TokenMap;
use crate::levels::Levels;
use crate::score::Score;
use crate::weights::Weights;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key that more records share finds nothing in particular: it is passed over and counted.
const MAX_POSTING: usize = 2_000;

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
    records: Vec<Option<Encoded>>,
    /// Numbers of removed records.
    free: Vec<u32>,
    postings: TokenMap<Vec<u32>>,
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
        self.records.len() - self.free.len()
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
        self.records.get(record as usize)?.as_ref()
    }

    /// The numbers of all records, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.records).filter(|(_, record)| record.is_some()).map(|(number, _)| number)
    }

    /// Adds a record without matching it. Its number is its own until it is removed, then it may be another's.
    pub fn insert(&mut self, encoded: Encoded) -> u32 {
        let record = self.free.pop().unwrap_or(self.records.len() as u32);
        for key in encoded.blocks() {
            self.postings.entry(*key).or_default().push(record);
        }
        self.frequencies.add(&encoded);
        match self.records.get_mut(record as usize) {
            Some(free) => *free = Some(encoded),
            None => self.records.push(Some(encoded)),
        }
        record
    }

    /// Takes a record out; the index is as if it had never been there. `None` when there is none of that number.
    pub fn remove(&mut self, record: u32) -> Option<Encoded> {
        let encoded = self.records.get_mut(record as usize)?.take()?;
        for key in encoded.blocks() {
            if let Some(posting) = self.postings.get_mut(key) {
                posting.retain(|other| *other != record);
                if posting.is_empty() {
                    self.postings.remove(key);
                }
            }
        }
        self.frequencies.remove(&encoded);
        self.free.push(record);
        Some(encoded)
    }

    /// Records sharing a blocking key with `encoded`, ascending, and how many keys were too common to look at.
    fn candidates(&self, encoded: &Encoded) -> (Vec<u32>, u64) {
        let mut found = Vec::with_capacity(64);
        let mut skipped = 0;
        for key in encoded.blocks() {
            match self.postings.get(key) {
                Some(posting) if posting.len() > MAX_POSTING => skipped += 1,
                Some(posting) => found.extend_from_slice(posting),
                None => {}
            }
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
        let size = self.len();
        let scored = |record| Some(Candidate { record, score: self.score(weights, encoded, record)? });
        let kept = |candidate: &Candidate| bands.decide(&candidate.score, size) != Decision::New;
        let mut candidates: Vec<Candidate> = found.into_iter().filter_map(scored).filter(kept).collect();
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
        (0..).zip(&self.records).filter_map(|(number, record)| Some((number, record.as_ref()?))).flat_map(
            |(number, record)| {
                let (found, _) = self.candidates(record);
                found.into_iter().take_while(move |other| *other < number).map(move |other| (other, number))
            },
        )
    }
}
