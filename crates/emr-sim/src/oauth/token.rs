//! The token endpoint: `client_credentials`, `password`, `refresh_token`.

use super::{Client, Grant, Role, refusal};
use crate::http::{Reply, Request};
use crate::options::Profile;
use crate::state::{Emr, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

const SYSTEM_TTL_S: u64 = 300;
const USER_TTL_S: u64 = 3_600;
const REFRESH_TTL_S: i64 = 90 * 24 * 3_600;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The one member of the staff, as a fresh OpenEMR has it.
const USER: (&str, &str) = ("admin", "pass");

struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

pub(super) fn token(emr: &Emr, state: &mut State, request: &Request) -> Reply {
    let form = Form(request.form());
    let granted = match form.get("grant_type") {
        Some("client_credentials") => client_credentials(emr, state, request, &form),
        Some("password") => password(emr, state, request, &form),
        Some("refresh_token") => refresh(emr, state, request, &form),
        _ => Err(refusal(
            400,
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        )),
    };
    match granted {
        Ok(grant) => issue(emr, state, grant),
        Err(reply) => reply,
    }
}

fn client_credentials(emr: &Emr, state: &mut State, request: &Request, form: &Form) -> Result<Grant, Reply> {
    if !emr.options.oauth_required {
        return Ok(anyone(form, Role::System));
    }
    if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(refusal(400, "invalid_request", "Check the `client_assertion_type` parameter"));
    }
    let Some(assertion) = form.get("client_assertion") else {
        return Err(refusal(400, "invalid_request", "Check the `client_assertion` parameter"));
    };
    let token_url = format!("{}{}", request.origin(), request.path);
    let proven = state.oauth.prove(assertion, &token_url, emr.clock.wall_us() / 1_000_000);
    let invalid = || refusal(400, "invalid_client", "Client authentication failed");
    let client_id = proven.map_err(|_| invalid())?;
    let client = state.oauth.clients.get(&client_id).filter(|client| client.enabled).ok_or_else(invalid)?;
    let scopes = scopes(form, &client.scopes)?;
    let foreign = scopes.iter().any(|scope| scope.starts_with("user/") || scope.starts_with("patient/"));
    if foreign {
        return Err(invalid_scope());
    }
    Ok(Grant { client: client_id, scopes, role: Role::System, expires_us: 0 })
}

fn password(emr: &Emr, state: &mut State, request: &Request, form: &Form) -> Result<Grant, Reply> {
    if !emr.options.oauth_required {
        return Ok(anyone(form, Role::Users));
    }
    let (client_id, client) = confidential(state, request, form)?;
    if form.get("user_role") != Some("users") {
        return Err(refusal(400, "invalid_request", "Check the `user_role` parameter"));
    }
    if (form.get("username"), form.get("password")) != (Some(USER.0), Some(USER.1)) {
        return Err(refusal(400, "invalid_grant", "The user credentials were incorrect."));
    }
    let scopes = scopes(form, &client.scopes)?;
    Ok(Grant { client: client_id, scopes, role: Role::Users, expires_us: 0 })
}

/// A refresh token works once: its use revokes it, whether or not the answer reaches the client.
fn refresh(emr: &Emr, state: &mut State, request: &Request, form: &Form) -> Result<Grant, Reply> {
    let invalid = || refusal(400, "invalid_grant", "The refresh token is invalid.");
    let Some(token) = form.get("refresh_token") else {
        return Err(refusal(400, "invalid_request", "Check the `refresh_token` parameter"));
    };
    if !emr.options.oauth_required {
        return Ok(state.oauth.refresh.remove(token).unwrap_or_else(|| anyone(form, Role::Users)));
    }
    let (client_id, _) = confidential(state, request, form)?;
    if state.oauth.refresh.get(token).is_none_or(|grant| grant.client != client_id) {
        return Err(invalid());
    }
    let grant = state.oauth.refresh.remove(token).ok_or_else(invalid)?;
    if grant.expires_us <= emr.clock.wall_us() {
        return Err(invalid());
    }
    let scopes = scopes(form, &grant.scopes)?;
    let scopes = if scopes.is_empty() { grant.scopes.clone() } else { scopes };
    Ok(Grant { scopes, ..grant })
}

/// The enabled client that proves itself by its secret, in the form or by basic authentication.
fn confidential(state: &State, request: &Request, form: &Form) -> Result<(String, Client), Reply> {
    let basic = request.header("authorization").and_then(|value| {
        let encoded = value.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
    });
    let (id, secret) = basic.unwrap_or_else(|| {
        let field = |name| form.get(name).unwrap_or_default().to_owned();
        (field("client_id"), field("client_secret"))
    });
    match state.oauth.clients.get(&id) {
        Some(client) if client.enabled && client.secret == secret => Ok((id, client.clone())),
        _ => Err(refusal(401, "invalid_client", "Client authentication failed")),
    }
}

/// The scopes asked for, all of which must be among those that were given.
fn scopes(form: &Form, given: &[String]) -> Result<Vec<String>, Reply> {
    let asked: Vec<String> = form.get("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if asked.iter().all(|scope| given.contains(scope)) { Ok(asked) } else { Err(invalid_scope()) }
}

fn invalid_scope() -> Reply {
    refusal(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed")
}

fn anyone(form: &Form, role: Role) -> Grant {
    let scopes = form.get("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    Grant { client: "anyone".to_owned(), scopes, role, expires_us: 0 }
}

fn issue(emr: &Emr, state: &mut State, grant: Grant) -> Reply {
    let now_us = emr.clock.wall_us();
    let usual_s = match grant.role {
        Role::System if emr.options.profile == Profile::FhirR4 => USER_TTL_S,
        Role::System => SYSTEM_TTL_S,
        Role::Users => USER_TTL_S,
    };
    let ttl_s = Some(emr.front().faults.token_ttl_s).filter(|ttl_s| *ttl_s > 0).unwrap_or(usual_s);
    let access = state.random.token();
    let mut reply = json!({
        "token_type": "Bearer",
        "expires_in": ttl_s,
        "access_token": access,
        "scope": grant.scopes.join(" "),
    });
    if grant.role == Role::Users {
        let token = state.random.token();
        reply["refresh_token"] = json!(token);
        let expires_us = now_us + REFRESH_TTL_S * 1_000_000;
        state.oauth.refresh.insert(token, Grant { expires_us, ..grant.clone() });
    }
    state.oauth.access.retain(|_, grant| grant.expires_us + 3_600_000_000 > now_us);
    let expires_us = now_us + ttl_s as i64 * 1_000_000;
    state.oauth.access.insert(access, Grant { expires_us, ..grant });
    Reply::json(200, &reply)
}
