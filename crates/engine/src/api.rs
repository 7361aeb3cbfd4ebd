//! The contract between the engine and everything above it.

use crate::IfMatch;
use fhir::defs::TypeId;
use fhir::outcome::Issue;
use fhir::query::Query;
use store::{Op, TenantId};

/// Who asks, for which tenant, and why. Made once per request.
#[derive(Clone, Debug)]
pub struct Session {
    pub tenant: TenantId,
    pub who: Principal,
    pub request_id: String,
    /// Base URL of the tenant's FHIR endpoint as the client sees it, without a trailing slash: for absolute references and links.
    pub base: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `admin`, later a user or client id.
    pub id: String,
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Admin,
}

/// A resource as the outside world sees it.
#[derive(Clone, Debug)]
pub struct Resource {
    pub ty: TypeId,
    pub id: String,
    pub version: u64,
    pub last_updated_us: i64,
    pub op: Op,
    /// Full JSON, with `meta.versionId` and `meta.lastUpdated`; empty for a deleted version.
    pub json: Vec<u8>,
}

/// Preconditions of a write.
#[derive(Clone, Debug, Default)]
pub struct Precondition {
    /// `If-Match`: the resource must exist, in one of these versions.
    pub if_match: Option<IfMatch>,
    /// `If-None-Match: *` on an update: the resource must not exist.
    pub must_not_exist: bool,
    /// `If-None-Exist` on a create, or the criteria of a conditional update, patch or delete: the raw query string.
    pub criteria: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    /// The content was the same: no new version was written.
    Unchanged,
    /// Conditional create that found its match.
    Existed,
    Deleted,
}

#[derive(Clone, Debug)]
pub struct Written {
    pub change: Change,
    /// `None` when nothing matched a conditional delete.
    pub resource: Option<Resource>,
}

/// A page of search results; `matches` first, then `includes`.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub matches: Vec<Resource>,
    pub includes: Vec<Resource>,
    pub total: Option<u64>,
    pub next: Option<String>,
    pub previous: Option<String>,
    pub query: Option<Query>,
    pub warnings: Vec<Issue>,
}

/// A failure that a client can understand. Becomes an OperationOutcome with this HTTP status in one place of `api`.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {}", .issues.first().map_or("", |issue| issue.diagnostics.as_str()))]
pub struct Error {
    pub status: u16,
    pub issues: Vec<Issue>,
    /// For 409 and 412: the current version; for 410: the deleted version.
    pub version: Option<u64>,
}
