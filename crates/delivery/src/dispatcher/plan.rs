//! From the change log to intents.

use super::{Dispatcher, POLL};
use crate::attempt::TASK_SYSTEM;
use crate::book::Book;
use crate::intent::{Delivered, Intent, State};
use crate::prepare;
use crate::shelf::Why;
use crate::spec::Spec;
use engine::{Error, Followed};
use fhir::defs::r4;
use store::{AuditRecord, Op, StateChange};

/// Changes read at once.
const STEP: usize = 200;
/// An intent without a row that lies this part of the lookahead behind gets one, so that the place in the log moves on.
const BEHIND_PART: usize = 2;

impl<B: Book> Dispatcher<B> {
    /// Reads on in the change log as long as there is room.
    pub(super) async fn plan(&mut self) -> Result<(), Error> {
        let now = tokio::time::Instant::now();
        let due = self.more || now.duration_since(self.polled) >= POLL;
        if !due || (self.room() == 0 && !(self.is_starved() && self.make_room().await?)) {
            return Ok(());
        }
        self.polled = now;
        let step = STEP.min(self.room().max(self.shared.spec.lookahead / 50));
        let changes = self.shared.book.changes(self.planned, step).await?;
        self.more = changes.len() == step;
        let mut rows = Vec::new();
        for change in &changes {
            self.plan_one(change, &mut rows).await?;
            self.planned = change.seq;
            let counts = self.shared.spec.rules.takes_type(change.resource.ty);
            self.counted.planned(change.seq, counts);
        }
        self.flush().await?;
        if !rows.is_empty() || self.superseded.len() > STEP {
            let audit = std::mem::take(&mut self.superseded);
            self.shared.keep(rows, audit).await?;
        }
        self.write_overdue().await
    }

    /// Whether there is room to read on, or it can be made.
    pub(super) fn has_room(&mut self) -> bool {
        self.room() > 0 || (self.is_starved() && self.board.may_make_room())
    }

    /// Nothing that is in memory can be sent now.
    fn is_starved(&mut self) -> bool {
        let now = self.shared.gate.steady.now_us();
        self.board.next(now).is_none()
    }

    async fn plan_one(&mut self, change: &Followed, rows: &mut Vec<StateChange>) -> Result<(), Error> {
        let shared = self.shared.clone();
        let now = shared.gate.steady.now_us();
        let Some(priority) = shared.spec.rules.takes(&change.resource, now) else { return Ok(()) };
        let key = format!("{}/{}", r4().ty(change.resource.ty).name, change.resource.id);
        if is_own_task(change) {
            return Ok(());
        }
        if let Some(intent) = self.board.of_key(&key) {
            let (no, state, sending) = (intent.no, intent.state, intent.sending);
            if state == State::Dead && change.seq > sending {
                // Somebody has changed what was refused.
                self.board.update(no, Intent::revive);
                rows.extend(self.board.get(no).map(|intent| shared.intent_row(intent)));
            } else if state == State::InFlight {
                if change.seq > sending {
                    self.board.hold(no, change.seq);
                }
            } else if no != change.seq {
                self.coalesce(change, &key);
                if self.board.waits_on(no).is_some() {
                    // It may not refer to what it waits for any more.
                    self.board.update(no, |_| {});
                }
            }
            return Ok(());
        }
        if let Some(intent) = self.shelf.of_key(&key).await? {
            return self.plan_shelved(change, intent).await;
        }
        let known = prepare::delivered(&shared.book, &shared.spec, &key).await?;
        if known.as_ref().is_some_and(|known| known.seq >= change.seq) {
            return Ok(());
        }
        if change.resource.op == Op::Delete && known.is_none() {
            return Ok(());
        }
        let group = group_of(change, known.as_ref(), &key);
        let intent = Intent::new(change.seq, key, group, change.resource.last_updated_us, priority);
        self.enter(intent, false).await
    }

    /// A change of a resource whose intent is on the shelf.
    async fn plan_shelved(&mut self, change: &Followed, intent: Intent) -> Result<(), Error> {
        if intent.state == State::Dead && change.seq > intent.sending {
            return self.revive(intent).await;
        }
        if intent.no == change.seq {
            return Ok(());
        }
        self.coalesce(change, &intent.key);
        let place = self.shelf.place(&intent.group).await?;
        if place.is_some_and(|place| place.why == Why::Waits && place.no == intent.no) {
            self.make_ready(&intent.group).await?;
        }
        Ok(())
    }

    fn coalesce(&mut self, change: &Followed, key: &str) {
        self.counted.coalesced += 1;
        let now = self.shared.gate.steady.now_us();
        self.superseded.push(superseded(&self.shared.spec, change, key, now));
    }

    /// What waits long behind others of its patient gets a row.
    async fn write_overdue(&mut self) -> Result<(), Error> {
        let behind = (self.shared.spec.lookahead / BEHIND_PART) as u64;
        let overdue = self.board.overdue(self.planned.saturating_sub(behind), STEP);
        // Those in flight are having theirs written.
        let intents: Vec<&Intent> = overdue.iter().filter_map(|no| self.board.get(*no)).collect();
        let waiting: Vec<&Intent> = intents.into_iter().filter(|intent| intent.state != State::InFlight).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let rows = waiting.iter().map(|intent| self.shared.intent_row(intent)).collect();
        let written: Vec<u64> = waiting.iter().map(|intent| intent.no).collect();
        self.shared.keep(rows, Vec::new()).await?;
        written.into_iter().for_each(|no| self.board.written(no));
        Ok(())
    }
}

/// Tasks about refused deliveries are for people here; delivering them could make more of them.
fn is_own_task(change: &Followed) -> bool {
    r4().ty(change.resource.ty).name == "Task"
        && change.resource.json.windows(TASK_SYSTEM.len()).any(|at| at == TASK_SYSTEM.as_bytes())
}

pub(super) fn group_of(change: &Followed, known: Option<&Delivered>, key: &str) -> String {
    let known = known.map(|known| known.group.clone());
    change.patient.clone().or(known).unwrap_or_else(|| key.to_owned())
}

fn superseded(spec: &Spec, change: &Followed, key: &str, now: i64) -> AuditRecord {
    AuditRecord {
        at_us: now,
        interaction: "supersede".into(),
        outcome: 0,
        status: 200,
        who: format!("delivery/{}", spec.name),
        request_id: String::new(),
        entity: format!("{key}/_history/{}", change.resource.version.saturating_sub(1)),
        patient: change.patient.clone(),
        query: None,
    }
}
