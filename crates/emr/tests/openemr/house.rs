//! A simulated OpenEMR, the connector to it, and a dispatcher between them and a log in memory.

use crate::book::MemoryBook;
use delivery::{Async, Dispatcher, Handle, Limit, PRIORITY, Rule, Rules, Spec};
use emr::openemr::enroll::{Enrolment, Registered, reader_scopes};
use emr::openemr::{Credentials, Reader, Settings, Vault, VaultError, Writer};
use emr::{OpenEmr, Spaced};
use emr_sim::{Faults, Options, Profile, Record, Sim};
use fhir::defs::r4;
use seal::Secret;
use seal::jwt::SigningKey;
use serde_json::Value;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use store::{Clock, ManualClock};
use tokio::task::JoinHandle;

/// How long a test waits for what must come: longer than any machine takes, since the dispatcher waits in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// One key for all tests: making one takes its time.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

/// Types that every OpenEMR lets a backend service read.
pub(crate) const READ: [&str; 12] = [
    "Patient",
    "Practitioner",
    "Organization",
    "Location",
    "Appointment",
    "Encounter",
    "Observation",
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "Immunization",
    "DocumentReference",
];

/// Refresh tokens as a disk would keep them.
#[derive(Debug, Default)]
pub(crate) struct MemoryVault {
    pub(crate) kept: Mutex<Vec<Secret>>,
    /// How many of the next attempts to keep one fail.
    pub(crate) failing: Mutex<u32>,
}

impl Vault for MemoryVault {
    fn keep<'a>(&'a self, _client_id: &'a str, refresh_token: &'a Secret) -> Async<'a, Result<(), VaultError>> {
        Box::pin(async {
            let mut failing = self.failing.lock().unwrap();
            if *failing > 0 {
                *failing -= 1;
                return Err(VaultError("the disk is full".into()));
            }
            self.kept.lock().unwrap().push(refresh_token.clone());
            Ok(())
        })
    }
}

/// The simulator's wall clock.
pub(crate) fn now_us() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "assertions are checked against the simulator's wall clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_micros() as i64
}

pub(crate) struct House {
    pub(crate) sim: Sim,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Arc<MemoryVault>,
    pub(crate) reader: Reader,
    /// The client of the service user.
    pub(crate) client: Registered,
    pub(crate) scopes: Vec<String>,
}

impl House {
    pub(crate) async fn build(profile: Profile) -> House {
        House::with(Options { profile, ..Options::default() }).await
    }

    /// Registers and approves both clients.
    pub(crate) async fn with(options: Options) -> House {
        let sim = Sim::start(options).await.unwrap();
        let (http, base) = (http(), base(&sim));
        let turns = Spaced::new(Duration::ZERO);
        let enrolment = Enrolment { client: &http, base: &base, site: "default", turns: &turns };
        let back = "https://weir.example/back";
        let service = enrolment.register("weir", back, &reader_scopes(READ), Some(&KEY)).await.unwrap();
        let scopes = enrolment.writer_scopes().await.unwrap();
        let client = enrolment.register("weir", back, &scopes, None).await.unwrap();
        assert!(sim.approve(&service.client_id) && sim.approve(&client.client_id));
        let reader = Reader { client_id: service.client_id, key: KEY.clone(), scopes: reader_scopes(READ) };
        House { sim, clock: Arc::new(ManualClock::new(now_us())), vault: Arc::default(), reader, client, scopes }
    }

    /// A refresh token as enrolment gets it.
    pub(crate) async fn refresh_token(&self) -> Secret {
        let (http, base) = (http(), base(&self.sim));
        let turns = Spaced::new(Duration::ZERO);
        let enrolment = Enrolment { client: &http, base: &base, site: "default", turns: &turns };
        enrolment.by_password(&self.client, "admin", &Secret::new("pass".into()), &self.scopes).await.unwrap()
    }

    pub(crate) async fn writer(&self) -> Writer {
        self.writer_with(self.refresh_token().await)
    }

    pub(crate) fn writer_with(&self, refresh_token: Secret) -> Writer {
        let Registered { client_id, client_secret } = self.client.clone();
        Writer { client_id, client_secret, refresh_token }
    }

    pub(crate) fn connector(&self, writers: Vec<Writer>) -> OpenEmr {
        let settings = Settings { quiesce: Duration::from_millis(150), ..Settings::new(&base(&self.sim)) };
        let credentials = Credentials { reader: self.reader.clone(), writers, vault: self.vault.clone() };
        OpenEmr::new(settings, credentials, http(), self.clock.clone())
    }

    /// Starts delivering what is written to the log.
    pub(crate) async fn deliver(self) -> Delivery {
        let emr = Arc::new(self.connector(vec![self.writer().await]));
        Delivery::start(self, emr, MemoryBook::default()).await
    }
}

pub(crate) fn base(sim: &Sim) -> String {
    format!("http://{}", sim.address())
}

pub(crate) fn http() -> emr::Client {
    emr::client(Duration::from_secs(20)).unwrap()
}

pub(crate) struct Delivery {
    pub(crate) house: House,
    pub(crate) emr: Arc<OpenEmr>,
    pub(crate) book: MemoryBook,
    pub(crate) handle: Handle,
    task: JoinHandle<Result<(), engine::Error>>,
}

impl Delivery {
    pub(crate) async fn start(house: House, emr: Arc<OpenEmr>, book: MemoryBook) -> Delivery {
        Delivery::paced(house, emr, book, 500).await
    }

    /// At most so many calls per second.
    pub(crate) async fn paced(house: House, emr: Arc<OpenEmr>, book: MemoryBook, count: u32) -> Delivery {
        let names = READ.into_iter().chain(["Location", "Procedure"]);
        let types = names.map(|name| r4().resource_by_name(name).unwrap()).collect();
        let rules = Rules(vec![Rule { types, filter: None, priority: PRIORITY }]);
        let limits = vec![Limit { count, window_us: 1_000_000 }];
        let spec = Spec::new("openemr", rules, limits);
        let clock: Arc<dyn Clock> = house.clock.clone();
        let (dispatcher, handle) = Dispatcher::start(book.clone(), spec, emr.clone(), clock, 1).await.unwrap();
        Delivery { house, emr, book, handle, task: tokio::spawn(dispatcher.run()) }
    }

    pub(crate) fn sim(&self) -> &Sim {
        &self.house.sim
    }

    /// Writes a version and waits until it is there, or given up.
    pub(crate) async fn put(&self, key: &str, body: Value) {
        self.put_soon(key, body);
        self.settle().await;
    }

    pub(crate) fn put_soon(&self, key: &str, mut body: Value) {
        let (name, id) = key.split_once('/').unwrap();
        body["resourceType"] = name.into();
        body["id"] = id.into();
        let patient = if name == "Patient" { Some(key.to_owned()) } else { patient_of(&body) };
        self.book.write(key, Some(body.to_string()), patient.as_deref());
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.book.write(key, None, None);
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
        assert!(settled.is_ok(), "not delivered in time: {:?}", self.handle.status());
    }

    /// Faults for the writes until something of this type is there; then none.
    pub(crate) async fn put_with(&self, faults: Faults, ty: &str, key: &str, body: Value) {
        let before = self.sim().records(ty).len();
        self.sim().set_faults(faults);
        self.put_soon(key, body);
        let broken = async {
            while self.sim().records(ty).len() == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, broken).await.expect("the write arrives");
        self.sim().set_faults(Faults::default());
        self.settle().await;
    }

    /// The only record of a type.
    pub(crate) fn only(&self, ty: &str) -> Record {
        let records = self.sim().records(ty);
        assert_eq!(records.len(), 1, "{ty}: {records:?}");
        records.into_iter().next().unwrap()
    }

    pub(crate) fn more(&self, key: &str, name: &str) -> Option<String> {
        let more = self.book.delivered(key)?.remote.more;
        more.into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Why a resource was given up.
    pub(crate) fn problem(&self, key: &str) -> String {
        self.book.intent(key).and_then(|intent| intent.problem).map_or_else(String::new, |problem| problem.text)
    }

    pub(crate) fn end(&self) {
        self.task.abort();
    }
}

fn patient_of(body: &Value) -> Option<String> {
    let participants = body["participant"].as_array().cloned().unwrap_or_default();
    let actors = participants.iter().map(|one| &one["actor"]["reference"]);
    let mut references = [&body["subject"]["reference"], &body["patient"]["reference"]].into_iter().chain(actors);
    references.find_map(|reference| Some(reference.as_str().filter(|text| text.starts_with("Patient/"))?.to_owned()))
}
