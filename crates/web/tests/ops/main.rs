//! The operator's pages and API over HTTP.

mod api;
mod events;
mod pages;
#[path = "../shared/sse.rs"]
mod sse;
#[path = "../../../engine/tests/support/stand.rs"]
mod stand;
mod world;
