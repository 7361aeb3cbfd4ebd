//! How far a follower is, and what comes next.

use crate::{Last, Message, Spec, message};
use engine::{Error, Feed, Keep};
use std::collections::BTreeMap;
use store::{Happened, StateChange};

/// The number of the newest acknowledged event by topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(BTreeMap<String, u64>);

/// What the other side has does not go with the store.
#[derive(Debug)]
pub(crate) enum Mismatch {
    Store(Error),
    /// It has an event that the store has not.
    Foreign {
        topic: String,
        no: u64,
    },
}

impl From<Error> for Mismatch {
    fn from(error: Error) -> Mismatch {
        Mismatch::Store(error)
    }
}

impl Place {
    pub(crate) fn of(&self, topic: &str) -> u64 {
        self.0.get(topic).copied().unwrap_or(0)
    }

    pub(crate) fn newest(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }

    /// The same place in each of `topics`.
    pub(crate) fn at(topics: &[&str], no: u64) -> Place {
        Place(topics.iter().map(|topic| ((*topic).to_owned(), no)).collect())
    }

    /// Goes past messages that are in order.
    pub(crate) fn advance(&mut self, messages: &[Message]) {
        for message in messages {
            self.0.insert(message.topic.clone(), message.no);
        }
    }

    /// The place as it was kept. What cannot be read is the beginning: what is sent again is dropped there.
    pub(crate) async fn load(feed: &Feed, spec: &Spec) -> Result<Place, Error> {
        let kept = feed.state(&spec.space(), &spec.stream).await?;
        Ok(Place(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()))
    }

    /// Passes acknowledged messages, durably.
    pub(crate) async fn pass(&mut self, feed: &Feed, spec: &Spec, messages: &[Message]) -> Result<(), Error> {
        let mut next = self.clone();
        next.advance(messages);
        let value = serde_json::to_vec(&next.0).expect("a map of numbers is plain data");
        let change = StateChange { space: spec.space(), key: spec.stream.clone(), value: Some(value) };
        feed.keep(Keep { state: vec![change], ..Keep::default() }).await?;
        *self = next;
        Ok(())
    }

    /// Where the other side ends is where to go on: ahead of the place after a crash before it was kept, behind it when the other
    /// side has lost something or is new. Answers the topics of which it has less than it had acknowledged.
    pub(crate) async fn follow(&mut self, feed: &Feed, spec: &Spec, last: &[Last]) -> Result<Vec<String>, Mismatch> {
        let mut lost = Vec::new();
        self.0.retain(|topic, _| spec.topics.contains(topic));
        for topic in &spec.topics {
            let no = match last.iter().find(|last| last.topic == *topic) {
                None => 0,
                Some(last) => {
                    let event = feed.events(topic, last.no.saturating_sub(1), 1).await?;
                    let same = |event: &Happened| event.no == last.no && message::instant(event.at_us) == last.at;
                    if !event.first().is_some_and(same) {
                        return Err(Mismatch::Foreign { topic: topic.clone(), no: last.no });
                    }
                    last.no
                }
            };
            if no < self.of(topic) {
                lost.push(topic.clone());
            }
            self.0.insert(topic.clone(), no);
        }
        Ok(lost)
    }

    /// The next events of all topics in the order of their numbers, at most `batch` of each. An event with a payload that is no object
    /// is the error.
    pub(crate) async fn waiting(
        &self,
        feed: &Feed,
        tenant: &str,
        batch: usize,
    ) -> Result<Result<Vec<Message>, u64>, Error> {
        // Numbers are given in commit order: what is read after a number was seen has all that are smaller.
        let (mut newest, mut bound) = (0, u64::MAX);
        for (topic, no) in &self.0 {
            let page = feed.events(topic, *no, batch).await?;
            newest = page.last().map_or(newest, |last| newest.max(last.no));
        }
        let mut found = Vec::new();
        if newest == 0 {
            return Ok(Ok(found));
        }
        for (topic, no) in &self.0 {
            let page = feed.events(topic, *no, batch).await?;
            if page.len() == batch {
                bound = page.last().map_or(bound, |last| bound.min(last.no));
            }
            for event in &page {
                match Message::of(tenant, topic, event) {
                    Some(message) => found.push(message),
                    None => return Ok(Err(event.no)),
                }
            }
        }
        found.retain(|message| message.no <= newest.min(bound));
        found.sort_by_key(|message| message.no);
        Ok(Ok(found))
    }
}
