//! The tracker's pages over HTTP.

mod events;
mod export;
mod numbers;
mod person;
mod review;
#[path = "../shared/sse.rs"]
mod sse;
#[path = "../../../registry/tests/tracker/support.rs"]
#[expect(dead_code, reason = "the registry's own tests use all of it")]
mod support;
mod world;
