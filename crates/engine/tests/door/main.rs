//! The engine through its public API, on a real store.

mod audit;
mod bundle;
mod crud;
mod examples;
mod harness;
mod search;
#[path = "../support/stand.rs"]
mod stand;
