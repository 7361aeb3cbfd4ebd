//! What lies before pages and routes of other crates: nobody passes without the token, and what passes has a session.

use crate::request_log::RequestIds;
use crate::router::{base_url, plain};
use crate::{Config, auth};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use engine::Session;
use std::sync::Arc;
use store::TenantId;

struct Guard {
    config: Config,
    ids: RequestIds,
}

/// `router`, for those who send the server's token, as a bearer token or (browsers) as the password of a basic login. Its
/// handlers find an [`engine::Session`] for the default tenant among the extensions of the request.
pub fn guard(router: Router, config: &Config) -> Router {
    let guard = Arc::new(Guard { config: config.clone(), ids: RequestIds::new() });
    router.layer(from_fn_with_state(guard, pass))
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let who = match auth::visitor(&guard.config, &parts.headers) {
        Ok(who) => who,
        Err(failure) => return plain(failure.into_answer()),
    };
    let base = format!("{}/fhir", base_url(&guard.config, &parts));
    let tenant = TenantId(guard.config.default_tenant.clone());
    let request_id = guard.ids.of(&parts.headers);
    parts.extensions.insert(Session { tenant, who, request_id, base });
    next.run(Request::from_parts(parts, body)).await
}
