//! What the embedded engine does when its file is damaged, refuses writes, or is held by a long read.

use crate::support::{Fixture, batch, fixture, patient, write};
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::{AuditQuery, AuditRecord, ClaimChange, CommitError, QueueMessage, StateChange, Store, StoreError};

pub(crate) fn file(fixture: &Fixture) -> PathBuf {
    fixture.dir.path().join("data/tenants/default/weir.db")
}

/// A further connection of the process that owns the file.
fn beside(fixture: &Fixture) -> Connection {
    Connection::open_with_flags_and_vfs(file(fixture), OpenFlags::SQLITE_OPEN_READ_WRITE, c"unix-excl").unwrap()
}

/// Closes the store, runs `sql` on its file, and gives back what is needed to open it again.
pub(crate) fn after(fixture: Fixture, sql: &str) -> Fixture {
    fixture.store.close();
    Connection::open(file(&fixture)).unwrap().execute_batch(sql).unwrap();
    fixture.reopen()
}

fn record(entity: &str) -> AuditRecord {
    AuditRecord {
        at_us: 1,
        interaction: "read".into(),
        outcome: 0,
        status: 200,
        who: "ann".into(),
        request_id: "r".into(),
        entity: entity.into(),
        patient: None,
        query: None,
    }
}

/// Bytes that do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// A backup reads for minutes. Nobody may wait for it, however long the write-ahead log becomes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_read_does_not_hold_up_commits() {
    let fixture = fixture();
    fixture.put("seed", 0, "x").await.unwrap();
    let reader = beside(&fixture);
    reader.execute_batch("BEGIN").unwrap();
    let seen: i64 = reader.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    for seed in 0..66 {
        fixture.tenant.blob_put(&noise(seed + 1, 1 << 20)).await.unwrap();
    }
    // Long enough for the keeper to find the log too long several times.
    let start = Instant::now();
    let (mut commits, mut slowest) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(5) {
        let before = Instant::now();
        fixture.put(&format!("p{commits}"), 0, "x").await.unwrap();
        slowest = slowest.max(before.elapsed());
        commits += 1;
    }
    assert!(slowest < Duration::from_secs(2), "a commit waited {slowest:?}");
    let still: i64 = reader.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, still, "the reader kept its snapshot");
    drop(reader);
    fixture.store.close();
    let log = std::fs::metadata(file(&fixture).with_extension("db-wal")).map_or(0, |metadata| metadata.len());
    assert_eq!(log, 0, "the log is emptied once nobody holds it");
}

/// A disk that refuses writes, played by a trigger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_fails_its_whole_group_and_loses_no_audit_record() {
    let fixture = fixture();
    fixture.put("seed", 0, "x").await.unwrap();
    let beside = beside(&fixture);
    beside.execute_batch("CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'full'); END").unwrap();
    fixture.tenant.audit(vec![record("Patient/seen")]).await;
    // Holding the lock gathers the commits in one group behind the first.
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = Vec::new();
    for n in 0..32 {
        let tenant = fixture.tenant.clone();
        tasks.push(tokio::spawn(async move { tenant.commit(batch(vec![write(&format!("f{n}"), 0, "x")])).await }));
    }
    tokio::task::yield_now().await;
    beside.execute_batch("COMMIT").unwrap();
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, CommitError::Store(StoreError::Io(_))), "{error}");
    }
    beside.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(fixture.put("b", 0, "x").await.unwrap().seqs, [2], "refused writes use up no number");
    let all = AuditQuery { limit: 10, ..AuditQuery::default() };
    let found = fixture.tenant.audit_query(&all).await.unwrap();
    assert_eq!(found.iter().map(|audited| audited.record.entity.as_str()).collect::<Vec<_>>(), ["Patient/seen"]);
}

#[tokio::test]
async fn doctor_finds_a_damaged_audit_block() {
    let fixture = fixture();
    let mut with_audit = batch(vec![write("a", 0, "x")]);
    with_audit.audit = vec![record("Patient/a")];
    fixture.tenant.commit(with_audit).await.unwrap();
    assert!(fixture.tenant.doctor(false).unwrap().problems.is_empty());
    let fixture = after(fixture, "UPDATE audit SET block = zeroblob(length(block))");
    assert_eq!(fixture.tenant.doctor(false).unwrap().problems, ["audit records from 1 on are damaged"]);
}

#[tokio::test]
async fn doctor_finds_damaged_claims_messages_and_blobs() {
    let fixture = fixture();
    let mut full = batch(vec![write("a", 0, "x")]);
    full.claims = vec![ClaimChange::Take { key: "slot".into(), owner: "ann".into(), expires_us: None }];
    full.queue =
        vec![QueueMessage { queue: "out".into(), group: "a".into(), not_before_us: 0, payload: b"hello".to_vec() }];
    full.state = vec![StateChange { space: "s".into(), key: "k".into(), value: Some(b"v".to_vec()) }];
    fixture.tenant.commit(full).await.unwrap();
    fixture.tenant.blob_put(b"picture").await.unwrap();
    let report = fixture.tenant.doctor(false).unwrap();
    assert!(report.problems.is_empty() && report.checked.iter().any(|line| line.starts_with("4 claims")), "{report:?}");
    let fixture = after(
        fixture,
        "UPDATE claims SET owner = zeroblob(length(owner)); UPDATE queue SET payload = zeroblob(length(payload));
         UPDATE state SET value = zeroblob(length(value)); UPDATE blobs SET body = zeroblob(length(body))",
    );
    let problems = fixture.tenant.doctor(false).unwrap().problems;
    assert_eq!(
        problems,
        ["claims", "queue messages", "kept values", "blobs"].map(|what| format!("1 of the {what} do not open"))
    );
}

/// The index is derived: damage to it neither keeps a tenant closed nor loses anything.
#[tokio::test]
async fn a_damaged_index_is_made_again() {
    let fixture = fixture();
    for n in 0..20 {
        fixture.put(&format!("p{n}"), 0, "x").await.unwrap();
    }
    let fixture = after(fixture, "UPDATE idx_state SET value = zeroblob(length(value))");
    assert_eq!(fixture.tenant.stats().await.unwrap().counts, [(patient(), 20)]);
    assert!(fixture.tenant.doctor(false).unwrap().problems.is_empty());
}

#[tokio::test]
async fn a_file_of_another_format_is_refused() {
    let fixture = fixture();
    fixture.store.close();
    Connection::open(file(&fixture))
        .unwrap()
        .execute_batch("UPDATE meta SET value = 99 WHERE name = 'format'")
        .unwrap();
    let options = crate::support::options(&fixture.dir, &fixture.clock, 7);
    drop((fixture.store, fixture.tenant));
    let opened = Store::open(options).unwrap().tenant(&store::TenantId("default".into()));
    assert!(matches!(opened, Err(StoreError::Format { found: 99, .. })), "{opened:?}");
}
