//! An honest simulator of a fragile EMR: OpenEMR as it really behaves, a plain FHIR server, and the ways in which both break.
//!
//! It never helps a client: nothing is de-duplicated, nothing is retried, and every request is on the record.

mod arrivals;
mod clock;
mod control;
mod faults;
mod handle;
mod http;
mod limits;
mod oauth;
mod openemr;
mod options;
mod r4;
mod random;
mod records;
mod rest;
mod search;
mod serve;
mod sim;
mod state;
mod tls;
mod wire;
mod zone;

pub use arrivals::{Arrival, Verified, verify_file};
pub use options::{Faults, OptionError, Options, Profile, Tls};
pub use records::Record;
pub use sim::{Sim, State};
