//! GNU Health as a destination, by the JSON-RPC of its Tryton server.
//!
//! It has no FHIR of R4, no conditional requests and no ids of ours; each kind of record carries our key in a field that can be
//! searched: see `docs/guides/gnu-health.md`.

mod answer;
mod appointment;
mod field;
mod immunization;
mod patient;
mod practitioner;
mod push;
mod session;

use crate::http::Client;
use delivery::{Async, Calls, Destination, Found, Item, Outcome};
use push::Push;
use seal::Secret;
use session::Door;
use std::time::Duration;

/// How long a request whose connection has died may still take effect. Tryton has no limit of its own; a create takes a tenth of a
/// second.
pub const QUIESCE: Duration = Duration::from_secs(90);

/// What is peculiar to one GNU Health.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `https://gnuhealth.example.org:8000`.
    pub base: String,
    /// The name of its database.
    pub database: String,
    /// The service user.
    pub login: String,
    pub password: Secret,
    /// Prefix of the federation accounts of new people: ISO 3166-1 alpha-3, or `XXX`.
    pub country: String,
    pub quiesce: Duration,
}

/// See the module documentation.
#[derive(Debug)]
pub struct GnuHealth {
    door: Door,
    country: String,
    quiesce: Duration,
}

impl GnuHealth {
    /// `client` is one of [`crate::client`]'s.
    pub fn new(settings: Settings, client: Client) -> GnuHealth {
        let Settings { base, database, login, password, country, quiesce } = settings;
        GnuHealth { door: Door::new(client, &base, &database, login, password), country, quiesce }
    }
}

impl Destination for GnuHealth {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move { Push { emr: self, item, turns: calls }.deliver().await })
    }

    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move { Push { emr: self, item, turns: calls }.probe().await })
    }

    fn quiesce(&self) -> Duration {
        self.quiesce
    }

    fn kind(&self) -> &'static str {
        "gnu-health"
    }
}
