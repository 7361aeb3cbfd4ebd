//! What leaves the house: the events of a tenant, in order, to those who follow them elsewhere.
//!
//! A [`Follower`] reads events from its place in the store and gives them to an [`Outlet`]; its place moves once the outlet has
//! acknowledged them. With the feature `nats` there is an outlet to a JetStream stream.

mod events;
mod files;
mod follower;
mod message;
mod metrics;
#[cfg(feature = "nats")]
mod nats;
mod outlet;
mod parquet;
mod place;
mod settings;
mod status;

pub use events::{EventsError, each_event};
pub use files::{Files, Format, Written};
pub use follower::{Follower, Spec};
pub use message::Message;
pub use metrics::Metrics;
#[cfg(feature = "nats")]
pub use nats::Nats;
pub use outlet::{Last, Outlet, OutletError, Prepared, Published};
pub use parquet::{Kind, Table};
pub use settings::Settings;
pub use status::{Board, Status};
