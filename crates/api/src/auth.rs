//! The bearer token, until there are users.

use crate::Config;
use crate::error::Failure;
use axum::http::{HeaderMap, StatusCode, header};
use engine::{Principal, Role};

/// Who asks. Without a configured token everybody who can reach the socket is the local administrator.
pub(crate) fn principal(config: &Config, headers: &HeaderMap) -> Result<Principal, Failure> {
    if let Some(token) = &config.bearer_token {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given =
            given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if !given.is_some_and(|(_, given)| token.is(given.trim())) {
            let text = "send the server's token as `Authorization: Bearer …`";
            let failure = Failure::new(StatusCode::UNAUTHORIZED, "login", text);
            return Err(failure.with(header::WWW_AUTHENTICATE, "Bearer realm=\"weir\""));
        }
    }
    Ok(Principal { id: "admin".into(), role: Role::Admin })
}
