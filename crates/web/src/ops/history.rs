//! The last quarter of an hour of each destination, in memory.

use delivery::Status;
use std::collections::{BTreeMap, VecDeque};

/// What the charts show.
pub(super) const SPAN_US: i64 = 900_000_000;
/// Samples of one destination: those of [`SPAN_US`], one every ten seconds.
const SAMPLES_MAX: usize = 91;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) at_us: i64,
    pub(super) depth: u64,
    pub(super) rate_per_s: f64,
    pub(super) allowed_per_s: f64,
}

impl Sample {
    pub(super) fn new(at_us: i64, status: &Status) -> Sample {
        let Status { depth, rate_per_s, allowed_per_s, .. } = *status;
        Sample { at_us, depth, rate_per_s, allowed_per_s }
    }
}

/// Samples by tenant and name, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<(String, String), VecDeque<Sample>>);

impl History {
    /// Destinations that are gone are forgotten.
    pub(super) fn add(&mut self, now_us: i64, statuses: &[(String, Status)]) {
        let mut kept = BTreeMap::new();
        for (tenant, status) in statuses {
            let key = (tenant.clone(), status.name.clone());
            let mut samples = self.0.remove(&key).unwrap_or_default();
            samples.push_back(Sample::new(now_us, status));
            // Also those from before the clock was set back.
            samples.retain(|sample| (now_us - SPAN_US..=now_us).contains(&sample.at_us));
            while samples.len() > SAMPLES_MAX {
                samples.pop_front();
            }
            kept.insert(key, samples);
        }
        self.0 = kept;
    }

    pub(super) fn of(&self, tenant: &str, name: &str) -> Vec<Sample> {
        let samples = self.0.get(&(tenant.to_owned(), name.to_owned()));
        samples.into_iter().flatten().copied().collect()
    }
}
