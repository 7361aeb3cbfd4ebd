//! FHIRPath: the official suite, the invariants of R4, and properties of the engine.

mod functions;
mod invariants;
mod properties;
mod suite;
#[path = "../support/mod.rs"]
mod support;
