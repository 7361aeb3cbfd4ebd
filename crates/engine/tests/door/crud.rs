//! Create, read, update, patch, delete, history and meta through the one door.

use crate::harness::{World, criteria, text, ty};
use engine::{Change, History, IfMatch, MetaChange, Patch, Precondition};
use store::HistoryScope;

const PATIENT: &str = r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}],"active":true}"#;

#[tokio::test]
async fn what_is_created_is_read_back_with_its_version() {
    let world = World::new();
    let created = world.create("Patient", PATIENT).await;
    assert_eq!(created.version, 1);
    assert!(created.id.starts_with("0199"), "a UUIDv7 of the clock's time: {}", created.id);
    let read = world.engine.read(&world.session, ty("Patient"), &created.id).await.unwrap();
    assert_eq!(read.json, created.json);
    assert!(
        text(&read).contains(r#""meta":{"versionId":"1","lastUpdated":"2025-10-09T08:53:20.000000Z"}"#),
        "{}",
        text(&read)
    );
    let missing = world.engine.read(&world.session, ty("Patient"), "nobody").await.unwrap_err();
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let world = World::new();
    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        (r#"{"resourceType":"Observation"}"#, 400),
        (r#"{"active":true}"#, 400),
        (r#"{"resourceType":"Patient","active":true,"active":false}"#, 400),
        (r#"{"resourceType":"Patient","active":"yes"}"#, 422),
        (r#"{"resourceType":"Patient","colour":"red"}"#, 422),
        (r#"{"resourceType":"Patient","gender":"none"}"#, 422),
    ] {
        let answer =
            world.engine.create(&world.session, ty("Patient"), body.as_bytes(), &Precondition::default()).await;
        let error = answer.unwrap_err();
        assert_eq!(error.status, status, "{body}: {error}");
    }
    assert!(world.ids("Patient", "").await.is_empty());
}

#[tokio::test]
async fn an_update_makes_versions_and_the_same_content_makes_none() {
    let world = World::new();
    let body = r#"{"resourceType":"Patient","id":"a","active":true}"#;
    let written = world.put("Patient", "a", body).await.unwrap();
    assert_eq!(written.change, Change::Created);
    let again = world.put("Patient", "a", text(&written.resource.unwrap())).await.unwrap();
    assert_eq!((again.change, again.resource.unwrap().version), (Change::Unchanged, 1));
    let other = world.put("Patient", "a", &body.replace("true", "false")).await.unwrap();
    assert_eq!((other.change, other.resource.unwrap().version), (Change::Updated, 2));
    let old = world.engine.vread(&world.session, ty("Patient"), "a", 1).await.unwrap();
    assert!(text(&old).contains(r#""active":true"#));
    assert_eq!(world.engine.vread(&world.session, ty("Patient"), "a", 9).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn preconditions_of_an_update() {
    let world = World::new();
    let body = r#"{"resourceType":"Patient","id":"a"}"#;
    let update = |id: &'static str, precondition: Precondition| {
        let world = &world;
        async move { world.engine.update(&world.session, ty("Patient"), Some(id), body.as_bytes(), &precondition).await }
    };
    let if_match =
        |version| Precondition { if_match: Some(IfMatch::Versions(vec![version])), ..Precondition::default() };
    let none = || Precondition { must_not_exist: true, ..Precondition::default() };
    assert_eq!(update("a", if_match(1)).await.unwrap_err().status, 412);
    assert_eq!(update("a", none()).await.unwrap().change, Change::Created);
    let exists = update("a", none()).await.unwrap_err();
    assert_eq!((exists.status, exists.version), (412, Some(1)));
    assert_eq!(update("a", if_match(1)).await.unwrap().change, Change::Unchanged);
    let stale = update("a", if_match(7)).await.unwrap_err();
    assert_eq!((stale.status, stale.version), (412, Some(1)));
    assert_eq!(update("b", Precondition::default()).await.unwrap_err().status, 400, "id in the body is another");
    assert_eq!(update("a_b", Precondition::default()).await.unwrap_err().status, 400, "id syntax");
}

#[tokio::test]
async fn a_deleted_resource_is_gone_and_can_come_back() {
    let world = World::new();
    let id = world.create("Patient", PATIENT).await.id;
    let delete = || async {
        let none = Precondition::default();
        world.engine.delete(&world.session, ty("Patient"), Some(&id), &none).await.unwrap()
    };
    assert_eq!(delete().await.resource.unwrap().version, 2);
    let again = delete().await;
    assert!(again.change == Change::Deleted && again.resource.is_none());
    let gone = world.engine.read(&world.session, ty("Patient"), &id).await.unwrap_err();
    assert_eq!((gone.status, gone.version), (410, Some(2)));
    assert_eq!(world.engine.vread(&world.session, ty("Patient"), &id, 2).await.unwrap_err().status, 410);
    assert!(world.engine.vread(&world.session, ty("Patient"), &id, 1).await.is_ok());
    assert!(world.ids("Patient", "identifier=s|1").await.is_empty());
    let back = world.put("Patient", &id, &format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#)).await.unwrap();
    assert_eq!((back.change, back.resource.unwrap().version), (Change::Created, 3));
}

#[tokio::test]
async fn patches_are_applied_and_checked() {
    let world = World::new();
    let id = world.create("Patient", PATIENT).await.id;
    let patch = |body: &'static str, precondition: Precondition| {
        let (world, id) = (&world, &id);
        async move {
            let id = precondition.criteria.is_none().then_some(id.as_str());
            world.engine.patch(&world.session, ty("Patient"), id, Patch::Json(body.as_bytes()), &precondition).await
        }
    };
    let none = Precondition::default;
    let off = r#"[{"op":"replace","path":"/active","value":false}]"#;
    let written = patch(off, none()).await.unwrap();
    assert!(text(&written.resource.unwrap()).contains(r#""active":false"#));
    assert_eq!(patch(off, none()).await.unwrap().change, Change::Unchanged);
    let stale = patch(off, Precondition { if_match: Some(IfMatch::Versions(vec![1])), ..none() }).await.unwrap_err();
    assert_eq!((stale.status, stale.version), (412, Some(2)));
    assert_eq!(patch(r#"[{"op":"replace","path":"/id","value":"x"}]"#, none()).await.unwrap_err().status, 400);
    assert_eq!(patch(r#"[{"op":"test","path":"/active","value":true}]"#, none()).await.unwrap_err().status, 422);
    assert_eq!(patch(r#"[{"op":"add","path":"/active","value":3}]"#, none()).await.unwrap_err().status, 422);
    assert_eq!(patch("{}", none()).await.unwrap_err().status, 400);
    let on = r#"[{"op":"replace","path":"/active","value":true}]"#;
    assert_eq!(patch(on, criteria("identifier=s|1")).await.unwrap().change, Change::Updated);
    assert_eq!(patch(on, criteria("identifier=s|2")).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_fhirpath_patch_is_applied() {
    let world = World::new();
    let id = world.create("Patient", PATIENT).await.id;
    let body = br#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.active"},{"name":"value","valueBoolean":false}]}]}"#;
    let none = Precondition::default();
    let written = world.engine.patch(&world.session, ty("Patient"), Some(&id), Patch::FhirPath(body), &none).await;
    assert!(text(&written.unwrap().resource.unwrap()).contains(r#""active":false"#));
}

#[tokio::test]
async fn conditional_writes_follow_the_number_of_matches() {
    let world = World::new();
    let engine = &world.engine;
    let session = &world.session;
    let create = |query: &'static str| async move {
        engine.create(session, ty("Patient"), PATIENT.as_bytes(), &criteria(query)).await
    };
    let first = create("identifier=s|1").await.unwrap();
    assert_eq!(first.change, Change::Created);
    let id = first.resource.unwrap().id;
    let existed = create("identifier=s|1").await.unwrap();
    assert_eq!((existed.change, existed.resource.unwrap().id), (Change::Existed, id.clone()));
    assert_eq!(create("").await.unwrap_err().status, 412, "criteria that select everything");
    assert_eq!(create("identifierr=s|1").await.unwrap_err().status, 400, "unknown parameter");
    let update = |body: &'static str, query: &'static str| async move {
        engine.update(session, ty("Patient"), None, body.as_bytes(), &criteria(query)).await
    };
    let updated =
        update(r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]}"#, "identifier=s|1").await;
    let updated = updated.unwrap();
    assert_eq!((updated.change, updated.resource.unwrap().id), (Change::Updated, id));
    let other = r#"{"resourceType":"Patient","id":"z","identifier":[{"system":"s","value":"2"}]}"#;
    assert_eq!(update(other, "identifier=s|1").await.unwrap_err().status, 400);
    let made = update(other, "identifier=s|2").await.unwrap();
    assert_eq!((made.change, made.resource.unwrap().id.as_str()), (Change::Created, "z"));
    let many = update(other, "identifier=s|1,s|2").await.unwrap_err();
    assert_eq!(many.status, 412);
    assert_eq!(create("identifier=s|1,s|2").await.unwrap_err().status, 412);
    let delete =
        |query: &'static str| async move { engine.delete(session, ty("Patient"), None, &criteria(query)).await };
    assert!(delete("identifier=s|3").await.unwrap().resource.is_none());
    assert!(delete("identifier=s|1,s|2").await.unwrap().resource.is_some());
    assert!(world.ids("Patient", "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_conditional_creates_make_one_resource() {
    let world = World::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (engine, session) = (world.engine.clone(), world.session.clone());
        tasks.spawn(async move {
            let written = engine.create(&session, ty("Patient"), PATIENT.as_bytes(), &criteria("identifier=s|1")).await;
            written.unwrap().change
        });
    }
    let changes = tasks.join_all().await;
    assert_eq!(changes.iter().filter(|change| **change == Change::Created).count(), 1);
    assert_eq!(world.ids("Patient", "identifier=s|1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_updates_without_a_version_all_succeed() {
    let world = World::new();
    world.put("Patient", "a", r#"{"resourceType":"Patient","id":"a"}"#).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (engine, session) = (world.engine.clone(), world.session.clone());
        tasks.spawn(async move {
            let body = format!(r#"{{"resourceType":"Patient","id":"a","language":"l{number}"}}"#);
            engine.update(&session, ty("Patient"), Some("a"), body.as_bytes(), &Precondition::default()).await.unwrap();
        });
    }
    tasks.join_all().await;
    assert_eq!(world.engine.read(&world.session, ty("Patient"), "a").await.unwrap().version, 5);
}

#[tokio::test]
async fn histories_of_an_instance_a_type_and_everything() {
    let world = World::new();
    let body = r#"{"resourceType":"Patient","id":"a","active":true}"#;
    world.put("Patient", "a", body).await.unwrap();
    world.clock.advance_us(1_000_000);
    world.put("Patient", "a", &body.replace("true", "false")).await.unwrap();
    world.create("Basic", r#"{"resourceType":"Basic","code":{"text":"x"}}"#).await;
    world.engine.delete(&world.session, ty("Patient"), Some("a"), &Precondition::default()).await.unwrap();
    let page = |scope, since_us, count, cursor| {
        let history = History { scope, since_us, at_us: None, cursor, count };
        let world = &world;
        async move { world.engine.history(&world.session, &history).await }
    };
    let instance = || HistoryScope::Instance(ty("Patient"), "a".into());
    let versions = |page: engine::HistoryPage| page.versions.iter().map(|version| version.version).collect::<Vec<_>>();
    let all = page(instance(), None, None, None).await.unwrap();
    assert_eq!(all.total, Some(3));
    assert!(all.versions[0].json.is_empty());
    assert_eq!(versions(all), [3, 2, 1]);
    assert_eq!(versions(page(instance(), Some(1_760_000_001_000_000), None, None).await.unwrap()), [3, 2]);
    let first = page(HistoryScope::Type(ty("Patient")), None, Some(2), None).await.unwrap();
    let next = first.next.clone();
    assert_eq!(versions(first), [3, 2]);
    assert_eq!(versions(page(HistoryScope::Type(ty("Patient")), None, Some(2), next).await.unwrap()), [1]);
    assert_eq!(page(HistoryScope::System, None, None, None).await.unwrap().versions.len(), 4);
    let nobody = HistoryScope::Instance(ty("Patient"), "nobody".into());
    assert_eq!(page(nobody, None, None, None).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn meta_is_read_added_and_deleted() {
    let world = World::new();
    let id = world.create("Patient", PATIENT).await.id;
    let body = br#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"t","code":"x"}]}}]}"#;
    let change = |change| {
        let (world, id) = (&world, &id);
        async move {
            String::from_utf8(world.engine.meta(&world.session, ty("Patient"), id, change).await.unwrap()).unwrap()
        }
    };
    assert!(change(MetaChange::Read).await.contains(r#""versionId":"1""#));
    assert!(change(MetaChange::Add(body)).await.contains(r#""tag":[{"system":"t","code":"x"}]"#));
    assert_eq!(world.ids("Patient", "_tag=t|x").await, [id.as_str()]);
    assert!(change(MetaChange::Add(body)).await.contains(r#""versionId":"2""#), "nothing new, no version");
    assert!(!change(MetaChange::Delete(body)).await.contains("tag"));
    assert!(world.ids("Patient", "_tag=t|x").await.is_empty());
}

#[tokio::test]
async fn validate_reports_and_never_fails() {
    let world = World::new();
    let check = |body: &'static str| {
        let world = &world;
        async move { world.engine.validate(&world.session, Some(ty("Patient")), body.as_bytes()).await.unwrap() }
    };
    let clean = check(PATIENT).await;
    assert!(clean.iter().all(|issue| issue.severity < fhir::outcome::Severity::Error), "{clean:?}");
    for bad in [
        "{",
        r#"{"resourceType":"Observation"}"#,
        r#"{"resourceType":"Patient","active":1}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","active":1}}]}"#,
    ] {
        let issues = check(bad).await;
        assert!(issues.iter().any(|issue| issue.severity == fhir::outcome::Severity::Error), "{bad}: {issues:?}");
    }
}

#[tokio::test]
async fn followers_see_changes_with_their_patient_and_keep_their_place() {
    let world = World::new();
    world.put("Patient", "p", r#"{"resourceType":"Patient","id":"p"}"#).await.unwrap();
    let appointment = r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-01-01T10:00:00Z","end":"2026-01-01T10:15:00Z","participant":[{"actor":{"reference":"Location/l"},"status":"accepted"},{"actor":{"reference":"Patient/p"},"status":"accepted"}]}"#;
    world.put("Location", "l", r#"{"resourceType":"Location","id":"l"}"#).await.unwrap();
    world.put("Appointment", "a", appointment).await.unwrap();
    let feed = world.engine.feed(&world.session).await.unwrap();
    let changes = feed.changes(0, 10).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|change| (change.seq, change.patient.as_deref())).collect();
    assert_eq!(seen, [(1, Some("Patient/p")), (2, None), (3, Some("Patient/p"))]);
    assert_eq!(feed.count_changes(1, u64::MAX, &[ty("Patient"), ty("Appointment")]).await.unwrap(), (1, 3));

    let lease = |owner: &str, place: &str| engine::Keep {
        state: vec![store::StateChange { space: "s".into(), key: "place".into(), value: Some(place.into()) }],
        claims: vec![store::ClaimChange::Take { key: "follower".into(), owner: owner.into(), expires_us: None }],
        audit: Vec::new(),
    };
    feed.keep(lease("one", "3")).await.unwrap();
    assert_eq!(feed.keep(lease("two", "9")).await.unwrap_err().status, 409);
    assert_eq!(feed.state("s", "place").await.unwrap().as_deref(), Some(&b"3"[..]));
}
