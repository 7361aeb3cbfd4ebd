//! Counters: what they are after any history of changes, folds and restarts.

use crate::recovery::after;
use crate::support::{Fixture, batch, fixture, of_format, write};
use proptest::prelude::*;
use std::collections::BTreeMap;
use store::{Batch, CounterChange};

fn change(name: &str, key: impl Into<String>, delta: i64) -> CounterChange {
    CounterChange { name: name.into(), key: key.into(), delta }
}

async fn add(fixture: &Fixture, counters: Vec<CounterChange>) {
    fixture.tenant.commit(Batch { counters, ..Batch::default() }).await.unwrap();
}

async fn counters(fixture: &Fixture, name: &str) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    let mut of_name = |of: &str, key: &str, n| found.extend((of == name).then(|| (key.to_owned(), n)));
    fixture.tenant.counters(&mut of_name).await.unwrap();
    found
}

#[tokio::test]
async fn they_change_with_their_batch_or_not_at_all() {
    let fixture = fixture();
    let full = |delta| change("status", "full", delta);
    let mut first = batch(vec![write("a", 0, "x")]);
    first.counters = vec![full(3), full(-1)];
    fixture.tenant.commit(first).await.unwrap();
    let mut refused = batch(vec![write("a", 0, "x")]);
    refused.counters = vec![full(100)];
    fixture.tenant.commit(refused).await.unwrap_err();
    assert_eq!(counters(&fixture, "status").await, [("full".to_owned(), 2)]);
    add(&fixture, vec![full(-2)]).await;
    assert_eq!(counters(&fixture, "status").await, []);
}

#[tokio::test]
async fn a_fold_of_many_blocks_changes_none_and_keeps_nothing_twice() {
    let fixture = fixture();
    let long = |n: usize| format!("{n:04} {}", "x".repeat(60));
    add(&fixture, (0..3_000).map(|n| change("many", long(n), 1)).collect()).await;
    fixture.tenant.compact().unwrap();
    add(
        &fixture,
        (0..3_000).filter(|n| n % 3 > 0).map(|n| change("many", long(n), if n % 3 == 1 { -1 } else { 5 })).collect(),
    )
    .await;
    let expected: Vec<_> =
        (0..3_000).filter(|n| n % 3 != 1).map(|n| (long(n), if n % 3 == 2 { 6 } else { 1 })).collect();
    assert_eq!(counters(&fixture, "many").await, expected, "before the fold");
    fixture.tenant.compact().unwrap();
    assert_eq!(counters(&fixture, "many").await, expected, "after it");
    // What a fold leaves behind that was killed before its end.
    let fixture =
        after(fixture, "INSERT INTO tally_block SELECT gen + 1, name, no, data FROM tally_block WHERE no < 2");
    assert_eq!(counters(&fixture, "many").await, expected, "opened again");
    fixture.tenant.compact().unwrap();
    assert_eq!(counters(&fixture, "many").await, expected, "folded again");
    let report = fixture.tenant.doctor(false).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
}

/// The file was written by the last weir of format 3 under this key; it has two counters of three keys.
#[tokio::test]
async fn those_of_format_3_are_taken_over() {
    let mut fixture = of_format(3, include_bytes!("../data/format-3.db.zst"));
    for _ in 0..2 {
        assert_eq!(counters(&fixture, "status").await, [("full".to_owned(), 2), ("none".to_owned(), 7)]);
        assert_eq!(counters(&fixture, "doses").await, [("208".to_owned(), 1)]);
        fixture.tenant.compact().unwrap();
        fixture = fixture.reopen();
    }
    assert!(fixture.tenant.doctor(false).unwrap().problems.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<(u8, u8, i8)>),
    Fold,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..3_u8, 0..12_u8, -3..4_i8), 1..6).prop_map(Step::Add),
        1 => Just(Step::Fold),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn they_are_the_sum_of_their_changes(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fixture = fixture();
            let mut model: BTreeMap<(String, String), i64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Add(changes) => {
                        let named = changes.into_iter().map(|(name, key, n)| change(&format!("c{name}"), format!("k{key}"), n.into()));
                        let named: Vec<_> = named.collect();
                        for change in &named {
                            *model.entry((change.name.clone(), change.key.clone())).or_default() += change.delta;
                        }
                        add(&fixture, named).await;
                    }
                    Step::Fold => { fixture.tenant.compact().unwrap(); }
                    Step::Reopen => fixture = fixture.reopen(),
                }
                for name in ["c0", "c1", "c2"] {
                    let expected: Vec<_> = model.iter().filter(|((of, _), n)| of == name && **n != 0).map(|((_, key), n)| (key.clone(), *n)).collect();
                    assert_eq!(counters(&fixture, name).await, expected);
                }
            }
        });
    }
}
