//! Whether the process lives and whether it can serve.

use crate::http::Answer;
use axum::http::StatusCode;
use engine::{Engine, Session};

pub(crate) fn live() -> Answer {
    Answer::json(StatusCode::OK, br#"{"status":"ok"}"#.to_vec())
}

/// 503 while the default tenant's store cannot answer.
pub(crate) async fn ready(engine: &Engine, session: &Session) -> Answer {
    match engine.stats(session).await {
        Ok(_) => Answer::json(StatusCode::OK, br#"{"status":"ready"}"#.to_vec()),
        Err(_) => Answer::json(StatusCode::SERVICE_UNAVAILABLE, br#"{"status":"store does not answer"}"#.to_vec()),
    }
}
