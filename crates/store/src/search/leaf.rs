//! A test of one parameter as key ranges and a check of the keys in them.

use super::interval::IntervalTest;
use crate::StoreError;
use crate::index::Keys;
use crate::index::key::{self, INTERVAL, NO_HASH, QUANTITY_GROUP, UNIT_GROUP, kind};
use crate::index::view::{Range, View};
use fhir::defs::{ParamId, TypeId};
use fhir::query::{Comparator, SystemTest, Test, UnitTest};

/// Which keys match: those in a range whose bytes pass the check.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) ranges: Vec<Range>,
    pub(crate) check: Check,
}

/// What is asked of a key in a range.
#[derive(Debug)]
pub(crate) enum Check {
    Nothing,
    /// Of kind and value: `key[2..]`.
    Part(Part),
    /// All of them of the interval under this kind.
    Intervals(u8, Vec<IntervalTest>),
    /// Of the interval at the end of a quantity key.
    LastInterval(IntervalTest),
}

/// A test on kind and value as [`key::value_part`] encodes them.
#[derive(Debug)]
pub(crate) enum Part {
    /// `None`: any; a system of [`NO_HASH`] is an absent one.
    Token {
        kind: u8,
        code: Option<Vec<u8>>,
        system: Option<[u8; 8]>,
    },
    Interval {
        kind: u8,
        test: IntervalTest,
    },
    StartsWith(Vec<u8>),
    StringContains(Vec<u8>),
    StringExact(Vec<u8>),
    Exact(Vec<u8>),
    /// The URL itself, and with any version if none is asked for.
    Url(Vec<u8>),
    Reference {
        ty: Option<TypeId>,
        id: [u8; 8],
    },
    Quantity {
        test: IntervalTest,
        unit: PartUnit,
    },
    UriAbove(Vec<u8>),
    /// Without slashes at its end.
    UriBelow(Vec<u8>),
    Composite(Vec<Part>),
    Near {
        latitude: f64,
        longitude: f64,
        radius_m: f64,
    },
}

#[derive(Debug)]
pub(crate) enum PartUnit {
    Any,
    CodeOrUnit([u8; 8]),
    System { code: [u8; 8], system: [u8; 8], canonical: Option<([u8; 8], IntervalTest)> },
}

impl Leaf {
    /// Plans a test; group prefixes are looked up in the index.
    pub(crate) fn plan(view: &View<'_>, param: ParamId, test: &Test) -> Result<Leaf, StoreError> {
        let keys = view.keys();
        match test {
            Test::Quantity { comparator, low, high, unit } => {
                let test = IntervalTest::number(*comparator, *low, *high);
                quantity(view, param, test, *comparator, unit)
            }
            Test::Reference { ty: None, id } => {
                let prefix = key::head(param, kind::REFERENCE);
                let groups = view.groups(&prefix, prefix.len() + 2)?;
                let hash = key::id_hash(keys, id);
                let ranges = groups.into_iter().map(|group| Range::point([group.as_slice(), &hash].concat()));
                Ok(Leaf { ranges: ranges.collect(), check: Check::Nothing })
            }
            Test::UriAbove(uri) => {
                let bytes = key::text(uri);
                let head = key::head(param, kind::URI);
                let ends = (0..=bytes.len()).filter(|end| matches!(bytes[*end..], [] | [b'/', ..]));
                // A stored URI may end with slashes, which do not count.
                let slashes = [&b""[..], b"/", b"//"];
                let above = ends.flat_map(|end| slashes.map(|slash| [&head, &bytes[..end], slash].concat()));
                let ranges = above.map(Range::point);
                Ok(Leaf { ranges: ranges.collect(), check: Check::Nothing })
            }
            _ => {
                let part = Part::prepare(keys, test);
                let ranges = part.ranges(param);
                let exact = ranges.iter().all(|range| range.is_point) || matches!(part, Part::StartsWith(_));
                Ok(Leaf { ranges, check: if exact { Check::Nothing } else { Check::Part(part) } })
            }
        }
    }

    /// What one key must be to match both; `None` unless both are on dates or both on numbers, each value under one key.
    pub(crate) fn both(a: &Leaf, b: &Leaf) -> Option<(u8, Leaf)> {
        let mut tests = Vec::new();
        let mut kinds = Vec::new();
        for leaf in [a, b] {
            match &leaf.check {
                Check::Part(Part::Interval { kind, test }) => {
                    kinds.push(*kind);
                    tests.push(*test);
                }
                Check::Intervals(kind, more) => {
                    kinds.push(*kind);
                    tests.extend(more);
                }
                _ => return None,
            }
        }
        let ranges = a.ranges.iter().flat_map(|a| b.ranges.iter().filter_map(|b| a.intersect(b)));
        let leaf = Leaf { ranges: ranges.collect(), check: Check::Intervals(kinds[0], tests) };
        (kinds[0] == kinds[1]).then_some((kinds[0], leaf))
    }

    pub(crate) fn accepts(&self, key: &[u8]) -> bool {
        match &self.check {
            Check::Nothing => true,
            Check::Intervals(kind, tests) => key[2] == *kind && tests.iter().all(|test| test.accepts_bytes(&key[3..])),
            Check::Part(part) => part.accepts(&key[2..]),
            Check::LastInterval(test) => {
                key.len().checked_sub(INTERVAL).is_some_and(|at| test.accepts_bytes(&key[at..]))
            }
        }
    }

    /// Whether a key from outside the index matches.
    pub(crate) fn matches(&self, key: &[u8]) -> bool {
        let in_range = |range: &Range| {
            if range.is_point {
                key == range.from
            } else {
                key >= range.from.as_slice() && range.to.as_deref().is_none_or(|to| key < to)
            }
        };
        self.ranges.iter().any(in_range) && self.accepts(key)
    }
}

fn quantity(
    view: &View<'_>,
    param: ParamId,
    test: IntervalTest,
    comparator: Comparator,
    unit: &UnitTest,
) -> Result<Leaf, StoreError> {
    let keys = view.keys();
    let mut ranges = Vec::new();
    let mut prefix = key::head(param, kind::QUANTITY);
    match unit {
        UnitTest::Any => {
            for group in view.groups(&prefix, QUANTITY_GROUP)? {
                test.ranges(&group, &mut ranges);
            }
        }
        UnitTest::CodeOrUnit(unit) => {
            let hash = key::unit_hash(keys, unit);
            prefix.extend(hash);
            for group in view.groups(&prefix, QUANTITY_GROUP)? {
                test.ranges(&group, &mut ranges);
            }
            let mut by_unit = key::head(param, kind::UNIT);
            by_unit.extend(hash);
            debug_assert_eq!(by_unit.len(), UNIT_GROUP);
            test.ranges(&by_unit, &mut ranges);
        }
        UnitTest::System { system, code, canonical } => match canonical {
            Some((unit, low, high)) => {
                let mut by_canonical = key::head(param, kind::CANONICAL);
                by_canonical.extend(key::unit_hash(keys, unit));
                let test = IntervalTest::number(comparator, *low, *high);
                test.ranges(&by_canonical, &mut ranges);
                return Ok(Leaf { ranges, check: Check::LastInterval(test) });
            }
            None => {
                prefix.extend(key::unit_hash(keys, code));
                prefix.extend(key::system_hash(keys, system));
                test.ranges(&prefix, &mut ranges);
            }
        },
    }
    Ok(Leaf { ranges, check: Check::LastInterval(test) })
}

/// Whether `uri` is `base` or continues it after a `/`.
fn is_below(uri: &[u8], base: &[u8]) -> bool {
    uri.strip_prefix(trimmed(base)).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

fn trimmed(mut uri: &[u8]) -> &[u8] {
    while let [rest @ .., b'/'] = uri {
        uri = rest;
    }
    uri
}

impl Part {
    fn token(keys: &dyn Keys, kind: u8, system: &SystemTest, code: Option<&str>) -> Part {
        let system = match system {
            SystemTest::Any => None,
            SystemTest::Absent => Some(NO_HASH),
            SystemTest::Is(system) => Some(key::system_hash(keys, system)),
        };
        Part::Token { kind, code: code.map(|code| key::code_part(keys, code)), system }
    }

    fn prepare(keys: &dyn Keys, test: &Test) -> Part {
        let bytes = |kind: u8, text: &str| [&[kind], key::text(text).as_slice()].concat();
        match test {
            Test::Token { system, code } => Part::token(keys, kind::TOKEN, system, code.as_deref()),
            Test::TokenText(text) => Part::StartsWith(bytes(kind::TEXT, text)),
            Test::TokenOfType { system, code, value } => {
                Part::Exact([&[kind::OF_TYPE], key::of_type_hash(keys, system, code, value).as_slice()].concat())
            }
            Test::Reference { ty, id } => Part::Reference { ty: *ty, id: key::id_hash(keys, id) },
            Test::ReferenceUrl(url) if url.contains('|') => Part::Exact(bytes(kind::URL, url)),
            Test::ReferenceUrl(url) => Part::Url(bytes(kind::URL, url)),
            Test::ReferenceIdentifier { system, value } => {
                Part::token(keys, kind::IDENTIFIER, system, value.as_deref())
            }
            Test::StringStarts(text) => Part::StartsWith(bytes(kind::STRING, text)),
            Test::StringContains(text) => Part::StringContains(key::text(text)),
            Test::StringExact(text) => Part::StringExact(key::text(text)),
            Test::Date(test) => Part::Interval { kind: kind::DATE, test: IntervalTest::date(test) },
            Test::Number { comparator, low, high } => {
                Part::Interval { kind: kind::NUMBER, test: IntervalTest::number(*comparator, *low, *high) }
            }
            Test::Quantity { comparator, low, high, unit } => Part::Quantity {
                test: IntervalTest::number(*comparator, *low, *high),
                unit: PartUnit::prepare(keys, *comparator, unit),
            },
            Test::Uri(uri) => Part::Exact(bytes(kind::URI, uri)),
            Test::UriBelow(uri) => Part::UriBelow(trimmed(&key::text(uri)).to_vec()),
            Test::UriAbove(uri) => Part::UriAbove(key::text(uri)),
            Test::Composite(tests) => Part::Composite(tests.iter().map(|test| Part::prepare(keys, test)).collect()),
            Test::Near { latitude, longitude, radius_m } => {
                Part::Near { latitude: *latitude, longitude: *longitude, radius_m: *radius_m }
            }
        }
    }

    /// Ranges that hold all matching keys of `param`.
    fn ranges(&self, param: ParamId) -> Vec<Range> {
        let param = param.0.to_be_bytes();
        let with = |parts: &[&[u8]]| [&param, parts.concat().as_slice()].concat();
        match self {
            Part::Interval { kind, test } => {
                let mut ranges = Vec::with_capacity(2);
                test.ranges(&with(&[&[*kind]]), &mut ranges);
                ranges
            }
            Part::Exact(bytes) => vec![Range::point(with(&[bytes]))],
            Part::StartsWith(bytes) => vec![Range::prefix(with(&[bytes]))],
            Part::UriBelow(uri) => {
                let uri = with(&[&[kind::URI], uri]);
                vec![Range::prefix([uri.as_slice(), b"/"].concat()), Range::point(uri)]
            }
            Part::Url(url) => vec![Range::point(with(&[url])), Range::prefix(with(&[url, b"|"]))],
            Part::Token { kind, code: Some(code), system: Some(system) } => {
                vec![Range::point(with(&[&[*kind], code, system]))]
            }
            Part::Reference { ty: Some(ty), id } => {
                vec![Range::point(with(&[&[kind::REFERENCE], &ty.0.to_be_bytes(), id]))]
            }
            Part::Near { latitude, radius_m, .. } => {
                let degrees = radius_m / METRES_PER_DEGREE * 1.001;
                let edge = |latitude: f64| with(&[&[kind::POSITION], &key::order_f64(latitude).to_be_bytes()]);
                let end = key::after(&edge(latitude + degrees));
                vec![Range { from: edge(latitude - degrees), to: end, is_point: false, whole: None }]
            }
            _ => vec![Range::prefix(with(&[&self.prefix()]))],
        }
    }

    /// How the encoding of all values that can pass begins.
    fn prefix(&self) -> Vec<u8> {
        match self {
            Part::Token { kind, code: Some(code), system } => {
                [&[*kind][..], code.as_slice(), system.as_ref().map_or(&[][..], |system| system)].concat()
            }
            Part::Token { kind, .. } | Part::Interval { kind, .. } => vec![*kind],
            Part::StartsWith(bytes) | Part::Exact(bytes) | Part::Url(bytes) => bytes.clone(),
            Part::StringContains(_) => vec![kind::STRING],
            Part::StringExact(exact) => {
                let normalized = std::str::from_utf8(exact).map(fhir::index::normalize).unwrap_or_default();
                [&[kind::STRING], key::text(&normalized).as_slice(), &[0], exact].concat()
            }
            Part::Reference { .. } => vec![kind::REFERENCE],
            Part::Quantity { .. } => vec![kind::QUANTITY],
            Part::UriAbove(_) | Part::UriBelow(_) => vec![kind::URI],
            Part::Composite(parts) => {
                let first = parts.first().map(Part::prefix).unwrap_or_default();
                [&[kind::COMPOSITE], first.as_slice()].concat()
            }
            Part::Near { .. } => vec![kind::POSITION],
        }
    }

    fn accepts(&self, bytes: &[u8]) -> bool {
        let Some((value_kind, value)) = bytes.split_first() else { return false };
        match self {
            Part::Token { kind, code, system } => {
                let (value_code, value_system) = value.split_at(key::code_part_len(value));
                value_kind == kind
                    && code.as_ref().is_none_or(|code| code == value_code)
                    && system.is_none_or(|system| system == value_system)
            }
            Part::Interval { kind, test } => value_kind == kind && test.accepts_bytes(value),
            Part::StartsWith(prefix) => bytes.starts_with(prefix),
            Part::Exact(exact) => bytes == exact,
            Part::Url(url) => bytes.strip_prefix(url.as_slice()).is_some_and(|rest| matches!(rest, [] | [b'|', ..])),
            Part::StringContains(part) => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                *value_kind == kind::STRING && contains(&value[..end], part)
            }
            Part::StringExact(exact) => {
                let at = value.iter().position(|byte| *byte == 0).map_or(0, |at| at + 1);
                *value_kind == kind::STRING && &value[at..] == exact.as_slice()
            }
            Part::Reference { ty, id } => {
                *value_kind == kind::REFERENCE
                    && value.len() == 10
                    && ty.is_none_or(|ty| value[..2] == ty.0.to_be_bytes())
                    && value[2..] == *id
            }
            Part::Quantity { test, unit } => *value_kind == kind::QUANTITY && unit.accepts(test, value),
            Part::UriAbove(uri) => *value_kind == kind::URI && is_below(uri, value),
            Part::UriBelow(uri) => *value_kind == kind::URI && is_below(value, uri),
            Part::Composite(parts) => {
                *value_kind == kind::COMPOSITE
                    && key::split_composite(value, parts.len())
                        .is_some_and(|values| parts.iter().zip(values).all(|(part, value)| part.accepts(value)))
            }
            Part::Near { latitude, longitude, radius_m } => {
                *value_kind == kind::POSITION
                    && position(value).is_some_and(|place| distance_m((*latitude, *longitude), place) <= *radius_m)
            }
        }
    }
}

impl PartUnit {
    fn prepare(keys: &dyn Keys, comparator: Comparator, unit: &UnitTest) -> PartUnit {
        match unit {
            UnitTest::Any => PartUnit::Any,
            UnitTest::CodeOrUnit(unit) => PartUnit::CodeOrUnit(key::unit_hash(keys, unit)),
            UnitTest::System { system, code, canonical } => PartUnit::System {
                code: key::unit_hash(keys, code),
                system: key::system_hash(keys, system),
                canonical: canonical.as_ref().map(|(unit, low, high)| {
                    (key::unit_hash(keys, unit), IntervalTest::number(comparator, *low, *high))
                }),
            },
        }
    }

    /// `value`: hashes of code, system, unit and canonical unit, canonical interval, interval.
    fn accepts(&self, test: &IntervalTest, value: &[u8]) -> bool {
        if value.len() != 32 + 2 * INTERVAL {
            return false;
        }
        let (hashes, intervals) = value.split_at(32);
        let (canonical_interval, interval) = intervals.split_at(INTERVAL);
        match self {
            PartUnit::Any => test.accepts_bytes(interval),
            PartUnit::CodeOrUnit(hash) => {
                (hashes[..8] == *hash || hashes[16..24] == *hash) && test.accepts_bytes(interval)
            }
            PartUnit::System { canonical: Some((hash, test)), .. } => {
                hashes[24..] == *hash && test.accepts_bytes(canonical_interval)
            }
            PartUnit::System { code, system, canonical: None } => {
                hashes[..8] == *code && hashes[8..16] == *system && test.accepts_bytes(interval)
            }
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let starts = text.len().checked_sub(part.len()).map_or(0, |last| last + 1);
    (0..starts).any(|at| text[at] == *first && &text[at..at + part.len()] == part)
}

fn position(bytes: &[u8]) -> Option<(f64, f64)> {
    let (latitude, rest) = bytes.split_first_chunk::<8>()?;
    let degrees = |bytes: &[u8; 8]| key::unorder_f64(u64::from_be_bytes(*bytes));
    Some((degrees(latitude), degrees(rest.first_chunk::<8>()?)))
}

const EARTH_RADIUS_M: f64 = 6_371_008.8;
const METRES_PER_DEGREE: f64 = EARTH_RADIUS_M * std::f64::consts::PI / 180.0;

/// Great-circle distance (haversine) of two places in degrees.
fn distance_m(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let h = half(b.0 - a.0) + a.0.to_radians().cos() * b.0.to_radians().cos() * half(b.1 - a.1);
    2.0 * EARTH_RADIUS_M * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_interval_that_passes() {
        use Comparator::{Ap, Eb, Eq, Ge, Gt, Le, Lt, Ne, Sa};
        let bounds = [-1e9, -3.0, -0.5, 0.0, 0.25, 1.0, 1.5, 2.0, 7.0, 1e15];
        let intervals = || {
            let pairs = bounds.iter().flat_map(|low| bounds.map(|high| (*low, high)));
            pairs.filter(|(low, high)| low <= high)
        };
        let prefix = key::head(ParamId(5), kind::NUMBER);
        for comparator in [Eq, Ne, Lt, Gt, Le, Ge, Sa, Eb, Ap] {
            for (low, high) in intervals() {
                let test = IntervalTest::number(comparator, low, high);
                let mut ranges = Vec::new();
                test.ranges(&prefix, &mut ranges);
                let leaf = Leaf { ranges, check: Check::LastInterval(test) };
                for (start, end) in intervals() {
                    let mut key = prefix.clone();
                    let narrow = end - start <= key::NARROW_NUMBER;
                    key::interval_part(&mut key, narrow, key::order_f64(start), key::order_f64(end));
                    let passes = test.accepts(key::order_f64(start), key::order_f64(end));
                    assert_eq!(leaf.matches(&key), passes, "{comparator:?} {low} {high}: {start} {end}");
                }
            }
        }
    }

    #[test]
    fn the_distance_of_two_cities() {
        let metres = distance_m((48.8566, 2.3522), (51.5074, -0.1278));
        assert!((343_000.0..344_500.0).contains(&metres), "{metres}");
    }

    #[test]
    fn contains_finds_at_both_ends() {
        assert!(contains(b"maria", b"ma") && contains(b"maria", b"ria") && contains(b"maria", b""));
        assert!(!contains(b"maria", b"mariah") && !contains(b"", b"a"));
    }
}
