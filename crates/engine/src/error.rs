//! How failures are made: one constructor per meaning, each with what to do about it.

use crate::Error;
use fhir::json::{JsonError, JsonErrorKind};
use fhir::outcome::Issue;
use store::{CommitError, StoreError};

impl Error {
    /// `code`: of the value set issue-type. `diagnostics` says what, and what to do.
    pub fn new(status: u16, code: &'static str, diagnostics: impl Into<String>) -> Error {
        Error { status, issues: vec![Issue::error(code, diagnostics)], version: None }
    }

    pub(crate) fn with_version(mut self, version: u64) -> Error {
        self.version = Some(version);
        self
    }

    /// Names the place of every issue that has none yet.
    pub(crate) fn at(mut self, expression: &str) -> Error {
        for issue in &mut self.issues {
            issue.expression.get_or_insert_with(|| expression.to_owned());
        }
        self
    }

    pub(crate) fn not_found(ty: &str) -> Error {
        Error::new(404, "not-found", format!("no {ty} with this id: check the id, or search for the resource"))
    }

    pub(crate) fn gone(ty: &str, version: u64) -> Error {
        let text = format!("this {ty} was deleted in version {version}: earlier versions are in its history");
        Error::new(410, "deleted", text).with_version(version)
    }

    /// `current` is 0 when nothing is there.
    pub(crate) fn stale(current: u64) -> Error {
        if current == 0 {
            let text = "the resource does not exist: repeat without If-Match to create it";
            return Error::new(412, "conflict", text);
        }
        let text =
            format!("another version is current ({current}): read it, merge your change and repeat with its ETag");
        Error::new(412, "conflict", text).with_version(current)
    }

    pub(crate) fn invalid(diagnostics: impl Into<String>) -> Error {
        Error::new(400, "invalid", diagnostics)
    }

    pub(crate) fn from_issues(status: u16, issues: Vec<Issue>) -> Error {
        Error { status, issues, version: None }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::UnknownTenant => Error::new(404, "not-found", "unknown tenant: check the address"),
            StoreError::SnapshotExpired => {
                Error::new(410, "expired", "this page link is too old: repeat the search from its first page")
            }
            StoreError::InvalidCursor => {
                Error::invalid("this page link is damaged: use the links of the Bundle unchanged")
            }
            StoreError::Limit(what) => Error::new(400, "too-costly", format!("a limit was passed: {what}")),
            StoreError::Closed => Error::new(503, "transient", "the server is shutting down: repeat later"),
            StoreError::Format { .. } | StoreError::InUse(_) | StoreError::Unseal(_) | StoreError::Io(_) => {
                tracing::error!(error = %error, "storage failed");
                Error::new(500, "exception", "storage failed: the operator finds the reason in the log")
            }
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Error {
        match error {
            CommitError::Conflict { current, .. } => {
                let text = "somebody else changed the resource at the same time: repeat the request";
                Error::new(409, "conflict", text).with_version(current)
            }
            CommitError::ClaimTaken { .. } => {
                Error::new(409, "conflict", "somebody else holds what this request needs: read again, then choose anew")
            }
            CommitError::Busy => Error::new(503, "throttled", "too many writes are waiting: repeat in a second"),
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<JsonError> for Error {
    fn from(error: JsonError) -> Error {
        match error.kind {
            JsonErrorKind::TooLarge { .. } => Error::new(413, "too-long", format!("{error}: split it")),
            // The name of a duplicate member is text of the client.
            JsonErrorKind::DuplicateMember(_) => Error::new(
                400,
                "structure",
                format!(
                    "a member appears twice in one object at line {}, column {}: keep one",
                    error.line, error.column
                ),
            ),
            _ => Error::new(400, "structure", format!("the body is not valid JSON: {error}")),
        }
    }
}
