//! Every failure as an OperationOutcome, in one place.

use crate::http::Answer;
use crate::route::NoRoute;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use fhir::nearest::hint;
use fhir::outcome::{Issue, to_json};

/// A failure on its way to the client.
#[derive(Debug)]
pub(crate) struct Failure(Box<Answer>);

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, diagnostics: impl Into<String>) -> Failure {
        Failure::issues(status, &[Issue::error(code, diagnostics)])
    }

    pub(crate) fn issues(status: StatusCode, issues: &[Issue]) -> Failure {
        Failure(Box::new(Answer::json(status, to_json(issues))))
    }

    pub(crate) fn with(self, name: HeaderName, value: &str) -> Failure {
        Failure(Box::new(self.0.with(name, value)))
    }

    /// Beside a header of this name that is there.
    pub(crate) fn and(mut self, name: HeaderName, value: &'static str) -> Failure {
        self.0.headers.append(name, HeaderValue::from_static(value));
        self
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Failure {
        self.with(header::RETRY_AFTER, &seconds.to_string())
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn into_answer(self) -> Answer {
        *self.0
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Failure {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(http.status = status.as_u16(), error = %error, "request failed");
        }
        let failure = Failure::issues(status, &error.issues);
        let failure = match error.version {
            Some(version) => failure.with(header::ETAG, &format!("W/\"{version}\"")),
            None => failure,
        };
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => failure.retry_after(1),
            _ => failure,
        }
    }
}

impl From<NoRoute> for Failure {
    fn from(no_route: NoRoute) -> Failure {
        match no_route {
            NoRoute::UnknownType(name) => {
                let defs = fhir::defs::r4();
                let hint = hint(&name, defs.resources().map(|ty| defs.ty(ty).name));
                let name: String = name.chars().take(64).collect();
                Failure::new(StatusCode::NOT_FOUND, "not-supported", format!("unknown resource type {name}{hint}"))
            }
            NoRoute::UnknownPath => Failure::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "nothing is served at this path: see /fhir/metadata and /openapi.json",
            ),
            NoRoute::Method(allowed) => {
                let text = format!("this path does not take this method: use {allowed}");
                Failure::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", text).with(header::ALLOW, allowed)
            }
        }
    }
}
