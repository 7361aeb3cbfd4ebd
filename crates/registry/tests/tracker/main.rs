//! The tracker through the engine: what writes do to persons, status and counts.

mod at_rest;
mod census;
mod crowd;
mod export;
mod history;
mod identity;
mod keys;
mod network;
mod status;
mod support;
mod weights;
