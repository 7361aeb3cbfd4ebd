//! An engine with a registry on a temporary store, whose clock stands still.

use engine::{Engine, Options, Precondition, Principal, Role, Session, Validation};
use fhir::defs::TypeId;
use fhir::json::{Document, Limits};
use jiff::tz::TimeZone;
use registry::{Definitions, PersonId, Registry, Stats, StatsQuery};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use store::{ManualClock, Store, TenantId};
use tempfile::TempDir;

pub(crate) const START: &str = "2021-06-15T12:00:00Z";
pub(crate) const DAY_US: i64 = 86_400_000_000;

pub(crate) struct Stand {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) session: Session,
    /// Of its random numbers.
    pub(crate) seed: u64,
}

/// Random enough, and the same in every run.
fn random(seed: u64) -> engine::Random {
    let state = AtomicU64::new(seed);
    Arc::new(move |out: &mut [u8]| {
        for byte in out {
            let next = state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let mixed = (next ^ (next >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            *byte = (mixed >> 56) as u8;
        }
    })
}

/// Programmes of surveillance alone: quick, and enough where status is not what is tested.
pub(crate) fn definitions() -> Definitions {
    static SCHEDULE: OnceLock<Arc<vaccines::Schedule>> = OnceLock::new();
    let schedule = SCHEDULE.get_or_init(|| Arc::new(vaccines::Schedule::builtin().unwrap())).clone();
    Definitions::new(vec![schedule], vaccines::surveillance::Programme::builtin().unwrap()).unwrap()
}

pub(crate) async fn stand() -> Stand {
    let start: jiff::Timestamp = START.parse().unwrap();
    open(TempDir::new().unwrap(), Arc::new(ManualClock::new(start.as_microsecond())), 1).await
}

pub(crate) async fn open(dir: TempDir, clock: Arc<ManualClock>, seed: u64) -> Stand {
    let stand = closed(dir, clock, seed);
    stand.registry.open(&stand.engine, &stand.session).await.unwrap();
    let engine = stand.engine.clone().with_deriver(Arc::new(stand.registry.clone()));
    Stand { engine, ..stand }
}

/// An engine as it was before there was a registry, and a registry that is not open.
pub(crate) fn closed(dir: TempDir, clock: Arc<ManualClock>, seed: u64) -> Stand {
    let options = store::Options {
        dir: dir.path().join("data"),
        master_key: seal::MasterKey::parse(&[7; 32]).unwrap(),
        clock: clock.clone(),
        cache_bytes_max: 1 << 20,
        queue_max: 1024,
    };
    let store = Store::open(options).unwrap();
    store.tenant(&TenantId("default".into())).unwrap();
    let registry = Registry::new(definitions(), TimeZone::UTC, clock.clone(), random(seed));
    let options = Options { validation: Validation::Structure, ..Options::default() };
    let engine = Engine::new(store.clone(), options, clock.clone(), random(seed + 1000));
    let session = Session {
        tenant: TenantId("default".into()),
        who: Principal { id: "ann".into(), role: Role::Admin },
        request_id: "r".into(),
        base: "http://localhost/fhir".into(),
    };
    Stand { dir, clock, store, engine, registry, session, seed }
}

pub(crate) fn ty(name: &str) -> TypeId {
    fhir::defs::r4().resource_by_name(name).unwrap()
}

/// A person as a form has it.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    pub(crate) given: &'static str,
    pub(crate) family: &'static str,
    pub(crate) birth: &'static str,
    pub(crate) gender: &'static str,
    pub(crate) phone: &'static str,
    pub(crate) zip: &'static str,
}

pub(crate) const ADA: Who = Who {
    given: "Adelaide",
    family: "Lovelock",
    birth: "1975-12-10",
    gender: "female",
    phone: "617-555-0143",
    zip: "02139",
};

pub(crate) const BOB: Who =
    Who { given: "Robert", family: "Quimby", birth: "1990-03-04", gender: "male", phone: "413-555-0188", zip: "01002" };

pub(crate) fn patient(who: Who) -> String {
    format!(
        r#"{{"resourceType":"Patient","name":[{{"given":["{}"],"family":"{}"}}],"birthDate":"{}","gender":"{}",
        "telecom":[{{"system":"phone","value":"{}"}}],
        "address":[{{"line":["12 Cedar Lane"],"city":"Springfield","state":"MA","postalCode":"{}"}}]}}"#,
        who.given, who.family, who.birth, who.gender, who.phone, who.zip
    )
}

pub(crate) fn covid(patient: &str, cvx: &str, day: &str) -> String {
    format!(
        r#"{{"resourceType":"Immunization","status":"completed","patient":{{"reference":"Patient/{patient}"}},
        "vaccineCode":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"{cvx}"}}]}},
        "occurrenceDateTime":"{day}","lotNumber":"L1","location":{{"reference":"Location/north"}}}}"#
    )
}

impl Stand {
    pub(crate) async fn create(&self, name: &str, body: &str) -> String {
        let written = self.engine.create(&self.session, ty(name), body.as_bytes(), &Precondition::default()).await;
        written.unwrap().resource.unwrap().id
    }

    pub(crate) async fn put(&self, name: &str, id: &str, body: &str) {
        let with_id = body.replacen('{', &format!("{{\"id\":\"{id}\","), 1);
        let precondition = Precondition::default();
        self.engine.update(&self.session, ty(name), Some(id), with_id.as_bytes(), &precondition).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str, id: &str) {
        self.engine.delete(&self.session, ty(name), Some(id), &Precondition::default()).await.unwrap();
    }

    pub(crate) async fn read(&self, name: &str, id: &str) -> Option<String> {
        let resource = self.engine.read(&self.session, ty(name), id).await.ok()?;
        Some(String::from_utf8(resource.json).unwrap())
    }

    pub(crate) fn person(&self, id: &str) -> PersonId {
        self.registry.person_of(&self.session, id).unwrap().unwrap()
    }

    pub(crate) fn stats(&self, by: &[&str]) -> Stats {
        let by = by.iter().map(|by| (*by).to_owned()).collect();
        let query = StatsQuery { programme: "covid-19-primary".into(), by, ..StatsQuery::default() };
        self.registry.stats(&self.session, &query).unwrap()
    }

    /// Persons, and those not, partially and fully vaccinated against COVID-19.
    pub(crate) fn counts(&self) -> [u64; 4] {
        let people = self.stats(&[]).total.people.unwrap();
        [people.persons, people.not, people.partial, people.full].map(Option::unwrap)
    }

    /// The whole queue.
    pub(crate) async fn reviews(&self) -> registry::Reviews {
        let query = registry::ReviewsQuery { limit: 1_000, ..registry::ReviewsQuery::default() };
        self.registry.reviews(&self.engine, &self.session, &query).await.unwrap()
    }

    /// Every counter is what a recount finds.
    pub(crate) async fn audit(&self) {
        let recount = self.registry.recount(&self.engine, &self.session, false).await.unwrap();
        assert_eq!(recount.differences, []);
        for kind in registry::KINDS {
            let table = self.registry.table(&self.session, kind).unwrap();
            assert!(table.iter().all(|(_, n)| *n > 0), "{kind:?}: {table:?}");
        }
        let [persons, not, partial, full] = self.counts();
        assert_eq!(persons, not + partial + full);
    }

    pub(crate) async fn reopen(self) -> Stand {
        let Stand { dir, clock, store, engine, registry, seed, .. } = self;
        store.close();
        drop((store, engine, registry));
        // Another seed each time: the clock may stand still, and no id is ever made twice.
        open(dir, clock, seed + 76).await
    }

    pub(crate) async fn events(&self, topic: &str) -> Vec<String> {
        let feed = self.engine.feed(&self.session).await.unwrap();
        let events = feed.events(topic, 0, 10_000).await.unwrap();
        events.into_iter().map(|event| String::from_utf8(event.payload).unwrap()).collect()
    }

    pub(crate) fn matches(&self, who: Who) -> Vec<registry::Match> {
        let document = Document::parse(patient(who).as_bytes(), &Limits::default()).unwrap();
        self.registry.find(&self.session, document.root()).unwrap()
    }
}
