//! The only crate that touches a disk: versioned resources, indexes, search execution, change log, audit, claims,
//! counters, queues and blobs of each tenant.
//!
//! [`Store`] opens tenants, [`Tenant`] is everything one tenant has. See ARCHITECTURE.md for the way of a write.

mod api;
mod clock;

pub use api::*;
pub use clock::{Clock, ManualClock};
