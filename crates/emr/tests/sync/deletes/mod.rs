//! Random histories with deletions: people edit, delete and create again on both sides, pulls and pushes come between, and writes
//! get lost. Over the real engine, store and merging; of the dispatcher only its order of events is played, so that a seed
//! always makes the same history.
//!
//! `WEIR_SYNC_HISTORIES` sets how many (100; the proof runs 10,000), `WEIR_SYNC_SEED` the first of them.

mod dispatcher;
mod judge;

use crate::history::differences_of;
use crate::site::{Fate, Inside, Removal, Site};
use crate::stand::stand;
use delivery::{
    Calls, Check, Delivered, Destination, Dispatcher, EngineBook, Found, Item, Outcome, Remote, Rules, Spec, Verdict,
    hash_of,
};
use emr::sync::{Applied, BusinessIdentifier, Kind, Pulled, Quality, Settings, Sync, SyncCheck, Synced, Tombstone};
use engine::{Engine, Feed, Followed, Keep, Options, Precondition, Principal, Role, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use store::{Op, StateChange, TenantId};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ (word >> 31)) % bound as u64) as usize
    }
}

const ELEMENTS: [&str; 4] = ["gender", "birthDate", "language", "telecom"];

fn element(name: &str, value: usize) -> Value {
    let text = match name {
        "gender" => format!(r#""{}""#, ["male", "female", "other"][value - 1]),
        "birthDate" => format!(r#""199{value}-01-01""#),
        "language" => format!(r#""{}""#, ["de", "en", "fr"][value - 1]),
        _ => format!(r#"[{{"system":"phone","value":"{value}"}}]"#),
    };
    Value::parse(&text).unwrap()
}

/// The engine of some histories.
struct House {
    engine: Engine,
    session: Session,
    feed: Feed,
    calls: Calls,
    task: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl House {
    async fn build() -> House {
        let (engine, _, clock, dir) = stand(Options::default(), 1_760_000_000_000_000);
        let session = Session {
            tenant: TenantId("default".into()),
            who: Principal { id: "sync/emr".into(), role: Role::Admin },
            request_id: String::new(),
            base: "http://localhost/fhir".into(),
        };
        // Nothing is delivered by it: it gives out calls.
        let spec = Spec::new("idle", Rules(Vec::new()), Vec::new());
        let book = EngineBook::new(engine.clone(), session.clone()).await.unwrap();
        let site = History::site(Removal::Removes);
        let (dispatcher, handle) = Dispatcher::start(book, spec, Arc::new(site), clock, 1).await.unwrap();
        let calls = handle.calls();
        let task = tokio::spawn(async move { drop(dispatcher.run().await) });
        let feed = engine.feed(&session).await.unwrap();
        House { engine, session, feed, calls, task, _dir: dir }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One resource, perhaps several records, and people on both sides.
struct History<'a> {
    house: &'a House,
    random: Random,
    ty: TypeId,
    sync: Arc<Sync>,
    check: SyncCheck,
    synced: Synced<Site>,
    site: Site,
    tombstone: Tombstone,
    /// Ours: the first one, and those that the pull has made.
    keys: Vec<String>,
    /// Up to which change each was delivered, or given up.
    handled: BTreeMap<String, u64>,
    /// Creations of unknown outcome, and the change that they have sent.
    uncertain: BTreeMap<String, u64>,
    attempted: BTreeSet<String>,
    /// What the pull has met: hashes by id there.
    met: BTreeMap<String, u64>,
    /// Records there with edits that nobody here has seen or was asked about, as they were before, and ours the other way round.
    unseen: BTreeMap<String, Value>,
    unsent: BTreeMap<String, Value>,
    /// Records that a Task asks about.
    asked: BTreeSet<String>,
    /// Deliveries that were given up with a Task.
    refused: BTreeSet<String>,
    /// Changes that people made here and there, and writes that synchronisation made here.
    people: [usize; 2],
    wrote: usize,
    /// Writes there that have to be made again, since nobody knows of the first.
    repeated: usize,
    /// Records there that were linked to ours: each brings its content to the other.
    links: usize,
    begun: u64,
    story: Vec<String>,
}

impl<'a> History<'a> {
    fn site(removal: Removal) -> Site {
        let (records, fate) = (BTreeMap::new(), Fate::Answered);
        Site(Arc::new(Mutex::new(Inside { records, created: 0, writes: 0, fate, removal })))
    }

    async fn begin(house: &'a House, seed: u64) -> History<'a> {
        let mut random = Random(seed);
        let tombstone = [Tombstone::Inactive, Tombstone::Delete, Tombstone::Keep][random.below(3)];
        let removal = [Removal::Removes, Removal::Removes, Removal::Cancels, Removal::Refuses][random.below(4)];
        let site = History::site(removal);
        let ty = r4().resource_by_name("Patient").unwrap();
        let settings = Settings {
            name: "emr".into(),
            kind: Kind::Fhir,
            base: format!("https://emr{seed}/fhir"),
            identifier_system: "urn:weir".into(),
            types: vec![ty],
            tombstone,
        };
        // Each history has a name of its own: their records have the same ids.
        let settings = Settings { name: format!("emr{seed}"), ..settings };
        let finder = Arc::new(BusinessIdentifier);
        let sync = Sync::new(house.engine.clone(), house.session.clone(), settings, finder).await.unwrap();
        let sync = Arc::new(sync);
        let begun = house.feed.changes(0, 1_000_000).await.unwrap().last().map_or(0, |last| last.seq);
        let mut history = History {
            house,
            random,
            ty,
            check: SyncCheck::new(Some(sync.clone()), Quality { kind: Kind::Fhir, maps: None }),
            synced: Synced::new(Arc::new(site.clone()), sync.clone()),
            sync,
            site,
            tombstone,
            keys: vec![format!("Patient/h{seed}")],
            handled: BTreeMap::new(),
            uncertain: BTreeMap::new(),
            attempted: BTreeSet::new(),
            met: BTreeMap::new(),
            unseen: BTreeMap::new(),
            unsent: BTreeMap::new(),
            asked: BTreeSet::new(),
            refused: BTreeSet::new(),
            people: [0; 2],
            wrote: 0,
            repeated: 0,
            links: 0,
            begun,
            story: vec![format!("{tombstone:?} {removal:?}")],
        };
        let key = history.keys[0].clone();
        let fresh = history.fresh(seed);
        history.put(&key, fresh).await;
        history
    }

    /// Half of the patients have an identifier by which another record of them is found.
    fn fresh(&mut self, seed: u64) -> Value {
        let identifier = match seed.is_multiple_of(2) {
            true => format!(r#","identifier":[{{"system":"urn:clinic","value":"{seed}"}}]"#),
            false => String::new(),
        };
        let text = format!(r#"{{"resourceType":"Patient","name":[{{"family":"Ito"}}]{identifier}}}"#);
        let mut patient = Value::parse(&text).unwrap();
        for name in ELEMENTS {
            patient.set(name, element(name, self.random.below(3) + 1));
        }
        patient
    }

    async fn current(&self, key: &str) -> Option<Followed> {
        self.house.feed.current(self.ty, id_of(key)).await.unwrap()
    }

    async fn here(&self, key: &str) -> Option<Value> {
        let current = self.current(key).await.filter(|current| current.resource.op != Op::Delete)?;
        Some(Value::parse(std::str::from_utf8(&current.resource.json).unwrap()).unwrap())
    }

    async fn put(&mut self, key: &str, mut body: Value) {
        body.set("id", id_of(key));
        let before = self.here(key).await.unwrap_or_default();
        let (engine, session) = (&self.house.engine, &self.house.session);
        let none = Precondition::default();
        engine.update(session, self.ty, Some(id_of(key)), body.to_string().as_bytes(), &none).await.unwrap();
        self.people[0] += 1;
        self.unsent.entry(key.to_owned()).or_insert(before);
    }

    /// One element with another value, or without; `None` if nothing changes.
    fn edited(&mut self, body: &Value) -> Option<Value> {
        let (name, value) = (ELEMENTS[self.random.below(ELEMENTS.len())], self.random.below(4));
        let mut new = body.clone();
        if let Value::Object(members) = &mut new {
            members.retain(|(member, _)| member != name);
        }
        if value > 0 {
            new.set(name, element(name, value));
        }
        self.story.push(format!("{name}={value}"));
        (emr::sync::canonical(&new) != emr::sync::canonical(body)).then_some(new)
    }

    async fn step(&mut self, seed: u64) {
        let step = self.random.below(20);
        let key = self.keys[self.random.below(self.keys.len())].clone();
        let mut places: Vec<String> = self.site.0.lock().unwrap().records.keys().cloned().collect();
        let place = (!places.is_empty()).then(|| places.swap_remove(self.random.below(places.len())));
        match step {
            0..=3 => match self.here(&key).await {
                Some(body) => {
                    self.story.push(format!("edit {key}"));
                    if let Some(new) = self.edited(&body) {
                        self.put(&key, new).await;
                    }
                }
                None if step == 0 => {
                    self.story.push(format!("create {key} again"));
                    let fresh = self.fresh(seed);
                    self.put(&key, fresh).await;
                }
                None => {}
            },
            4..=7 => self.edit_there(place, step == 4, seed),
            8 => {
                if let Some(body) = self.here(&key).await {
                    self.story.push(format!("delete {key}"));
                    let (engine, session, none) = (&self.house.engine, &self.house.session, Precondition::default());
                    engine.delete(session, self.ty, Some(id_of(&key)), &none).await.unwrap();
                    self.people[0] += 1;
                    // The same content created again is nothing new.
                    self.unsent.entry(key).or_insert(body);
                }
            }
            9 => {
                if let Some(place) = place {
                    self.story.push(format!("delete {place} there"));
                    self.site.0.lock().unwrap().records.remove(&place);
                    self.people[1] += 1;
                    self.unseen.remove(&place);
                }
            }
            10..=12 => self.pull(false).await,
            13..=14 => self.pull(true).await,
            15..=17 => self.push(Fate::Answered).await,
            18 => self.push(Fate::Unanswered).await,
            _ => self.push(Fate::Lost).await,
        }
    }

    fn edit_there(&mut self, place: Option<String>, creates: bool, seed: u64) {
        let site = self.site.clone();
        match place {
            Some(place) => {
                self.story.push(format!("edit {place} there"));
                let body = site.0.lock().unwrap().records[&place].clone();
                let Some(new) = self.edited(&body) else { return };
                site.0.lock().unwrap().records.insert(place.clone(), new);
                self.unseen.entry(place).or_insert(body);
                self.people[1] += 1;
            }
            None if creates => {
                let mut body = self.fresh(seed);
                let mut inside = site.0.lock().unwrap();
                // The same id, as from a backup, or another one.
                let place = match inside.created {
                    0 => "s1".to_owned(),
                    last if self.random.below(2) == 0 => format!("e{last}"),
                    last => format!("s{last}"),
                };
                self.story.push(format!("create {place} there"));
                body.set("id", place.as_str());
                inside.records.insert(place.clone(), body);
                self.unseen.insert(place, Value::Null);
                self.people[1] += 1;
            }
            None => {}
        }
    }

    /// Shows what has changed there; a sweep also what is not there any more.
    async fn pull(&mut self, sweep: bool) {
        self.story.push(if sweep { "sweep" } else { "pull" }.to_owned());
        let marks = self.house.feed.states(&self.marks(), "", 1_000).await.unwrap();
        for (place, _) in marks {
            let state = vec![StateChange { space: self.marks(), key: place.clone(), value: None }];
            self.house.feed.keep(Keep { state, ..Keep::default() }).await.unwrap();
            self.met.insert(place, 0);
        }
        let records = self.site.0.lock().unwrap().records.clone();
        for (place, record) in &records {
            let hash = hash_of(record);
            // The run leaves for later what may be a creation of ours whose outcome nobody knows yet.
            if self.met.get(place) != Some(&hash) && !self.is_in_doubt(place, record).await {
                self.apply(place, Some(record.clone())).await;
                self.met.insert(place.clone(), hash);
            }
        }
        let gone: Vec<String> = self.met.keys().filter(|place| !records.contains_key(*place)).cloned().collect();
        for place in gone.into_iter().filter(|_| sweep) {
            self.apply(&place, None).await;
            self.met.remove(&place);
        }
    }

    async fn is_in_doubt(&self, place: &str, record: &Value) -> bool {
        let carries = |key: &String| {
            let value = key.replace('/', "-");
            record.list("identifier").iter().any(|one| one.str("value") == Some(value.as_str()))
        };
        self.local(place).await.is_none() && self.uncertain.keys().any(carries)
    }

    async fn apply(&mut self, place: &str, resource: Option<Value>) {
        let (before, is_known) = (self.versions().await, self.local(place).await.is_some());
        let remote = Remote { id: place.to_owned(), more: Vec::new() };
        let applied = self.sync.apply(&Pulled { ty: self.ty, remote, resource }).await.unwrap();
        self.story.push(format!("  {place}: {applied:?}"));
        match applied {
            Applied::Created(key) => {
                self.wrote += 1;
                self.keys.push(key);
            }
            Applied::Unsure => drop(self.asked.insert(place.to_owned())),
            Applied::Merged { conflicts, .. } => {
                self.links += usize::from(!is_known);
                if conflicts > 0 {
                    self.asked.insert(place.to_owned());
                }
            }
            Applied::Echo | Applied::Gone => {}
            Applied::Waits(_) | Applied::Refused => panic!("{applied:?}"),
        }
        // Merged into ours, or a Task holds it.
        self.unseen.remove(place);
        self.count(&before).await;
        self.compare(place).await;
    }

    /// What a rule has set aside is not on its way any more.
    async fn compare(&mut self, place: &str) {
        let record = self.site.0.lock().unwrap().records.get(place).cloned();
        if let (Some(record), Some(key)) = (record, self.local(place).await)
            && let Some(ours) = self.here(&key).await
            && differences_of(self.ty, &ours, &without_ours(&record)).is_empty()
        {
            self.unsent.remove(&key);
        }
    }

    /// Ours of a record there.
    async fn local(&self, place: &str) -> Option<String> {
        let space = format!("sync/{}/remote", self.name());
        let id = self.house.feed.state(&space, &format!("Patient/{place}")).await.unwrap()?;
        Some(format!("Patient/{}", String::from_utf8(id).unwrap()))
    }

    /// The version of each of ours, and its content unless it is deleted.
    async fn versions(&self) -> BTreeMap<String, (u64, Option<Value>)> {
        let mut versions = BTreeMap::new();
        for key in &self.keys {
            if let Some(current) = self.current(key).await {
                versions.insert(key.clone(), (current.resource.version, self.here(key).await));
            }
        }
        versions
    }

    /// What synchronisation has written here since; what it removes must be there as it was seen.
    async fn count(&mut self, before: &BTreeMap<String, (u64, Option<Value>)>) {
        for (key, (version, now)) in self.versions().await {
            let Some((old, was)) = before.get(&key) else { continue };
            self.wrote += usize::try_from(version - old).unwrap();
            let sent = self.unsent.get(&key).filter(|_| now.is_none());
            if let (Some(sent), Some(was)) = (sent, was) {
                assert!(content(sent) == content(was), "an edit of {key} is lost");
            }
        }
    }
}

fn id_of(key: &str) -> &str {
    key.split_once('/').unwrap().1
}

/// As it is sent: ids and versions are ours.
fn stripped(current: &Followed) -> Value {
    let mut body = Value::parse(std::str::from_utf8(&current.resource.json).unwrap()).unwrap();
    if let Value::Object(members) = &mut body {
        members.retain(|(name, _)| name != "id" && name != "meta");
    }
    body
}

/// Without what is nobody's edit.
fn content(resource: &Value) -> Value {
    let mut content = emr::sync::canonical(resource);
    if let Value::Object(members) = &mut content {
        members.retain(|(name, _)| name != "id" && name != "meta");
    }
    content
}

/// A record without the identifier that we have put into it.
fn without_ours(record: &Value) -> Value {
    let mut record = record.clone();
    let mut identifiers = record.list("identifier").to_vec();
    identifiers.retain(|one| one.str("system") != Some("urn:weir"));
    if let Value::Object(members) = &mut record {
        members.retain(|(name, _)| name != "identifier");
    }
    if !identifiers.is_empty() {
        record.set("identifier", identifiers);
    }
    record
}

/// Tells the history that fails.
struct Fails<'a>(u64, History<'a>);

impl Drop for Fails<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("WEIR_SYNC_SEED={} fails:\n{}", self.0, self.1.story.join("\n"));
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(default)
}

/// Histories of one engine: with more, its log of changes would be long to look through.
const BATCH: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn histories_with_deletions_converge_and_nothing_is_lost() {
    let (first, count) = (number("WEIR_SYNC_SEED", 1), number("WEIR_SYNC_HISTORIES", 100));
    println!("histories {first} to {}", first + count - 1);
    let mut batches = tokio::task::JoinSet::new();
    let permits = Arc::new(tokio::sync::Semaphore::new(4));
    for begin in (first..first + count).step_by(BATCH as usize) {
        let permits = permits.clone();
        batches.spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            let house = House::build().await;
            for seed in begin..(begin + BATCH).min(first + count) {
                let mut history = Fails(seed, History::begin(&house, seed).await);
                for _ in 0..history.1.random.below(35) + 5 {
                    history.1.step(seed).await;
                }
                history.1.judge().await;
            }
        });
    }
    while let Some(batch) = batches.join_next().await {
        batch.unwrap();
    }
}
