//! Registration, approval and tokens.

use crate::client::{Answer, Emr, FHIR, REST, patient, send, start};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKey};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA384};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emr_sim::{Faults, Options, Profile};
use serde_json::{Value, json};
use std::time::Duration;

const TOKEN: &str = "/oauth2/default/token";
const REGISTRATION: &str = "/oauth2/default/registration";

/// Length and content of the first DER element.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, head) = match der[1] {
        short if short < 0x80 => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
    };
    (&der[head..head + length], &der[head + length..])
}

/// Modulus and exponent of a public key.
fn numbers(key: &PublicKey) -> (Vec<u8>, Vec<u8>) {
    let (sequence, _) = element(key.as_ref());
    let (modulus, rest) = element(sequence);
    let (exponent, _) = element(rest);
    (modulus.to_vec(), exponent.to_vec())
}

struct Service {
    key: KeyPair,
    id: String,
    secret: String,
}

fn jwks(key: &KeyPair) -> Value {
    let (n, e) = numbers(key.public_key());
    json!({ "keys": [{ "kty": "RSA", "kid": "1", "alg": "RS384", "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e) }] })
}

async fn register(emr: &Emr, scope: &str, with_key: bool) -> (Answer, KeyPair) {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let mut body = json!({ "application_type": "private", "redirect_uris": ["http://localhost/x"], "client_name": "weir", "scope": scope });
    if with_key {
        body["jwks"] = jwks(&key);
    }
    (emr.send("POST", REGISTRATION, &body).await, key)
}

async fn service(emr: &Emr, scope: &str) -> Service {
    let (answer, key) = register(emr, scope, true).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let service = Service { key, id: text("client_id"), secret: text("client_secret") };
    assert!(emr.sim.approve(&service.id));
    service
}

fn now_s(emr: &Emr) -> i64 {
    // The last arrival's wall clock is the simulator's.
    emr.sim.arrivals(0, usize::MAX).last().map_or(0, |arrival| arrival.at_us / 1_000_000)
}

fn claims(emr: &Emr, service: &Service, id: &str) -> Value {
    let now_s = now_s(emr);
    json!({ "iss": service.id, "sub": service.id, "aud": emr.url(TOKEN), "jti": id, "iat": now_s, "exp": now_s + 60 })
}

fn signed(service: &Service, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let mut signature = vec![0; service.key.public_modulus_len()];
    service.key.sign(&RSA_PKCS1_SHA384, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("a signature");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn assert_with(emr: &Emr, assertion: &str, scope: &str) -> Answer {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", kind),
        ("client_assertion", assertion),
        ("scope", scope),
    ];
    emr.form(TOKEN, &fields).await
}

fn header() -> Value {
    json!({ "alg": "RS384", "kid": "1", "typ": "JWT" })
}

async fn system_token(emr: &Emr, service: &Service, id: &str, scope: &str) -> String {
    let answer = assert_with(emr, &signed(service, &header(), &claims(emr, service, id)), scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap_or_default().to_owned()
}

async fn user_token(emr: &Emr, service: &Service, scope: &str) -> Value {
    let fields = [
        ("grant_type", "password"),
        ("client_id", service.id.as_str()),
        ("client_secret", service.secret.as_str()),
        ("user_role", "users"),
        ("username", "admin"),
        ("password", "pass"),
        ("scope", scope),
    ];
    let answer = emr.form(TOKEN, &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn refresh(emr: &Emr, service: &Service, token: &Value) -> Answer {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", service.id.as_str()),
        ("client_secret", service.secret.as_str()),
        ("refresh_token", token["refresh_token"].as_str().unwrap_or_default()),
    ];
    emr.form(TOKEN, &fields).await
}

async fn with_token(emr: &Emr, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let request = emr.request(method, path).bearer_auth(token).body(body.to_string());
    send(request).await.expect("an answer")
}

async fn emr() -> Emr {
    start(Options::default()).await
}

#[tokio::test]
async fn registration_has_its_rules() {
    let emr = emr().await;
    let (answer, _) = register(&emr, "openid system/Patient.read nonsense", true).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_scope")));
    let (answer, _) = register(&emr, "system/Patient.write", true).await;
    assert_eq!(answer.json()["error"], "invalid_scope", "there is no system write");
    let (answer, _) = register(&emr, "system/Patient.read", false).await;
    assert_eq!((answer.status, &answer.json()["message"]), (400, &json!("jwks is invalid")));
    let body = json!({ "application_type": "private", "scope": "openid" });
    assert_eq!(emr.send("POST", REGISTRATION, &body).await.status, 400, "redirect_uris are needed by everyone");
    let configuration = emr.get("/oauth2/default/.well-known/openid-configuration").await.json();
    assert_eq!(configuration["token_endpoint"], json!(emr.url(TOKEN)));
}

#[tokio::test]
async fn a_client_is_disabled_until_it_is_approved() {
    let emr = emr().await;
    let (answer, key) = register(&emr, "system/Patient.read", true).await;
    let id = answer.json()["client_id"].as_str().unwrap_or_default().to_owned();
    let service = Service { key, id, secret: String::new() };
    let early =
        assert_with(&emr, &signed(&service, &header(), &claims(&emr, &service, "1")), "system/Patient.read").await;
    assert_eq!((early.status, &early.json()["error"]), (400, &json!("invalid_client")));
    let approved = emr.send("POST", "/sim/approve", &json!({ "client_id": service.id })).await;
    assert_eq!(approved.status, 200);
    system_token(&emr, &service, "2", "system/Patient.read").await;
}

#[tokio::test]
async fn a_secret_is_no_way_in_for_a_service() {
    let emr = emr().await;
    let service = service(&emr, "system/Patient.read").await;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", service.id.as_str()),
        ("client_secret", service.secret.as_str()),
        ("scope", "system/Patient.read"),
    ];
    let answer = emr.form(TOKEN, &fields).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn assertions_are_checked() {
    let emr = emr().await;
    let service = service(&emr, "system/Patient.read").await;
    let good = claims(&emr, &service, "once");
    let changed = |name: &str, value: Value| {
        let mut claims = claims(&emr, &service, name);
        claims[name] = value;
        claims
    };
    let now_s = now_s(&emr);
    for claims in [
        changed("aud", json!("http://elsewhere/token")),
        changed("sub", json!("somebody")),
        changed("exp", json!(now_s - 120)),
        changed("exp", json!(now_s + 25 * 3_600)),
        changed("iat", json!(now_s - 600)),
        changed("jti", Value::Null),
        changed("iss", json!("somebody")),
    ] {
        let answer = assert_with(&emr, &signed(&service, &header(), &claims), "system/Patient.read").await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_client")), "{claims}");
    }
    for header in
        [json!({ "alg": "RS256", "kid": "1" }), json!({ "alg": "RS384", "kid": "2" }), json!({ "alg": "RS384" })]
    {
        let answer = assert_with(&emr, &signed(&service, &header, &good), "system/Patient.read").await;
        assert_eq!(answer.status, 400, "{header}");
    }
    let stranger = Service {
        key: KeyPair::generate(KeySize::Rsa2048).expect("a key"),
        id: service.id.clone(),
        secret: String::new(),
    };
    assert_eq!(assert_with(&emr, &signed(&stranger, &header(), &good), "system/Patient.read").await.status, 400);
    let assertion = signed(&service, &header(), &good);
    let answer = assert_with(&emr, &assertion, "system/Patient.read").await;
    assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(300)));
    assert!(answer.json().get("refresh_token").is_none());
    assert_eq!(assert_with(&emr, &assertion, "system/Patient.read").await.status, 400, "a jti works once");
}

#[tokio::test]
async fn a_system_token_reads_by_fhir_and_nothing_else() {
    let emr = emr().await;
    let service = service(&emr, "system/Patient.read system/Encounter.rs user/Patient.write").await;
    let token = system_token(&emr, &service, "1", "system/Patient.read").await;
    assert_eq!(with_token(&emr, "GET", &format!("{FHIR}/Patient"), &token, &Value::Null).await.status, 200);
    assert_eq!(with_token(&emr, "POST", &format!("{FHIR}/Patient"), &token, &patient("k")).await.status, 403);
    assert_eq!(with_token(&emr, "GET", &format!("{FHIR}/Encounter"), &token, &Value::Null).await.status, 403);
    let rest = with_token(&emr, "GET", &format!("{REST}/patient"), &token, &Value::Null).await;
    assert_eq!((rest.status, &rest.json()["code"]), (403, &json!(403)));
    assert_eq!(emr.get(&format!("{FHIR}/Patient")).await.status, 401);
    assert_eq!(emr.get(&format!("{FHIR}/metadata")).await.status, 200, "metadata needs no token");
    let foreign =
        assert_with(&emr, &signed(&service, &header(), &claims(&emr, &service, "2")), "user/Patient.write").await;
    assert_eq!(foreign.json()["error"], "invalid_scope");
}

#[tokio::test]
async fn tokens_end() {
    let emr = emr().await;
    let service = service(&emr, "system/Patient.read").await;
    let path = format!("{FHIR}/Patient");
    let token = system_token(&emr, &service, "1", "system/Patient.read").await;
    emr.sim.advance(Duration::from_secs(299));
    assert_eq!(with_token(&emr, "GET", &path, &token, &Value::Null).await.status, 200);
    emr.sim.advance(Duration::from_secs(2));
    assert_eq!(with_token(&emr, "GET", &path, &token, &Value::Null).await.status, 401);
    emr.sim.set_faults(Faults { token_ttl_s: 60, ..Faults::default() });
    let answer =
        assert_with(&emr, &signed(&service, &header(), &claims(&emr, &service, "2")), "system/Patient.read").await;
    assert_eq!(answer.json()["expires_in"], 60);
}

#[tokio::test]
async fn a_user_writes_within_its_scopes() {
    let emr = emr().await;
    let scope = "openid offline_access api:oemr api:fhir user/Patient.write user/Patient.read user/appointment.write";
    let service = service(&emr, scope).await;
    let token = user_token(&emr, &service, scope).await;
    assert_eq!(token["expires_in"], 3_600);
    let access = token["access_token"].as_str().unwrap_or_default();
    let created = with_token(&emr, "POST", &format!("{FHIR}/Patient"), access, &patient("k1")).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let refused = with_token(&emr, "POST", &format!("{REST}/patient/1/appointment"), access, &json!({})).await;
    assert_eq!(refused.status, 400, "allowed, and then found to be empty");
    assert_eq!(with_token(&emr, "POST", &format!("{REST}/patient/1/message"), access, &json!({})).await.status, 403);
    let bare = user_token(&emr, &service, "api:fhir").await;
    let bare = bare["access_token"].as_str().unwrap_or_default();
    assert_eq!(
        with_token(&emr, "GET", &format!("{FHIR}/Patient"), bare, &Value::Null).await.status,
        403,
        "api:fhir alone gives no data"
    );
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let emr = emr().await;
    let scope = "openid offline_access api:fhir user/Patient.read";
    let service = service(&emr, scope).await;
    let first = user_token(&emr, &service, scope).await;
    let second = refresh(&emr, &service, &first).await;
    assert_eq!(second.status, 200);
    assert_ne!(second.json()["refresh_token"], first["refresh_token"]);
    let reused = refresh(&emr, &service, &first).await;
    assert_eq!((reused.status, &reused.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(refresh(&emr, &service, &second.json()).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_locks_the_client_out() {
    let emr = emr().await;
    let scope = "openid offline_access api:fhir user/Patient.read";
    let service = service(&emr, scope).await;
    let token = user_token(&emr, &service, scope).await;
    emr.sim.set_faults(Faults { token_drop: 1.0, ..Faults::default() });
    let body = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        service.id,
        service.secret,
        token["refresh_token"].as_str().unwrap_or_default()
    );
    assert!(send(emr.request("POST", TOKEN).body(body)).await.is_err());
    emr.sim.set_faults(Faults::default());
    assert_eq!(refresh(&emr, &service, &token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn a_plain_fhir_server_lets_services_write() {
    let emr = start(Options { profile: Profile::FhirR4, ..Options::default() }).await;
    let service = service(&emr, "system/Patient.cruds").await;
    let token = system_token(&emr, &service, "1", "system/Patient.cruds").await;
    assert_eq!(
        with_token(&emr, "POST", "/fhir/Patient", &token, &json!({ "resourceType": "Patient" })).await.status,
        201
    );
    assert_eq!(with_token(&emr, "POST", "/fhir/Encounter", &token, &json!({})).await.status, 403);
}
