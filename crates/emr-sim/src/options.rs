//! What kind of EMR is simulated, and how badly it behaves.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How to start a [`crate::Sim`].
#[derive(Debug, Clone)]
pub struct Options {
    pub profile: Profile,
    /// Where the EMR listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where only the control API and page listen, so that they can be reached while the EMR is down.
    pub control: Option<SocketAddr>,
    /// Arrivals per second above which the `fragile` profile begins to fall over.
    pub fragile_rate_per_s: f64,
    /// How long the port refuses after the `fragile` profile crashed.
    pub outage: Duration,
    pub faults: Faults,
    /// Seed of the faults, ids and tokens.
    pub seed: u64,
    /// File to which the arrival log is appended.
    pub log_file: Option<PathBuf>,
    /// Whether requests need a token; without, everything is allowed and the token endpoint gives a token to anyone.
    pub oauth_required: bool,
    /// IANA name of the zone in which an OpenEMR keeps its time.
    pub zone: String,
    /// Certificate of the EMR's port; the control port speaks no TLS.
    pub tls: Option<Tls>,
}

/// A certificate chain and its key.
#[derive(Clone)]
pub struct Tls {
    pub certificate_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            profile: Profile::OpenEmr8,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: None,
            fragile_rate_per_s: 20.0,
            outage: Duration::from_secs(10),
            faults: Faults::default(),
            seed: 1,
            log_file: None,
            oauth_required: true,
            zone: "UTC".to_owned(),
            tls: None,
        }
    }
}

/// Which EMR is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// OpenEMR 7.0.2: any paging parameter empties the bundle.
    OpenEmr702,
    /// OpenEMR 8: Patient pages, nothing else does.
    OpenEmr8,
    /// OpenEMR 8 with FHIR write for more types.
    OpenEmrWrites,
    /// As `OpenEmrWrites`, with 250 calls per minute and then nothing until the top of the minute.
    Strict,
    /// As `OpenEmrWrites`, and it falls over above a rate.
    Fragile,
    /// A plain FHIR R4 server.
    FhirR4,
}

impl Profile {
    pub const ALL: [Profile; 6] = [
        Profile::OpenEmr702,
        Profile::OpenEmr8,
        Profile::OpenEmrWrites,
        Profile::Strict,
        Profile::Fragile,
        Profile::FhirR4,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Profile::OpenEmr702 => "openemr-7.0.2",
            Profile::OpenEmr8 => "openemr-8",
            Profile::OpenEmrWrites => "openemr-writes",
            Profile::Strict => "strict",
            Profile::Fragile => "fragile",
            Profile::FhirR4 => "fhir-r4",
        }
    }

    /// Whether FHIR create and update exist beyond Patient, Practitioner and Organization.
    pub(crate) fn writes_more(self) -> bool {
        matches!(self, Profile::OpenEmrWrites | Profile::Strict | Profile::Fragile)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no profile or no fault.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    #[error("unknown profile `{0}`: one of openemr-7.0.2, openemr-8, openemr-writes, strict, fragile, fhir-r4")]
    Profile(String),
    #[error(
        "unknown fault `{0}`: NAME=NUMBER with one of commit_then_drop, late_commit, late_commit_max_ms, too_many, \
         server_error, stall, stall_ms, half_close, bad_tls, token_drop, token_ttl_s"
    )]
    Fault(String),
}

impl FromStr for Profile {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Profile, OptionError> {
        let found = Profile::ALL.into_iter().find(|profile| profile.name() == text);
        found.ok_or_else(|| OptionError::Profile(text.to_owned()))
    }
}

/// Faults, each a probability per request from 0 to 1. They can be changed while the simulator runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Writes that are done, after which the connection breaks without an answer.
    pub commit_then_drop: f64,
    /// Writes whose connection breaks at once and that are done later nevertheless.
    pub late_commit: f64,
    /// Longest delay of a late commit, in milliseconds.
    pub late_commit_max_ms: u64,
    /// Requests answered with 429, half of them without Retry-After. Nothing is done.
    pub too_many: f64,
    /// Requests answered with 500, 502, 503 or 504. Nothing is done.
    pub server_error: f64,
    /// Requests that are done at once and answered after `stall_ms`.
    pub stall: f64,
    /// Length of a stall, in milliseconds.
    pub stall_ms: u64,
    /// Requests after which the EMR closes its sending side without an answer; half of them were done.
    pub half_close: f64,
    /// Connections whose TLS handshake fails. No request arrives by them; a port without TLS has none.
    pub bad_tls: f64,
    /// Token requests that are done (a refresh token is used up) and not answered.
    pub token_drop: f64,
    /// Life of access tokens in seconds; 0 leaves OpenEMR's own (300 for systems, 3,600 for users).
    pub token_ttl_s: u64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            commit_then_drop: 0.0,
            late_commit: 0.0,
            late_commit_max_ms: 5_000,
            too_many: 0.0,
            server_error: 0.0,
            stall: 0.0,
            stall_ms: 2_000,
            half_close: 0.0,
            bad_tls: 0.0,
            token_drop: 0.0,
            token_ttl_s: 0,
        }
    }
}

impl Faults {
    /// These faults with one of them set from a text such as `commit_then_drop=0.02`.
    pub fn with(self, text: &str) -> Result<Faults, OptionError> {
        let unknown = || OptionError::Fault(text.to_owned());
        let (name, number) = text.split_once('=').ok_or_else(unknown)?;
        let number: serde_json::Value = serde_json::from_str(number).map_err(|_| unknown())?;
        let mut all = serde_json::to_value(self).map_err(|_| unknown())?;
        all[name] = number;
        serde_json::from_value(all).map_err(|_| unknown())
    }
}
