//! The other side of a follower.

use crate::Message;

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutletError {
    /// It may be taken later.
    #[error("{0}")]
    Passing(String),
    /// Somebody must change something first.
    #[error("{0}")]
    Refused(String),
}

/// The newest event of a topic that the other side has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    pub topic: String,
    pub no: u64,
    /// When it happened, as in the event.
    pub at: String,
}

/// What the other side has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Topics of which it has nothing are missing.
    pub last: Vec<Last>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// So many of the first messages are there for good.
    pub acknowledged: usize,
    /// So many of these had been there before.
    pub repeats: u64,
    /// Why the next one is not.
    pub error: Option<OutletError>,
}

/// Takes messages in order, each once in effect.
pub trait Outlet: Send + Sync {
    /// Connects, makes sure that what is given will be kept, and says what is there.
    fn prepare(&self, topics: &[String]) -> impl Future<Output = Result<Prepared, OutletError>> + Send;

    /// Answers when all are acknowledged or one is not.
    fn publish(&self, messages: &[Message]) -> impl Future<Output = Published> + Send;
}
