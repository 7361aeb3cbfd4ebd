//! Claims, events, blobs, audit.

use crate::support::{START_US, batch, fixture, write};
use store::{AuditQuery, AuditRecord, Batch, ClaimChange, CommitError, Event, StateChange};

fn take(key: &str, owner: &str, expires_us: Option<i64>) -> Batch {
    let claim = ClaimChange::Take { key: key.into(), owner: owner.into(), expires_us };
    Batch { claims: vec![claim], ..Batch::default() }
}

#[tokio::test]
async fn a_claim_has_one_owner_until_it_is_released_or_expires() {
    let mut fixture = fixture();
    fixture.tenant.commit(take("slot", "ann", None)).await.unwrap();
    fixture.tenant.commit(take("slot", "ann", Some(START_US + 10))).await.unwrap();
    let refused = fixture.tenant.commit(Batch { writes: vec![write("a", 0, "x")], ..take("slot", "bob", None) }).await;
    assert!(matches!(refused, Err(CommitError::ClaimTaken { key }) if key == "slot"));
    assert_eq!(fixture.body("a").await, None);
    assert_eq!(fixture.tenant.claim("slot").await.unwrap().as_deref(), Some("ann"));
    fixture = fixture.reopen();
    fixture.clock.advance_us(10);
    assert_eq!(fixture.tenant.claim("slot").await.unwrap(), None);
    fixture.tenant.commit(take("slot", "bob", None)).await.unwrap();
    let release = |owner: &str| Batch {
        claims: vec![ClaimChange::Release { key: "slot".into(), owner: owner.into() }],
        ..Batch::default()
    };
    fixture.tenant.commit(release("ann")).await.unwrap();
    assert_eq!(fixture.tenant.claim("slot").await.unwrap().as_deref(), Some("bob"));
    fixture.tenant.commit(release("bob")).await.unwrap();
    assert_eq!(fixture.tenant.claim("slot").await.unwrap(), None);
}

#[tokio::test]
async fn claims_of_one_batch_count_in_their_order() {
    let fixture = fixture();
    let changes = |claims: Vec<ClaimChange>| Batch { claims, ..Batch::default() };
    let taking = |owner: &str| ClaimChange::Take { key: "slot".into(), owner: owner.into(), expires_us: None };
    let releasing = |owner: &str| ClaimChange::Release { key: "slot".into(), owner: owner.into() };
    let both = fixture.tenant.commit(changes(vec![taking("ann"), taking("bob")])).await;
    assert!(matches!(both, Err(CommitError::ClaimTaken { key }) if key == "slot"));
    assert_eq!(fixture.tenant.claim("slot").await.unwrap(), None);
    fixture.tenant.commit(changes(vec![taking("ann"), taking("ann")])).await.unwrap();
    let not_hers = fixture.tenant.commit(changes(vec![releasing("eve"), taking("eve")])).await;
    assert!(matches!(not_hers, Err(CommitError::ClaimTaken { .. })));
    fixture.tenant.commit(changes(vec![releasing("ann"), taking("bob")])).await.unwrap();
    assert_eq!(fixture.tenant.claim("slot").await.unwrap().as_deref(), Some("bob"));
}

#[tokio::test]
async fn events_are_numbered_in_the_order_of_their_commits_and_stay() {
    let fixture = fixture();
    let event = |topic: &str, text: &str| Event { topic: topic.into(), payload: text.into() };
    let first = Batch { events: vec![event("dose", "one"), event("link", "two")], ..Batch::default() };
    fixture.tenant.commit(first).await.unwrap();
    let mut refused = batch(vec![write("a", 7, "x")]);
    refused.events = vec![event("dose", "never")];
    fixture.tenant.commit(refused).await.unwrap_err();
    let fixture = fixture.reopen();
    fixture.tenant.commit(Batch { events: vec![event("dose", "three")], ..Batch::default() }).await.unwrap();
    let all = fixture.tenant.events("dose", 0, 10).await.unwrap();
    assert_eq!(all.iter().map(|event| event.payload.as_slice()).collect::<Vec<_>>(), [b"one".as_slice(), b"three"]);
    assert!(all[0].no < all[1].no && all[0].at_us == START_US);
    assert_eq!(fixture.tenant.events("dose", all[0].no, 10).await.unwrap(), all[1..]);
    assert_eq!(fixture.tenant.events("dose", 0, 1).await.unwrap(), all[..1]);
}

#[tokio::test]
async fn blobs_come_back_and_are_stored_once() {
    let fixture = fixture();
    let bytes = vec![42; 100_000];
    let key = fixture.tenant.blob_put(&bytes).await.unwrap();
    assert_eq!(fixture.tenant.blob_put(&bytes).await.unwrap(), key);
    assert_eq!(fixture.tenant.blob_get(&key).await.unwrap().unwrap(), bytes);
    assert_eq!(fixture.tenant.blob_get("0").await.unwrap(), None);
}

fn record(at_us: i64, who: &str, entity: &str) -> AuditRecord {
    AuditRecord {
        at_us,
        interaction: "read".into(),
        outcome: 0,
        status: 200,
        who: who.into(),
        request_id: "r".into(),
        entity: entity.into(),
        patient: Some("Patient/p".into()),
        query: None,
    }
}

#[tokio::test]
async fn audit_records_are_numbered_and_found() {
    let mut fixture = fixture();
    for n in 0..10 {
        fixture
            .tenant
            .audit(vec![record(START_US + n, if n % 2 == 0 { "ann" } else { "bob" }, "Patient/p/_history/1")])
            .await;
    }
    let mut with_write = batch(vec![write("a", 0, "x")]);
    with_write.audit = vec![record(START_US + 10, "ann", "Patient/a")];
    fixture.tenant.commit(with_write).await.unwrap();
    fixture = fixture.reopen();
    let tenant = &fixture.tenant;
    let find = |query: AuditQuery| async move {
        let found = tenant.audit_query(&query).await.unwrap();
        found.into_iter().map(|audited| audited.no).collect::<Vec<_>>()
    };
    let all = AuditQuery { limit: 100, ..AuditQuery::default() };
    assert_eq!(find(all.clone()).await, (1..=11).rev().collect::<Vec<_>>());
    assert_eq!(find(AuditQuery { limit: 0, ..all.clone() }).await, [0; 0]);
    assert_eq!(find(AuditQuery { limit: 2, before: Some(5), ..all.clone() }).await, [4, 3]);
    assert_eq!(find(AuditQuery { who: Some("bob".into()), ..all.clone() }).await, [10, 8, 6, 4, 2]);
    assert_eq!(find(AuditQuery { entity: Some("Patient/a".into()), ..all.clone() }).await, [11]);
    assert_eq!(find(AuditQuery { entity: Some("Patient/p".into()), ..all.clone() }).await.len(), 10);
    let range = AuditQuery { from_us: Some(START_US + 3), to_us: Some(START_US + 4), ..all.clone() };
    assert_eq!(find(range).await, [5, 4]);
    assert_eq!(find(AuditQuery { interaction: Some("create".into()), ..all }).await, [0; 0]);
    assert_eq!(tenant.audit_get(5).await.unwrap().unwrap().record.at_us, START_US + 4);
    assert_eq!(tenant.audit_get(12).await.unwrap(), None);
    assert_eq!(tenant.audit_count().await.unwrap(), 11);
}

#[tokio::test]
async fn kept_state_changes_with_its_batch_and_survives() {
    let mut fixture = fixture();
    let keep = |key: &str, value: Option<&str>| StateChange {
        space: "delivery/emr".into(),
        key: key.into(),
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    let batch = |state: Vec<StateChange>| Batch { state, ..Batch::default() };
    let all = vec![keep("0002", Some("b")), keep("0001", Some("a")), keep("0003", Some("c"))];
    fixture.tenant.commit(batch(all)).await.unwrap();
    fixture.tenant.commit(batch(vec![keep("0003", None), keep("0002", Some("B"))])).await.unwrap();
    let lost = Batch { claims: take("slot", "ann", None).claims, ..batch(vec![]) };
    fixture.tenant.commit(lost).await.unwrap();
    let refused = Batch { claims: take("slot", "bob", None).claims, ..batch(vec![keep("0001", Some("x"))]) };
    assert!(fixture.tenant.commit(refused).await.is_err());
    fixture = fixture.reopen();
    assert_eq!(fixture.tenant.state("delivery/emr", "0001").await.unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(fixture.tenant.state("delivery/other", "0001").await.unwrap(), None);
    let states = |after: &'static str, limit| {
        let tenant = fixture.tenant.clone();
        async move { tenant.states("delivery/emr", after, limit).await.unwrap() }
    };
    assert_eq!(states("", 1).await, [("0001".to_owned(), b"a".to_vec())]);
    assert_eq!(states("0001", 10).await, [("0002".to_owned(), b"B".to_vec())]);
}

#[tokio::test]
async fn changes_are_counted_by_type() {
    let fixture = fixture();
    for n in 0..5 {
        fixture.put(&format!("p{n}"), 0, "x").await.unwrap();
    }
    let patient = crate::support::patient();
    let other = fhir::defs::r4().resource_by_name("Basic").unwrap();
    for (after, types, expected) in
        [(0, vec![patient], 5), (3, vec![patient, other], 2), (0, vec![other], 0), (9, vec![patient], 0)]
    {
        assert_eq!(fixture.tenant.count_changes(after, u64::MAX, &types).await.unwrap(), (expected, 5));
    }
}
