//! The simulator over HTTP, as a client meets it.

mod client;
mod control;
mod edits;
mod faults;
mod fhir_write;
mod fragile;
mod oauth;
mod paging;
mod r4;
mod rest;
mod tls;
mod zone;
