//! Latencies and their percentiles.

/// Latencies of one class of requests, in microseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    pub(crate) fn push(&mut self, micros: u32) {
        self.micros.push(micros);
    }

    pub(crate) fn append(&mut self, other: &Latencies) {
        self.micros.extend_from_slice(&other.micros);
    }

    /// Must be called before the percentiles are asked for.
    pub(crate) fn sort(&mut self) {
        self.micros.sort_unstable();
    }

    pub(crate) fn count(&self) -> usize {
        self.micros.len()
    }

    /// The nearest-rank percentile in milliseconds: the smallest sample that at least `percent` % of all do not exceed.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.micros.len() as f64).ceil() as usize;
        self.micros.get(rank.max(1) - 1).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.percentile_ms(100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(micros: &[u32]) -> Latencies {
        let mut latencies = Latencies { micros: micros.to_vec() };
        latencies.sort();
        latencies
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u32> = (1..=100).rev().map(|n| n * 1000).collect();
        let hundred = latencies(&hundred);
        assert_eq!(hundred.percentile_ms(50.0), 50.0);
        assert_eq!(hundred.percentile_ms(99.0), 99.0);
        assert_eq!(hundred.percentile_ms(99.1), 100.0);
        assert_eq!(hundred.max_ms(), 100.0);
        assert_eq!(hundred.percentile_ms(0.0), 1.0);
    }

    #[test]
    fn few_and_no_samples() {
        let three = latencies(&[3000, 1000, 2000]);
        assert_eq!((three.percentile_ms(50.0), three.percentile_ms(95.0)), (2.0, 3.0));
        assert_eq!(latencies(&[]).percentile_ms(50.0), 0.0);
        let mut both = latencies(&[1000]);
        both.append(&three);
        assert_eq!(both.count(), 4);
    }
}
