//! OpenEMR's authorization server: registration, approval, tokens, and what a token allows.

mod assertion;
mod registration;
pub(crate) mod scope;
mod token;

use crate::http::{Reply, Request};
use crate::state::{Emr, State};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Clients, tokens and used assertions.
#[derive(Debug, Default)]
pub(crate) struct OAuth {
    clients: BTreeMap<String, Client>,
    access: HashMap<String, Grant>,
    refresh: HashMap<String, Grant>,
    /// Used assertion ids with the second of their expiry.
    used_ids: HashMap<String, i64>,
}

#[derive(Debug, Clone)]
struct Client {
    name: String,
    secret: String,
    scopes: Vec<String>,
    /// Keys by which the client proves itself, as registered.
    keys: Vec<Value>,
    enabled: bool,
}

#[derive(Debug, Clone)]
struct Grant {
    client: String,
    scopes: Vec<String>,
    role: Role,
    expires_us: i64,
}

/// Whom a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A backend service: reads, and FHIR only.
    System,
    /// A member of the staff.
    Users,
}

/// What the sender of a request may do.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Tokens are not required.
    Everything,
    Granted {
        role: Role,
        scopes: Vec<String>,
    },
}

impl OAuth {
    /// Enables a client that registered; whether it exists.
    pub(crate) fn approve(&mut self, client_id: &str) -> bool {
        self.clients.get_mut(client_id).map(|client| client.enabled = true).is_some()
    }

    /// Id, name and approval of every client.
    pub(crate) fn clients(&self) -> Vec<Value> {
        let clients = self.clients.iter();
        clients
            .map(|(id, client)| {
                json!({ "client_id": id, "client_name": client.name, "enabled": client.enabled, "scopes": client.scopes })
            })
            .collect()
    }
}

/// Answers `/oauth2/default/...`.
pub(crate) fn answer(emr: &Emr, state: &mut State, request: &Request) -> Reply {
    let path: Vec<&str> = request.segments.iter().skip(2).map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("POST", ["registration"]) => registration::register(emr.options.profile, emr.clock.wall_us(), state, request),
        ("POST", ["token"]) => token::token(emr, state, request),
        ("GET", [".well-known", "openid-configuration"]) => Reply::json(200, &discovery(request)),
        _ => Reply::error(404, "Not Found"),
    }
}

/// Where the endpoints are; the same facts serve as SMART configuration.
pub(crate) fn discovery(request: &Request) -> Value {
    let base = format!("{}/oauth2/default", request.origin());
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/registration"),
        "jwks_uri": format!("{base}/jwk"),
        "introspection_endpoint": format!("{base}/introspect"),
        "grant_types_supported": ["authorization_code", "password", "client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384"],
        "scopes_supported": scope::NAMED,
        "response_types_supported": ["code"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    })
}

/// What the bearer of the request's token may do, or the 401 that it gets.
pub(crate) fn authorize(emr: &Emr, state: &State, request: &Request) -> Result<Access, Reply> {
    if !emr.options.oauth_required {
        return Ok(Access::Everything);
    }
    let token = request.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let grant = token.and_then(|token| state.oauth.access.get(token));
    match grant {
        Some(grant) if grant.expires_us > emr.clock.wall_us() => {
            Ok(Access::Granted { role: grant.role, scopes: grant.scopes.clone() })
        }
        Some(_) => Err(Reply::error(401, "The access token has expired")),
        None => Err(Reply::error(401, "The resource owner or authorization server denied the request.")),
    }
}

/// An error of the token or registration endpoint.
fn refusal(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "error_description": description, "message": description }))
}
