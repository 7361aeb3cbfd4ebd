//! The double, the connector to it, and a dispatcher between them and a log in memory.

use crate::book::MemoryBook;
use crate::double::{Double, PASSWORD};
use delivery::{Dispatcher, Handle, Limit, PRIORITY, Rule, Rules, Spec};
use emr::GnuHealth;
use emr::gnu_health::Settings;
use fhir::defs::r4;
use seal::Secret;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::ManualClock;
use tokio::task::JoinHandle;

/// How long a test waits for what must come: longer than any machine takes, since the dispatcher waits in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn now_us() -> i64 {
    1_790_000_000_000_000
}

pub(crate) struct House {
    pub(crate) double: Double,
    book: MemoryBook,
    pub(crate) handle: Handle,
    task: JoinHandle<Result<(), engine::Error>>,
}

impl House {
    pub(crate) async fn build() -> House {
        let (double, base) = Double::start().await;
        let settings = Settings {
            base,
            database: "health".into(),
            login: "weir".into(),
            password: Secret::new(PASSWORD.into()),
            country: "XXX".into(),
            quiesce: Duration::from_millis(100),
        };
        let emr = GnuHealth::new(settings, emr::client(Duration::from_secs(20)).unwrap());
        let types = ["Patient", "Practitioner", "Appointment", "Immunization", "Encounter"];
        let types = types.map(|name| r4().resource_by_name(name).unwrap()).into();
        let rules = Rules(vec![Rule { types, filter: None, priority: PRIORITY }]);
        let spec = Spec::new("clinic", rules, vec![Limit { count: 500, window_us: 1_000_000 }]);
        let book = MemoryBook::default();
        let clock = Arc::new(ManualClock::new(now_us()));
        let (dispatcher, handle) = Dispatcher::start(book.clone(), spec, Arc::new(emr), clock, 1).await.unwrap();
        House { double, book, handle, task: tokio::spawn(dispatcher.run()) }
    }

    pub(crate) fn put_soon(&self, key: &str, mut body: Value) {
        let (name, id) = key.split_once('/').unwrap();
        body["resourceType"] = name.into();
        body["id"] = id.into();
        let patient = if name == "Practitioner" { None } else { Some("Patient/p1") };
        self.book.write(key, Some(body.to_string()), patient);
    }

    /// Writes a version and waits until it is there, or given up.
    pub(crate) async fn put(&self, key: &str, body: Value) {
        self.put_soon(key, body);
        self.settle().await;
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.book.write(key, None, Some("Patient/p1"));
        self.settle().await;
    }

    pub(crate) async fn settle(&self) {
        let settled = async {
            while !self.book.is_settled() {
                assert!(!self.task.is_finished(), "the dispatcher has ended");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settled).await;
        let calls = || self.double.inside(|inside| inside.calls.clone());
        assert!(settled.is_ok(), "not delivered in time: {:?}, {:?}", self.handle.status(), calls());
    }

    /// Why a resource was given up, or has to be tried again.
    pub(crate) fn problem(&self, key: &str) -> String {
        self.book.intent(key).and_then(|intent| intent.problem).map_or_else(String::new, |problem| problem.text)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.task.abort();
    }
}
