//! Connectors to systems of record: how a resource is written to each kind, looked for, and read back.

mod fhir_server;
mod http;
pub mod openemr;
mod outcome;
pub mod sync;
mod turns;

pub use fhir_server::{FhirServer, Mode};
pub use http::{Answer, Auth, Http, Lost, client};
pub use openemr::OpenEmr;
pub use turns::{Spaced, Turn, Turns};
