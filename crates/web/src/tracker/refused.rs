//! What was asked for cannot be done, as a page of the tracker.

use super::page;
use crate::ops::refused::Refused;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use maud::html;

#[derive(Debug)]
pub(super) struct InPage(Refused);

impl InPage {
    pub(super) fn not_found(text: impl Into<String>) -> InPage {
        InPage(Refused::not_found(text))
    }

    pub(super) fn invalid(text: impl Into<String>) -> InPage {
        InPage(Refused::invalid(text))
    }

    pub(super) fn texts(&self) -> &[String] {
        self.0.texts()
    }
}

impl From<Refused> for InPage {
    fn from(refused: Refused) -> InPage {
        InPage(refused)
    }
}

impl From<engine::Error> for InPage {
    fn from(error: engine::Error) -> InPage {
        InPage(error.into())
    }
}

impl IntoResponse for InPage {
    fn into_response(self) -> Response {
        let title = match self.0.status() {
            StatusCode::NOT_FOUND => "There is no such page",
            _ => "This could not be done",
        };
        let content = html! {
            h1 { (title) }
            @for text in self.0.texts() { p { (text) "." } }
            p { a href="/tracker" { "How many are vaccinated" } }
            p { a href="/tracker/person" { "Find a person" } }
        };
        (self.0.status(), page::page("", title, content)).into_response()
    }
}

/// For a path that is served, but not with this method.
pub(super) async fn method(uri: Uri) -> Response {
    if uri.path().starts_with("/ops/api/") {
        return crate::ops::refused::method(uri).await;
    }
    InPage(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", "this path does not take this method"))
        .into_response()
}
