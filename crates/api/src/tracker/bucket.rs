//! A bound on how often somebody may ask: whoever could ask without end could find out who is known here.

use std::collections::HashMap;
use std::sync::Mutex;

/// Questions that may come at once.
const BURST: f64 = 60.0;
/// Questions a second after that.
const PER_SECOND: f64 = 1.0;
/// Principals that are remembered; those who have waited long enough are forgotten first.
const KEYS_MAX: usize = 10_000;

/// A token bucket for each principal.
#[derive(Default)]
pub(crate) struct Buckets(Mutex<HashMap<String, Bucket>>);

struct Bucket {
    left: f64,
    at_us: i64,
}

impl Bucket {
    fn at(&self, now_us: i64) -> f64 {
        let seconds = (now_us - self.at_us).max(0) as f64 / 1e6;
        (self.left + seconds * PER_SECOND).min(BURST)
    }
}

impl Buckets {
    /// Takes one of `key`'s tokens, or says after how many seconds there is one.
    pub(crate) fn take(&self, key: &str, now_us: i64) -> Result<(), u32> {
        let mut buckets = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if buckets.len() >= KEYS_MAX && !buckets.contains_key(key) {
            buckets.retain(|_, bucket| bucket.at(now_us) < BURST);
            if buckets.len() >= KEYS_MAX {
                return Err(1);
            }
        }
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { left: BURST, at_us: now_us });
        let left = bucket.at(now_us);
        if left < 1.0 {
            return Err(((1.0 - left) / PER_SECOND).ceil().max(1.0) as u32);
        }
        *bucket = Bucket { left: left - 1.0, at_us: now_us };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_a_slow_rate() {
        let buckets = Buckets::default();
        for _ in 0..60 {
            assert_eq!(buckets.take("ann", 0), Ok(()));
        }
        assert_eq!(buckets.take("ann", 0), Err(1));
        assert_eq!(buckets.take("bob", 0), Ok(()), "everybody has his own");
        assert_eq!(buckets.take("ann", 500_000), Err(1));
        assert_eq!(buckets.take("ann", 1_000_000), Ok(()));
        assert_eq!(buckets.take("ann", 1_000_000), Err(1));
        assert_eq!(buckets.take("ann", 500_000), Err(1), "a clock that runs backwards gives nothing");
    }
}
