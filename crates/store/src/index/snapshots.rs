//! Which snapshots page links carry.

use crate::Seq;
use std::collections::VecDeque;

/// The oldest snapshot handed out in each second: a few hundred pairs, whatever the load.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// `(second, oldest snapshot)`, ascending by second.
    seconds: VecDeque<(i64, Seq)>,
}

impl Snapshots {
    pub(crate) fn pin(&mut self, snapshot: Seq, now_us: i64) {
        let second = now_us.div_euclid(1_000_000);
        match self.seconds.back_mut() {
            // A clock that is set back counts as standing still.
            Some((last, oldest)) if *last >= second => *oldest = (*oldest).min(snapshot),
            _ => self.seconds.push_back((second, snapshot)),
        }
    }

    /// The oldest snapshot handed out within the last `keep_us`.
    pub(crate) fn oldest(&mut self, now_us: i64, keep_us: i64) -> Option<Seq> {
        let first = now_us.saturating_sub(keep_us).div_euclid(1_000_000);
        while self.seconds.front().is_some_and(|(second, _)| *second < first) {
            self.seconds.pop_front();
        }
        self.seconds.iter().map(|(_, snapshot)| *snapshot).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_live_as_long_as_they_are_handed_out() {
        let mut snapshots = Snapshots::default();
        snapshots.pin(5, 1_000_000);
        snapshots.pin(9, 1_500_000);
        snapshots.pin(7, 4_000_000);
        assert_eq!(snapshots.oldest(5_000_000, 10_000_000), Some(5));
        assert_eq!(snapshots.oldest(12_000_000, 10_000_000), Some(7));
        snapshots.pin(7, 13_000_000);
        assert_eq!(snapshots.oldest(20_000_000, 10_000_000), Some(7));
        assert_eq!(snapshots.oldest(30_000_000, 10_000_000), None);
    }
}
