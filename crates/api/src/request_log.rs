//! One line for each request, and the id by which it is found again.

use crate::query;
use crate::route::{Row, template};
use crate::router::REQUEST_ID;
use axum::http::{HeaderMap, Method, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::Level;

/// Directive for the log's level: `info,api::request=off`.
const TARGET: &str = "api::request";

/// Makes ids: eight digits that differ from start to start, then a count.
#[derive(Debug)]
pub(crate) struct RequestIds {
    start: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        RequestIds { start: uuid::Uuid::new_v4().as_fields().0, next: AtomicU64::new(1) }
    }

    /// The client's id when it is harmless, else a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let harmless = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        let new = || format!("{:08x}-{:08x}", self.start, self.next.fetch_add(1, Ordering::Relaxed));
        given.filter(harmless).map_or_else(new, str::to_owned)
    }
}

/// Ids and queries are PHI: the route stands for the path.
pub(crate) fn write(
    method: &Method,
    rows: &'static [Row],
    path: &str,
    status: StatusCode,
    took: Duration,
    request_id: &str,
) {
    if !tracing::enabled!(target: TARGET, Level::INFO) {
        return;
    }
    write_route(
        method,
        query::decode_path(path).as_deref().and_then(|path| template(rows, path)).unwrap_or("none"),
        status,
        took,
        request_id,
    );
}

/// Of a route whose template is known.
pub(crate) fn write_route(method: &Method, route: &str, status: StatusCode, took: Duration, request_id: &str) {
    let duration_ms = (took.as_micros() / 10) as f64 / 100.0;
    // Any token can be a method: only those that are served are named.
    let method = match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => method.as_str(),
        _ => "other",
    };
    tracing::info!(target: TARGET, method, route, status = status.as_u16(), duration_ms, request_id, "request");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_harmless_and_differ() {
        let ids = RequestIds::new();
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, text.parse().unwrap());
            ids.of(&headers)
        };
        assert_eq!(id("abc-1.2_3"), "abc-1.2_3");
        let made = [id("a b"), id(&"x".repeat(65)), ids.of(&HeaderMap::new())];
        assert!(made.iter().all(|id| id.len() == 17 && id[..8] == made[0][..8]), "{made:?}");
        assert!(made[0] != made[1] && made[1] != made[2]);
    }
}
