//! A form of these pages as it was sent.

use super::Tracker;
use super::refused::InPage;
use crate::ops::origin::Form;
use axum::body::Bytes;
use axum::extract::{Extension, FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use engine::Session;
use std::sync::Arc;

/// Who sent it, and what. That it comes from our own page is checked.
pub(super) struct Submitted {
    pub(super) session: Session,
    pub(super) form: Form,
}

impl FromRequest<Arc<Tracker>> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, tracker: &Arc<Tracker>) -> Result<Submitted, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Extension::<Session>::from_request_parts(&mut parts, tracker).await;
        let Extension(session) = session.map_err(IntoResponse::into_response)?;
        let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
        let body = Bytes::from_request(Request::from_parts(parts, body), tracker).await;
        let body = body.map_err(IntoResponse::into_response)?;
        let form = Form::read(&headers, &uri, &body, &tracker.token);
        let form = form.map_err(|refused| InPage::from(refused).into_response())?;
        Ok(Submitted { session, form })
    }
}

/// A field is missing that the page has: somebody has made the form otherwise.
pub(super) fn incomplete() -> InPage {
    InPage::invalid("the form is not complete: load the page again")
}

impl Submitted {
    /// A field that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, InPage> {
        self.form.get(name).ok_or_else(incomplete)
    }

    /// A field without the spaces around it; empty when it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.form.get(name).unwrap_or_default().trim()
    }
}
