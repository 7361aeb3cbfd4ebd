//! The rows of synchronisation, and those of delivery that it reads and adds to.

use super::pair::Pair;
use delivery::Delivered;
use engine::{Error, Feed};
use store::StateChange;

/// Rows of one EMR.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) feed: Feed,
    pub(super) name: String,
}

impl Rows {
    /// By our key.
    pub(super) async fn pair(&self, key: &str) -> Result<Option<Pair>, Error> {
        let row = self.feed.state(&self.space("base"), key).await?;
        Ok(row.and_then(|row| Pair::from_row(&row)))
    }

    /// Our id of a record there, by `Type/id there`.
    pub(super) async fn local(&self, place: &str) -> Result<Option<String>, Error> {
        let row = self.feed.state(&self.space("remote"), place).await?;
        Ok(row.and_then(|row| String::from_utf8(row).ok()))
    }

    pub(super) async fn delivered(&self, key: &str) -> Result<Option<Delivered>, Error> {
        let row = self.feed.state(&format!("delivery/{}/idmap", self.name), key).await?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    fn space(&self, part: &str) -> String {
        format!("sync/{}/{part}", self.name)
    }

    pub(super) fn pair_rows(&self, key: &str, pair: &Pair) -> Vec<StateChange> {
        let (name, id) = key.split_once('/').unwrap_or((key, ""));
        let mut rows = vec![StateChange { space: self.space("base"), key: key.into(), value: Some(pair.to_row()) }];
        if !pair.remote.id.is_empty() {
            let place = format!("{name}/{}", pair.remote.id);
            rows.push(StateChange { space: self.space("remote"), key: place, value: Some(id.as_bytes().to_vec()) });
        }
        rows
    }

    pub(super) fn idmap_row(&self, key: &str, there: &Delivered) -> StateChange {
        let value = serde_json::to_vec(there).ok();
        StateChange { space: format!("delivery/{}/idmap", self.name), key: key.to_owned(), value }
    }
}
