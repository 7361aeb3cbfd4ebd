//! Comparators on intervals: dates, numbers and quantities all cover a range.

use crate::index::key::{self, INTERVAL};
use crate::index::view::{Range, Whole};
use fhir::query::{Comparator, DateTest};

/// A comparison of intervals in the order-preserving form of their bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct IntervalTest {
    comparator: Comparator,
    low: u64,
    high: u64,
    /// The same bounds less the width of a narrow interval: where one that reaches them may begin.
    low_reach: u64,
    high_reach: u64,
}

impl IntervalTest {
    pub(super) fn date(test: &DateTest) -> IntervalTest {
        let reach = |bound: i64| key::order_i64(bound.saturating_sub(key::NARROW_DATE_US));
        IntervalTest {
            comparator: test.comparator,
            low: key::order_i64(test.start),
            high: key::order_i64(test.end),
            low_reach: reach(test.start),
            high_reach: reach(test.end),
        }
    }

    pub(super) fn number(comparator: Comparator, low: f64, high: f64) -> IntervalTest {
        // The width was rounded when the class was chosen.
        let reach = |bound: f64| key::order_f64(bound - key::NARROW_NUMBER - bound.abs() * 1e-12);
        IntervalTest {
            comparator,
            low: key::order_f64(low),
            high: key::order_f64(high),
            low_reach: reach(low),
            high_reach: reach(high),
        }
    }

    /// FHIR's comparisons of ranges, <https://hl7.org/fhir/R4/search.html#prefix>; here `ap` is overlap.
    pub(super) fn accepts(&self, start: u64, end: u64) -> bool {
        let within = self.low <= start && end <= self.high;
        match self.comparator {
            Comparator::Eq => within,
            Comparator::Ne => !within,
            Comparator::Lt => start < self.low,
            Comparator::Gt => end > self.high,
            Comparator::Le => start < self.low || within,
            Comparator::Ge => end > self.high || within,
            Comparator::Sa => start > self.high,
            Comparator::Eb => end < self.low,
            Comparator::Ap => start <= self.high && end >= self.low,
        }
    }

    pub(super) fn accepts_bytes(&self, bytes: &[u8]) -> bool {
        interval(bytes).is_some_and(|(start, end)| self.accepts(start, end))
    }

    /// Smallest and largest start that can pass, for narrow and for wide intervals.
    pub(super) fn starts(&self, narrow: bool) -> (u64, u64) {
        match self.comparator {
            Comparator::Eq => (self.low, self.high),
            Comparator::Ne => (0, u64::MAX),
            Comparator::Lt | Comparator::Eb => (0, self.low),
            Comparator::Gt => (if narrow { self.high_reach } else { 0 }, u64::MAX),
            Comparator::Ge => (if narrow { self.high_reach.min(self.low) } else { 0 }, u64::MAX),
            Comparator::Le => (0, self.high),
            Comparator::Sa => (self.high, u64::MAX),
            Comparator::Ap => (if narrow { self.low_reach } else { 0 }, self.high),
        }
    }

    /// Starts of which every narrow interval passes; `None` when they are few or none.
    pub(super) fn whole_starts(&self) -> Option<(u64, u64)> {
        match self.comparator {
            Comparator::Gt | Comparator::Ge | Comparator::Sa => Some((self.high.checked_add(1)?, u64::MAX)),
            Comparator::Lt | Comparator::Le => Some((0, self.low.checked_sub(1)?)),
            Comparator::Eb => Some((0, self.low_reach.checked_sub(1)?)),
            Comparator::Eq | Comparator::Ne | Comparator::Ap => None,
        }
    }

    /// Ranges of the intervals that follow `prefix` in keys.
    pub(super) fn ranges(&self, prefix: &[u8], out: &mut Vec<Range>) {
        for class in [0u8, 1] {
            let (first, last) = self.starts(class == 0);
            let with = |start: u64| [prefix, &[class], &start.to_be_bytes()].concat();
            let end = key::after(&with(last));
            let whole = || Whole { prefix: [prefix, &[class]].concat(), first: 0, last: 0 };
            let whole =
                self.whole_starts().filter(|_| class == 0).map(|(first, last)| Whole { first, last, ..whole() });
            out.extend(end.map(|end| Range { whole, ..Range::span(with(first), end) }));
        }
    }
}

/// Start and end of `class, start, end`.
fn interval(bytes: &[u8]) -> Option<(u64, u64)> {
    let (start, end) = bytes.get(1..INTERVAL)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*start), u64::from_be_bytes(*end.first_chunk::<8>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(comparator: Comparator) -> IntervalTest {
        IntervalTest::date(&DateTest { comparator, start: 10, end: 19 })
    }

    #[test]
    fn comparators_follow_the_specification() {
        let values = [(0, 5), (5, 12), (10, 19), (12, 15), (15, 25), (20, 30), (0, 30)];
        let passing = |comparator| {
            let test = date(comparator);
            let passes = |(start, end): &(i64, i64)| test.accepts(key::order_i64(*start), key::order_i64(*end));
            values.iter().copied().filter(passes).collect::<Vec<_>>()
        };
        assert_eq!(passing(Comparator::Eq), [(10, 19), (12, 15)]);
        assert_eq!(passing(Comparator::Lt), [(0, 5), (5, 12), (0, 30)]);
        assert_eq!(passing(Comparator::Gt), [(15, 25), (20, 30), (0, 30)]);
        assert_eq!(passing(Comparator::Sa), [(20, 30)]);
        assert_eq!(passing(Comparator::Eb), [(0, 5)]);
        assert_eq!(passing(Comparator::Ap).len(), 5);
        assert_eq!(passing(Comparator::Le), [(0, 5), (5, 12), (10, 19), (12, 15), (0, 30)]);
        assert_eq!(passing(Comparator::Ge), [(10, 19), (12, 15), (15, 25), (20, 30), (0, 30)]);
        assert_eq!(passing(Comparator::Ne).len(), 5);
    }
}
