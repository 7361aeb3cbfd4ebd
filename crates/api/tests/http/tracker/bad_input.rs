//! Whatever is sent, the answer says which member is wrong and what to send, and nothing is stored.

use super::{JSON, ada, dose, post, world};
use crate::harness::World;
use api::Config;
use fhir::json;
use fhir::json::Value;

/// `dose` with one member changed; `phi.x` for members of phi.
fn with(path: &str, value: impl Into<Value>) -> Value {
    let mut body = dose(ada(), "2025-08-01");
    match path.strip_prefix("phi.") {
        Some(name) => {
            let mut phi = ada();
            phi.set(name, value);
            body.set("phi", phi);
        }
        None => body.set(path, value),
    }
    body
}

#[tokio::test]
async fn every_member_is_checked() {
    let world = world().await;
    let cases = [
        (json!({}), 422, "phi"),
        (json!([]), 422, "body"),
        (with("phi", Value::Null), 422, "phi: is missing"),
        (with("phi", "Ada"), 422, "phi: must be an object"),
        (with("phi.family", Value::Null), 422, "phi.family: is missing"),
        (with("phi.birthDate", Value::Null), 422, "phi.birthDate: is missing"),
        (with("phi.birthDate", "1975-02-30"), 422, "phi.birthDate"),
        (with("phi.birthDate", "2030-01-01"), 422, "phi.birthDate"),
        (with("phi.birthDate", "1700-01-01"), 422, "phi.birthDate"),
        (with("phi.sex", "femal"), 422, "did you mean female"),
        (with("phi.phone", "12"), 422, "phi.phone"),
        (with("phi.email", "nobody"), 422, "phi.email"),
        (with("phi.address", json!({ "zip": "02139" })), 422, "phi.address: unknown member zip"),
        (with("phi.identifiers", json!([{ "value": "1" }])), 422, "phi.identifiers[0].system"),
        (with("phi.birthdate", "1975-12-10"), 422, "did you mean birthDate"),
        (with("vaccine", "999"), 422, "vaccine: is no CVX code"),
        (with("vaccine", "Comirnati"), 422, "did you mean Comirnaty"),
        (with("vaccine", 208), 422, "vaccine: must be text"),
        (with("clinic", "nowhere"), 422, "clinic: there is no Location"),
        (with("provider", "nobody"), 422, "provider: there is no Practitioner or Organization"),
        (with("provider", Value::Null), 422, "provider: is missing"),
        (with("date", "2025-10-10"), 422, "date: must not be in the future"),
        (with("date", "yesterday"), 422, "date"),
        (with("manufacturer", "Pfizer"), 422, "manufacturer"),
        (with("lott", "1"), 422, "did you mean lot"),
    ];
    for (body, status, hint) in cases {
        let reply = post(&world, "/vaccines", &body).await.is(status);
        assert!(reply.text().contains(hint), "{hint}: {}", reply.text());
        assert!(!reply.text().contains("Lovelock") && !reply.text().contains("nobody"), "no value of a person");
    }
    for ty in ["Patient", "Immunization"] {
        assert_eq!(world.get(&format!("/fhir/{ty}")).await.total().as_deref(), Some("0"));
    }
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let world = world().await;
    let body = json!({ "vaccine": "208", "phi": { "birthDate": "no" } });
    let text = post(&world, "/vaccines", &body).await.is(422).text().to_owned();
    for place in ["provider", "clinic", "phi.family", "phi.birthDate"] {
        assert!(text.contains(&format!("\"expression\":[\"{place}\"]")), "{place}: {text}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_of_the_right_kind() {
    let world = World::tracking(Config { body_bytes_max: 2_000, ..Config::default() }).await;
    for path in ["/vaccines", "/patients", "/providers", "/reviews/apart"] {
        world.ask("POST", path, &[JSON], "{").await.is(400);
        world.ask("POST", path, &[JSON], "").await.is(400);
        world.ask("POST", path, &[JSON], b"{\"phi\":\"\xff\"}".to_vec()).await.is(400);
        world.ask("POST", path, &[JSON], "{\"phi\":1,\"phi\":2}").await.is(400);
        world.ask("POST", path, &[JSON], "[".repeat(1_000)).await.is(400);
        world.ask("POST", path, &[("content-type", "text/plain")], "{}").await.is(415);
        let latin = ("content-type", "application/json; charset=iso-8859-1");
        world.ask("POST", path, &[latin], "{}").await.is(415);
        world.ask("POST", path, &[JSON, ("content-encoding", "br")], "{}").await.is(415);
        world.ask("POST", path, &[JSON], format!("{{\"x\":\"{}\"}}", "y".repeat(3_000))).await.is(413);
    }
}

#[tokio::test]
async fn paths_methods_and_parameters() {
    let world = world().await;
    let cases = [
        ("GET", "/patients?programm=x", 400, "did you mean programme"),
        ("GET", "/patients?status=full", 400, "programme"),
        ("GET", "/patients?programme=covid-19-primari", 400, "did you mean covid-19-primary"),
        ("GET", "/patients?programme=MMR&status=fully", 400, "did you mean full"),
        ("GET", "/patients?limit=0", 400, "1 to 200"),
        ("GET", "/patients?limit=1&limit=2", 400, "twice"),
        ("GET", "/patients?born_from=1990", 400, "YYYY-MM-DD"),
        ("GET", "/patients?after=x", 400, "next"),
        ("GET", "/patients?linked=yes", 400, "true or false"),
        ("GET", "/patients/nobody", 404, "/patients"),
        ("GET", "/patients/nobody/status", 404, "/patients"),
        ("GET", "/stats", 400, "programme: is missing"),
        ("GET", "/stats?programme=MMR&by=regio", 400, "region"),
        ("GET", "/stats?programme=MMR&by=region,vaccine", 400, "people"),
        ("GET", "/stats?programme=MMR&format=xml", 400, "csv"),
        ("GET", "/stats?programme=MMR&format=csv&suppress=false", 400, "hidden"),
        ("GET", "/stats/stream?programme=none", 400, "programme"),
        ("GET", "/programmes?x=1", 400, "none"),
        ("GET", "/patients/1/2/3", 404, "openapi"),
        ("DELETE", "/patients", 405, "GET"),
        ("PUT", "/patients/1", 405, "GET"),
        ("GET", "/vaccines/import/1", 404, "openapi"),
        ("DELETE", "/stats", 405, "GET"),
    ];
    for (method, path, status, hint) in cases {
        let reply = world.ask(method, path, &[], "").await.is(status);
        assert!(reply.text().contains(hint) || reply.header("allow").contains(hint), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn nobody_passes_without_the_token() {
    let token = seal::Secret::new("open sesame".into());
    let world = World::tracking(Config { bearer_token: Some(token), ..Config::default() }).await;
    for path in ["/patients", "/stats?programme=MMR", "/stats/stream?programme=MMR", "/t/other/patients", "/reviews"] {
        world.get(path).await.is(401);
    }
    let login = ("authorization", "Bearer open sesame");
    let reply = world.ask("GET", "/patients", &[login, ("x-request-id", "abc")], "").await.is(200);
    assert_eq!(reply.header("x-request-id"), "abc");
}
