//! The loop of one destination: follows the change log, picks who is next, and starts attempts.

mod page;
mod plan;

use crate::attempt::{After, BACKOFF_MAX_US, Shared};
use crate::board::Board;
use crate::book::Book;
use crate::destination::Destination;
use crate::gate::{Gate, Steady, Wait, WriteDown};
use crate::intent::{Intent, Problem, State};
use crate::jitter::Random;
use crate::limit::Limiter;
use crate::pace::Sign;
use crate::prepare::{self, Prepared};
use crate::shelf::{Counts, Shelf};
use crate::spec::Spec;
use crate::status::{Command, Handle, Status};
use crate::tempo::Tempo;
use engine::{Error, Followed};
use fhir::defs::r4;
use plan::group_of;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{AuditRecord, Clock, StateChange};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Between two looks at the change log when nothing else wakes the loop.
const POLL: Duration = Duration::from_millis(100);
/// Rows read at once on start.
const ROWS: usize = 1_000;
/// Signs of life of the lease when nothing else is written.
const LEASE_EVERY: Duration = Duration::from_secs(10);
/// Between two publications of the numbers.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Changes counted at once: the whole of a long backlog would take the loop's time.
const COUNT_MAX: u64 = 200_000;
/// Calls remembered for the rate that is shown and for quotas.
const REMEMBER_CALLS: usize = 2_000;

/// An attempt that has come back: its intent and how it stands.
type Finished = (u64, Result<(After, Sign), Error>);

/// One destination's loop. It ends when its lease is lost or the store is closed.
#[derive(Debug)]
pub struct Dispatcher<B: Book> {
    shared: Arc<Shared<B>>,
    board: Board,
    shelf: Shelf<B>,
    /// The shelf may have groups that can go on.
    ready_on_shelf: bool,
    /// On the shelf, somebody may wait for a resource.
    somebody_waits: bool,
    /// Keys that are done or gone, for which somebody on the shelf may wait.
    to_wake: Vec<String>,
    /// The last change that was looked at.
    planned: u64,
    in_flight: usize,
    finished: mpsc::UnboundedReceiver<Finished>,
    finish: mpsc::UnboundedSender<Finished>,
    commands: mpsc::Receiver<Command>,
    to_write: mpsc::Receiver<WriteDown>,
    /// Attempts in flight: they end with the dispatcher.
    tasks: JoinSet<()>,
    status: Arc<Mutex<Status>>,
    /// Audit records of changes that were taken over by newer ones.
    superseded: Vec<AuditRecord>,
    counted: Counted,
    /// Nothing new is begun.
    stopping: bool,
    /// The log may hold more changes than have been read.
    more: bool,
    polled: tokio::time::Instant,
    leased: tokio::time::Instant,
}

#[derive(Debug, Default)]
struct Counted {
    delivered: u64,
    coalesced: u64,
    failed: u64,
    last_problem: Option<(i64, Problem)>,
    /// Changes of our types that are not planned yet, among those up to `up_to`.
    unplanned: u64,
    up_to: u64,
    /// When the numbers were published last.
    at: Option<tokio::time::Instant>,
    tempo: Tempo,
}

impl Counted {
    /// A change has been planned; `counts`: it is of our types.
    fn planned(&mut self, seq: u64, counts: bool) {
        if seq > self.up_to {
            self.up_to = seq;
        } else {
            self.unplanned = self.unplanned.saturating_sub(u64::from(counts));
        }
    }
}

impl<B: Book> Dispatcher<B> {
    /// Reads what an earlier process left, takes the lease, and is ready to run. 409: another process has the lease.
    pub async fn start(
        book: B,
        spec: Spec,
        destination: Arc<dyn Destination>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<(Dispatcher<B>, Handle), Error> {
        let steady = Steady::new(&*clock);
        let (writer, to_write) = mpsc::channel(16);
        let mut limiter = Limiter::new(spec.limits.clone(), quota_max(&spec).max(REMEMBER_CALLS));
        limiter.restore(sent_calls(&book, &spec).await?, steady.now_us());
        let paused = book.state(&spec.space("control"), "paused").await?.is_some();
        let gate = Gate::new(limiter, spec.windows.clone(), paused, clock, steady, spec.space("sent"), writer);
        let shelf = Shelf::open(book.clone(), &spec.name).await?;
        let shared = Shared { book, destination, gate: Arc::new(gate), random: Random::new(seed), spec };
        let (finish, finished) = mpsc::unbounded_channel();
        let (commander, commands) = mpsc::channel(16);
        let status = Arc::new(Mutex::new(Status::new(&shared.spec, shared.destination.kind())));
        let now = tokio::time::Instant::now();
        let mut dispatcher = Dispatcher {
            shared: Arc::new(shared),
            board: Board::default(),
            shelf,
            ready_on_shelf: false,
            somebody_waits: false,
            to_wake: Vec::new(),
            planned: 0,
            in_flight: 0,
            finished,
            finish,
            commands,
            to_write,
            tasks: JoinSet::new(),
            status: status.clone(),
            superseded: Vec::new(),
            counted: Counted::default(),
            stopping: false,
            more: true,
            polled: now,
            leased: now,
        };
        dispatcher.restore().await?;
        let gate = dispatcher.shared.gate.clone();
        Ok((dispatcher, Handle::new(status, gate, commander)))
    }

    /// Runs until it is stopped ([`Handle::stop`]) or something makes it impossible to go on safely: 409 when another
    /// process has taken the lease.
    pub async fn run(mut self) -> Result<(), Error> {
        while !self.stopping || self.in_flight > 0 {
            self.turn().await?;
        }
        // What is kept in memory only must not be lost with a good end.
        self.settle().await?;
        self.keep_place().await
    }

    async fn turn(&mut self) -> Result<(), Error> {
        self.settle().await?;
        self.plan().await?;
        self.page_in().await?;
        let wake = self.start_ready().await?;
        self.keep_lease().await?;
        self.publish().await?;
        // Changes that wait to be planned, if there is room for them.
        let more =
            !self.to_wake.is_empty() || (self.more && self.has_room()) || (self.ready_on_shelf && self.room() > 0);
        while self.tasks.try_join_next().is_some() {}
        let gate = self.shared.gate.clone();
        tokio::select! {
            biased;
            Some((no, outcome)) = self.finished.recv() => {
                self.finish_one(no, outcome?).await?;
                while let Ok((no, outcome)) = self.finished.try_recv() {
                    self.finish_one(no, outcome?).await?;
                }
            }
            Some((rows, done)) = self.to_write.recv() => {
                let shared = self.shared.clone();
                // Not awaited here: many may share one fsync. A failure drops `done`, and with it the attempt's next call.
                self.tasks.spawn(async move {
                    if shared.keep(rows, Vec::new()).await.is_ok() {
                        done.send(()).ok();
                    }
                });
            }
            Some(command) = self.commands.recv() => self.command(command).await?,
            () = gate.changed(), if wake.is_some_and(|wake| wake.on_change) => {}
            () = sleep(wake, more) => {}
        }
        Ok(())
    }

    /// Rows of an earlier process. What was in flight may have arrived: it is looked for before anything else.
    async fn restore(&mut self) -> Result<(), Error> {
        let shared = self.shared.clone();
        let place = shared.book.state(&shared.spec.space("place"), "seq").await?;
        let place = place.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        self.planned = place.unwrap_or(shared.spec.from_seq);
        self.restore_counts().await?;
        // Takes the lease; where it all began must not be asked again after a crash.
        shared.keep(vec![shared.place(self.planned)], Vec::new()).await?;
        let now = shared.gate.steady.now_us();
        let quiesce = i64::try_from(shared.destination.quiesce().as_micros()).unwrap_or(i64::MAX / 2);
        let mut after = String::new();
        loop {
            let rows = shared.book.states(&shared.spec.space("intent"), &after, ROWS).await?;
            let Some((last, _)) = rows.last() else { break };
            after = last.clone();
            for (_, row) in rows {
                let Ok(mut intent) = serde_json::from_slice::<Intent>(&row) else { continue };
                // Times of an earlier process are not trusted: the clock may have been set since.
                intent.uncertain |= intent.state == State::InFlight;
                match intent.state {
                    State::InFlight | State::Probe => {
                        intent.state = State::Probe;
                        intent.probes = 0;
                        intent.not_before_us = now + quiesce;
                    }
                    State::Retry => intent.not_before_us = intent.not_before_us.min(now + BACKOFF_MAX_US),
                    State::Pending | State::Dead => {}
                }
                self.board.add(intent, true);
            }
        }
        self.restore_shelf().await
    }

    /// What was counted when the numbers were written down last, put right for the place in the log.
    async fn restore_counts(&mut self) -> Result<(), Error> {
        let (kept, place) = (self.shelf.counts.clone(), self.planned);
        let types = self.shared.spec.rules.types();
        self.counted.up_to = place;
        if kept.types != self.type_names() || kept.up_to < place {
            return Ok(());
        }
        let (from, until) = (kept.planned.min(place), kept.planned.max(place));
        let (between, _) = self.shared.book.count_changes(from, until - from, &types).await?;
        self.counted.up_to = kept.up_to;
        self.counted.unplanned = match place <= kept.planned {
            true => kept.unplanned + between,
            false => kept.unplanned.saturating_sub(between),
        };
        Ok(())
    }

    fn type_names(&self) -> String {
        let types = self.shared.spec.rules.types();
        types.iter().map(|ty| r4().ty(*ty).name).collect::<Vec<_>>().join(" ")
    }

    fn counts(&self) -> Counts {
        Counts {
            types: self.type_names(),
            unplanned: self.counted.unplanned,
            planned: self.planned,
            up_to: self.counted.up_to,
            ..self.shelf.counts.clone()
        }
    }

    async fn priority(&self, key: &str) -> Result<u8, Error> {
        let Some((ty, id)) = prepare::split(key) else { return Ok(crate::rule::PRIORITY) };
        let current = self.shared.book.current(ty, id).await?;
        let now = self.shared.gate.steady.now_us();
        let taken = current.and_then(|current| self.shared.spec.rules.takes(&current.resource, now));
        Ok(taken.unwrap_or(crate::rule::PRIORITY))
    }

    /// Starts what may start now; answers when to look again.
    async fn start_ready(&mut self) -> Result<Option<Wake>, Error> {
        while self.in_flight < self.shared.spec.concurrency && !self.stopping {
            let now = self.shared.gate.steady.now_us();
            let Some(no) = self.board.next(now) else {
                return Ok(self.board.next_due_us().map(|us| self.wake(Wait::Until(us))));
            };
            if let Err(wait) = self.shared.gate.look() {
                return Ok(Some(self.wake(wait)));
            }
            let Some(intent) = self.board.get(no).cloned() else { continue };
            match prepare::prepare(&self.shared.book, &self.shared.spec, &intent).await? {
                Prepared::Send(sending) => {
                    let call = match self.shared.gate.take() {
                        Ok(call) => call,
                        Err(wait) => return Ok(Some(self.wake(wait))),
                    };
                    self.board.update(no, |intent| {
                        intent.state = State::InFlight;
                        intent.sending = sending.seq;
                    });
                    self.in_flight += 1;
                    let (shared, finish) = (self.shared.clone(), self.finish.clone());
                    let low_water = self.board.low_water(self.planned);
                    self.tasks.spawn(async move {
                        let outcome = shared.attempt(intent, *sending, call, low_water).await;
                        finish.send((no, outcome)).ok();
                    });
                }
                Prepared::WaitFor(other) => self.wait_for(no, &other).await?,
                Prepared::Nothing => self.drop_intent(no).await?,
                Prepared::Refuse(problem) => self.refuse(no, problem).await?,
            }
        }
        Ok(None)
    }

    fn wake(&self, wait: Wait) -> Wake {
        match wait {
            Wait::Until(us) => Wake { at: Some(self.shared.gate.steady.instant(us)), on_change: true },
            Wait::Change => Wake { at: None, on_change: true },
        }
    }

    /// `no` refers to a resource that is not there yet: that one goes first.
    async fn wait_for(&mut self, no: u64, other: &Followed) -> Result<(), Error> {
        let key = format!("{}/{}", r4().ty(other.resource.ty).name, other.resource.id);
        let Some(group) = self.board.get(no).map(|intent| intent.group.clone()) else { return Ok(()) };
        if self.is_circle(no, &key).await? {
            return self.refuse(no, Problem::new(0, format!("it and {key} refer to each other"))).await;
        }
        if self.board.of_key(&key).is_none() {
            match self.shelf.of_key(&key).await? {
                Some(shelved) if shelved.group == group => self.take_one_back(shelved).await?,
                Some(_) => {}
                None => self.bring_in(other, &key, &group).await?,
            }
        }
        self.board.block(no, &key);
        if let Some(first) = self.board.of_key(&key).filter(|first| first.group == group).map(|first| first.no) {
            self.board.hoist(first);
        }
        Ok(())
    }

    /// An intent for a resource from before the destination was set up, or from further on in the log, to which one of `group`
    /// refers.
    async fn bring_in(&mut self, other: &Followed, key: &str, group: &str) -> Result<(), Error> {
        let priority = self.priority(key).await?;
        let own_group = group_of(other, None, key);
        let since_us = other.resource.last_updated_us;
        let intent = Intent::new(other.seq, key.to_owned(), own_group, since_us, priority);
        self.shelf.set_in_work(&intent);
        match intent.group == group {
            true => self.board.add(intent, true),
            false => self.enter(intent, true).await?,
        }
        self.flush().await
    }

    /// Whether the resource `key` waits for that of `no`, directly or by way of further ones.
    async fn is_circle(&self, no: u64, key: &str) -> Result<bool, Error> {
        let own = self.board.get(no).map(|intent| intent.key.clone());
        let (mut seen, mut next) = (BTreeSet::new(), Some(key.to_owned()));
        while let Some(key) = next {
            if Some(&key) == own.as_ref() {
                return Ok(true);
            }
            next = match self.board.of_key(&key) {
                Some(intent) => self.board.waits_on(intent.no).map(str::to_owned),
                None => self.shelf.waits_on(&key).await?,
            };
            if !seen.insert(key) {
                break;
            }
        }
        Ok(false)
    }

    async fn drop_intent(&mut self, no: u64) -> Result<(), Error> {
        let row = StateChange { space: self.shared.spec.space("intent"), key: Intent::row(no), value: None };
        self.shared.keep(vec![row], Vec::new()).await?;
        self.board.remove(no);
        self.note_released();
        Ok(())
    }

    async fn refuse(&mut self, no: u64, problem: Problem) -> Result<(), Error> {
        self.board.update(no, |intent| {
            intent.state = State::Dead;
            intent.problem = Some(problem);
        });
        // It goes to the shelf, and with it onto the disk, with the next turn.
        match self.board.get(no) {
            Some(intent) => self.shared.bury(intent).await,
            None => Ok(()),
        }
    }

    async fn finish_one(&mut self, no: u64, (after, sign): (After, Sign)) -> Result<(), Error> {
        self.in_flight -= 1;
        self.counted.failed += u64::from(sign != Sign::Healthy);
        let held = self.board.unhold(no);
        match after {
            After::Done { again } => {
                self.counted.delivered += 1;
                let Some(done) = self.board.remove(no) else { return Ok(()) };
                let written = again.is_some();
                // The change may have come after the attempt looked for one.
                let now = self.shared.gate.steady.now_us();
                let held = held.map(|seq| Intent::new(seq, done.key, done.group, now, done.priority));
                if let Some(mut again) = again.or(held) {
                    again.priority = self.priority(&again.key).await?;
                    self.enter(again, written).await?;
                    self.flush().await?;
                }
                self.note_released();
            }
            After::Changed(changed) => {
                self.board.written(no);
                let now = self.shared.gate.steady.now_us();
                self.counted.last_problem = changed.problem.clone().map(|problem| (now, problem));
                let changed_meanwhile = changed.state == State::Dead && held.is_some();
                self.board.update(no, |intent| *intent = changed);
                if changed_meanwhile {
                    self.board.update(no, Intent::revive);
                    let row = self.board.get(no).map(|intent| self.shared.intent_row(intent));
                    self.shared.keep(row.into_iter().collect(), Vec::new()).await?;
                }
            }
        }
        Ok(())
    }

    async fn keep_lease(&mut self) -> Result<(), Error> {
        if self.leased.elapsed() >= LEASE_EVERY {
            self.leased = tokio::time::Instant::now();
            self.keep_place().await?;
        }
        Ok(())
    }

    /// Nothing may be on its way to the shelf.
    async fn keep_place(&mut self) -> Result<(), Error> {
        let audit = std::mem::take(&mut self.superseded);
        self.shelf.counts = self.counts();
        let mut rows = self.shelf.take_rows(true);
        rows.push(self.shared.place(self.board.low_water(self.planned)));
        self.shared.keep(rows, audit).await
    }

    async fn command(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Pause(paused, done) => {
                let value = paused.then(|| b"1".to_vec());
                let row = StateChange { space: self.shared.spec.space("control"), key: "paused".into(), value };
                self.shared.keep(vec![row], Vec::new()).await?;
                self.shared.gate.pause(paused);
                done.send(()).ok();
            }
            Command::Replay(which, done) => {
                self.settle().await?;
                let count = self.replay(which).await?;
                done.send(count).ok();
            }
            Command::Stop => self.stopping = true,
            Command::List(state, limit, done) => drop(done.send(self.list(state, limit).await?)),
            Command::Find(no, done) => {
                let found = match self.board.get(no) {
                    Some(intent) => Some(intent.clone()),
                    None => self.shelf.dead_one(no).await?,
                };
                drop(done.send(found));
            }
        }
        self.counted.at = None;
        Ok(())
    }

    async fn list(&self, state: Option<State>, limit: usize) -> Result<Vec<Intent>, Error> {
        let wanted = |intent: &&Intent| state.is_none_or(|state| intent.state == state);
        let mut intents: Vec<Intent> = self.board.iter().filter(wanted).cloned().collect();
        if state.is_none_or(|state| state == State::Dead) {
            intents.extend(self.shelf.dead(limit).await?);
        }
        intents.sort_unstable_by_key(|intent| intent.no);
        intents.truncate(limit);
        Ok(intents)
    }

    async fn publish(&mut self) -> Result<(), Error> {
        if self.counted.at.is_some_and(|at| at.elapsed() < PUBLISH_EVERY) {
            return Ok(());
        }
        let types = self.shared.spec.rules.types();
        // Only what has come since the last count: the whole of a long backlog is not counted again and again.
        let (more, up_to) = self.shared.book.count_changes(self.counted.up_to, COUNT_MAX, &types).await?;
        self.counted.unplanned += more;
        self.counted.up_to = self.counted.up_to.max(up_to);
        let (counts, oldest_since_us) = (self.counts(), self.shelf.oldest_since_us().await?);
        self.counted.at = Some(tokio::time::Instant::now());
        let mut status = self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        status.update(&self.shared.gate, &self.board, &counts, oldest_since_us);
        status.delivered = self.counted.delivered;
        status.coalesced = self.counted.coalesced;
        status.failed = self.counted.failed;
        status.last_problem = self.counted.last_problem.clone();
        status.tell_end(&self.shared.gate, &mut self.counted.tempo);
        Ok(())
    }
}

/// When the loop looks again although nothing came in.
#[derive(Clone, Copy, Debug)]
struct Wake {
    at: Option<tokio::time::Instant>,
    on_change: bool,
}

async fn sleep(wake: Option<Wake>, more: bool) {
    if more {
        return tokio::task::yield_now().await;
    }
    let poll = tokio::time::Instant::now() + POLL;
    let at = wake.and_then(|wake| wake.at).map_or(poll, |at| at.min(poll));
    tokio::time::sleep_until(at).await;
}

fn quota_max(spec: &Spec) -> usize {
    spec.windows.0.iter().filter_map(|window| window.quota).max().unwrap_or(0) as usize
}

async fn sent_calls<B: Book>(book: &B, spec: &Spec) -> Result<Vec<(u64, i64)>, Error> {
    let mut calls = Vec::new();
    let mut after = String::new();
    loop {
        let rows = book.states(&spec.space("sent"), &after, ROWS).await?;
        let Some((last, _)) = rows.last() else { return Ok(calls) };
        after = last.clone();
        for (key, value) in rows {
            let no = u64::from_str_radix(&key, 16).ok();
            let at_us = value.try_into().ok().map(i64::from_le_bytes);
            calls.extend(no.zip(at_us));
        }
    }
}
