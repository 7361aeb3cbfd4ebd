//! The FHIR R4 REST API over HTTP: routes, content negotiation, limits, errors as OperationOutcome.
//!
//! Knows nothing about storage: everything clinical goes through [`engine::Engine`]. Beside FHIR stands the vaccine tracker's
//! plain REST (`tracker`), over the same resources.

mod auth;
mod body;
mod capability;
mod compress;
mod error;
mod guard;
mod health;
mod http;
mod immunization;
mod interactions;
mod metrics;
mod negotiate;
mod openapi;
mod opening;
mod query;
mod request_log;
mod respond;
mod route;
mod router;
mod searchset;
mod serve;
mod tracker;

pub use guard::guard;
pub use metrics::{Metrics, Snapshot};
pub use openapi::openapi;
pub use router::router;
pub use serve::{serve, serve_local};

use seal::Secret;
use std::time::Duration;

/// What the API needs to know besides the engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest request body after decompression; 413 past it.
    pub body_bytes_max: usize,
    /// Bytes of all request bodies in work together, after decompression; 503 with Retry-After past it. Never less than
    /// `body_bytes_max`.
    pub bodies_bytes_max: usize,
    /// Requests in work at the same time; 503 with Retry-After past it.
    pub in_flight_max: usize,
    /// A request that takes longer is answered with 503.
    pub request_timeout: Duration,
    /// Time for a client to send its request head.
    pub header_timeout: Duration,
    /// How long open requests may go on after a shutdown was asked for.
    pub shutdown_timeout: Duration,
    /// Origins for CORS; `*` for any. Empty = no CORS headers.
    pub cors_origins: Vec<String>,
    /// When set, every request but the health checks must carry it.
    pub bearer_token: Option<Secret>,
    /// What clients see, without a trailing slash: `https://fhir.example.org`. Derived from `Host` when absent.
    pub base_url: Option<String>,
    /// Served at `/fhir`.
    pub default_tenant: String,
    /// Served at `/t/{name}/fhir`.
    pub other_tenants: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 256 << 20,
            in_flight_max: 1_024,
            request_timeout: Duration::from_secs(120),
            header_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(30),
            cors_origins: Vec::new(),
            bearer_token: None,
            base_url: None,
            default_tenant: "default".into(),
            other_tenants: Vec::new(),
        }
    }
}
