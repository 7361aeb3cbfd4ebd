//! Every access leaves one record; tenants do not see each other.

use crate::harness::{World, session, text, ty};
use engine::{History, Precondition};
use store::{HistoryScope, TenantId};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"a"}"#;

#[tokio::test]
async fn every_access_leaves_one_record() {
    let world = World::new();
    let none = Precondition::default();
    let (engine, session) = (&world.engine, &world.session);
    world.put("Patient", "a", PATIENT).await.unwrap();
    world.put("Patient", "a", PATIENT).await.unwrap();
    engine.read(session, ty("Patient"), "a").await.unwrap();
    engine.read(session, ty("Patient"), "nobody").await.unwrap_err();
    engine.vread(session, ty("Patient"), "a", 1).await.unwrap();
    world.search("Patient", "name=secret").await.unwrap();
    world.search("Patient", "nonsense=1").await.unwrap_err();
    let history = History { scope: HistoryScope::System, since_us: None, at_us: None, cursor: None, count: None };
    engine.history(session, &history).await.unwrap();
    engine.everything(session, ty("Patient"), Some("a"), &[], None).await.unwrap();
    engine.validate(session, None, PATIENT.as_bytes()).await.unwrap();
    engine.create(session, ty("Patient"), b"{", &none).await.unwrap_err();
    engine.delete(session, ty("Patient"), Some("a"), &none).await.unwrap();
    engine.delete(session, ty("Patient"), Some("a"), &none).await.unwrap();
    world.bundle("{").await.unwrap_err();
    assert_eq!(world.tenant().audit_count().await.unwrap(), 14);
    let two = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},
        {"request":{"method":"GET","url":"Patient"}}]}"#;
    world.bundle(two).await.unwrap();
    world.bundle(&two.replace("transaction", "batch")).await.unwrap();
    assert_eq!(world.tenant().audit_count().await.unwrap(), 18);
    let records = world.tenant().audit_query(&store::AuditQuery { limit: 100, ..Default::default() }).await.unwrap();
    assert!(records.iter().all(|audited| !format!("{audited:?}").contains("secret")));
}

#[tokio::test]
async fn the_trail_is_read_and_searched_as_audit_events() {
    let world = World::new();
    world.put("Patient", "a", PATIENT).await.unwrap();
    world.engine.read(&world.session, ty("Patient"), "a").await.unwrap();
    let page = world.search("AuditEvent", "patient=Patient/a").await.unwrap();
    assert_eq!(page.matches.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["weir-2", "weir-1"]);
    assert!(text(&page.matches[1]).contains(r#""action":"C""#) || text(&page.matches[1]).contains(r#""action":"U""#));
    let created = world.search("AuditEvent", "subtype=read").await.unwrap();
    assert_eq!(created.matches.len(), 1);
    let one = world.engine.read(&world.session, ty("AuditEvent"), "weir-1").await.unwrap();
    assert_eq!(one.json, page.matches[1].json);
    let event = r#"{"resourceType":"AuditEvent","id":"weir-1"}"#;
    assert_eq!(world.put("AuditEvent", "weir-1", event).await.unwrap_err().status, 405);
    let issues = world.engine.validate(&world.session, Some(ty("AuditEvent")), &one.json).await.unwrap();
    assert!(issues.iter().all(|issue| issue.severity < fhir::outcome::Severity::Error), "{issues:?}");
}

#[tokio::test]
async fn tenants_are_apart_and_must_exist() {
    let world = World::new();
    world.put("Patient", "a", PATIENT).await.unwrap();
    let other = session("other");
    assert_eq!(world.engine.read(&other, ty("Patient"), "a").await.unwrap_err().status, 404);
    assert!(!world.store.tenants().unwrap().contains(&TenantId("other".into())), "asking makes no tenant");
    world.store.tenant(&TenantId("other".into())).unwrap();
    assert_eq!(world.engine.read(&other, ty("Patient"), "a").await.unwrap_err().status, 404);
    let none = Precondition::default();
    world
        .engine
        .update(&other, ty("Patient"), Some("b"), br#"{"resourceType":"Patient","id":"b"}"#, &none)
        .await
        .unwrap();
    assert_eq!(world.engine.read(&world.session, ty("Patient"), "b").await.unwrap_err().status, 404);
}

#[tokio::test]
async fn nobody_without_a_name_comes_in() {
    let world = World::new();
    let mut nobody = world.session.clone();
    nobody.who.id.clear();
    assert_eq!(world.engine.read(&nobody, ty("Patient"), "a").await.unwrap_err().status, 403);
    assert_eq!(world.tenant().audit_count().await.unwrap(), 1);
}
