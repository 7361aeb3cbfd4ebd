//! Paced, durable, ordered delivery of resources to a fragile destination.
//!
//! The change log is the outbox: a resource version and the promise to deliver it are one commit. A [`Dispatcher`] follows the log
//! for one destination. What it has begun it writes down before the first byte leaves; after a crash it looks at the destination
//! before it sends anything again. Knows nothing about HTTP or FHIR servers: that is a [`Destination`]'s part.

mod attempt;
mod board;
mod book;
mod desk;
mod destination;
mod dispatcher;
mod gate;
mod intent;
mod jitter;
mod limit;
mod pace;
mod prepare;
mod rule;
mod shelf;
mod spec;
mod status;
mod tempo;
mod window;

pub use attempt::TASK_SYSTEM;
pub use book::{Book, EngineBook};
pub use desk::Desk;
pub use destination::{Async, Check, Destination, Found, Identifier, Item, Outcome, Verdict};
pub use dispatcher::Dispatcher;
pub use gate::{Call, Calls};
pub use intent::{Delivered, Intent, Problem, Remote, State};
pub use limit::Limit;
pub use prepare::hash_of;
pub use rule::{PRIORITY, Rule, Rules};
pub use spec::Spec;
pub use status::{Handle, Status};
pub use window::{Opening, Window, Windows};
