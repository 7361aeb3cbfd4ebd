//! The rows of synchronisation, and those of delivery that it reads and adds to.

use super::pair::Pair;
use crate::openemr::Mark;
use delivery::{Delivered, Intent, Remote, State};
use engine::{Error, Feed, Keep};
use store::StateChange;

/// Rows read at once.
const ROWS: usize = 1_000;

/// Rows of one EMR.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) feed: Feed,
    pub(super) name: String,
}

impl Rows {
    /// By our key.
    pub(super) async fn pair(&self, key: &str) -> Result<Option<Pair>, Error> {
        let row = self.feed.state(&self.space("base"), key).await?;
        Ok(row.and_then(|row| Pair::from_row(&row)))
    }

    /// Our id of a record there, by `Type/id there`.
    pub(crate) async fn local(&self, place: &str) -> Result<Option<String>, Error> {
        let row = self.feed.state(&self.space("remote"), place).await?;
        Ok(row.and_then(|row| String::from_utf8(row).ok()))
    }

    pub(crate) async fn delivered(&self, key: &str) -> Result<Option<Delivered>, Error> {
        let row = self.feed.state(&format!("delivery/{}/idmap", self.name), key).await?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    pub(crate) fn space(&self, part: &str) -> String {
        format!("sync/{}/{part}", self.name)
    }

    /// Creations that may have arrived without our knowing where.
    pub(super) async fn doubtful(&self) -> Result<Vec<Intent>, Error> {
        let space = format!("delivery/{}/intent", self.name);
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let rows = self.feed.states(&space, &after, ROWS).await?;
            let Some((last, _)) = rows.last() else { return Ok(found) };
            after.clone_from(last);
            let intents = rows.iter().filter_map(|(_, row)| serde_json::from_slice::<Intent>(row).ok());
            found.extend(intents.filter(|intent| match intent.state {
                State::InFlight | State::Probe => true,
                State::Retry | State::Pending => intent.uncertain,
                State::Dead => false,
            }));
        }
    }

    /// Makes the way back from the ids there to ours for what was delivered before there was synchronisation. Once.
    pub(super) async fn index_delivered(&self) -> Result<(), Error> {
        let done = (self.space("state"), "indexed");
        if self.feed.state(&done.0, done.1).await?.is_some() {
            return Ok(());
        }
        let mut after = String::new();
        loop {
            let rows = self.feed.states(&format!("delivery/{}/idmap", self.name), &after, ROWS).await?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            let known =
                rows.iter().filter_map(|(key, row)| Some((key, serde_json::from_slice::<Delivered>(row).ok()?)));
            let known = known.filter(|(_, there)| !there.deleted);
            let state = known.filter_map(|(key, there)| self.remote_row(key, &there.remote)).collect();
            self.feed.keep(Keep { state, ..Keep::default() }).await?;
        }
        let state = vec![StateChange { space: done.0, key: done.1.into(), value: Some(Vec::new()) }];
        self.feed.keep(Keep { state, ..Keep::default() }).await
    }

    /// From the id there to ours.
    pub(super) fn remote_row(&self, key: &str, remote: &Remote) -> Option<StateChange> {
        let (name, id) = key.split_once('/')?;
        let place = format!("{name}/{}", remote.id);
        let value = Some(id.as_bytes().to_vec());
        (!remote.id.is_empty()).then(|| StateChange { space: self.space("remote"), key: place, value })
    }

    /// A mark of what we have created there: a sweep that does not meet it looks for it, also when no round has met it before.
    pub(super) fn mark_row(&self, key: &str, remote: &Remote) -> Option<StateChange> {
        let (name, _) = key.split_once('/')?;
        let value = Some(Mark { hash: 0, sweep: 0 }.to_bytes().to_vec());
        let space = self.space(&format!("mark/{name}"));
        (!remote.id.is_empty()).then(|| StateChange { space, key: remote.id.clone(), value })
    }

    pub(super) fn pair_rows(&self, key: &str, pair: &Pair) -> Vec<StateChange> {
        let row = StateChange { space: self.space("base"), key: key.into(), value: Some(pair.to_row()) };
        std::iter::once(row).chain(self.remote_row(key, &pair.remote)).collect()
    }

    pub(super) fn idmap_row(&self, key: &str, there: &Delivered) -> StateChange {
        let value = serde_json::to_vec(there).ok();
        StateChange { space: format!("delivery/{}/idmap", self.name), key: key.to_owned(), value }
    }
}
