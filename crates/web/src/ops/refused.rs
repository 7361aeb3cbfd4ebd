//! What was asked for cannot be done: as a page, or as an OperationOutcome.

use super::page;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use fhir::outcome::{Issue, to_json};
use maud::html;

/// Says why, and what to do.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    code: &'static str,
    texts: Vec<String>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Refused {
        Refused { status, code, texts: vec![text.into()] }
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Refused {
        Refused::new(StatusCode::NOT_FOUND, "not-found", text)
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Refused {
        Refused::new(StatusCode::BAD_REQUEST, "invalid", text)
    }

    pub(crate) fn forbidden(text: impl Into<String>) -> Refused {
        Refused::new(StatusCode::FORBIDDEN, "forbidden", text)
    }

    pub(crate) fn ended() -> Refused {
        let text = "the delivery to this destination does not run now: the server's log says why";
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "transient", text)
    }

    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<engine::Error> for Refused {
    fn from(error: engine::Error) -> Refused {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = error.issues.first().map_or("exception", |issue| issue.code);
        let text = |issue: Issue| match issue.expression {
            Some(place) => format!("{place}: {}", issue.diagnostics),
            None => issue.diagnostics,
        };
        Refused { status, code, texts: error.issues.into_iter().map(text).collect() }
    }
}

/// For a path that is served, but not with this method.
pub(crate) async fn method(uri: Uri) -> Response {
    let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", "this path does not take this method");
    let is_api = ["/ops/api/", "/sync/"].iter().any(|prefix| uri.path().starts_with(prefix));
    if is_api { InJson(refused).into_response() } else { refused.into_response() }
}

/// As a page.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let title = match self.status {
            StatusCode::NOT_FOUND => "There is no such page",
            _ => "This could not be done",
        };
        let content = html! {
            h1 { (title) }
            @for text in &self.texts { p { (text) "." } }
            p { a href="/ops" { "All destinations" } }
        };
        (self.status, page::page(title, content)).into_response()
    }
}

/// As an OperationOutcome.
#[derive(Debug)]
pub(crate) struct InJson(Refused);

impl From<Refused> for InJson {
    fn from(refused: Refused) -> InJson {
        InJson(refused)
    }
}

impl IntoResponse for InJson {
    fn into_response(self) -> Response {
        let issues: Vec<Issue> = self.0.texts.into_iter().map(|text| Issue::error(self.0.code, text)).collect();
        (self.0.status, [(header::CONTENT_TYPE, "application/json")], to_json(&issues)).into_response()
    }
}
