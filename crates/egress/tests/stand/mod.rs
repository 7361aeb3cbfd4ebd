//! A store in which events happen.

use crate::server::Server;
use egress::{Board, Follower, Nats, Spec};
use engine::{Derived, Engine, Feed, Options, Principal, Role, Session};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use store::{Event, ManualClock, Store, TenantId};
use tempfile::TempDir;

pub(crate) const VACCINATION: &str = "vaccination";
pub(crate) const IDENTITY: &str = "identity";

pub(crate) struct Stand {
    pub(crate) clock: Arc<ManualClock>,
    engine: Engine,
    session: Session,
    _dir: TempDir,
}

impl Stand {
    pub(crate) fn new() -> Stand {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::new(1_600_000_000_000_000));
        let options = store::Options {
            dir: dir.path().join("data"),
            master_key: seal::MasterKey::parse(&[7; 32]).unwrap(),
            clock: clock.clone(),
            cache_bytes_max: 1 << 20,
            queue_max: 1024,
        };
        let store = Store::open(options).unwrap();
        store.tenant(&TenantId("default".into())).unwrap();
        let engine = Engine::new(store, Options::default(), clock.clone(), Arc::new(|out: &mut [u8]| out.fill(7)));
        let session = Session {
            tenant: TenantId("default".into()),
            who: Principal { id: "events".into(), role: Role::Admin },
            request_id: "r".into(),
            base: "http://localhost/fhir".into(),
        };
        Stand { clock, engine, session, _dir: dir }
    }

    pub(crate) async fn happen(&self, topic: &str, n: u64) {
        let event = Event { topic: topic.into(), payload: format!(r#"{{"type":"test","n":{n}}}"#).into_bytes() };
        let derived = Derived { events: vec![event], ..Derived::default() };
        self.engine.commit_derived(&self.session, derived).await.unwrap();
    }

    /// In one commit.
    pub(crate) async fn happen_all(&self, numbers: Range<u64>) {
        let event =
            |n| Event { topic: VACCINATION.into(), payload: format!(r#"{{"type":"test","n":{n}}}"#).into_bytes() };
        let derived = Derived { events: numbers.map(event).collect(), ..Derived::default() };
        self.engine.commit_derived(&self.session, derived).await.unwrap();
    }

    pub(crate) async fn feed(&self) -> Feed {
        self.engine.feed(&self.session).await.unwrap()
    }

    pub(crate) async fn kept(&self, stream: &str) -> serde_json::Value {
        let kept = self.feed().await.state("egress/test", stream).await.unwrap();
        serde_json::from_slice(&kept.unwrap()).unwrap()
    }

    pub(crate) fn spec(&self, stream: &str) -> Spec {
        Spec {
            name: "test".into(),
            tenant: "default".into(),
            stream: stream.into(),
            topics: vec![VACCINATION.into(), IDENTITY.into()],
            batch: 64,
            poll: Duration::from_millis(200),
        }
    }

    pub(crate) async fn follower(&self, server: &Server, stream: &str) -> Follower<Nats> {
        Follower::new(self.spec(stream), self.feed().await, server.outlet(stream), Board::default())
    }

    /// Sends all that waits, as a process that was just started.
    pub(crate) async fn follow(&self, server: &Server, stream: &str) {
        let mut follower = self.follower(server, stream).await;
        while follower.round().await.unwrap() > 0 {}
    }
}
