//! The command line as users and operators meet it, on the real binary.

mod cli;
mod identity;
mod log;
mod online;
mod openemr;
mod outbox;
mod phi;
mod reference;
mod schedule;
#[path = "../../../fhir/tests/support/shared_data.rs"]
mod shared_data;
mod support;
mod sync;
mod tls;
mod tracker;
mod translate;
