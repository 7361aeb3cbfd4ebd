//! Dynamic registration. A client with `user/` or `system/` scopes stays disabled until somebody approves it.

use super::{Client, refusal, scope};
use crate::clock::instant;
use crate::http::{Reply, Request};
use crate::options::Profile;
use crate::state::State;
use serde_json::{Value, json};

pub(super) fn register(profile: Profile, now_us: i64, state: &mut State, request: &Request) -> Reply {
    let body = request.json();
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json || !body.is_object() {
        return refusal(400, "invalid_client_metadata", "invalid json body");
    }
    if body["redirect_uris"].as_array().is_none_or(Vec::is_empty) {
        return refusal(400, "invalid_redirect_uri", "redirect_uris is invalid");
    }
    let scopes: Vec<String> =
        body["scope"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if scopes.iter().any(|scope| !scope::exists(profile, scope)) {
        return refusal(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed");
    }
    let private = body["application_type"] == "private";
    let for_systems = scopes.iter().any(|scope| scope.starts_with("system/"));
    let keys = body["jwks"]["keys"].as_array().cloned().unwrap_or_default();
    if for_systems && (!private || keys.is_empty() && !body["jwks_uri"].is_string()) {
        return refusal(400, "invalid_client_metadata", "jwks is invalid");
    }
    let open = !scopes.iter().any(|scope| scope.starts_with("system/") || scope.starts_with("user/"));
    let client_id = state.random.token()[..43].to_owned();
    let secret = if private { state.random.token() } else { String::new() };
    let name = body["client_name"].as_str().unwrap_or("unnamed").to_owned();
    let reply = json!({
        "client_id": client_id,
        "client_secret": if private { Value::from(secret.as_str()) } else { Value::Null },
        "client_secret_expires_at": 0,
        "client_id_issued_at": instant(now_us),
        "registration_access_token": state.random.token(),
        "registration_client_uri": format!("{}/oauth2/default/client/{client_id}", request.origin()),
        "application_type": body["application_type"],
        "client_name": name,
        "redirect_uris": body["redirect_uris"],
        "scope": scopes.join(" "),
    });
    state.oauth.clients.insert(client_id.clone(), Client { name, secret, scopes, keys, enabled: open });
    Reply::json(200, &reply).committed(&client_id)
}
