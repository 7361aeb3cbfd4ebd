//! One attempt: written down, made, and what follows from its outcome.

use crate::book::Book;
use crate::destination::{Destination, Found, Outcome};
use crate::gate::{Call, Calls, Gate};
use crate::intent::{Delivered, Intent, Problem, State};
use crate::jitter::Random;
use crate::pace::Sign;
use crate::prepare::{self, Sending, split};
use crate::spec::Spec;
use engine::{Error, Keep};
use fhir::json;
use fhir::json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{AuditRecord, ClaimChange, StateChange};

/// The longest pause between two tries.
pub(crate) const BACKOFF_MAX_US: i64 = 900_000_000;
/// Codes of the Tasks that are made for people.
pub const TASK_SYSTEM: &str = "urn:weir:delivery";

/// What the tasks of one dispatcher share.
#[derive(Debug)]
pub(crate) struct Shared<B> {
    pub(crate) book: B,
    pub(crate) spec: Spec,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) random: Random,
}

/// How an intent stands after an attempt; its rows are on disk.
#[derive(Debug)]
pub(crate) enum After {
    /// It is there. `again`: the resource has changed meanwhile, and this intent with a row of its own is next.
    Done {
        again: Option<Intent>,
    },
    Changed(Intent),
}

impl<B: Book> Shared<B> {
    pub(crate) fn lease(&self) -> ClaimChange {
        let lease_us = i64::try_from(self.spec.lease.as_micros()).unwrap_or(i64::MAX / 2);
        ClaimChange::Take {
            key: format!("delivery/{}", self.spec.name),
            owner: self.spec.owner.clone(),
            expires_us: Some(self.gate.steady.now_us() + lease_us),
        }
    }

    pub(crate) fn place(&self, low_water: u64) -> StateChange {
        let value = Some(low_water.to_le_bytes().to_vec());
        StateChange { space: self.spec.space("place"), key: "seq".into(), value }
    }

    pub(crate) fn intent_row(&self, intent: &Intent) -> StateChange {
        let value = serde_json::to_vec(intent).ok();
        StateChange { space: self.spec.space("intent"), key: Intent::row(intent.no), value }
    }

    fn no_intent_row(&self, no: u64) -> StateChange {
        StateChange { space: self.spec.space("intent"), key: Intent::row(no), value: None }
    }

    pub(crate) async fn keep(&self, state: Vec<StateChange>, audit: Vec<AuditRecord>) -> Result<(), Error> {
        let mut pause = Duration::from_millis(20);
        let lease_us = i64::try_from(self.spec.lease.as_micros()).unwrap_or(i64::MAX);
        loop {
            let asked_us = self.gate.steady.now_us();
            let keep = Keep { state: state.clone(), claims: vec![self.lease()], audit: audit.clone() };
            match self.book.keep(keep).await {
                // The store has too much to do: it is asked again, and nothing is sent meanwhile.
                Err(error) if error.status == 503 && pause < Duration::from_secs(5) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                // Written, but the answer was so long on its way that somebody else may have the lease by now.
                Ok(()) if self.gate.steady.now_us() - asked_us > lease_us / 2 => {
                    return Err(Error { status: 409, issues: Vec::new(), version: None });
                }
                outcome => return outcome,
            }
        }
    }

    /// Makes the attempt for which `call` was taken. An error means that nothing more may be sent by this process.
    pub(crate) async fn attempt(
        &self,
        mut intent: Intent,
        sending: Sending,
        mut call: Call,
        low_water: u64,
    ) -> Result<(After, Sign), Error> {
        // Changes and deletions of what is known to be there may be repeated once the first can no longer take effect.
        let is_create = sending.item.remote.is_none() && sending.item.body.is_some();
        let is_probe = is_create && (intent.state == State::Probe || intent.uncertain);
        intent.state = State::InFlight;
        intent.attempts += u32::from(!is_probe);
        if !is_probe {
            intent.sending = sending.seq;
        }
        let mut rows = call.rows();
        rows.push(self.intent_row(&intent));
        rows.push(self.place(low_water));
        self.keep(rows, Vec::new()).await?;
        call.start();
        let calls = Calls::new(self.gate.clone(), call);
        let (outcome, sign, freeze) = if is_probe {
            let found = self.destination.probe(&sending.item, &calls).await;
            let (sign, freeze) = match &found {
                Found::Unknown(problem) => Sign::of_question(problem, None),
                Found::Yes(_) | Found::No => (Sign::Healthy, None),
            };
            (self.after_probe(&mut intent, found), sign, freeze)
        } else {
            let outcome = self.destination.deliver(&sending.item, &calls).await;
            let (sign, freeze) = signs(&outcome);
            (outcome, sign, freeze)
        };
        calls.ended(sign, freeze);
        drop(calls);
        let after = self.settle(intent, &sending, outcome).await?;
        Ok((after, sign))
    }

    /// What a look at the destination means for the attempt whose outcome was unknown.
    fn after_probe(&self, intent: &mut Intent, found: Found) -> Outcome {
        match found {
            Found::Yes(remote) => Outcome::Done(remote),
            Found::No => {
                intent.probes += 1;
                match intent.probes >= self.destination.probes() {
                    true => {
                        intent.uncertain = false;
                        let problem = Problem::new(0, "it did not arrive: it is sent again");
                        Outcome::Retry { problem, after: Some(Duration::ZERO) }
                    }
                    false => Outcome::Unknown(Problem::new(0, "not there yet: looked for once more")),
                }
            }
            Found::Unknown(problem) => Outcome::Unknown(problem),
        }
    }

    async fn settle(&self, intent: Intent, sending: &Sending, outcome: Outcome) -> Result<After, Error> {
        let now = self.gate.steady.now_us();
        let mut next = intent.clone();
        let deadline_us = i64::try_from(self.spec.deadline.as_micros()).unwrap_or(i64::MAX / 2);
        let given_up = now.saturating_sub(intent.since_us) > deadline_us;
        let problem = match outcome {
            Outcome::Done(remote) => {
                let there = Delivered {
                    remote,
                    seq: intent.sending,
                    group: intent.group.clone(),
                    deleted: sending.item.body.is_none(),
                    // What a probe has found may have an older content than the one prepared now.
                    hash: if intent.sending == sending.seq { sending.hash } else { 0 },
                };
                return self.done(&intent, sending, &there).await;
            }
            Outcome::Retry { problem, after } => {
                let exponent = intent.attempts.saturating_sub(1).min(20);
                let jitter = self.random.below((1_000_000_u64 << exponent).min(BACKOFF_MAX_US.unsigned_abs()));
                let wait = after.map_or(jitter, |after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
                next.state = State::Retry;
                next.probes = 0;
                next.not_before_us = now.saturating_add_unsigned(wait);
                problem
            }
            Outcome::Unknown(problem) => {
                next.state = State::Probe;
                next.uncertain |= sending.item.remote.is_none() && sending.item.body.is_some();
                next.not_before_us = now.saturating_add_unsigned(self.destination.quiesce().as_micros() as u64);
                problem
            }
            Outcome::Refused(problem) => {
                next.state = State::Dead;
                problem
            }
            Outcome::Gone(problem) => {
                self.forget(&intent).await?;
                next.state = State::Retry;
                next.not_before_us = now;
                problem
            }
        };
        // Unknown outcomes are never given up unseen: a duplicate may be there.
        if given_up && next.state == State::Retry {
            next.state = State::Dead;
        }
        next.problem = Some(problem);
        if next.state == State::Dead {
            self.bury(&next).await?;
            self.keep(vec![self.intent_row(&next)], vec![self.record(&next, sending, 422)]).await?;
        } else {
            self.keep(vec![self.intent_row(&next)], Vec::new()).await?;
        }
        Ok(After::Changed(next))
    }

    async fn done(&self, intent: &Intent, sending: &Sending, there: &Delivered) -> Result<After, Error> {
        let mut rows = vec![self.idmap_row(&intent.key, there), self.no_intent_row(intent.no)];
        let newest = match split(&intent.key) {
            Some((ty, id)) => self.book.current(ty, id).await?,
            None => None,
        };
        // Changes since then were left to this intent: they get one of their own before this one goes.
        let again = newest.filter(|newest| newest.seq > intent.sending).map(|newest| {
            let since_us = newest.resource.last_updated_us;
            Intent::new(newest.seq, intent.key.clone(), intent.group.clone(), since_us, intent.priority)
        });
        rows.extend(again.as_ref().map(|again| self.intent_row(again)));
        self.keep(rows, vec![self.record(intent, sending, 200)]).await?;
        Ok(After::Done { again })
    }

    /// The destination does not have it any more.
    async fn forget(&self, intent: &Intent) -> Result<(), Error> {
        let Some(known) = prepare::delivered(&self.book, &self.spec, &intent.key).await? else { return Ok(()) };
        let there = Delivered { deleted: true, hash: 0, ..known };
        self.keep(vec![self.idmap_row(&intent.key, &there)], Vec::new()).await
    }

    fn idmap_row(&self, key: &str, there: &Delivered) -> StateChange {
        let value = serde_json::to_vec(there).ok();
        StateChange { space: self.spec.space("idmap"), key: key.to_owned(), value }
    }

    fn record(&self, intent: &Intent, sending: &Sending, status: u16) -> AuditRecord {
        AuditRecord {
            at_us: self.gate.steady.now_us(),
            interaction: "deliver".into(),
            outcome: if status < 400 { 0 } else { 4 },
            status,
            who: format!("delivery/{}", self.spec.name),
            request_id: String::new(),
            entity: format!("{}/_history/{}", intent.key, sending.version),
            patient: sending.patient.clone(),
            query: None,
        }
    }

    /// A Task that asks somebody to look at a change that the destination refuses.
    pub(crate) async fn bury(&self, intent: &Intent) -> Result<(), Error> {
        let problem = intent.problem.clone().unwrap_or_default();
        let value = format!("{}-{}", self.spec.name, intent.no);
        let text = format!("{} refused it ({}): {}", self.spec.name, problem.status, problem.text);
        let task = task(&value, &intent.key, &text);
        match self.book.report(TASK_SYSTEM, &value, &task).await {
            Err(error) if error.status < 500 => {
                tracing::warn!(destination = self.spec.name, error = %error, "no Task for a dead letter");
                Ok(())
            }
            outcome => outcome,
        }
    }
}

fn task(identifier: &str, focus: &str, text: &str) -> Value {
    json!({
        "resourceType": "Task",
        "identifier": [{ "system": TASK_SYSTEM, "value": identifier }],
        "status": "on-hold",
        "statusReason": { "text": text },
        "intent": "order",
        "code": { "coding": [{ "system": TASK_SYSTEM, "code": "delivery-refused" }] },
        "focus": { "reference": focus }
    })
}

fn signs(outcome: &Outcome) -> (Sign, Option<Duration>) {
    match outcome {
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Gone(_) => (Sign::Healthy, None),
        Outcome::Retry { problem, after } => Sign::of(problem, *after),
        Outcome::Unknown(_) => (Sign::Strained, None),
    }
}
