//! `private_key_jwt`: the only way by which a backend service proves itself to OpenEMR.

use super::OAuth;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA384, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Longest life of an assertion, in seconds.
const MAX_LIFE_S: i64 = 24 * 3600;
/// How old `iat` may be, in seconds.
const MAX_AGE_S: i64 = 300;
const SKEW_S: i64 = 60;

impl OAuth {
    /// The client that a signed assertion proves. The error says what is wrong with it; OpenEMR tells only its own log.
    pub(super) fn prove(&mut self, assertion: &str, token_url: &str, now_s: i64) -> Result<String, &'static str> {
        let (signed, signature) = assertion.rsplit_once('.').ok_or("not a JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("not a JWT")?;
        let (header, claims) = (decoded(header)?, decoded(claims)?);
        if header["alg"] != "RS384" {
            return Err("alg is not RS384");
        }
        let key_id = header["kid"].as_str().ok_or("no kid")?;
        let client_id = claims["iss"].as_str().ok_or("no iss")?;
        if claims["sub"] != claims["iss"] {
            return Err("iss and sub differ");
        }
        let client = self.clients.get(client_id).ok_or("unknown client")?;
        let key = client.keys.iter().find(|key| key["kid"] == key_id).ok_or("unknown kid")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "signature is not base64url")?;
        let (n, e) = (number(key, "n")?, number(key, "e")?);
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA384, signed.as_bytes(), &signature)
            .map_err(|_| "signature does not fit")?;
        let audience = &claims["aud"];
        let to_us =
            audience == token_url || audience.as_array().is_some_and(|all| all.iter().any(|one| one == token_url));
        if !to_us {
            return Err("aud is not the token URL");
        }
        let expires_s = claims["exp"].as_i64().ok_or("no exp")?;
        if expires_s + SKEW_S < now_s {
            return Err("expired");
        }
        if expires_s > now_s + MAX_LIFE_S {
            return Err("exp is too far away");
        }
        if let Some(issued_s) = claims["iat"].as_i64()
            && (issued_s < now_s - MAX_AGE_S - SKEW_S || issued_s > now_s + SKEW_S)
        {
            return Err("iat is out of range");
        }
        let id = claims["jti"].as_str().filter(|id| !id.is_empty()).ok_or("no jti")?;
        let client_id = client_id.to_owned();
        self.used_ids.retain(|_, expires| *expires + SKEW_S >= now_s);
        if self.used_ids.insert(format!("{client_id} {id}"), expires_s).is_some() {
            return Err("jti was used before");
        }
        Ok(client_id)
    }
}

fn decoded(part: &str) -> Result<Value, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "not base64url")?;
    serde_json::from_slice(&bytes).map_err(|_| "not JSON")
}

/// A big number of a JSON web key, without leading zeros.
fn number(key: &Value, member: &str) -> Result<Vec<u8>, &'static str> {
    let text = key[member].as_str().ok_or("the key has no modulus or exponent")?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "the key is not base64url")?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}
