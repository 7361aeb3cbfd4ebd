//! History of an instance, a type, everything; and random histories against a model.

use crate::support::{Fixture, batch, body, delete, fixture, patient, write};
use proptest::prelude::*;
use std::collections::BTreeMap;
use store::{HistoryRequest, HistoryScope, Op, StoreError};

fn request(scope: HistoryScope, limit: usize) -> HistoryRequest {
    HistoryRequest { scope, since_us: None, at_us: None, cursor: None, limit }
}

async fn all(fixture: &Fixture, mut request: HistoryRequest) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    loop {
        let page = fixture.tenant.history(&request).await.unwrap();
        assert!(page.versions.len() <= request.limit);
        seen.extend(page.versions.into_iter().map(|version| (version.id, version.version)));
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn histories_page_newest_first() {
    let fixture = fixture();
    for version in 0..5 {
        fixture.clock.advance_us(10);
        fixture.put("a", version, "x").await.unwrap();
        fixture.put("b", version, "x").await.unwrap();
    }
    fixture.tenant.commit(batch(vec![delete("b", 5)])).await.unwrap();
    let instance = HistoryScope::Instance(patient(), "a".into());
    let expected: Vec<_> = (1..=5).rev().map(|version| ("a".to_owned(), version)).collect();
    assert_eq!(all(&fixture, request(instance.clone(), 2)).await, expected);
    assert_eq!(all(&fixture, request(HistoryScope::Type(patient()), 3)).await.len(), 11);
    assert_eq!(all(&fixture, request(HistoryScope::System, 4)).await[0], ("b".to_owned(), 6));
    let page = fixture.tenant.history(&request(instance, 2)).await.unwrap();
    assert_eq!(page.total, Some(5));
    let nothing = fixture.tenant.history(&request(HistoryScope::System, 0)).await.unwrap();
    assert_eq!((nothing.versions.len(), nothing.total, nothing.next), (0, Some(11), None));
    for cursor in ["x", "-1", "9223372036854775808"] {
        let wrong = HistoryRequest { cursor: Some(cursor.into()), ..request(HistoryScope::System, 2) };
        assert!(matches!(fixture.tenant.history(&wrong).await, Err(StoreError::InvalidCursor)), "{cursor}");
    }
    let unknown = HistoryScope::Instance(patient(), "zzz".into());
    assert!(fixture.tenant.history(&request(unknown, 2)).await.unwrap().versions.is_empty());
}

#[tokio::test]
async fn since_and_at_select_by_time() {
    let fixture = fixture();
    let start = fixture.tenant.now_us();
    for version in 0..4 {
        fixture.put("a", version, "x").await.unwrap();
        fixture.clock.advance_us(100);
    }
    // Versions 1 to 4 begin at 0, 100, 200, 300.
    let instance = HistoryScope::Instance(patient(), "a".into());
    for scope in [instance, HistoryScope::Type(patient()), HistoryScope::System] {
        let versions = |mut request: HistoryRequest, since: Option<i64>, at: Option<(i64, i64)>| {
            request.since_us = since.map(|us| start + us);
            request.at_us = at.map(|(from, to)| (start + from, start + to));
            request
        };
        let since = all(&fixture, versions(request(scope.clone(), 10), Some(200), None)).await;
        assert_eq!(since.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [4, 3]);
        let at = all(&fixture, versions(request(scope.clone(), 10), None, Some((150, 250)))).await;
        assert_eq!(at.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [3, 2]);
        let at = all(&fixture, versions(request(scope, 10), None, Some((500, 600)))).await;
        assert_eq!(at.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [4]);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    /// A write that expects a version which cannot be.
    Stale(u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..5_u8, any::<u8>()).prop_map(|(id, text)| Step::Put(id, text)),
        2 => (0..5_u8).prop_map(Step::Delete),
        1 => (0..5_u8).prop_map(Step::Stale),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_random_history_is_what_a_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fixture = fixture();
            // Per id: the texts of its versions, `None` for a deletion.
            let mut model: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
            let mut writes = 0;
            for step in steps {
                match step {
                    Step::Put(id, text) => {
                        let (id, text) = (format!("r{id}"), format!("t{text}"));
                        let versions = model.entry(id.clone()).or_default();
                        fixture.put(&id, versions.len() as u64, &text).await.unwrap();
                        versions.push(Some(text));
                        writes += 1;
                    }
                    Step::Delete(id) => {
                        let id = format!("r{id}");
                        if let Some(versions) = model.get_mut(&id).filter(|versions| versions.last().is_some_and(Option::is_some)) {
                            fixture.tenant.commit(batch(vec![delete(&id, versions.len() as u64)])).await.unwrap();
                            versions.push(None);
                            writes += 1;
                        }
                    }
                    Step::Stale(id) => {
                        let result = fixture.tenant.commit(batch(vec![write(&format!("r{id}"), 999, "x")])).await;
                        assert!(result.is_err());
                    }
                    Step::Reopen => fixture = fixture.reopen(),
                }
            }
            for (id, versions) in &model {
                for (at, text) in versions.iter().enumerate() {
                    let stored = fixture.tenant.read_version(patient(), id, at as u64 + 1).await.unwrap().unwrap();
                    match text {
                        Some(text) => assert_eq!(stored.body, body(id, text).into_bytes()),
                        None => assert_eq!(stored.op, Op::Delete),
                    }
                }
            }
            let changes = fixture.tenant.changes(0, 1000).await.unwrap();
            assert!(changes.iter().map(|change| change.seq).eq(1..=writes));
            let current = model.values().filter(|versions| versions.last().is_some_and(Option::is_some)).count();
            let counts = fixture.tenant.stats().await.unwrap().counts;
            assert_eq!(counts.iter().map(|(_, count)| *count).sum::<u64>(), current as u64);
            let report = fixture.tenant.doctor(false).unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
        });
    }
}
