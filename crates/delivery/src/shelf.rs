//! The intents that are on disk only: what waits behind a refused change, for another resource, or behind too many others of its
//! patient. Memory holds a window of the backlog; what of it cannot go now is put here and taken back when it can.
//!
//! Five kinds of rows: the intents of each group in order (`line`), where a key is among them (`line-key`), why a group is here
//! (`line-group`), the groups by that reason and by number (`line-head`), and who waits for a key (`line-wait`).

use crate::book::Book;
use crate::intent::{Intent, State};
use engine::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::StateChange;

const LINE: &str = "line";
const KEY: &str = "line-key";
const GROUP: &str = "line-group";
const HEAD: &str = "line-head";
const WAIT: &str = "line-wait";
const IN_WORK: &str = "intent";
const PLACE: &str = "place";
const COUNTS: &str = "counts";

/// Why a group is on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// Its head has been refused.
    Dead,
    /// Its head waits for another resource.
    Waits,
    /// It can go on as soon as there is room.
    Ready,
    /// Its first intents are in memory.
    Tail,
}

impl Why {
    fn letter(self) -> char {
        match self {
            Why::Dead => 'd',
            Why::Waits => 'w',
            Why::Ready => 'r',
            Why::Tail => 't',
        }
    }
}

/// Where a group is on the shelf, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) why: Why,
    /// Its head's number.
    pub(crate) no: u64,
    pub(crate) since_us: i64,
    /// For what it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on: Option<String>,
}

impl Place {
    pub(crate) fn new(why: Why, head: &Intent) -> Place {
        Place { why, no: head.no, since_us: head.since_us, on: None }
    }

    fn row(&self) -> String {
        format!("{}{}", self.why.letter(), Intent::row(self.no))
    }
}

/// A group by the reason why it is here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) group: String,
    since_us: i64,
}

/// What is known without looking at every row. One row, written with what it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Refused intents on the shelf.
    pub(crate) dead: u64,
    /// Other intents on the shelf.
    pub(crate) parked: u64,
    /// The types that are counted below.
    pub(crate) types: String,
    /// Changes of these types from after `planned` to `up_to`.
    pub(crate) unplanned: u64,
    pub(crate) planned: u64,
    pub(crate) up_to: u64,
}

/// See the module documentation. Changes are kept in memory until [`Shelf::take_rows`]; lookups by key see them, ranges do not.
#[derive(Debug)]
pub(crate) struct Shelf<B> {
    book: B,
    /// Start of the names of spaces.
    name: String,
    changes: BTreeMap<(&'static str, String), Option<Vec<u8>>>,
    pub(crate) counts: Counts,
}

fn line_row(group: &str, no: u64) -> String {
    format!("{group} {}", Intent::row(no))
}

impl<B: Book> Shelf<B> {
    pub(crate) async fn open(book: B, destination: &str) -> Result<Shelf<B>, Error> {
        let name = format!("delivery/{destination}/");
        let mut shelf = Shelf { book, name, changes: BTreeMap::new(), counts: Counts::default() };
        shelf.counts = shelf.value(PLACE, COUNTS).await?.unwrap_or_default();
        Ok(shelf)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.dead + self.counts.parked == 0
    }

    /// What has changed, for one commit. `with_counts`: even if nothing has.
    pub(crate) fn take_rows(&mut self, with_counts: bool) -> Vec<StateChange> {
        if self.changes.is_empty() && !with_counts {
            return Vec::new();
        }
        let counts = self.counts.clone();
        self.set(PLACE, COUNTS.into(), Some(&counts));
        let changes = std::mem::take(&mut self.changes);
        let row = |((part, key), value)| StateChange { space: format!("{}{part}", self.name), key, value };
        changes.into_iter().map(row).collect()
    }

    async fn value<T: for<'a> Deserialize<'a>>(&self, part: &'static str, key: &str) -> Result<Option<T>, Error> {
        let row = match self.changes.get(&(part, key.to_owned())) {
            Some(change) => change.clone(),
            None => self.book.state(&format!("{}{part}", self.name), key).await?,
        };
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    /// Rows on disk whose keys begin with `start`.
    async fn range<T: for<'a> Deserialize<'a>>(
        &self,
        part: &'static str,
        start: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, Error> {
        let rows = self.book.states(&format!("{}{part}", self.name), start, limit).await?;
        let rows = rows.into_iter().take_while(|(key, _)| key.starts_with(start));
        Ok(rows.filter_map(|(key, row)| Some((key, serde_json::from_slice(&row).ok()?))).collect())
    }

    fn set<T: Serialize>(&mut self, part: &'static str, key: String, value: Option<&T>) {
        let value = value.and_then(|value| serde_json::to_vec(value).ok());
        self.changes.insert((part, key), value);
    }

    fn unset(&mut self, part: &'static str, key: String) {
        self.changes.insert((part, key), None);
    }

    /// The row of an intent that is in memory.
    pub(crate) fn set_in_work(&mut self, intent: &Intent) {
        self.set(IN_WORK, Intent::row(intent.no), Some(intent));
    }

    pub(crate) fn unset_in_work(&mut self, no: u64) {
        self.unset(IN_WORK, Intent::row(no));
    }

    fn count(&mut self, state: State) -> &mut u64 {
        match state {
            State::Dead => &mut self.counts.dead,
            _ => &mut self.counts.parked,
        }
    }

    /// Puts an intent among those of its group.
    pub(crate) fn insert(&mut self, intent: &Intent) {
        *self.count(intent.state) += 1;
        let row = line_row(&intent.group, intent.no);
        self.set(KEY, intent.key.clone(), Some(&row));
        self.set(LINE, row, Some(intent));
    }

    pub(crate) fn remove(&mut self, intent: &Intent) {
        let count = self.count(intent.state);
        *count = count.saturating_sub(1);
        self.unset(KEY, intent.key.clone());
        self.unset(LINE, line_row(&intent.group, intent.no));
    }

    /// The intent of a resource.
    pub(crate) async fn of_key(&self, key: &str) -> Result<Option<Intent>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        match self.value::<String>(KEY, key).await? {
            Some(row) => self.value(LINE, &row).await,
            None => Ok(None),
        }
    }

    /// The key for which the intent of a resource waits here.
    pub(crate) async fn waits_on(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(intent) = self.of_key(key).await? else { return Ok(None) };
        let place = self.place(&intent.group).await?;
        Ok(place.filter(|place| place.no == intent.no).and_then(|place| place.on))
    }

    pub(crate) async fn place(&self, group: &str) -> Result<Option<Place>, Error> {
        if self.is_empty() && self.changes.is_empty() {
            return Ok(None);
        }
        self.value(GROUP, group).await
    }

    /// Says why a group is here; `None` when it is not any more.
    pub(crate) async fn set_place(&mut self, group: &str, place: Option<&Place>) -> Result<(), Error> {
        if let Some(before) = self.value::<Place>(GROUP, group).await? {
            self.unset(HEAD, before.row());
            if let Some(on) = &before.on {
                self.unset(WAIT, line_row(on, before.no));
            }
        }
        self.set(GROUP, group.to_owned(), place);
        if let Some(place) = place {
            self.set(HEAD, place.row(), Some(&Head { group: group.to_owned(), since_us: place.since_us }));
            if let Some(on) = &place.on {
                self.set(WAIT, line_row(on, place.no), Some(&group));
            }
        }
        Ok(())
    }

    /// The first intents of a group, at most `limit`.
    pub(crate) async fn line(&self, group: &str, limit: usize) -> Result<Vec<Intent>, Error> {
        let rows = self.range(LINE, &format!("{group} "), limit).await?;
        Ok(rows.into_iter().map(|(_, intent)| intent).collect())
    }

    /// Groups that are here for a reason, the lowest head first, at most `limit`.
    pub(crate) async fn heads(&self, why: Why, limit: usize) -> Result<Vec<Head>, Error> {
        let rows = self.range(HEAD, &why.letter().to_string(), limit).await?;
        Ok(rows.into_iter().map(|(_, head)| head).collect())
    }

    /// Refused intents, the lowest number first, at most `limit`.
    pub(crate) async fn dead(&self, limit: usize) -> Result<Vec<Intent>, Error> {
        let mut dead = Vec::new();
        for (row, head) in self.range::<Head>(HEAD, "d", limit).await? {
            let no = row.get(1..).and_then(|no| u64::from_str_radix(no, 16).ok());
            let Some(no) = no else { continue };
            dead.extend(self.value::<Intent>(LINE, &line_row(&head.group, no)).await?);
        }
        Ok(dead)
    }

    /// The refused intent with this number.
    pub(crate) async fn dead_one(&self, no: u64) -> Result<Option<Intent>, Error> {
        match self.value::<Head>(HEAD, &format!("d{}", Intent::row(no))).await? {
            Some(head) => self.value(LINE, &line_row(&head.group, no)).await,
            None => Ok(None),
        }
    }

    /// Groups that wait for a key, at most `limit`.
    pub(crate) async fn waiting(&self, key: &str, limit: usize) -> Result<Vec<String>, Error> {
        let rows = self.range(WAIT, &format!("{key} "), limit).await?;
        Ok(rows.into_iter().map(|(_, group)| group).collect())
    }

    /// The first key after `after` for which a group waits.
    pub(crate) async fn awaited(&self, after: &str) -> Result<Option<String>, Error> {
        // `!` comes right after the blank behind the key.
        let rows = self.book.states(&format!("{}{WAIT}", self.name), &format!("{after}!"), 1).await?;
        Ok(rows.into_iter().next().and_then(|(row, _)| Some(row.split_once(' ')?.0.to_owned())))
    }

    /// Since when the oldest of the groups here waits whose head is not in memory.
    pub(crate) async fn oldest_since_us(&self) -> Result<Option<i64>, Error> {
        let mut oldest = None;
        for why in [Why::Dead, Why::Waits, Why::Ready].into_iter().filter(|_| !self.is_empty()) {
            let first = self.heads(why, 1).await?;
            oldest = oldest.into_iter().chain(first.into_iter().map(|head| head.since_us)).min();
        }
        Ok(oldest)
    }
}
