//! What lies before pages and routes of other crates: nobody passes without the token, and what passes has a session.

use crate::error::Failure;
use crate::request_log::{self, RequestIds};
use crate::router::{base_url, plain};
use crate::{Config, auth};
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use engine::Session;
use std::sync::Arc;
use store::TenantId;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Requests in work; bodies are bounded by the routes themselves.
const IN_WORK_MAX: usize = 64;

struct Guard {
    config: Config,
    ids: RequestIds,
    room: Semaphore,
}

/// `router`, for those who send the server's token, as a bearer token or (browsers) as the password of a basic login. Its
/// handlers find an [`engine::Session`] for the default tenant among the extensions of the request.
pub fn guard(router: Router, config: &Config) -> Router {
    let guard = Arc::new(Guard { config: config.clone(), ids: RequestIds::new(), room: Semaphore::new(IN_WORK_MAX) });
    router.layer(from_fn_with_state(guard, pass))
}

/// Streams are written into the log when they begin.
async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (begun, method) = (Instant::now(), parts.method.clone());
    let route = parts.extensions.get::<MatchedPath>().cloned();
    let request_id = guard.ids.of(&parts.headers);
    let answer = answer(&guard, parts, body, next, &request_id).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    request_log::write_route(&method, route, answer.status(), begun.elapsed(), &request_id);
    answer
}

async fn answer(guard: &Guard, mut parts: Parts, body: Body, next: Next, request_id: &str) -> Response {
    let who = match auth::visitor(&guard.config, &parts.headers) {
        Ok(who) => who,
        Err(failure) => return plain(failure.into_answer()),
    };
    let base = format!("{}/fhir", base_url(&guard.config, &parts));
    let tenant = TenantId(guard.config.default_tenant.clone());
    parts.extensions.insert(Session { tenant, who, request_id: request_id.to_owned(), base });
    let Ok(_place) = guard.room.try_acquire() else {
        return unavailable("throttled", "too many requests are in work");
    };
    // Until the answer begins: streams go on.
    let answer = next.run(Request::from_parts(parts, body));
    match tokio::time::timeout(guard.config.request_timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => unavailable("timeout", "the request took too long: see what has become of it before you repeat it"),
    }
}

fn unavailable(code: &'static str, text: &str) -> Response {
    plain(Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, text).retry_after(1).into_answer())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::routing::get;
    use std::time::Duration;
    use tower::ServiceExt;

    fn guarded(request_timeout: Duration) -> Router {
        let whose = async |Extension(session): Extension<Session>| format!("{} {}", session.tenant.0, session.base);
        let router = Router::new().route("/whose", get(whose)).route("/never", get(std::future::pending::<()>));
        guard(router, &Config { request_timeout, ..Config::default() })
    }

    fn request(path: &str) -> Request {
        Request::get(path).header("host", "weir.example").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn what_passes_has_a_session_of_the_default_tenant() {
        let answer = guarded(Duration::MAX).oneshot(request("/whose")).await.unwrap();
        let text = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
        assert_eq!(text, "default http://weir.example/fhir");
    }

    #[tokio::test]
    async fn requests_are_bounded_in_time_and_number() {
        let answer = guarded(Duration::ZERO).oneshot(request("/never")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);

        let router = guarded(Duration::MAX);
        let mut open = tokio::task::JoinSet::new();
        for _ in 0..IN_WORK_MAX {
            open.spawn(router.clone().oneshot(request("/never")));
            tokio::task::yield_now().await;
        }
        let answer = router.clone().oneshot(request("/whose")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        open.shutdown().await;
        assert_eq!(router.oneshot(request("/whose")).await.unwrap().status(), StatusCode::OK);
    }
}
