//! Keys, damage, formats, locks, backups.

use crate::support::{batch, body, fixture, is_unseal, of_format, open, options, patient, write};
use store::{Store, StoreError, TenantId};

const FAMILY: &str = "Featherstonehaugh";

fn default() -> TenantId {
    TenantId("default".into())
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let fixture = fixture();
    fixture.put("a", 0, FAMILY).await.unwrap();
    fixture.store.close();
    let options = options(&fixture.dir, &fixture.clock, 8);
    drop((fixture.store, fixture.tenant));
    let store = Store::open(options).unwrap();
    assert!(is_unseal(&store.tenant(&default())));
}

#[tokio::test]
async fn nothing_on_disk_is_in_clear() {
    let fixture = fixture();
    for n in 0..500 {
        fixture.put(&format!("p{n}"), 0, &format!("{FAMILY} {n}")).await.unwrap();
    }
    let mut claims = batch(vec![]);
    claims.claims = vec![store::ClaimChange::Take { key: FAMILY.into(), owner: FAMILY.into(), expires_us: None }];
    claims.queue = vec![store::QueueMessage {
        queue: "emr".into(),
        group: FAMILY.into(),
        not_before_us: 0,
        payload: FAMILY.into(),
    }];
    fixture.tenant.commit(claims).await.unwrap();
    fixture.tenant.blob_put(FAMILY.as_bytes()).await.unwrap();
    fixture.tenant.compact().unwrap();
    let backup = fixture.dir.path().join("backup");
    fixture.store.backup(&backup).unwrap();
    fixture.store.close();
    let mut files = 0;
    for root in [fixture.dir.path().join("data"), backup] {
        for entry in std::fs::read_dir(root.join("tenants/default")).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(FAMILY.len()).any(|window| window == FAMILY.as_bytes()));
            files += 1;
        }
    }
    assert!(files >= 2);
}

#[tokio::test]
async fn a_changed_body_is_noticed() {
    let fixture = fixture();
    fixture.put("a", 0, FAMILY).await.unwrap();
    fixture.put("b", 0, FAMILY).await.unwrap();
    fixture.store.close();
    let path = fixture.dir.path().join("data/tenants/default/weir.db");
    drop((fixture.store, fixture.tenant));
    let connection = rusqlite::Connection::open(&path).unwrap();
    // A body of one resource moved to another: both are whole, but not where they belong.
    connection.execute("UPDATE log SET body = (SELECT body FROM log WHERE seq = 1) WHERE seq = 2", []).unwrap();
    drop(connection);
    // The start replays the log, and a replay does not index what it cannot trust.
    let fixture_again = Store::open(options(&fixture.dir, &fixture.clock, 7)).unwrap();
    match fixture_again.tenant(&default()) {
        Err(error) => assert!(matches!(error, StoreError::Unseal(_))),
        Ok(tenant) => {
            assert!(is_unseal(&tenant.read(patient(), "b").await));
            let problems = tenant.doctor(false).unwrap().problems;
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("change 2:"));
        }
    }
}

#[tokio::test]
async fn a_body_is_bound_to_what_its_row_says() {
    for change in ["splice = splice + 4", "op = 1 - op", "ver = ver + 1", "id = x'0161'"] {
        let fixture = fixture();
        fixture.put("b", 0, FAMILY).await.unwrap();
        fixture.store.close();
        let (dir, clock) = (fixture.dir, fixture.clock);
        drop((fixture.store, fixture.tenant));
        let connection = rusqlite::Connection::open(dir.path().join("data/tenants/default/weir.db")).unwrap();
        connection.execute(&format!("UPDATE log SET {change}"), []).unwrap();
        drop(connection);
        let fixture = open(dir, clock);
        assert!(is_unseal(&fixture.tenant.changes(0, 10).await), "{change}");
    }
}

/// The file has `a` and `b`, written by the last weir of format 1 under this key.
#[tokio::test]
async fn a_store_of_format_1_is_opened_and_becomes_one_of_this_one() {
    let fixture = of_format(1, include_bytes!("../data/format-1.db.zst"));
    assert_eq!(
        std::fs::read_to_string(fixture.dir.path().join("data/FORMAT")).unwrap(),
        "4\n",
        "an older weir refuses it from now on"
    );
    assert!(fixture.body("a").await.unwrap().contains("One"));
    assert_eq!(fixture.tenant.changes(0, 10).await.unwrap().len(), 2);
    fixture.put("c", 0, FAMILY).await.unwrap();
    let fixture = fixture.reopen();
    assert!(fixture.body("b").await.unwrap().contains("Two") && fixture.body("c").await.unwrap().contains(FAMILY));
    let found = fixture.tenant.stats().await.unwrap().counts;
    assert_eq!(found, [(patient(), 3)], "the index was made again");
    assert_eq!(fixture.tenant.compact().unwrap(), 2, "the old bodies");
    assert_eq!(fixture.tenant.compact().unwrap(), 0, "are bound as new ones now");
    let fixture = fixture.reopen();
    assert!(fixture.body("a").await.unwrap().contains("One"));
    let problems = fixture.tenant.doctor(false).unwrap().problems;
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test]
async fn a_directory_has_one_process_and_one_format() {
    let fixture = fixture();
    let second = Store::open(options(&fixture.dir, &fixture.clock, 7));
    assert!(second.unwrap_err().to_string().contains("in use by another weir process"));
    fixture.store.close();
    let (dir, clock) = (fixture.dir, fixture.clock);
    drop((fixture.store, fixture.tenant));
    std::fs::write(dir.path().join("data/FORMAT"), "999\n").unwrap();
    let error = Store::open(options(&dir, &clock, 7)).unwrap_err();
    assert_eq!(error.to_string(), "store format 999 found, this build needs 4: use the newer weir that wrote it");
}

#[tokio::test]
async fn a_backup_of_a_busy_store_is_a_store() {
    let fixture = fixture();
    fixture.put("a", 0, "before").await.unwrap();
    let backup = fixture.dir.path().join("backup");
    fixture.store.backup(&backup).unwrap();
    fixture.put("b", 0, "after").await.unwrap();
    assert!(fixture.store.backup(&backup).unwrap_err().to_string().contains("exists already"));

    let restored = tempfile::TempDir::new().unwrap();
    assert_eq!(Store::restore(&backup, &restored.path().join("data")).unwrap(), ["default"]);
    assert!(Store::restore(&backup, &restored.path().join("data")).is_err(), "never over existing data");
    assert!(Store::restore(restored.path(), &restored.path().join("x")).is_err(), "not a backup");
    let copy = open(restored, fixture.clock.clone());
    assert_eq!(copy.body("a").await.unwrap(), body("a", "before"));
    assert_eq!(copy.body("b").await, None);
    assert!(copy.tenant.doctor(true).unwrap().problems.is_empty());
    copy.put("b", 0, "again").await.unwrap();
}

#[tokio::test]
async fn tenants_are_apart_and_named_well() {
    let fixture = fixture();
    fixture.put("a", 0, "x").await.unwrap();
    let other = fixture.store.tenant(&TenantId("other".into())).unwrap();
    assert_eq!(other.read(patient(), "a").await.unwrap(), None);
    other.commit(batch(vec![write("a", 0, "y")])).await.unwrap();
    assert_eq!(fixture.store.tenants().unwrap().len(), 2);
    for name in ["", "..", "A", "a/b", &"x".repeat(65)] {
        assert!(matches!(fixture.store.tenant(&TenantId(name.into())), Err(StoreError::UnknownTenant)), "{name}");
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let fixture = fixture();
    fixture.store.close();
    let error = fixture.put("a", 0, "x").await.unwrap_err();
    assert_eq!(error.to_string(), "store is closed");
    assert!(matches!(fixture.tenant.read(patient(), "a").await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_directory_stays_locked_while_anybody_has_one_of_its_tenants() {
    let fixture = fixture();
    let (options, again) = (options(&fixture.dir, &fixture.clock, 7), options(&fixture.dir, &fixture.clock, 7));
    drop(fixture.store);
    assert!(Store::open(options).is_err());
    drop(fixture.tenant);
    assert!(Store::open(again).is_ok());
}
