//! Random histories and random searches: the index must answer as a plain look at all versions does, whatever is in
//! memory, in segments, merged or reopened, and whichever way the executor takes.

use super::tests::{OBSERVATION, PATIENT, World};
use crate::embedded::Applied;
use crate::index::Limits;
use crate::{Op, SearchRequest};
use fhir::defs::{ParamId, TypeId};
use fhir::index::{Entry, Quantity, Value, normalize};
use fhir::query::matches::{compare as compare_ranges, passes};
use fhir::query::{Comparator, DateTest, Filter, Sort, SortBy, SystemTest, Test, UnitTest};
use proptest::prelude::*;
use std::cmp::Ordering;

const STRING: u16 = 1;
const DATE: u16 = 2;
const TOKEN: u16 = 3;
const QUANTITY: u16 = 4;
const NUMBER: u16 = 5;
const URI: u16 = 6;
const COMPOSITE: u16 = 7;
const REFERENCE: u16 = 8;
const PLACE: u16 = 9;

/// Each type has all parameters, with its own numbers.
fn param(ty: TypeId, which: u16) -> ParamId {
    ParamId(ty.0 * 20 + which)
}

/// `single`: no resource has several values of one parameter.
struct Random {
    state: u64,
    single: bool,
}

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (x ^ (x >> 29)) % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

const NAMES: [&str; 7] = ["Ann", "Anna", "ann b", "Bo", "Bob", "Élodie", "O'Neil"];
const CODES: [&str; 5] =
    ["a", "ab", "b", "a-code-that-is-longer-than-any-short-one", "a-code-that-is-longer-too, by far"];
const SYSTEMS: [Option<&str>; 3] = [None, Some("http://x"), Some("http://y")];
const UNITS: [&str; 3] = ["kg", "g", "cm"];
const URIS: [&str; 7] = ["http://a", "http://a/b", "http://a/b/c", "http://ab", "urn:x", "http://a|1", "http://a/"];
const DAY: i64 = 86_400_000_000;

fn date(random: &mut Random) -> (i64, i64) {
    let start = random.below(60) as i64 * DAY - 30 * DAY;
    (start, start + random.of(&[0, DAY, 5 * DAY, 40 * DAY, 90 * DAY]))
}

fn number(random: &mut Random) -> (f64, f64) {
    let low = random.below(8) as f64 / 2.0 - 2.0;
    (low, low + random.of(&[0.0, 0.5, 1.0, 3.0]))
}

fn quantity(random: &mut Random) -> Quantity {
    let (low, high) = number(random);
    let code = random.of(&UNITS);
    let factor = if code == "kg" { 1000.0 } else { 1.0 };
    let canonical = (code != "cm").then(|| ("g".to_owned(), low * factor, high * factor));
    Quantity {
        low,
        high,
        system: random.of(&SYSTEMS).map(str::to_owned),
        code: Some(code.to_owned()),
        unit: Some(random.of(&UNITS).to_owned()),
        canonical,
    }
}

fn token(random: &mut Random) -> Value {
    Value::Token { system: random.of(&SYSTEMS).map(str::to_owned), code: random.of(&CODES).to_owned() }
}

fn value(random: &mut Random, which: u16) -> Value {
    match which {
        STRING => {
            let exact = random.of(&NAMES);
            Value::String { normalized: normalize(exact), exact: exact.to_owned() }
        }
        DATE => {
            let (start, end) = date(random);
            Value::Date { start, end }
        }
        TOKEN if random.below(8) == 0 => Value::TokenSystem { system: "http://x".to_owned() },
        TOKEN if random.below(8) == 0 => Value::TokenText(normalize(random.of(&NAMES))),
        TOKEN => token(random),
        QUANTITY => Value::Quantity(quantity(random)),
        NUMBER => {
            let (low, high) = number(random);
            Value::Number { low, high }
        }
        URI => Value::Uri(random.of(&URIS).to_owned()),
        COMPOSITE => {
            let second = random.of(&[DATE, QUANTITY, STRING]);
            Value::Composite(vec![token(random), value(random, second)])
        }
        REFERENCE if random.below(6) == 0 => Value::ReferenceUrl(random.of(&URIS).to_owned()),
        REFERENCE => Value::Reference { ty: random.of(&[PATIENT, OBSERVATION]), id: random.below(8).to_string() },
        _ => Value::Position { latitude: random.below(40) as f64 / 10.0, longitude: random.below(40) as f64 / 10.0 },
    }
}

fn entries(random: &mut Random, ty: TypeId) -> Vec<Entry> {
    let count = random.below(8);
    let mut entry = |_| {
        let which = 1 + random.below(u64::from(PLACE)) as u16;
        Entry { param: param(ty, which), value: value(random, which) }
    };
    let mut entries: Vec<Entry> = (0..count).map(&mut entry).collect();
    if random.single {
        entries.sort_by_key(|entry| entry.param);
        entries.dedup_by_key(|entry| entry.param);
    }
    entries
}

fn comparator(random: &mut Random) -> Comparator {
    use Comparator::{Ap, Eb, Eq, Ge, Gt, Le, Lt, Ne, Sa};
    random.of(&[Eq, Ne, Lt, Gt, Le, Ge, Sa, Eb, Ap])
}

fn system_test(random: &mut Random) -> SystemTest {
    match random.below(3) {
        0 => SystemTest::Any,
        1 => SystemTest::Absent,
        _ => SystemTest::Is("http://x".to_owned()),
    }
}

fn test(random: &mut Random, which: u16) -> Test {
    match which {
        STRING => match random.below(3) {
            0 => Test::StringStarts(normalize(random.of(&NAMES))),
            1 => Test::StringContains(random.of(&["n", "nn", "o", "eil"]).to_owned()),
            _ => Test::StringExact(random.of(&NAMES).to_owned()),
        },
        DATE => {
            let (start, end) = date(random);
            Test::Date(DateTest { comparator: comparator(random), start, end })
        }
        TOKEN if random.below(6) == 0 => Test::TokenText("an".to_owned()),
        TOKEN => {
            let system = system_test(random);
            let needs_code = !matches!(system, SystemTest::Is(_));
            let code = (needs_code || random.below(4) > 0).then(|| random.of(&CODES).to_owned());
            Test::Token { system, code }
        }
        QUANTITY => {
            let (low, high) = number(random);
            let code = random.of(&UNITS).to_owned();
            let unit = match random.below(4) {
                0 => UnitTest::Any,
                1 => UnitTest::CodeOrUnit(code),
                2 => UnitTest::System { system: "http://x".to_owned(), code, canonical: None },
                _ => {
                    let canonical = Some(("g".to_owned(), low * 100.0, high * 100.0));
                    UnitTest::System { system: "http://x".to_owned(), code, canonical }
                }
            };
            Test::Quantity { comparator: comparator(random), low, high, unit }
        }
        NUMBER => {
            let (low, high) = number(random);
            Test::Number { comparator: comparator(random), low, high }
        }
        URI => {
            let uri = random.of(&URIS).to_owned();
            match random.below(3) {
                0 => Test::Uri(uri),
                1 => Test::UriBelow(uri),
                _ => Test::UriAbove(uri),
            }
        }
        COMPOSITE => {
            let second = random.of(&[DATE, QUANTITY, STRING]);
            let code = (random.below(3) > 0).then(|| random.of(&CODES).to_owned());
            Test::Composite(vec![Test::Token { system: system_test(random), code }, test(random, second)])
        }
        REFERENCE if random.below(6) == 0 => Test::ReferenceUrl(random.of(&URIS).to_owned()),
        REFERENCE => Test::Reference {
            ty: random.of(&[None, Some(PATIENT), Some(OBSERVATION)]),
            id: random.below(8).to_string(),
        },
        _ => Test::Near { latitude: 2.0, longitude: 2.0, radius_m: random.below(300_000) as f64 },
    }
}

fn filter(random: &mut Random, ty: TypeId, depth: u32) -> Filter {
    let some = |random: &mut Random| (0..2 + random.below(2)).map(|_| filter(random, ty, depth - 1)).collect();
    let other = random.of(&[PATIENT, OBSERVATION]);
    match random.below(if depth == 0 { 6 } else { 12 }) {
        0..4 => {
            let which = 1 + random.below(u64::from(PLACE)) as u16;
            Filter::Match { param: param(ty, which), test: test(random, which) }
        }
        4 => Filter::Missing(param(ty, 1 + random.below(u64::from(PLACE)) as u16)),
        5 => match random.below(3) {
            0 => Filter::All,
            1 => Filter::Ids(vec![random.below(8).to_string(), random.below(20).to_string()]),
            _ => {
                let start = random.below(1000) as i64;
                Filter::LastUpdated(DateTest { comparator: comparator(random), start, end: start + 100 })
            }
        },
        6 => {
            let which = random.of(&[DATE, NUMBER]);
            let one = |random: &mut Random| Filter::Match { param: param(ty, which), test: test(random, which) };
            Filter::And((0..2 + random.below(2)).map(|_| one(random)).collect())
        }
        11 => Filter::And(some(random)),
        7 => Filter::Or(some(random)),
        8 => Filter::Not(Box::new(filter(random, ty, depth - 1))),
        9 => {
            let filter = Box::new(filter(random, other, depth - 1));
            Filter::Chain { param: param(ty, REFERENCE), target: other, filter }
        }
        _ => {
            let filter = Box::new(filter(random, other, depth - 1));
            Filter::Has { source: other, param: param(other, REFERENCE), filter }
        }
    }
}

/// The plain evaluator.
struct Plain<'a> {
    log: &'a [Applied],
}

impl<'a> Plain<'a> {
    fn current(&self, ty: TypeId) -> impl Iterator<Item = &'a Applied> {
        let log = self.log;
        let is_newest = move |version: &&Applied| {
            !log.iter().any(|other| other.ty == ty && other.id == version.id && other.seq > version.seq)
        };
        log.iter().filter(move |version| version.ty == ty && version.op != Op::Delete).filter(is_newest)
    }

    fn refers(from: &Applied, by: ParamId, to: &Applied) -> bool {
        from.entries
            .iter()
            .any(|entry| entry.param == by && entry.value == Value::Reference { ty: to.ty, id: to.id.clone() })
    }

    fn passes(&self, version: &Applied, filter: &Filter) -> bool {
        match filter {
            Filter::All => true,
            Filter::And(filters) => filters.iter().all(|filter| self.passes(version, filter)),
            Filter::Or(filters) => filters.iter().any(|filter| self.passes(version, filter)),
            Filter::Not(filter) => !self.passes(version, filter),
            Filter::Match { param, test } => {
                version.entries.iter().any(|entry| entry.param == *param && passes(&entry.value, test))
            }
            Filter::Missing(param) => !version.entries.iter().any(|entry| entry.param == *param),
            Filter::Chain { param, target, filter } => self
                .current(*target)
                .any(|target| Plain::refers(version, *param, target) && self.passes(target, filter)),
            Filter::Has { source, param, filter } => self
                .current(*source)
                .any(|source| Plain::refers(source, *param, version) && self.passes(source, filter)),
            Filter::Ids(ids) => ids.contains(&version.id),
            Filter::LastUpdated(test) => {
                compare_ranges(test.comparator, (test.start, test.end), (version.at_us, version.at_us))
            }
            Filter::Nothing | Filter::InList(_) | Filter::Terminology { .. } => false,
        }
    }
}

/// How two values of one parameter are ordered: by start, number or text.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String { normalized: a, .. }, Value::String { normalized: b, .. }) => Some(a.cmp(b)),
        (Value::Date { start: a, .. }, Value::Date { start: b, .. }) => Some(a.cmp(b)),
        (Value::Number { low: a, .. }, Value::Number { low: b, .. }) => a.partial_cmp(b),
        (Value::Quantity(a), Value::Quantity(b)) => a.low.partial_cmp(&b.low),
        (Value::Uri(a), Value::Uri(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn expected_order(found: &mut [&Applied], sorts: &[Sort]) {
    let best = |version: &Applied, sort: &Sort| -> Option<Value> {
        let SortBy::Param(by) = sort.by else { return None };
        let values = version.entries.iter().filter(|entry| entry.param == by).map(|entry| entry.value.clone());
        let order = |a: &Value, b: &Value| compare(a, b).unwrap_or(Ordering::Equal);
        if sort.descending { values.max_by(order) } else { values.min_by(order) }
    };
    found.sort_by(|a, b| {
        for sort in sorts {
            let order = match (best(a, sort), best(b, sort)) {
                (Some(a), Some(b)) => compare(&a, &b).unwrap_or(Ordering::Equal),
                (Some(_), None) => return Ordering::Less,
                (None, Some(_)) => return Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
            let order = if sort.descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        b.seq.cmp(&a.seq)
    });
}

fn sorts(random: &mut Random, ty: TypeId) -> Vec<Sort> {
    let sort = |random: &mut Random| {
        let which = random.of(&[STRING, DATE, QUANTITY, NUMBER, URI]);
        Sort { by: SortBy::Param(param(ty, which)), descending: random.below(2) == 0 }
    };
    (0..random.below(3)).map(|_| sort(random)).collect()
}

fn change(random: &mut Random, world: &mut World) {
    for _ in 0..random.below(25) {
        let ty = random.of(&[PATIENT, OBSERVATION]);
        let id = random.below(12).to_string();
        if random.below(5) == 0 {
            world.put(ty, &id, Op::Delete, Vec::new());
        } else {
            let entries = entries(random, ty);
            world.put(ty, &id, Op::Update, entries);
        }
    }
}

fn tidy(random: &mut Random, world: &mut World, limits: Limits) {
    match random.below(8) {
        0 | 1 => world.index.flush().unwrap(),
        2 => world.index.merge_all(0).unwrap(),
        3 => world.reopen(limits),
        4 => world.index.maintain(0).unwrap(),
        _ => {}
    }
}

/// Walks all pages of a search while the data change, and compares with what the first page's moment had.
fn check(random: &mut Random, world: &mut World, limits: Limits) {
    let ty = random.of(&[PATIENT, OBSERVATION]);
    let filter = filter(random, ty, 3);
    let sorts = sorts(random, ty);
    let plain = Plain { log: &world.log };
    let mut expected: Vec<&Applied> = plain.current(ty).filter(|version| plain.passes(version, &filter)).collect();
    expected_order(&mut expected, &sorts);
    let expected: Vec<u64> = expected.iter().map(|version| version.seq).collect();
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let limit = 1 + random.below(6) as usize;
        let request = SearchRequest {
            types: &[ty],
            filter: &filter,
            sort: &sorts,
            cursor: cursor.as_deref(),
            limit,
            total: true,
        };
        let page = world.search(&request, 0).unwrap();
        assert_eq!(page.total, Some(expected.len() as u64), "{filter:?}");
        assert!(page.seqs.len() <= limit);
        found.extend(page.seqs);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        change(random, world);
        tidy(random, world, limits);
    }
    assert_eq!(found, expected, "{filter:?} sorted by {sorts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_a_plain_look_at_everything(seed in any::<u64>()) {
        let mut random = Random { state: seed, single: seed % 2 == 0 };
        let limits = Limits {
            table_versions_max: random.of(&[7, 30, 1000]),
            merge_segments: 2 + random.below(3) as usize,
            summary_keys: random.of(&[[2, 1], [4, 2], [9, 2], [5, 64], [1024, 64]]),
            keys_per_body: random.of(&[0, 300]),
            keys_per_lookup: random.of(&[0, 40]),
            ..Limits::default()
        };
        let mut world = World::new(limits);
        for _ in 0..12 {
            change(&mut random, &mut world);
            tidy(&mut random, &mut world, limits);
            check(&mut random, &mut world, limits);
        }
    }
}
