//! The bearer token, until there are users.

use crate::Config;
use crate::error::Failure;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{Principal, Role};

/// Who asks. Without a configured token everybody who can reach the socket is the local administrator.
pub(crate) fn principal(config: &Config, headers: &HeaderMap) -> Result<Principal, Failure> {
    match &config.bearer_token {
        Some(token) if !bearer(headers).is_some_and(|given| token.is(given)) => {
            let text = "send the server's token as `Authorization: Bearer …`";
            let failure = Failure::new(StatusCode::UNAUTHORIZED, "login", text);
            Err(failure.with(header::WWW_AUTHENTICATE, "Bearer realm=\"weir\""))
        }
        _ => Ok(admin()),
    }
}

/// As [`principal`], for people with a browser: it asks them for a name and a password, and the password is the token.
pub(crate) fn visitor(config: &Config, headers: &HeaderMap) -> Result<Principal, Failure> {
    match &config.bearer_token {
        Some(token) if !password(headers).is_some_and(|given| token.is(&given)) => principal(config, headers)
            .map_err(|failure| failure.and(header::WWW_AUTHENTICATE, "Basic realm=\"weir\", charset=\"UTF-8\"")),
        _ => Ok(admin()),
    }
}

fn admin() -> Principal {
    Principal { id: "admin".into(), role: Role::Admin }
}

fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (given, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer")
}

fn password(headers: &HeaderMap) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.split_once(':')?.1.trim().to_owned())
}
