//! What a follower remembers, among the kept state of the tenant.

use super::super::pull::{Cursor, Known, KnownError, Mark, Step};
use super::Course;
use super::run::{Run, State};
use crate::sync::Sync;
use delivery::Async;
use engine::{Error, Feed, Keep};
use std::sync::Arc;
use store::{AuditRecord, StateChange};

/// Rows read at once.
const ROWS: usize = 1_000;

#[derive(Clone, Debug)]
pub(super) struct Kept {
    feed: Feed,
    sync: Arc<Sync>,
}

/// Why a record is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It may be a creation of ours on its way: with the next round.
    InDoubt,
    /// A reference of it had to keep its address: with the next sweep.
    Reference,
}

impl Kept {
    pub(super) fn new(sync: &Arc<Sync>) -> Kept {
        Kept { feed: sync.rows.feed.clone(), sync: sync.clone() }
    }

    fn space(&self, part: &str) -> String {
        self.sync.rows.space(part)
    }

    fn row(&self, part: &str, key: &str, value: Option<Vec<u8>>) -> StateChange {
        StateChange { space: self.space(part), key: key.to_owned(), value }
    }

    pub(super) async fn cursor(&self) -> Result<Cursor, Error> {
        let row = self.feed.state(&self.space("state"), "cursor").await?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()).unwrap_or_default())
    }

    /// After what the step has found is applied.
    pub(super) async fn step(&self, step: Step) -> Result<(), Error> {
        let marks = step
            .marks
            .iter()
            .map(|(ty, id, mark)| self.row(&format!("mark/{ty}"), id, mark.map(|mark| mark.to_bytes().to_vec())));
        let touched = step.touched.iter().map(|(id, is_touched)| self.row("touched", id, is_touched.then(Vec::new)));
        let mut state: Vec<StateChange> = marks.chain(touched).collect();
        state.push(self.row("state", "cursor", serde_json::to_vec(&step.cursor).ok()));
        self.feed.keep(Keep { state, ..Keep::default() }).await
    }

    /// Puts a record, `Type/id there`, on the list of those to be looked at again, or takes it off.
    pub(super) async fn later(&self, place: &str, why: Option<Why>) -> Result<(), Error> {
        let value = why.map(|why| match why {
            Why::InDoubt => b"in-doubt".to_vec(),
            Why::Reference => b"reference".to_vec(),
        });
        self.feed.keep(Keep { state: vec![self.row("later", place, value)], ..Keep::default() }).await
    }

    pub(super) async fn laters(&self) -> Result<Vec<(String, Why)>, Error> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let rows = self.feed.states(&self.space("later"), &after, ROWS).await?;
            let Some((last, _)) = rows.last() else { return Ok(all) };
            after.clone_from(last);
            let why = |value: &[u8]| if value == b"reference" { Why::Reference } else { Why::InDoubt };
            all.extend(rows.iter().map(|(place, value)| (place.clone(), why(value))));
        }
    }

    pub(super) async fn state(&self) -> Result<State, Error> {
        let run = async |course: Course| -> Result<Option<Run>, Error> {
            let row = self.feed.state(&self.space("run"), course.word()).await?;
            Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
        };
        Ok(State { last_round: run(Course::Round).await?, last_sweep: run(Course::Sweep).await?, ..State::default() })
    }

    /// The end of a run.
    pub(super) async fn run(&self, course: Course, run: &Run, audit: AuditRecord) -> Result<(), Error> {
        let state = vec![self.row("run", course.word(), serde_json::to_vec(run).ok())];
        self.feed.keep(Keep { state, audit: vec![audit], ..Keep::default() }).await
    }

    pub(super) async fn audit(&self, audit: AuditRecord) -> Result<(), Error> {
        self.feed.keep(Keep { audit: vec![audit], ..Keep::default() }).await
    }
}

fn unread(error: Error) -> KnownError {
    KnownError(error.to_string())
}

impl Known for Kept {
    fn marks<'a>(&'a self, ty: &'a str, ids: &'a [String]) -> Async<'a, Result<Vec<Option<Mark>>, KnownError>> {
        Box::pin(async move {
            let space = self.space(&format!("mark/{ty}"));
            let mut marks = Vec::with_capacity(ids.len());
            for id in ids {
                let row = self.feed.state(&space, id).await.map_err(unread)?;
                marks.push(row.and_then(|row| Mark::from_bytes(&row)));
            }
            Ok(marks)
        })
    }

    fn list<'a>(
        &'a self,
        ty: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Async<'a, Result<Vec<(String, Mark)>, KnownError>> {
        Box::pin(async move {
            let rows = self.feed.states(&self.space(&format!("mark/{ty}")), after, limit).await.map_err(unread)?;
            Ok(rows.into_iter().filter_map(|(id, row)| Some((id, Mark::from_bytes(&row)?))).collect())
        })
    }

    fn touched<'a>(&'a self, after: &'a str, limit: usize) -> Async<'a, Result<Vec<String>, KnownError>> {
        Box::pin(async move {
            let rows = self.feed.states(&self.space("touched"), after, limit).await.map_err(unread)?;
            Ok(rows.into_iter().map(|(id, _)| id).collect())
        })
    }
}
