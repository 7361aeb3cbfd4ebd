//! An EMR without idempotency keys: what arrives twice is there twice. It can be searched by the identifier that we write.

use delivery::{Async, Calls, Destination, Found, Item, Outcome, Problem, Remote};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) const QUIESCE: Duration = Duration::from_secs(8);
const LATE_MAX_MS: u64 = 5_000;

/// What a request has left behind.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub id: String,
    /// Marker of the content, rising with each version.
    pub marker: u64,
    pub deleted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Emr {
    inner: Mutex<Inner>,
    pub faults: bool,
    /// One in four deliveries needs a call before its own.
    pub sessions: bool,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    /// Keys in the order in which they were created.
    created: Vec<String>,
    arrivals: Vec<Instant>,
    random: u64,
    down: bool,
    /// Refused for good while it is set.
    refused: Option<String>,
    /// Contents that went backwards.
    backwards: usize,
}

impl Emr {
    pub(crate) fn new(seed: u64, faults: bool, sessions: bool) -> Emr {
        Emr { inner: Mutex::new(Inner { random: seed ^ 0xE3, ..Inner::default() }), faults, sessions }
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.inner.lock().unwrap().down = down;
    }

    pub(crate) fn refuse(&self, key: Option<&str>) {
        self.inner.lock().unwrap().refused = key.map(str::to_owned);
    }

    fn refuses(&self, key: &str) -> bool {
        self.inner.lock().unwrap().refused.as_deref() == Some(key)
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.inner.lock().unwrap().entries.clone()
    }

    pub(crate) fn created(&self) -> Vec<String> {
        self.inner.lock().unwrap().created.clone()
    }

    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        self.inner.lock().unwrap().arrivals.clone()
    }

    pub(crate) fn backwards(&self) -> usize {
        self.inner.lock().unwrap().backwards
    }

    fn dice(&self, bound: u64) -> u64 {
        let mut inner = self.inner.lock().unwrap();
        inner.random = inner.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (inner.random >> 33) % bound
    }

    /// The id; `None` when what it was to change is not there.
    fn commit(&self, request: &Request) -> Option<String> {
        let mut inner = self.inner.lock().unwrap();
        match &request.id {
            Some(id) => {
                let live = |entry: &&mut Entry| entry.id == *id && !entry.deleted;
                let entry = inner.entries.iter_mut().find(live)?;
                let backwards = usize::from(entry.marker > request.marker && !request.delete);
                entry.marker = request.marker.max(entry.marker);
                entry.deleted |= request.delete;
                inner.backwards += backwards;
                Some(id.clone())
            }
            None => {
                let id = format!("e{}", inner.entries.len());
                let (key, marker) = (request.key.clone(), request.marker);
                inner.created.push(key.clone());
                inner.entries.push(Entry { key, id: id.clone(), marker, deleted: false });
                Some(id)
            }
        }
    }

    fn find(&self, key: &str) -> Option<Entry> {
        self.inner.lock().unwrap().entries.iter().find(|entry| entry.key == key && !entry.deleted).cloned()
    }
}

#[derive(Clone, Debug)]
struct Request {
    key: String,
    id: Option<String>,
    marker: u64,
    delete: bool,
}

/// The connector to it, as one process has it.
#[derive(Debug)]
pub(crate) struct Connector(pub Arc<Emr>);

impl Connector {
    /// Sends a request, which goes on when this process is killed.
    async fn send<T: Send + 'static>(&self, answer: impl FnOnce(&Emr) -> Reply<T> + Send + 'static) -> Result<T, Lost> {
        let emr = self.0.clone();
        let task = tokio::spawn(async move {
            sleep(Duration::from_micros(emr.dice(40_000))).await;
            let down = {
                let mut inner = emr.inner.lock().unwrap();
                inner.arrivals.push(Instant::now());
                inner.down
            };
            if down {
                return Err(Lost::Refused(Problem::new(503, "down"), None));
            }
            match answer(&emr) {
                Reply::Now(value) => {
                    sleep(Duration::from_micros(1_000 + emr.dice(30_000))).await;
                    Ok(value)
                }
                Reply::Lost(lost) => Err(lost),
                Reply::Late(wait, commit) => {
                    tokio::spawn(async move {
                        sleep(wait).await;
                        commit(&emr);
                    });
                    sleep(Duration::from_millis(500)).await;
                    Err(Lost::Unknown)
                }
            }
        });
        task.await.unwrap_or(Err(Lost::Unknown))
    }
}

enum Reply<T> {
    Now(T),
    Lost(Lost),
    Late(Duration, Box<dyn FnOnce(&Emr) + Send>),
}

enum Lost {
    Never,
    Unknown,
    Refused(Problem, Option<Duration>),
}

/// The process may make no more calls.
fn stopped() -> Outcome {
    Outcome::Retry { problem: Problem::new(0, "stopped"), after: None }
}

impl Destination for Connector {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            let marker = item.body.as_ref().and_then(|body| body.get("language")?.as_str()?.parse().ok()).unwrap_or(0);
            let id = match (&item.remote, &item.body) {
                (Some(remote), _) => Some(remote.id.clone()),
                // A deletion of what may be there: looked up first, which is a call of its own.
                (None, None) => {
                    let Some(_call) = calls.next().await else { return stopped() };
                    let key = item.key.clone();
                    match self.send(move |emr| Reply::Now(emr.find(&key))).await {
                        Ok(Some(entry)) => Some(entry.id),
                        Ok(None) => return Outcome::Done(Remote::default()),
                        Err(_) => return Outcome::Retry { problem: Problem::new(503, "lookup"), after: None },
                    }
                }
                (None, Some(_)) => None,
            };
            if self.0.sessions && self.0.dice(4) == 0 {
                let Some(_call) = calls.next().await else { return stopped() };
                if self.send(|_| Reply::Now(())).await.is_err() {
                    return Outcome::Retry { problem: Problem::new(503, "no session"), after: None };
                }
            }
            let request = Request { key: item.key.clone(), id, marker, delete: item.body.is_none() };
            let Some(_call) = calls.next().await else { return stopped() };
            let faults = self.0.faults;
            let sent = self.send(move |emr| {
                if emr.refuses(&request.key) {
                    return Reply::Lost(Lost::Never);
                }
                let dice = if faults { emr.dice(100) } else { 99 };
                match dice {
                    0..2 => {
                        emr.commit(&request);
                        Reply::Lost(Lost::Unknown)
                    }
                    2..4 => {
                        let wait = Duration::from_millis(emr.dice(LATE_MAX_MS));
                        Reply::Late(wait, Box::new(move |emr| drop(emr.commit(&request))))
                    }
                    4..6 => Reply::Lost(Lost::Refused(Problem::new(429, "slow down"), Some(Duration::from_secs(1)))),
                    6..8 => Reply::Lost(Lost::Refused(Problem::new(429, "slow down"), None)),
                    8..11 => Reply::Lost(Lost::Refused(Problem::new(500, "oops"), None)),
                    11..12 => Reply::Lost(Lost::Unknown),
                    _ => Reply::Now(emr.commit(&request)),
                }
            });
            match sent.await {
                Ok(Some(id)) => Outcome::Done(Remote { id, more: Vec::new() }),
                Ok(None) if item.body.is_none() => Outcome::Done(Remote::default()),
                Ok(None) => Outcome::Gone(Problem::new(404, "not there")),
                Err(Lost::Refused(problem, after)) => Outcome::Retry { problem, after },
                Err(Lost::Unknown) => Outcome::Unknown(Problem::new(0, "connection lost")),
                Err(Lost::Never) => Outcome::Refused(Problem::new(422, "never")),
            }
        })
    }

    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move {
            let _call = calls.next().await;
            let key = item.key.clone();
            match self.send(move |emr| Reply::Now(emr.find(&key))).await {
                Ok(Some(entry)) => Found::Yes(Remote { id: entry.id, more: Vec::new() }),
                Ok(None) => Found::No,
                Err(_) => Found::Unknown(Problem::new(503, "lookup")),
            }
        })
    }

    fn quiesce(&self) -> Duration {
        QUIESCE
    }

    fn kind(&self) -> &'static str {
        "simulation"
    }
}

/// How often each key is there.
pub(crate) fn copies(entries: &[Entry]) -> BTreeMap<&str, usize> {
    let mut copies = BTreeMap::new();
    for entry in entries {
        *copies.entry(entry.key.as_str()).or_default() += 1;
    }
    copies
}
