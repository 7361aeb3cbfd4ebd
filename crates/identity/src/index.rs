//! Records in memory: what matches a new one, and who is who.

use crate::band::{Bands, Decision};
use crate::encoded::Encoded;
use crate::frequency::Frequencies;
use crate::hashed::TokenMap;
use crate::levels::Levels;
use crate::score::Score;
use crate::weights::Weights;

/// A key that more records share finds nothing in particular: it is passed over and counted.
const MAX_POSTING: usize = 2_000;
/// Two records of one cluster that are less alike than this keep their clusters apart.
const LEAST_IN_CLUSTER: f32 = 5.0;

/// A record that may be the same person.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Number of the record: the order of insertion.
    pub record: u32,
    pub score: Score,
}

/// What became of a record that came in.
#[derive(Clone, Debug)]
pub struct Admission {
    pub record: u32,
    /// Number of the person it now belongs to.
    pub cluster: u32,
    pub decision: Decision,
    /// Those not below the review band, best first.
    pub candidates: Vec<Candidate>,
}

/// Encoded records with their postings, name counts and clusters. All must be of one key and one version.
#[derive(Default)]
pub struct Index {
    records: Vec<Encoded>,
    postings: TokenMap<Vec<u32>>,
    frequencies: Frequencies,
    /// Cluster of each record, and the records of each cluster.
    clusters: Vec<u32>,
    members: Vec<Vec<u32>>,
    compared: u64,
    skipped: u64,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

impl Index {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Pairs that were scored by [`Index::matches`] and [`Index::admit`].
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Keys that were passed over because too many records share them.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The person a record belongs to. Panics for a record that is not there.
    pub fn cluster(&self, record: u32) -> u32 {
        self.clusters[record as usize]
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

    /// The records that may be `encoded`'s person, best first, down to the review band. Changes nothing but counters.
    pub fn matches(&mut self, weights: &Weights, bands: &Bands, encoded: &Encoded) -> Vec<Candidate> {
        let (found, skipped) = self.candidates(encoded);
        self.compared += found.len() as u64;
        self.skipped += skipped;
        let score = |record: u32| Candidate { record, score: self.score_with(weights, encoded, record) };
        let kept = |candidate: &Candidate| bands.decide(&candidate.score, self.len()) != Decision::New;
        let mut candidates: Vec<Candidate> = found.into_iter().map(score).filter(kept).collect();
        candidates
            .sort_by(|one, other| other.score.bits.total_cmp(&one.score.bits).then(one.record.cmp(&other.record)));
        candidates
    }

    fn score_with(&self, weights: &Weights, encoded: &Encoded, record: u32) -> Score {
        Score::of(weights, &self.frequencies, encoded, &self.records[record as usize])
    }

    /// Matches a record, inserts it, and links it to the best cluster that takes it: one where a pair is in the auto band
    /// and no pair speaks against it. Otherwise it is a person of its own, to be reviewed if there were candidates.
    pub fn admit(&mut self, weights: &Weights, bands: &Bands, encoded: Encoded) -> Admission {
        let candidates = self.matches(weights, bands, &encoded);
        let size = self.len();
        let auto = |candidate: &&Candidate| bands.decide(&candidate.score, size) == Decision::Auto;
        let takes = |cluster: &u32| {
            let members = &self.members[*cluster as usize];
            members.iter().all(|member| self.score_with(weights, &encoded, *member).bits >= LEAST_IN_CLUSTER)
        };
        let best = candidates.iter().filter(auto).map(|candidate| self.cluster(candidate.record)).find(takes);
        let decision = match best {
            Some(_) => Decision::Auto,
            None if candidates.is_empty() => Decision::New,
            None => Decision::Review,
        };
        let record = self.insert(encoded);
        if let Some(cluster) = best {
            self.join(record, cluster);
        }
        Admission { record, cluster: self.cluster(record), decision, candidates }
    }

    /// Adds a record as a person of its own, without matching it.
    pub fn insert(&mut self, encoded: Encoded) -> u32 {
        let record = self.records.len() as u32;
        for key in encoded.blocks() {
            self.postings.entry(*key).or_default().push(record);
        }
        self.frequencies.add(&encoded);
        self.records.push(encoded);
        self.clusters.push(record);
        self.members.push(vec![record]);
        record
    }

    /// Moves all records of `record`'s cluster to `cluster`.
    fn join(&mut self, record: u32, cluster: u32) {
        let from = self.cluster(record);
        let moved = std::mem::take(&mut self.members[from as usize]);
        for member in &moved {
            self.clusters[*member as usize] = cluster;
        }
        self.members[cluster as usize].extend(moved);
    }

    /// Every pair of records that blocking finds, each once.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..self.len() as u32).flat_map(|record| {
            let (found, _) = self.candidates(&self.records[record as usize]);
            found.into_iter().take_while(move |other| *other < record).map(move |other| (other, record))
        })
    }

    /// Every pair of records of one cluster, each once.
    pub fn linked(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.members.iter().flat_map(|members| {
            let pairs = members.iter().enumerate();
            pairs.flat_map(|(at, record)| members[..at].iter().map(move |other| (*other, *record)))
        })
    }

    /// Compares two records. Panics for one that is not there.
    pub fn levels(&self, one: u32, other: u32) -> Levels {
        Levels::of(&self.records[one as usize], &self.records[other as usize])
    }

    /// Scores two records. Panics for one that is not there.
    pub fn score(&self, weights: &Weights, one: u32, other: u32) -> Score {
        self.score_with(weights, &self.records[one as usize], other)
    }

    /// Clusters anew from `pairs`, best first: each joins two clusters unless a pair across them speaks against it.
    pub fn recluster(&mut self, weights: &Weights, mut pairs: Vec<(u32, u32, Score)>) {
        let all = 0..self.len() as u32;
        (self.clusters, self.members) = (all.clone().collect(), all.map(|record| vec![record]).collect());
        pairs.sort_by(|one, other| other.2.bits.total_cmp(&one.2.bits));
        for (one, other, _) in pairs {
            let (into, from) = (self.cluster(one), self.cluster(other));
            if into != from && self.agree(weights, into, from) {
                self.join(other, into);
            }
        }
    }

    fn agree(&self, weights: &Weights, one: u32, other: u32) -> bool {
        let others = &self.members[other as usize];
        let agrees = |record: &u32, another: &u32| self.score(weights, *record, *another).bits >= LEAST_IN_CLUSTER;
        self.members[one as usize].iter().all(|record| others.iter().all(|another| agrees(record, another)))
    }
}
