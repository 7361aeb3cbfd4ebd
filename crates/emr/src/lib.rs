//! Connectors to systems of record: how a resource is written to each kind, looked for, and read back.

mod fhir_server;
mod http;
mod outcome;

pub use fhir_server::{FhirServer, Mode};
pub use http::{Auth, Http, client};
