//! One history: writes at random times, kills, takeovers, outages; and what must hold at its end.

use crate::book::MemoryBook;
use crate::emr::{Connector, Emr, Entry, copies};
use delivery::{Dispatcher, Handle, Limit, Rule, Rules, Spec, Window, Windows};
use engine::Followed;
use fhir::defs::r4;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use store::{Clock, Op};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub seed: u64,
    pub patients: u64,
    pub changes: u64,
    pub kills: u32,
    pub faults: bool,
    /// Some deliveries need several calls.
    pub sessions: bool,
    pub nodes: usize,
    /// The EMR is down this long, with everything written before it comes back.
    pub outage_s: u64,
    pub rate: u32,
    pub windows: bool,
    /// Changes in memory at most.
    pub lookahead: usize,
    /// This resource is refused until an operator replays it; many changes wait behind it.
    pub refuse: Option<&'static str>,
}

impl Default for Story {
    fn default() -> Story {
        Story {
            seed: 0,
            patients: 5,
            changes: 20,
            kills: 0,
            faults: false,
            sessions: true,
            nodes: 1,
            outage_s: 0,
            rate: 10,
            windows: false,
            lookahead: 10_000,
            refuse: None,
        }
    }
}

/// What a story tells about time.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub backlog: u64,
    /// What the tightest limit allows.
    pub allowed_per_s: f64,
    pub eta_s: f64,
    pub drained_s: f64,
    pub utilisation: f64,
    /// Most intents that were on disk only.
    pub shelved_max: usize,
}

/// The wall clock of one node: virtual time with an offset that may jump when the node starts anew.
#[derive(Debug)]
struct NodeClock {
    start: Instant,
    offset_us: AtomicI64,
}

const EPOCH_US: i64 = 1_767_225_600_000_000;

impl Clock for NodeClock {
    fn now_us(&self) -> i64 {
        EPOCH_US + self.start.elapsed().as_micros() as i64 + self.offset_us.load(Ordering::Relaxed)
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

struct Node {
    name: String,
    book: MemoryBook,
    clock: Arc<NodeClock>,
    running: Option<JoinHandle<()>>,
}

struct World {
    story: Story,
    emr: Arc<Emr>,
    nodes: Vec<Node>,
    handle: Arc<std::sync::Mutex<Option<Handle>>>,
    dice: Dice,
}

fn types(names: &[&str]) -> Vec<fhir::defs::TypeId> {
    names.iter().map(|name| r4().resource_by_name(name).unwrap()).collect()
}

impl World {
    fn new(story: &Story) -> World {
        let start = Instant::now();
        let clock = || Arc::new(NodeClock { start, offset_us: AtomicI64::new(0) });
        let first = clock();
        let book = MemoryBook::new(first.clone(), story.seed);
        let mut nodes = vec![Node { name: "node-0".into(), book: book.clone(), clock: first, running: None }];
        for n in 1..story.nodes {
            let clock = clock();
            nodes.push(Node {
                name: format!("node-{n}"),
                book: book.of_other_node(clock.clone()),
                clock,
                running: None,
            });
        }
        World {
            story: story.clone(),
            emr: Arc::new(Emr::new(story.seed, story.faults, story.sessions)),
            nodes,
            handle: Arc::default(),
            dice: Dice(story.seed),
        }
    }

    fn spec(&self, node: &Node) -> Spec {
        let rules = Rules(vec![Rule {
            types: types(&["Organization", "Patient", "Appointment", "Observation"]),
            filter: None,
            priority: 100,
        }]);
        let limits = vec![
            Limit { count: self.story.rate, window_us: 1_000_000 },
            Limit { count: self.story.rate * 50, window_us: 60_000_000 },
        ];
        let mut spec = Spec::new("emr", rules, limits);
        spec.owner = node.name.clone();
        spec.concurrency = 8;
        spec.lookahead = self.story.lookahead;
        if self.story.windows {
            spec.windows = Windows(vec![window()]);
        }
        spec
    }

    /// Starts a process on a node; it tries for the lease until it has it.
    fn start(&mut self, at: usize) {
        let seed = self.dice.roll(u64::MAX);
        let node = &self.nodes[at];
        let (book, clock) = (node.book.clone(), node.clock.clone());
        let (emr, handle, story_spec) = (self.emr.clone(), self.handle.clone(), self.spec_maker(at));
        let task = tokio::spawn(async move {
            loop {
                let started = Dispatcher::start(
                    book.clone(),
                    story_spec(),
                    Arc::new(Connector(emr.clone())),
                    clock.clone(),
                    seed,
                );
                match started.await {
                    Ok((dispatcher, running)) => {
                        *handle.lock().unwrap() = Some(running);
                        let error = dispatcher.run().await.unwrap_err();
                        assert_eq!(error.status, 409, "only a lost lease ends it: {error}");
                    }
                    Err(error) => assert_eq!(error.status, 409, "{error}"),
                }
                sleep(Duration::from_secs(5)).await;
            }
        });
        self.nodes[at].running = Some(task);
    }

    fn spec_maker(&self, at: usize) -> impl Fn() -> Spec + Send + 'static {
        let copy = World {
            story: self.story.clone(),
            emr: self.emr.clone(),
            nodes: Vec::new(),
            handle: Arc::default(),
            dice: Dice(0),
        };
        let node = &self.nodes[at];
        let node = Node { name: node.name.clone(), book: node.book.clone(), clock: node.clock.clone(), running: None };
        move || copy.spec(&node)
    }

    /// SIGKILL, and a clock that may have been set while the node was down.
    async fn kill(&mut self, at: usize) {
        if let Some(task) = self.nodes[at].running.take() {
            task.abort();
            drop(task.await);
        }
        let jump = match self.dice.roll(4) {
            0 => self.dice.roll(3_600_000_000) as i64 - 1_800_000_000,
            _ => 0,
        };
        // Two nodes share their leases: their clocks agree.
        if self.story.nodes == 1 && !self.story.windows {
            self.nodes[at].clock.offset_us.fetch_add(jump, Ordering::Relaxed);
        }
    }

    /// One change: a new patient, an appointment or observation of one, another version, or a deletion.
    fn change(&mut self, n: u64) {
        let book = self.nodes[0].book.clone();
        let patient = self.dice.roll(self.story.patients);
        let marker = n + 1;
        let key = format!("Patient/p{patient}");
        let kind = self.dice.roll(10);
        match kind {
            0..3 => {
                let json = format!(
                    r#"{{"resourceType":"Patient","id":"p{patient}","language":"{marker}","managingOrganization":{{"reference":"Organization/o{}"}}}}"#,
                    patient % 2
                );
                book.write("Patient", &format!("p{patient}"), Op::Update, json, Some(key));
            }
            9 if n.is_multiple_of(3) => {
                book.write("Appointment", &format!("a{patient}"), Op::Delete, String::new(), None);
            }
            3..6 | 9 => {
                let json = format!(
                    r#"{{"resourceType":"Appointment","id":"a{patient}","language":"{marker}","participant":[{{"actor":{{"reference":"{key}"}}}}]}}"#
                );
                book.write("Appointment", &format!("a{patient}"), Op::Update, json, Some(key));
            }
            _ => {
                let json = format!(
                    r#"{{"resourceType":"Observation","id":"x{n}","language":"{marker}","subject":{{"reference":"{key}"}}}}"#
                );
                book.write("Observation", &format!("x{n}"), Op::Create, json, Some(key));
            }
        }
    }

    /// Patients and organisations first, so that all references lead somewhere.
    fn beginning(&mut self) {
        let book = self.nodes[0].book.clone();
        for n in 0..self.story.patients {
            let key = format!("Patient/p{n}");
            let json = format!(
                r#"{{"resourceType":"Patient","id":"p{n}","language":"0","managingOrganization":{{"reference":"Organization/o{}"}}}}"#,
                n % 2
            );
            book.write("Patient", &format!("p{n}"), Op::Create, json, Some(key));
        }
        // After those who refer to them.
        for n in 0..2 {
            let json = format!(r#"{{"resourceType":"Organization","id":"o{n}","language":"0"}}"#);
            book.write("Organization", &format!("o{n}"), Op::Create, json, None);
        }
    }

    fn status(&self) -> Option<delivery::Status> {
        self.handle.lock().unwrap().as_ref().map(Handle::status)
    }

    async fn drain(&self) {
        let limit = Instant::now() + Duration::from_secs(3 * 86_400);
        loop {
            sleep(Duration::from_secs(2)).await;
            let book = &self.nodes[0].book;
            let open: usize = ["/intent", "/line", "/line-key", "/line-group", "/line-head", "/line-wait"]
                .iter()
                .map(|part| book.rows(part))
                .sum();
            let done = self.status().is_some_and(|status| status.depth == 0 && status.in_flight == 0);
            // A new process has published nothing yet when its numbers are still zero: ask the disk too.
            if done && open == 0 && self.missing().is_empty() {
                return;
            }
            assert!(
                Instant::now() < limit,
                "seed {}: missing {:?}, {:?}",
                self.story.seed,
                self.missing(),
                self.status()
            );
        }
    }

    /// What is not at the EMR as it is here.
    fn missing(&self) -> Vec<String> {
        let entries = self.emr.entries();
        // The last of a key: earlier ones may have been deleted.
        let by_key: HashMap<&str, &Entry> = entries.iter().map(|entry| (entry.key.as_str(), entry)).collect();
        let mut missing = Vec::new();
        for newest in self.nodes[0].book.newest() {
            let key = format!("{}/{}", r4().ty(newest.resource.ty).name, newest.resource.id);
            let entry = by_key.get(key.as_str()).copied();
            let there = match newest.resource.op {
                Op::Delete => entry.is_none_or(|entry| entry.deleted),
                _ => entry.is_some_and(|entry| entry.marker == marker(&newest.resource.json) && !entry.deleted),
            };
            if !there {
                missing.push(format!("{key} at {:?} {}, there {entry:?}", newest.resource.op, newest.seq));
            }
        }
        missing
    }

    /// What must hold besides that nothing is missing.
    fn check(&self) {
        let seed = self.story.seed;
        let entries = self.emr.entries();
        for (key, count) in copies(&entries) {
            // A resource that was deleted and comes back is a new one there.
            let live = entries.iter().filter(|entry| entry.key == key && !entry.deleted).count();
            assert!(live <= 1, "seed {seed}: {key} is there {count} times");
        }
        assert_eq!(self.emr.backwards(), 0, "seed {seed}: an older version came after a newer one");
        let created = self.emr.created();
        let at = |key: &str| created.iter().position(|other| other == key);
        for key in &created {
            if let Some(n) = key.strip_prefix("Appointment/a") {
                assert!(at(&format!("Patient/p{n}")) < at(key), "seed {seed}: {key} before its patient");
            }
            if let Some(n) = key.strip_prefix("Patient/p") {
                let n: u64 = n.parse().unwrap();
                assert!(
                    at(&format!("Organization/o{}", n % 2)) < at(key),
                    "seed {seed}: {key} before its organisation"
                );
            }
        }
        // Observations are written once each, with rising numbers.
        let groups = self.groups();
        let mut last: HashMap<&str, u64> = HashMap::new();
        for key in &created {
            if let Some(n) = key.strip_prefix("Observation/x") {
                let n: u64 = n.parse().unwrap();
                let patient = groups[key].as_deref().unwrap();
                let before = last.insert(patient, n).unwrap_or_default();
                assert!(before <= n, "seed {seed}: {key} of {patient} after x{before}");
            }
        }
        self.check_rate();
        let refused = usize::from(self.story.refuse.is_some());
        assert_eq!(self.nodes[0].book.tasks(), refused, "seed {seed}: refused for good");
    }

    /// All but the refused resource and what waits for it get there; then it is replayed.
    async fn replay_what_is_refused(&mut self, refused: &str) {
        let groups = self.groups();
        // Patients with an even number belong to the first organisation.
        let waits = |group: &str| match refused {
            "Organization/o0" => {
                group == refused || group.strip_prefix("Patient/p").is_some_and(|n| n.parse::<u64>().unwrap() % 2 == 0)
            }
            patient => group == patient,
        };
        let own = |missing: &&String| {
            let key = missing.split(' ').next().unwrap_or_default();
            let of_appointment = key.strip_prefix("Appointment/a").map(|n| format!("Patient/p{n}"));
            waits(of_appointment.as_deref().or(groups[key].as_deref()).unwrap_or(key))
        };
        sleep(Duration::from_secs(900)).await;
        let missing = self.missing();
        let of_others: Vec<&String> = missing.iter().filter(|missing| !own(missing)).collect();
        assert!(of_others.is_empty(), "seed {}: behind another's dead letter: {of_others:?}", self.story.seed);
        assert!(!missing.is_empty() && self.nodes[0].book.tasks() == 1);
        let status = self.status().expect("it runs");
        assert_eq!((status.dead, status.depth > 0), (1, true), "seed {}", self.story.seed);
        self.emr.refuse(None);
        let handle = self.handle.lock().unwrap().clone().expect("it runs");
        let dead = handle.list(Some(delivery::State::Dead), 10).await.expect("it answers");
        assert_eq!(dead.iter().map(|intent| intent.key.as_str()).collect::<Vec<_>>(), [refused]);
        assert_eq!(handle.find(dead[0].no).await.flatten().as_ref(), dead.first());
        assert_eq!(handle.replay(None).await, Some(1));
    }

    /// The patient of each resource.
    fn groups(&self) -> HashMap<String, Option<String>> {
        let newest = self.nodes[0].book.newest().into_iter();
        let key = |newest: &Followed| format!("{}/{}", r4().ty(newest.resource.ty).name, newest.resource.id);
        newest.map(|newest| (key(&newest), newest.patient)).collect()
    }

    fn check_rate(&self) {
        let mut arrivals = self.emr.arrivals();
        arrivals.sort_unstable();
        for (count, window) in [(self.story.rate, 1), (self.story.rate * 50, 60)] {
            for (at, arrival) in arrivals.iter().enumerate() {
                let end = *arrival + Duration::from_secs(window);
                let inside = arrivals[at..].iter().take_while(|other| **other < end).count();
                assert!(inside <= count as usize, "seed {}: {inside} arrivals in {window} s", self.story.seed);
            }
        }
        if self.story.windows {
            let start = self.nodes[0].clock.start;
            for arrival in arrivals {
                let second = arrival.duration_since(start).as_secs() % 3_600;
                assert!(
                    (600..1_200).contains(&second),
                    "seed {}: arrival at second {second} of an hour",
                    self.story.seed
                );
            }
        }
    }
}

/// Ten to twenty past each hour would be many windows; one each hour is what 24 of them are.
fn window() -> Window {
    Window {
        days: [true; 7],
        from: jiff::civil::Time::constant(0, 10, 0, 0),
        until: jiff::civil::Time::constant(0, 20, 0, 0),
        zone: jiff::tz::TimeZone::UTC,
        quota: None,
    }
}

fn marker(json: &[u8]) -> u64 {
    let text = std::str::from_utf8(json).unwrap();
    let (_, rest) = text.split_once("\"language\":\"").unwrap();
    rest.split_once('"').unwrap().0.parse().unwrap()
}

pub(crate) fn run(story: &Story) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(tell(story))
}

async fn tell(story: &Story) -> Told {
    let mut world = World::new(story);
    let mut told = Told::default();
    world.beginning();
    world.emr.set_down(story.outage_s > 0);
    world.emr.refuse(story.refuse);
    (0..story.nodes).for_each(|at| world.start(at));
    let mut kills = story.kills;
    for n in 0..story.changes {
        world.change(n);
        sleep(Duration::from_millis(world.dice.roll(400))).await;
        let kill_now = world.dice.roll(story.changes) < u64::from(story.kills) * 2;
        if kills > 0 && kill_now {
            kills -= 1;
            let at = world.dice.roll(story.nodes as u64) as usize;
            if story.nodes > 1 && world.dice.roll(2) == 0 {
                // Cut off from the disk, not from the EMR: the other one takes over meanwhile.
                let cut_off = world.nodes[at].book.cut_off.clone();
                cut_off.store(true, Ordering::Relaxed);
                tokio::spawn(async move {
                    sleep(Duration::from_secs(45)).await;
                    cut_off.store(false, Ordering::Relaxed);
                });
            } else {
                world.kill(at).await;
                sleep(Duration::from_millis(world.dice.roll(3_000))).await;
                world.start(at);
            }
        }
    }
    if story.outage_s > 0 {
        sleep(Duration::from_secs(story.outage_s)).await;
        world.emr.set_down(false);
        // Until the breaker has let its canary through.
        while world.status().is_none_or(|status| status.breaker != "closed") {
            sleep(Duration::from_secs(1)).await;
        }
    }
    if let Some(refused) = story.refuse {
        world.replay_what_is_refused(refused).await;
    }
    let from = (Instant::now(), world.emr.arrivals().len());
    let status = world.status();
    told.backlog = status.as_ref().map_or(0, |status| status.depth);
    sleep(Duration::from_secs(1)).await;
    told.eta_s = world.status().and_then(|status| status.eta_s).unwrap_or(0.0);
    world.drain().await;
    told.drained_s = from.0.elapsed().as_secs_f64();
    let calls = world.emr.arrivals().len() - from.1;
    told.allowed_per_s = f64::from(story.rate) * 50.0 / 60.0;
    told.utilisation = calls as f64 / (told.drained_s * told.allowed_per_s);
    world.check();
    told.shelved_max = world.nodes[0].book.shelved_max();
    told
}
