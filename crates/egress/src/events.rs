//! Events as they are kept, from one number to another.

use crate::Message;
use crate::place::Place;
use engine::{Error, Feed};

/// Events of a topic read at a time.
const STEP: usize = 1_000;

/// Why not all events were given.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    #[error("{0}")]
    Engine(Error),
    #[error(transparent)]
    Write(#[from] std::io::Error),
    #[error("event {0} is damaged: no JSON object")]
    Damaged(u64),
}

impl From<Error> for EventsError {
    fn from(error: Error) -> EventsError {
        EventsError::Engine(error)
    }
}

/// Gives the events of `topics` after number `after` and up to `until` to `each`, in the order of their numbers. The second argument
/// is the day on which an event happened, in UTC.
pub async fn each_event(
    feed: &Feed,
    tenant: &str,
    topics: &[&str],
    after: u64,
    until: u64,
    mut each: impl FnMut(&Message, &str) -> std::io::Result<()>,
) -> Result<(), EventsError> {
    let mut place = Place::at(topics, after);
    loop {
        let waiting = place.waiting(feed, tenant, STEP).await?.map_err(EventsError::Damaged)?;
        let Some(last) = waiting.last() else { return Ok(()) };
        for message in waiting.iter().filter(|message| message.no <= until) {
            each(message, message.day())?;
        }
        if last.no >= until {
            return Ok(());
        }
        place.advance(&waiting);
    }
}
