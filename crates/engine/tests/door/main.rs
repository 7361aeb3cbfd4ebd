//! The engine through its public API, on a real store.

mod audit;
mod bundle;
mod crud;
mod harness;
mod search;
