//! Persons as sets of records, kept beside an index: for evaluation and for who keeps no persons of its own.

use crate::band::{Bands, Decision};
use crate::encoded::Encoded;
use crate::index::{Candidate, Index};
use crate::score::{Score, agrees};
use crate::weights::Weights;

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

/// An index that only grows, with the person of each of its records.
#[derive(Default, Debug)]
pub struct Clusters {
    index: Index,
    /// Cluster of each record, and the records of each cluster.
    clusters: Vec<u32>,
    members: Vec<Vec<u32>>,
}

impl Clusters {
    /// The records.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The person a record belongs to. Panics for a record that is not there.
    pub fn cluster(&self, record: u32) -> u32 {
        self.clusters[record as usize]
    }

    /// Matches a record, inserts it, and links it to the best cluster that takes it: one where a pair is in the auto band
    /// and no pair speaks against it. Otherwise it is a person of its own, to be reviewed if there were candidates.
    pub fn admit(&mut self, weights: &Weights, bands: &Bands, encoded: Encoded) -> Admission {
        let candidates = self.index.matches(weights, bands, &encoded);
        let size = self.index.len();
        let auto = |candidate: &&Candidate| bands.decide(&candidate.score, size) == Decision::Auto;
        let agrees = |member: &u32| self.index.score(weights, &encoded, *member).is_some_and(|score| agrees(&score));
        let takes = |cluster: &u32| self.members[*cluster as usize].iter().all(agrees);
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
        let record = self.index.insert(encoded);
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

    /// Every pair of records of one cluster, each once.
    pub fn linked(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.members.iter().flat_map(|members| {
            let pairs = members.iter().enumerate();
            pairs.flat_map(|(at, record)| members[..at].iter().map(move |other| (*other, *record)))
        })
    }

    /// Clusters anew from `pairs`, best first: each joins two clusters unless a pair across them speaks against it.
    pub fn recluster(&mut self, weights: &Weights, mut pairs: Vec<(u32, u32, Score)>) {
        let all = 0..self.clusters.len() as u32;
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
        let agrees = |record: &u32, another: &u32| {
            self.index.score_pair(weights, *record, *another).is_some_and(|score| agrees(&score))
        };
        self.members[one as usize].iter().all(|record| others.iter().all(|another| agrees(record, another)))
    }
}
