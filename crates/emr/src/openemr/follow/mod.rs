//! Keeps the house in step with an OpenEMR: pulls, applies, remembers.
//!
//! A [`Follower`] belongs to one destination, shares its calls, and is the only one of its process.

mod kept;
mod own;
mod run;
mod schedule;
mod settle;

pub use run::{Report, Run, State};
pub use schedule::Schedule;

use super::pull::{Cursor, Pull, PullError};
use super::{Findings, OpenEmr};
use crate::alerts::Witness;
use crate::sync::{Reader, Sync};
use crate::turns::Turns;
use delivery::{Async, Calls, Outcome, Remote};
use fhir::defs::r4;
use fhir::json::Value;
use kept::Kept;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::Clock;

/// Why a step could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Pull(#[from] PullError),
    #[error("what was pulled could not be stored: {0}")]
    Store(#[from] engine::Error),
    /// The id of a manual synchronisation.
    #[error("there is no Patient with this id, neither here nor there")]
    NoPatient,
}

impl From<super::search::SearchError> for FollowError {
    fn from(error: super::search::SearchError) -> FollowError {
        FollowError::Pull(error.into())
    }
}

/// What is looked at: what has changed, or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Course {
    Round,
    Sweep,
}

impl Course {
    pub fn word(self) -> &'static str {
        match self {
            Course::Round => "round",
            Course::Sweep => "sweep",
        }
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Follower {
    emr: Arc<OpenEmr>,
    sync: Arc<Sync>,
    kept: Kept,
    clock: Arc<dyn Clock>,
    pub witness: Witness,
    /// With whether everything is known that a pull needs to know.
    pull: tokio::sync::Mutex<Option<(Arc<Pull>, Findings)>>,
    state: Mutex<State>,
    /// Somebody asks for a run before it is due.
    asked: tokio::sync::Notify,
    wanted: Mutex<BTreeSet<Course>>,
}

impl Follower {
    /// `sync` has the settings of the destination; its types are those that are pulled.
    pub async fn new(
        emr: Arc<OpenEmr>,
        sync: Arc<Sync>,
        witness: Witness,
        clock: Arc<dyn Clock>,
    ) -> Result<Follower, engine::Error> {
        let kept = Kept::new(&sync);
        let state = kept.state().await?;
        Ok(Follower {
            emr,
            sync,
            kept,
            clock,
            witness,
            pull: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
            asked: tokio::sync::Notify::new(),
            wanted: Mutex::default(),
        })
    }

    /// The name of its destination.
    pub fn name(&self) -> &str {
        &self.sync.settings().name
    }

    /// What it does and has done.
    pub fn state(&self) -> State {
        let mut state = self.look().clone();
        state.alerts = self.witness.alerts().into_iter().map(|alert| alert.code()).collect();
        state
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeSet<Course>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Knows how this OpenEMR answers, as far as it has told.
    async fn pull(&self, turns: &dyn Turns) -> Result<Arc<Pull>, FollowError> {
        let mut held = self.pull.lock().await;
        let plan = self.emr.plan_for_pull(turns).await?;
        if let Some((pull, findings)) = &*held
            && findings.is_decided()
            && findings.version == plan.version
        {
            return Ok(pull.clone());
        }
        let findings = self.emr.probe_suite(turns).await?;
        let names: Vec<&str> = self.sync.settings().types.iter().map(|ty| r4().ty(*ty).name).collect();
        let pull = Arc::new(Pull::new(self.emr.clone(), findings.clone(), &plan, &names));
        *held = Some((pull.clone(), findings));
        Ok(pull)
    }

    /// One step of a round or sweep, applied and kept. `true`: it was the last.
    pub async fn step(&self, course: Course, turns: &dyn Turns, report: &mut Report) -> Result<bool, FollowError> {
        let outcome = self.step_on(course, turns, report).await;
        heard(turns, &outcome);
        outcome
    }

    async fn step_on(&self, course: Course, turns: &dyn Turns, report: &mut Report) -> Result<bool, FollowError> {
        let pull = self.pull(turns).await?;
        let cursor = self.kept.cursor().await?;
        if !self.is_under_way(course, &cursor) {
            self.settle_later(course, turns, report).await?;
        }
        let step = match course {
            Course::Round => pull.round(&cursor, &self.kept, turns).await?,
            Course::Sweep => pull.sweep(&cursor, &self.kept, turns).await?,
        };
        let done = step.done;
        self.take(step, turns, report).await?;
        Ok(done)
    }

    fn is_under_way(&self, course: Course, cursor: &Cursor) -> bool {
        match course {
            Course::Round => cursor.in_round(),
            Course::Sweep => cursor.in_sweep(),
        }
    }

    /// Reads a patient by its id there or here, and with it everything of these types, and applies it now.
    pub async fn patient(&self, id: &str, own: bool, types: &[&str], turns: &dyn Turns) -> Result<Report, FollowError> {
        let outcome = self.patient_now(id, own, types, turns).await;
        heard(turns, &outcome);
        outcome
    }

    async fn patient_now(&self, id: &str, own: bool, types: &[&str], turns: &dyn Turns) -> Result<Report, FollowError> {
        let there = self.id_there(id).await?;
        let patient = super::search::read(&self.emr, turns, "Patient", &there).await?;
        let patient = patient.ok_or(FollowError::NoPatient)?;
        let mut report = Report::default();
        let mut found = Vec::new();
        if own {
            found.push(patient);
        }
        for name in types {
            let query = [("patient", there.clone())];
            found.extend(
                super::search::search(&self.emr, turns, name, &query, super::search::BYTES_MAX).await?.resources,
            );
        }
        let found = found.into_iter().filter_map(settle::pulled).collect();
        self.settle_all(found, turns, &mut report).await?;
        Ok(report)
    }

    /// A patient's id there, should this be one of ours.
    async fn id_there(&self, id: &str) -> Result<String, FollowError> {
        let delivered = self.sync.rows.delivered(&format!("Patient/{id}")).await?;
        let there = delivered.filter(|there| !there.deleted).map(|there| there.remote.id);
        Ok(there.filter(|there| !there.is_empty()).unwrap_or_else(|| id.to_owned()))
    }
}

/// Says what an outcome tells about the health of the EMR.
fn heard<T>(turns: &dyn Turns, outcome: &Result<T, FollowError>) {
    match outcome {
        Ok(_) | Err(FollowError::NoPatient | FollowError::Store(_)) => turns.heard(None),
        Err(FollowError::Pull(PullError::Failed { problem, after })) => turns.heard(Some((problem, *after))),
        Err(FollowError::Pull(PullError::Known(_) | PullError::Ending)) => {}
    }
}

impl Reader for OpenEmr {
    fn read<'a>(
        &'a self,
        name: &'a str,
        remote: &'a Remote,
        calls: &'a Calls,
    ) -> Async<'a, Result<Option<Value>, Outcome>> {
        Box::pin(async move {
            super::search::read(self, calls, name, &remote.id).await.map_err(super::search::SearchError::outcome)
        })
    }
}
