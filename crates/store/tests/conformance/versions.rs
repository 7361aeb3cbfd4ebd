//! Versions, preconditions, atomicity, dense change numbers.

use crate::support::{batch, body, delete, fixture, is_conflict, patient, write};
use std::collections::BTreeSet;
use store::{Op, StoreError};

#[tokio::test]
async fn versions_follow_each_other_and_stay_readable() {
    let fixture = fixture();
    fixture.put("a", 0, "one").await.unwrap();
    fixture.clock.advance_us(1);
    fixture.put("a", 1, "two").await.unwrap();
    fixture.tenant.commit(batch(vec![delete("a", 2)])).await.unwrap();
    fixture.put("a", 3, "four").await.unwrap();

    let tenant = &fixture.tenant;
    let current = tenant.read(patient(), "a").await.unwrap().unwrap();
    assert_eq!((current.version, current.seq, current.op), (4, 4, Op::Update));
    for (version, text) in [(1, Some("one")), (2, Some("two")), (3, None), (4, Some("four"))] {
        let stored = tenant.read_version(patient(), "a", version).await.unwrap().unwrap();
        assert_eq!(stored.version, version);
        assert_eq!(stored.body, text.map_or(String::new(), |text| body("a", text)).into_bytes());
    }
    assert_eq!(tenant.read_version(patient(), "a", 5).await.unwrap(), None);
    assert_eq!(tenant.read_version(patient(), "a", 0).await.unwrap(), None);
    assert_eq!(tenant.read(patient(), "b").await.unwrap(), None);
}

#[tokio::test]
async fn a_read_puts_version_and_time_into_meta() {
    let fixture = fixture();
    fixture.put("a", 0, "x").await.unwrap();
    let json = String::from_utf8(fixture.tenant.read(patient(), "a").await.unwrap().unwrap().json()).unwrap();
    assert_eq!(
        json,
        r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"2026-09-21T14:13:20.000000Z"},"name":[{"family":"x"}]}"#
    );
}

#[tokio::test]
async fn a_stale_write_is_refused_and_says_what_is_current() {
    let fixture = fixture();
    assert!(is_conflict(&fixture.put("a", 1, "x").await, 0, 0));
    fixture.put("a", 0, "one").await.unwrap();
    assert!(is_conflict(&fixture.put("a", 0, "x").await, 0, 1));
    assert!(is_conflict(&fixture.put("a", 2, "x").await, 0, 1));
    assert_eq!(fixture.body("a").await.unwrap(), body("a", "one"));
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let fixture = fixture();
    fixture.put("b", 0, "old").await.unwrap();
    let result = fixture.tenant.commit(batch(vec![write("a", 0, "x"), write("b", 0, "x"), write("c", 0, "x")])).await;
    assert!(is_conflict(&result, 1, 1));
    assert_eq!(fixture.body("a").await, None);
    assert_eq!(fixture.body("c").await, None);
    let committed = fixture.tenant.commit(batch(vec![write("a", 0, "x"), write("b", 1, "y")])).await.unwrap();
    assert_eq!(committed.seqs, [2, 3]);
    let twice = fixture.tenant.commit(batch(vec![write("d", 0, "x"), write("d", 1, "y")])).await;
    assert!(matches!(twice, Err(store::CommitError::Store(StoreError::Limit(_)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_numbers_are_dense_under_concurrent_writers() {
    let fixture = fixture();
    let mut tasks = Vec::new();
    for writer in 0..32 {
        let tenant = fixture.tenant.clone();
        tasks.push(tokio::spawn(async move {
            let mut seqs = Vec::new();
            for round in 0..20 {
                let id = format!("w{writer}-{round}");
                seqs.extend(tenant.commit(batch(vec![write(&id, 0, "x")])).await.unwrap().seqs);
                // Everybody fights for one resource; losers use up no number.
                drop(tenant.commit(batch(vec![write("shared", round, "x")])).await);
            }
            seqs
        }));
    }
    let mut seen = BTreeSet::new();
    for task in tasks {
        for seq in task.await.unwrap() {
            assert!(seen.insert(seq), "change number {seq} was given twice");
        }
    }
    let changes = fixture.tenant.changes(0, 10_000).await.unwrap();
    assert!(changes.iter().map(|change| change.seq).eq(1..=changes.len() as u64));
    assert!(changes.is_sorted_by_key(|change| change.at_us));
    let shared: Vec<_> = changes.iter().filter(|change| change.id == "shared").map(|change| change.version).collect();
    assert!(shared.iter().copied().eq(1..=shared.len() as u64));
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut fixture = fixture();
    for id in ["019a0000-1234-7abc-8def-0123456789ab", "plain", "exactly15chars-", "exactly16chars-x"] {
        fixture.put(id, 0, id).await.unwrap();
    }
    fixture.tenant.commit(batch(vec![delete("plain", 1)])).await.unwrap();
    fixture = fixture.reopen();
    assert_eq!(fixture.body("plain").await, None);
    for id in ["019a0000-1234-7abc-8def-0123456789ab", "exactly15chars-", "exactly16chars-x"] {
        assert_eq!(fixture.body(id).await.unwrap(), body(id, id));
    }
    assert_eq!(fixture.put("new", 0, "x").await.unwrap().seqs, [6]);
}

#[tokio::test]
async fn many_similar_bodies_get_a_dictionary_and_stay_readable() {
    let mut fixture = fixture();
    for n in 0..600 {
        fixture.put(&format!("p{n}"), 0, &format!("family number {n} of a long list of names")).await.unwrap();
    }
    let before = fixture.tenant.compact().unwrap();
    assert!(before > 0, "bodies written before training are written anew");
    fixture.put("later", 0, "written with the dictionary").await.unwrap();
    fixture = fixture.reopen();
    for n in [0, 1, 599] {
        let text = format!("family number {n} of a long list of names");
        assert_eq!(fixture.body(&format!("p{n}")).await.unwrap(), body(&format!("p{n}"), &text));
    }
    assert!(fixture.body("later").await.is_some());
    assert!(fixture.tenant.doctor(false).unwrap().problems.is_empty());
}
