//! The API over HTTP, on a real engine and a real store.

mod bad_input;
mod bundles;
mod connections;
mod documents;
mod harness;
mod headers;
mod immunization;
mod logs;
mod resources;
mod searches;
#[path = "../../../engine/tests/support/stand.rs"]
mod stand;
mod tls;
mod tracker;
