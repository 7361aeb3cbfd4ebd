//! Connectors to systems of record: how a resource is written to each kind, looked for, and read back.

mod alerts;
mod fhir_server;
pub mod gnu_health;
mod http;
pub mod openemr;
mod outcome;
mod roster;
pub mod sync;
mod terminology;
mod turns;

pub use alerts::{Alert, Called, Watch, Witness};
pub use fhir_server::{FhirServer, Mode};
pub use gnu_health::GnuHealth;
pub use http::{Answer, Auth, Client, Http, Lost, client};
pub use openemr::OpenEmr;
pub use roster::{Roster, Watched};
pub use terminology::{Dictionary, Maps, Translated};
pub use turns::{Spaced, Turn, Turns};
