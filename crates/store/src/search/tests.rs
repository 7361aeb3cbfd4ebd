//! Searches whose answers can be read off the data.

use super::{Found, Resources};
use crate::embedded::Applied;
use crate::index::memory::{MemoryStorage, TestKeys};
use crate::index::{Index, Limits, Schema};
use crate::{Op, SearchRequest, Seq, StoreError};
use fhir::defs::{ParamId, TypeId};
use fhir::index::{Entry, Value};
use fhir::query::{Comparator, DateTest, Filter, Sort, SortBy, SystemTest, Test};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) const PATIENT: TypeId = TypeId(1);
pub(super) const OBSERVATION: TypeId = TypeId(2);
const NAME: ParamId = ParamId(10);
const BIRTH: ParamId = ParamId(11);
const SUBJECT: ParamId = ParamId(20);
const CODE: ParamId = ParamId(21);

fn schema(fingerprint: u64) -> Schema {
    Schema { fingerprint, id_param: |ty| Some(ParamId(100 + ty.0)) }
}

/// An index with the log that it was made from.
pub(super) struct World {
    pub(super) storage: Arc<MemoryStorage>,
    pub(super) index: Index,
    pub(super) log: Vec<Applied>,
}

impl Resources for World {
    fn values(&self, seq: Seq, param: ParamId) -> Result<Vec<Value>, StoreError> {
        let entries = &self.log[seq as usize - 1].entries;
        Ok(entries.iter().filter(|entry| entry.param == param).map(|entry| entry.value.clone()).collect())
    }

    fn seq_at(&self, at_us: i64) -> Result<Seq, StoreError> {
        // One version each 10 microseconds, the first at 10.
        Ok((at_us.max(0) as u64 / 10).min(self.log.len() as u64))
    }
}

impl World {
    pub(super) fn new(limits: Limits) -> World {
        let storage = Arc::new(MemoryStorage::default());
        let index = open(&storage, 7, 1, limits).unwrap();
        World { storage, index, log: Vec::new() }
    }

    /// Puts a version; the one it replaces is found by type and id.
    pub(super) fn put(&mut self, ty: TypeId, id: &str, op: Op, entries: Vec<Entry>) -> Seq {
        let prev = self.log.iter().rposition(|version| version.ty == ty && version.id == id);
        let prev = prev.map_or(0, |at| at as u64 + 1);
        let seq = self.log.len() as u64 + 1;
        self.log.push(Applied { seq, ty, id: id.to_owned(), op, prev, at_us: seq as i64 * 10, entries });
        self.index.insert(&self.log[self.log.len() - 1..]);
        seq
    }

    pub(super) fn reopen(&mut self, limits: Limits) {
        self.index = open(&self.storage, 7, 1, limits).unwrap();
        self.replay();
    }

    fn replay(&self) {
        self.index.insert(&self.log);
    }

    pub(super) fn search(&self, request: &SearchRequest<'_>, now_us: i64) -> Result<Found, StoreError> {
        self.index.search(self, request, now_us)
    }

    fn ids(&self, ty: TypeId, filter: &Filter, sort: &[Sort]) -> Vec<&str> {
        let request = SearchRequest { types: &[ty], filter, sort, cursor: None, limit: 1000, total: true };
        let found = self.search(&request, 0).unwrap();
        assert_eq!(found.total, Some(found.seqs.len() as u64));
        found.seqs.iter().map(|seq| self.log[*seq as usize - 1].id.as_str()).collect()
    }
}

fn open(storage: &Arc<MemoryStorage>, key: u64, fingerprint: u64, limits: Limits) -> Result<Index, StoreError> {
    Index::open_with(storage.clone(), Arc::new(TestKeys(key)), schema(fingerprint), limits, 1 << 20)
}

fn name(text: &str) -> Entry {
    Entry { param: NAME, value: Value::String { normalized: text.to_lowercase(), exact: text.to_owned() } }
}

fn token(param: ParamId, code: &str) -> Entry {
    Entry { param, value: Value::Token { system: Some("http://s".to_owned()), code: code.to_owned() } }
}

fn subject(id: &str) -> Entry {
    Entry { param: SUBJECT, value: Value::Reference { ty: PATIENT, id: id.to_owned() } }
}

fn by_code(code: &str) -> Filter {
    Filter::Match { param: CODE, test: Test::Token { system: SystemTest::Any, code: Some(code.to_owned()) } }
}

fn starts(text: &str) -> Filter {
    Filter::Match { param: NAME, test: Test::StringStarts(text.to_owned()) }
}

fn birth(start: i64) -> Entry {
    Entry { param: BIRTH, value: Value::Date { start, end: start + 9 } }
}

fn family() -> World {
    let mut world = World::new(Limits::default());
    world.put(PATIENT, "p1", Op::Create, vec![name("Meyer"), birth(100)]);
    world.put(PATIENT, "p2", Op::Create, vec![name("Meier"), birth(50)]);
    world.put(PATIENT, "p3", Op::Create, vec![name("Smith")]);
    world.put(OBSERVATION, "o1", Op::Create, vec![subject("p1"), token(CODE, "bp")]);
    world.put(OBSERVATION, "o2", Op::Create, vec![subject("p2"), token(CODE, "hr")]);
    world.put(OBSERVATION, "o3", Op::Create, vec![subject("p1"), token(CODE, "hr")]);
    world
}

/// Runs `check` with everything in memory, in a segment, in several segments, merged, and reopened.
fn in_all_states(mut world: World, check: impl Fn(&World)) {
    check(&world);
    world.index.flush().unwrap();
    check(&world);
    world.reopen(Limits::default());
    check(&world);
    world.index.merge_all(0).unwrap();
    check(&world);
}

#[test]
fn strings_by_prefix_part_and_negation() {
    in_all_states(family(), |world| {
        assert_eq!(world.ids(PATIENT, &starts("me"), &[]), ["p2", "p1"]);
        let contains = Filter::Match { param: NAME, test: Test::StringContains("mit".to_owned()) };
        assert_eq!(world.ids(PATIENT, &contains, &[]), ["p3"]);
        assert_eq!(world.ids(PATIENT, &Filter::Not(Box::new(starts("me"))), &[]), ["p3"]);
        assert_eq!(world.ids(PATIENT, &Filter::Missing(BIRTH), &[]), ["p3"]);
        let both = Filter::And(vec![starts("me"), Filter::Not(Box::new(Filter::Missing(BIRTH)))]);
        assert_eq!(world.ids(PATIENT, &both, &[]), ["p2", "p1"]);
        assert_eq!(world.ids(PATIENT, &Filter::Ids(vec!["p3".to_owned(), "nobody".to_owned()]), &[]), ["p3"]);
    });
}

#[test]
fn chains_and_has() {
    in_all_states(family(), |world| {
        let chain = Filter::Chain { param: SUBJECT, target: PATIENT, filter: Box::new(starts("meye")) };
        assert_eq!(world.ids(OBSERVATION, &chain, &[]), ["o3", "o1"]);
        let has = Filter::Has { source: OBSERVATION, param: SUBJECT, filter: Box::new(by_code("hr")) };
        assert_eq!(world.ids(PATIENT, &has, &[]), ["p2", "p1"]);
        let both = Filter::Chain { param: SUBJECT, target: PATIENT, filter: Box::new(has) };
        assert_eq!(world.ids(OBSERVATION, &both, &[]), ["o3", "o2", "o1"]);
    });
}

#[test]
fn sorted_with_missing_values_last() {
    let by = |by: SortBy, descending: bool| Sort { by, descending };
    in_all_states(family(), |world| {
        let ids = |sort: Sort| world.ids(PATIENT, &Filter::All, &[sort]);
        assert_eq!(ids(by(SortBy::Param(BIRTH), false)), ["p2", "p1", "p3"]);
        assert_eq!(ids(by(SortBy::Param(BIRTH), true)), ["p1", "p2", "p3"]);
        assert_eq!(ids(by(SortBy::Param(NAME), false)), ["p2", "p1", "p3"]);
        assert_eq!(ids(by(SortBy::Id, true)), ["p3", "p2", "p1"]);
        assert_eq!(ids(by(SortBy::LastUpdated, false)), ["p1", "p2", "p3"]);
        let twice = [by(SortBy::Param(CODE), true), by(SortBy::Id, false)];
        assert_eq!(world.ids(OBSERVATION, &Filter::All, &twice), ["o2", "o3", "o1"]);
    });
}

#[test]
fn updates_and_deletes_replace_what_was_found() {
    let mut world = family();
    world.put(PATIENT, "p1", Op::Update, vec![name("Miller")]);
    world.put(PATIENT, "p3", Op::Delete, vec![]);
    in_all_states(world, |world| {
        assert_eq!(world.ids(PATIENT, &starts("me"), &[]), ["p2"]);
        assert_eq!(world.ids(PATIENT, &Filter::All, &[]), ["p1", "p2"]);
        let chain = Filter::Chain { param: SUBJECT, target: PATIENT, filter: Box::new(starts("mil")) };
        assert_eq!(world.ids(OBSERVATION, &chain, &[]), ["o3", "o1"]);
        assert_eq!(world.index.counts(), [(PATIENT, 2), (OBSERVATION, 3)]);
    });
}

#[test]
fn last_updated_compares_commit_times() {
    let world = family();
    let ids =
        |comparator, start, end| world.ids(PATIENT, &Filter::LastUpdated(DateTest { comparator, start, end }), &[]);
    assert_eq!(ids(Comparator::Eq, 20, 20), ["p2"]);
    assert_eq!(ids(Comparator::Ne, 20, 20), ["p3", "p1"]);
    assert_eq!(ids(Comparator::Lt, 20, 29), ["p1"]);
    assert_eq!(ids(Comparator::Le, 20, 29), ["p2", "p1"]);
    assert_eq!(ids(Comparator::Gt, 20, 29), ["p3"]);
    assert_eq!(ids(Comparator::Ge, 11, 20), ["p3", "p2"]);
}

#[test]
fn pages_do_not_change_under_writes_until_they_expire() {
    let limits = Limits { table_versions_max: 3, merge_segments: 2, ..Limits::default() };
    let mut world = World::new(limits);
    for n in 0..10 {
        world.put(PATIENT, &format!("p{n}"), Op::Create, vec![name("Meyer")]);
    }
    let filter = starts("m");
    let page = |world: &World, cursor: Option<&str>, now_us| {
        let request = SearchRequest { types: &[PATIENT], filter: &filter, sort: &[], cursor, limit: 4, total: true };
        world.search(&request, now_us)
    };
    let first = page(&world, None, 0).unwrap();
    assert_eq!((first.seqs.as_slice(), first.total, &first.previous), (&[10, 9, 8, 7][..], Some(10), &None));
    for n in 0..10 {
        world.put(PATIENT, &format!("p{n}"), if n % 2 == 0 { Op::Update } else { Op::Delete }, vec![]);
        world.index.maintain(1_000_000).unwrap();
    }
    let second = page(&world, first.next.as_deref(), 2_000_000).unwrap();
    assert_eq!((second.seqs.as_slice(), second.total), (&[6, 5, 4, 3][..], Some(10)));
    let third = page(&world, second.next.as_deref(), 2_000_000).unwrap();
    assert_eq!((third.seqs.as_slice(), &third.next), (&[2, 1][..], &None));
    let back = page(&world, third.previous.as_deref(), 2_000_000).unwrap();
    assert_eq!(back, second);
    assert_eq!(page(&world, None, 0).unwrap().total, Some(0));
    // Ten minutes after the last link was handed out.
    world.index.maintain(603_000_001).unwrap();
    assert!(matches!(page(&world, first.next.as_deref(), 0), Err(StoreError::SnapshotExpired)));
    let other = SearchRequest {
        types: &[PATIENT],
        filter: &Filter::All,
        sort: &[],
        cursor: first.next.as_deref(),
        limit: 4,
        total: true,
    };
    assert!(matches!(world.search(&other, 0), Err(StoreError::InvalidCursor)));
}

#[test]
fn dead_versions_leave_the_segments() {
    let mut world = World::new(Limits::default());
    for round in 0..20 {
        for n in 0..50 {
            world.put(PATIENT, &format!("p{n}"), Op::Update, vec![name(&format!("Meyer {round}"))]);
        }
        world.index.flush().unwrap();
    }
    world.index.maintain(0).unwrap();
    world.index.merge_all(0).unwrap();
    world.index.maintain(0).unwrap();
    world.index.merge_all(0).unwrap();
    let state = world.index.state.load();
    assert_eq!(state.segments.len(), 1);
    // Name, presence, id token, its presence, id hash, forward pair: 6 rows for each current version.
    assert_eq!(state.segments[0].info.rows, 50 * 6);
    assert_eq!(world.ids(PATIENT, &starts("meyer 19"), &[]).len(), 50);
    assert_eq!(world.ids(PATIENT, &starts("meyer 18"), &[]).len(), 0);
}

#[test]
fn what_is_only_in_memory_is_written_when_nothing_happens() {
    let world = family();
    for (now_us, pending) in [(0, 6), (29_999_999, 6), (30_000_000, 0)] {
        world.index.maintain(now_us).unwrap();
        assert_eq!(world.index.pending(), pending);
    }
    assert_eq!((world.index.segments(), world.index.applied()), (1, 6));
}

#[test]
fn only_the_right_key_opens() {
    let world = family();
    world.index.flush().unwrap();
    assert!(matches!(open(&world.storage, 8, 1, Limits::default()), Err(StoreError::Unseal(_))));
    world.storage.damage();
    assert!(matches!(open(&world.storage, 7, 1, Limits::default()), Err(StoreError::Unseal(_))));
}

#[test]
fn other_definitions_begin_again() {
    let mut world = family();
    world.index.flush().unwrap();
    assert_eq!(world.index.applied(), 6);
    world.index = open(&world.storage, 7, 2, Limits::default()).unwrap();
    assert_eq!((world.index.applied(), world.storage.block_count()), (0, 0));
    world.replay();
    assert_eq!(world.ids(PATIENT, &starts("me"), &[]), ["p2", "p1"]);
}

#[test]
fn nothing_is_stored_in_clear() {
    let world = family();
    world.index.flush().unwrap();
    let stored = world.storage.dump();
    for clear in ["meyer", "Meyer", "smith", "p1", "http://s"] {
        let bytes = clear.as_bytes();
        assert!(!stored.windows(bytes.len()).any(|window| window == bytes), "{clear} is readable");
    }
    assert!(!stored.is_empty());
}

#[test]
fn explain_shows_sizes_and_no_values() {
    let world = family();
    let filter = Filter::And(vec![starts("me"), Filter::Not(Box::new(Filter::Missing(BIRTH)))]);
    let request =
        SearchRequest { types: &[PATIENT], filter: &filter, sort: &[], cursor: None, limit: 10, total: false };
    let text = world.index.explain(&world, &request).unwrap();
    assert!(text.contains("match param 10: 2") && text.contains("found: 2"), "{text}");
    assert!(!text.contains("me\""), "{text}");
}

#[test]
fn searches_are_exact_while_others_write_and_merge() {
    const IDS: u64 = 100;
    let limits = Limits { table_versions_max: 64, merge_segments: 2, idle_us: i64::MAX, ..Limits::default() };
    let world = World::new(limits);
    let versions: Vec<Applied> = (1..=8_000)
        .map(|seq| Applied {
            seq,
            ty: PATIENT,
            id: (seq % IDS).to_string(),
            op: if seq <= IDS { Op::Create } else { Op::Update },
            prev: seq.saturating_sub(IDS),
            at_us: 0,
            entries: vec![name("Meyer"), birth(seq as i64)],
        })
        .collect();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            versions.chunks(7).for_each(|chunk| world.index.insert(chunk));
            is_done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                world.index.maintain(0).unwrap();
            }
        });
        for filter in [starts("mey"), Filter::Not(Box::new(Filter::Missing(BIRTH)))] {
            let (world, is_done) = (&world, &is_done);
            scope.spawn(move || {
                while !is_done.load(Ordering::Acquire) {
                    let request = SearchRequest {
                        types: &[PATIENT],
                        filter: &filter,
                        sort: &[Sort { by: SortBy::Param(BIRTH), descending: true }],
                        cursor: None,
                        limit: 3,
                        total: true,
                    };
                    let found = world.search(&request, 0).unwrap();
                    let newest: Vec<Seq> = (0..3).filter_map(|n| found.snapshot.checked_sub(n)).collect();
                    assert_eq!(found.total, Some(found.snapshot.min(IDS)));
                    assert!(found.snapshot < 3 || found.seqs == newest, "{:?} at {}", found.seqs, found.snapshot);
                }
            });
        }
    });
    assert!(world.index.applied() > 0);
}
