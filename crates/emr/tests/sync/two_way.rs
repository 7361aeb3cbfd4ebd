//! The real engine and dispatcher over an EMR in memory.

use crate::stand::stand;
use delivery::{
    Async, Calls, Destination, Dispatcher, EngineBook, Found, Handle, Item, Limit, Outcome, PRIORITY, Problem, Remote,
};
use delivery::{Rule, Rules, Spec};
use emr::sync::{
    Applied, BusinessIdentifier, Kind, Pulled, Quality, Reader, Settings, Sync, SyncCheck, Synced, Tombstone,
};
use engine::{Engine, Options, Precondition, Principal, Role, Search, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::TenantId;

/// Records by `Type/id`, and how often somebody wrote.
#[derive(Clone, Debug, Default)]
struct Emr(Arc<Mutex<(BTreeMap<String, Value>, usize)>>);

impl Emr {
    fn get(&self, place: &str) -> Option<Value> {
        self.0.lock().unwrap().0.get(place).cloned()
    }

    /// Somebody there edits a record.
    fn edit(&self, place: &str, name: &str, value: &str) -> Value {
        let mut inside = self.0.lock().unwrap();
        let record = inside.0.get_mut(place).unwrap();
        record.set(name, Value::parse(value).unwrap());
        record.clone()
    }

    fn put(&self, place: &str, text: &str) -> Value {
        let record = Value::parse(text).unwrap();
        self.0.lock().unwrap().0.insert(place.to_owned(), record.clone());
        record
    }

    fn remove(&self, place: &str) {
        self.0.lock().unwrap().0.remove(place);
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().1
    }

    fn places(&self) -> Vec<String> {
        self.0.lock().unwrap().0.keys().cloned().collect()
    }
}

impl Destination for Emr {
    fn deliver<'a>(&'a self, item: &'a Item, _: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            let mut inside = self.0.lock().unwrap();
            inside.1 += 1;
            let new = format!("e{}", inside.1);
            let id = item.remote.as_ref().map_or(new, |remote| remote.id.clone());
            let place = format!("{}/{id}", item.name);
            match &item.body {
                Some(_) if item.remote.is_some() && !inside.0.contains_key(&place) => {
                    return Outcome::Gone(Problem::new(404, "gone"));
                }
                Some(body) => {
                    let mut body = body.clone();
                    body.set("id", id.as_str());
                    inside.0.insert(place, body);
                }
                None => drop(inside.0.remove(&place)),
            }
            Outcome::Done(Remote { id, more: Vec::new() })
        })
    }

    fn probe<'a>(&'a self, _: &'a Item, _: &'a Calls) -> Async<'a, Found> {
        Box::pin(async { Found::No })
    }

    fn quiesce(&self) -> Duration {
        Duration::ZERO
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}

impl Reader for Emr {
    fn read<'a>(
        &'a self,
        name: &'a str,
        remote: &'a Remote,
        _: &'a Calls,
    ) -> Async<'a, Result<Option<Value>, Outcome>> {
        Box::pin(async move { Ok(self.get(&format!("{name}/{}", remote.id))) })
    }
}

struct World {
    engine: Engine,
    session: Session,
    sync: Arc<Sync>,
    emr: Emr,
    handle: Handle,
    task: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn ty(name: &str) -> TypeId {
    r4().resource_by_name(name).unwrap()
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    async fn start() -> World {
        let (engine, _, clock, dir) = stand(Options::default(), 1_760_000_000_000_000);
        let session = Session {
            tenant: TenantId("default".into()),
            who: Principal { id: "sync/emr".into(), role: Role::Admin },
            request_id: String::new(),
            base: "http://localhost/fhir".into(),
        };
        let types = vec![ty("Patient"), ty("Observation"), ty("Organization")];
        let settings = Settings {
            name: "emr".into(),
            kind: Kind::Fhir,
            base: "https://emr/fhir".into(),
            identifier_system: "urn:weir".into(),
            types: types.clone(),
            tombstone: Tombstone::Inactive,
        };
        let sync = Sync::new(engine.clone(), session.clone(), settings, Arc::new(BusinessIdentifier)).await.unwrap();
        let (sync, emr) = (Arc::new(sync), Emr::default());
        let rules = Rules(vec![Rule { types, filter: None, priority: PRIORITY }]);
        let mut spec = Spec::new("emr", rules, vec![Limit { count: 10_000, window_us: 1_000 }]);
        spec.check = Some(Arc::new(SyncCheck::new(Some(sync.clone()), Quality { kind: Kind::Fhir, maps: None })));
        let connector = Arc::new(Synced::new(Arc::new(emr.clone()), sync.clone()));
        let book = EngineBook::new(engine.clone(), session.clone()).await.unwrap();
        let (dispatcher, handle) = Dispatcher::start(book, spec, connector, clock, 1).await.unwrap();
        let task = tokio::spawn(async move { drop(dispatcher.run().await) });
        World { engine, session, sync, emr, handle, task, _dir: dir }
    }

    async fn put(&self, key: &str, text: &str) {
        let (name, id) = key.split_once('/').unwrap();
        self.engine.update(&self.session, ty(name), Some(id), text.as_bytes(), &Precondition::default()).await.unwrap();
    }

    async fn get(&self, key: &str) -> Value {
        let (name, id) = key.split_once('/').unwrap();
        let read = self.engine.read(&self.session, ty(name), id).await.unwrap();
        Value::parse(std::str::from_utf8(&read.json).unwrap()).unwrap()
    }

    async fn apply(&self, place: &str, resource: Option<Value>) -> Applied {
        let (name, id) = place.split_once('/').unwrap();
        let remote = Remote { id: id.into(), more: Vec::new() };
        self.sync.apply(&Pulled { ty: ty(name), remote, resource }).await.unwrap()
    }

    /// Everything that was asked for is delivered or dead, twice in a row: the numbers are published now and then.
    async fn settle(&self) {
        for calm in 0..2 {
            let _ = calm;
            tokio::time::sleep(Duration::from_millis(400)).await;
            for _ in 0..200 {
                if self.handle.status().depth == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn tasks(&self, code: &str) -> Vec<Value> {
        let pairs = [("code".to_owned(), code.to_owned())];
        let search = Search { ty: Some(ty("Task")), compartment: None, pairs: &pairs, lenient: false, cursor: None };
        let page = self.engine.search(&self.session, &search).await.unwrap();
        let parse = |json: &[u8]| Value::parse(std::str::from_utf8(json).unwrap()).unwrap();
        page.matches.iter().map(|task| parse(&task.json)).collect()
    }
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:clinic","value":"7"}],"name":[{"family":"Ito"}],"gender":"female"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn edits_on_both_sides_meet_and_each_is_written_once() {
    let world = World::start().await;
    world.put("Patient/p1", PATIENT).await;
    world.settle().await;
    let place = world.emr.places()[0].clone();
    assert_eq!(world.emr.writes(), 1);
    // An echo.
    let echo = world.emr.get(&place);
    let merged = world.apply(&place, echo.clone()).await;
    assert!(matches!(merged, Applied::Echo | Applied::Merged { wrote: false, conflicts: 0 }), "{merged:?}");
    assert_eq!(world.apply(&place, echo).await, Applied::Echo);
    // Both edit; ours leaves before theirs was pulled, and covers nothing.
    world.emr.edit(&place, "birthDate", r#""1990-05-01""#);
    world.put("Patient/p1", &PATIENT.replace(r#""gender""#, r#""language":"de","gender""#)).await;
    world.settle().await;
    let ours = world.get("Patient/p1").await;
    let theirs = world.emr.get(&place).unwrap();
    for side in [&ours, &theirs] {
        assert_eq!((side.str("birthDate"), side.str("language")), (Some("1990-05-01"), Some("de")));
    }
    assert_eq!(world.emr.writes(), 2, "one per change of ours");
    let version = ours.path(&["meta", "versionId"]).unwrap().as_str().unwrap().to_owned();
    assert_eq!(version, "3", "ours, theirs merged into it, and nothing else");
    // What was pulled is not written back.
    let edited = world.emr.edit(&place, "gender", r#""other""#);
    assert_eq!(world.apply(&place, Some(edited)).await, Applied::Merged { wrote: true, conflicts: 0 });
    world.settle().await;
    assert_eq!(world.emr.writes(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_there_is_created_here_linked_or_waits_for_its_patient() {
    let world = World::start().await;
    let observation = world.emr.put(
        "Observation/9",
        r#"{"resourceType":"Observation","id":"9","status":"final","code":{"text":"x"},"subject":{"reference":"https://emr/fhir/Patient/77"}}"#,
    );
    assert_eq!(world.apply("Observation/9", Some(observation.clone())).await, Applied::Waits("Patient/77".into()));
    let patient = world.emr.put("Patient/77", r#"{"resourceType":"Patient","id":"77","name":[{"family":"Sato"}]}"#);
    let Applied::Created(key) = world.apply("Patient/77", Some(patient)).await else { panic!("not created") };
    let Applied::Created(observed) = world.apply("Observation/9", Some(observation)).await else {
        panic!("not created")
    };
    assert_eq!(world.get(&observed).await.path(&["subject", "reference"]).unwrap().as_str(), Some(key.as_str()));
    assert_eq!(world.get(&key).await.path(&["meta", "source"]).unwrap().as_str(), Some("https://emr/fhir/Patient/77"));
    world.settle().await;
    assert_eq!(world.emr.writes(), 0, "what came from there does not go back");
    // A change of ours goes to the record that is there.
    let body = world.get(&observed).await.to_string().replace("final", "amended");
    world.put(&observed, &body).await;
    world.settle().await;
    let there = world.emr.get("Observation/9").unwrap();
    assert_eq!((there.str("status"), world.emr.places().len()), (Some("amended"), 2));
    assert_eq!(there.path(&["subject", "reference"]).unwrap().as_str(), Some("Patient/77"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_decides_becomes_one_task_and_nothing_is_overwritten() {
    let world = World::start().await;
    let organization = r#"{"resourceType":"Organization","id":"o1","name":"A"}"#;
    world.put("Organization/o1", organization).await;
    world.settle().await;
    let place = world.emr.places()[0].clone();
    let theirs = world.emr.edit(&place, "name", r#""C""#);
    world.put("Organization/o1", &organization.replace(r#""A""#, r#""B","active":true"#)).await;
    world.settle().await;
    let kept = world.emr.get(&place).unwrap();
    assert_eq!((kept.str("name"), kept.get("active")), (Some("C"), Some(&Value::Bool(true))), "the rest goes on");
    assert_eq!(world.get("Organization/o1").await.str("name"), Some("B"));
    let tasks = world.tasks("sync-conflict").await;
    assert_eq!(tasks.len(), 1);
    assert!(tasks[0].to_string().contains("Organization.name"), "{tasks:?}");
    drop(theirs);
    // The decision is an edit of either side.
    let decided = world.emr.edit(&place, "name", r#""D""#);
    world.apply(&place, Some(decided)).await;
    world.settle().await;
    assert_eq!(world.get("Organization/o1").await.str("name"), Some("D"));
    assert_eq!(world.tasks("sync-conflict").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_gone_leaves_a_tombstone_and_does_not_come_back() {
    let world = World::start().await;
    world.put("Patient/p1", PATIENT).await;
    world.settle().await;
    let place = world.emr.places()[0].clone();
    world.emr.remove(&place);
    assert_eq!(world.apply(&place, None).await, Applied::Gone);
    world.settle().await;
    assert_eq!(world.get("Patient/p1").await.get("active"), Some(&Value::Bool(false)));
    assert_eq!((world.emr.places().len(), world.emr.writes()), (0, 1));
    // It is back, and ours goes to it.
    let back = world.emr.put(&place, PATIENT);
    assert!(matches!(world.apply(&place, Some(back)).await, Applied::Merged { .. }));
    world.put("Patient/p1", &PATIENT.replace("female", "other")).await;
    world.settle().await;
    assert_eq!(world.emr.places(), std::slice::from_ref(&place));
    assert_eq!(world.emr.get(&place).unwrap().str("gender"), Some("other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_there_unless_somebody_has_changed_it_there() {
    let world = World::start().await;
    for id in ["p1", "p2"] {
        world.put(&format!("Patient/{id}"), &PATIENT.replace("p1", id).replace(r#""7""#, &format!(r#""{id}""#))).await;
        world.settle().await;
    }
    let places = world.emr.places();
    world.emr.edit(&places[1], "birthDate", r#""1990-05-01""#);
    for id in ["p1", "p2"] {
        let none = Precondition::default();
        world.engine.delete(&world.session, ty("Patient"), Some(id), &none).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.emr.places(), [places[1].clone()], "what was changed there is not removed");
    let tasks = world.tasks("sync-conflict").await;
    assert_eq!(tasks.len(), 1);
    assert!(tasks[0].to_string().contains("(removed)"), "{tasks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_record_with_a_known_identifier_is_linked() {
    let world = World::start().await;
    let theirs = world.emr.put(
        "Patient/77",
        r#"{"resourceType":"Patient","id":"77","identifier":[{"system":"urn:clinic","value":"7"}],"name":[{"family":"Ito"}],"birthDate":"1990-05-01"}"#,
    );
    world.handle.pause(true).await;
    world.put("Patient/p1", PATIENT).await;
    assert_eq!(world.apply("Patient/77", Some(theirs)).await, Applied::Merged { wrote: true, conflicts: 0 });
    world.handle.pause(false).await;
    world.settle().await;
    assert_eq!(world.emr.places(), ["Patient/77"], "no second record");
    assert_eq!(world.emr.get("Patient/77").unwrap().str("gender"), Some("female"));
    assert_eq!(world.get("Patient/p1").await.str("birthDate"), Some("1990-05-01"));
}
