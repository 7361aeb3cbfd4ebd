//! From the store to an outlet, round by round.

use crate::place::{Mismatch, Place};
use crate::{Board, Outlet, OutletError};
use engine::{Error, Feed};
use std::pin::pin;
use std::time::Duration;

/// Pause after a failed round: doubled each time up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// What a follower follows.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Of the follower: its place is kept under it.
    pub name: String,
    pub tenant: String,
    /// Where the events go: another stream has a place of its own and gets all events.
    pub stream: String,
    pub topics: Vec<String>,
    /// Events of a topic in a round at most.
    pub batch: usize,
    /// Between two looks when there is nothing.
    pub poll: Duration,
}

impl Spec {
    pub(crate) fn space(&self) -> String {
        format!("egress/{}", self.name)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Follower<O> {
    spec: Spec,
    feed: Feed,
    outlet: O,
    board: Board,
    /// Unknown before the first round and after a failure.
    place: Option<Place>,
}

impl<O: Outlet> Follower<O> {
    /// `feed` is that of the spec's tenant.
    pub fn new(spec: Spec, feed: Feed, outlet: O, board: Board) -> Follower<O> {
        board.change(&spec.tenant, &spec.name, |_| ());
        Follower { spec, feed, outlet, board, place: None }
    }

    /// Follows until `stop` completes. A batch that has been begun is finished; what fails is tried again, for as long as it takes:
    /// the store keeps the events.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut pause = PAUSE_FIRST;
        loop {
            let wait = match self.round().await {
                Ok(sent) => {
                    pause = PAUSE_FIRST;
                    if sent > 0 { Duration::ZERO } else { self.spec.poll }
                }
                Err(error) => {
                    let (name, pause_ms) = (&self.spec.name, pause.as_millis() as u64);
                    tracing::warn!(events.sink = name, events.pause_ms = pause_ms, error = %error, "events wait");
                    let now = pause;
                    pause = PAUSE_LONGEST.min(pause * 2);
                    now
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends what waits, up to a batch. Answers how many events were acknowledged; after an error the next round asks the outlet
    /// anew what it has.
    pub async fn round(&mut self) -> Result<usize, OutletError> {
        let mut place = match self.place.take() {
            Some(place) => place,
            None => self.begin().await.inspect_err(|error| self.failed(error))?,
        };
        let sent = self.send(&mut place).await.inspect_err(|error| self.failed(error))?;
        self.board.change(&self.spec.tenant, &self.spec.name, |status| {
            status.error = None;
            status.newest_no = place.newest();
        });
        self.place = Some(place);
        Ok(sent)
    }

    async fn begin(&self) -> Result<Place, OutletError> {
        let (spec, feed) = (&self.spec, &self.feed);
        let prepared = self.outlet.prepare(&spec.topics).await?;
        let mut place = Place::load(feed, spec).await.map_err(store)?;
        let lost = place.follow(feed, spec, &prepared.last).await.map_err(|mismatch| match mismatch {
            Mismatch::Store(error) => store(error),
            Mismatch::Foreign { topic, no } => OutletError::Refused(format!(
                "stream {} has an event {no} of topic {topic} that is not in this store: the store was restored from a backup, or \
                 another weir publishes there; name a new stream",
                spec.stream
            )),
        })?;
        if !lost.is_empty() {
            let (name, topics) = (&spec.name, lost.join(", "));
            tracing::warn!(events.sink = name, topics, "the stream no longer has all it had: events are sent again");
        }
        Ok(place)
    }

    async fn send(&self, place: &mut Place) -> Result<usize, OutletError> {
        let (spec, feed) = (&self.spec, &self.feed);
        let messages = place.waiting(feed, &spec.tenant, spec.batch).await.map_err(store)?;
        let messages = messages.map_err(|no| OutletError::Refused(format!("event {no} is damaged: no JSON object")))?;
        if messages.is_empty() {
            return Ok(0);
        }
        let published = self.outlet.publish(&messages).await;
        let acknowledged = &messages[..published.acknowledged];
        if !acknowledged.is_empty() {
            place.pass(feed, spec, acknowledged).await.map_err(store)?;
        }
        self.board.change(&spec.tenant, &spec.name, |status| {
            status.published += acknowledged.len() as u64;
            status.repeats += published.repeats;
            status.newest_no = place.newest();
        });
        published.error.map_or(Ok(acknowledged.len()), Err)
    }

    fn failed(&self, error: &OutletError) {
        self.board.change(&self.spec.tenant, &self.spec.name, |status| {
            status.failed += 1;
            status.error = Some(error.to_string());
        });
    }
}

fn store(error: Error) -> OutletError {
    OutletError::Passing(format!("the store: {error}"))
}
