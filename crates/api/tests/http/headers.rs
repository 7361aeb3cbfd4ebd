//! Caching, preferences, negotiation, compression, CORS, tokens, tenants, request ids.

use crate::harness::{FHIR, PATIENT, World};
use api::Config;
use std::io::Read;

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let world = World::new();
    let path = format!("/fhir/Patient/{}", world.patient().await);
    let unchanged = world.ask("GET", &path, &[("if-none-match", "W/\"1\"")], "").await.is(304);
    assert_eq!((unchanged.header("etag"), unchanged.bytes.len()), ("W/\"1\"", 0));
    world.ask("GET", &path, &[("if-none-match", "W/\"7\"")], "").await.is(200);
    let date = "Thu, 09 Oct 2025 08:53:20 GMT";
    world.ask("GET", &path, &[("if-modified-since", date)], "").await.is(304);
    world.ask("GET", &path, &[("if-modified-since", "Thu, 09 Oct 2025 08:53:19 GMT")], "").await.is(200);
}

#[tokio::test]
async fn a_stale_if_match_changes_nothing() {
    let world = World::new();
    let id = world.patient().await;
    let path = format!("/fhir/Patient/{id}");
    let body = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
    let stale = world.ask("PUT", &path, &[FHIR, ("if-match", "W/\"4\"")], body.clone()).await.is(412);
    assert_eq!(stale.header("etag"), "W/\"1\"");
    world.ask("PUT", &path, &[FHIR, ("if-match", "x")], body.clone()).await.is(400);
    world.ask("PUT", &path, &[FHIR, ("if-match", "W/\"1\"")], body).await.is(200);
    world.ask("DELETE", &path, &[("if-match", "W/\"1\"")], "").await.is(412);
}

#[tokio::test]
async fn if_match_takes_any_version_or_several() {
    let world = World::new();
    let id = world.patient().await;
    let path = format!("/fhir/Patient/{id}");
    let any = ("if-match", "*");
    let body = |family: &str| format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{family}"}}]}}"#);
    let updated = world.ask("PUT", &path, &[FHIR, any], body("Mori")).await.is(200);
    assert_eq!(updated.header("etag"), "W/\"2\"");
    world.ask("PUT", &path, &[FHIR, ("if-match", "W/\"1\"")], body("Abe")).await.is(412);
    world.ask("PUT", &path, &[FHIR, ("if-match", "W/\"1\", W/\"2\"")], body("Abe")).await.is(200);
    let patch = r#"[{"op":"add","path":"/active","value":true}]"#;
    let json_patch = ("content-type", "application/json-patch+json");
    world.ask("PATCH", &path, &[json_patch, any], patch).await.is(200);
    world.ask("PUT", &format!("{path}?"), &[FHIR, any], body("Kato")).await.is(200);

    let entry = |method: &str, of: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{},
            "request":{{"method":"{method}","url":"{of}","ifMatch":"*"}}}}]}}"#,
            body("Sato")
        )
    };
    world.send("POST", "/fhir", &entry("PUT", &format!("Patient/{id}"))).await.is(200);
    world.ask("DELETE", "/fhir/Patient?family=nobody", &[any], "").await.is(412);
    world.ask("DELETE", "/fhir/Patient?family=sato", &[any], "").await.is(204);

    // Deleted, or never there: `*` says that there must be something.
    let refused = world.ask("PUT", &path, &[FHIR, any], body("Mori")).await.is(412);
    assert!(refused.text().contains("does not exist"), "{}", refused.text());
    assert_eq!(refused.header("etag"), "");
    world.ask("DELETE", &path, &[any], "").await.is(412);
    world.ask("PUT", "/fhir/Patient?family=nobody", &[FHIR, any], PATIENT).await.is(412);
    world.send("POST", "/fhir", &entry("PUT", &format!("Patient/{id}"))).await.is(412);
    world.get(&path).await.is(410);
}

#[tokio::test]
async fn prefer_chooses_the_body() {
    let world = World::new();
    let create = async |prefer| world.ask("POST", "/fhir/Patient", &[FHIR, ("prefer", prefer)], PATIENT).await.is(201);
    let minimal = create("return=minimal").await;
    assert!(minimal.bytes.is_empty() && minimal.header("location").ends_with("/_history/1"));
    assert!(create("return=representation").await.text().contains("\"Patient\""));
    assert!(create("respond-async, return=OperationOutcome").await.text().contains("\"OperationOutcome\""));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::new();
    let id = world.patient().await;
    for path in [format!("/fhir/Patient/{id}"), "/fhir/Patient".into(), "/fhir/metadata".into(), "/healthz".into()] {
        let get = world.get(&path).await.is(200);
        let head = world.ask("HEAD", &path, &[], "").await.is(200);
        assert!(head.bytes.is_empty(), "{path}");
        assert_eq!(head.header("content-length"), get.bytes.len().to_string(), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"));
    }
}

#[tokio::test]
async fn large_answers_are_compressed() {
    let world = World::new();
    let plain = world.get("/fhir/metadata").await.is(200).bytes;
    let gzip = world.ask("GET", "/fhir/metadata", &[("accept-encoding", "br;q=1, gzip")], "").await.is(200);
    assert_eq!(gzip.header("content-encoding"), "gzip");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(gzip.bytes.as_slice()).read_to_end(&mut bytes).unwrap();
    assert!(bytes == plain && gzip.bytes.len() * 5 < plain.len());
    let zstd = world.ask("GET", "/fhir/metadata", &[("accept-encoding", "gzip, zstd")], "").await.is(200);
    assert_eq!((zstd.header("content-encoding"), zstd.header("vary")), ("zstd", "accept-encoding"));
    assert!(zstd::decode_all(zstd.bytes.as_slice()).unwrap() == plain);
    let refused = world.ask("GET", "/fhir/metadata", &[("accept-encoding", "gzip;q=0")], "").await.is(200);
    assert_eq!(refused.header("content-encoding"), "");
    let path = format!("/fhir/Patient/{}", world.patient().await);
    assert_eq!(world.ask("GET", &path, &[("accept-encoding", "gzip")], "").await.header("content-encoding"), "");
}

#[tokio::test]
async fn the_form_is_negotiated() {
    let world = World::new();
    let path = format!("/fhir/Patient/{}", world.patient().await);
    let json = world.ask("GET", &path, &[("accept", "application/json")], "").await.is(200);
    assert_eq!(json.header("content-type"), "application/json; charset=utf-8");
    let xml = world.ask("GET", &path, &[("accept", "application/fhir+xml")], "").await.is(406);
    assert!(xml.text().contains("application/fhir+json"));
    world.get(&format!("{path}?_format=xml")).await.is(406);
    let pretty = world.get(&format!("{path}?_pretty=true&_format=application/fhir+json")).await.is(200);
    assert!(pretty.text().starts_with("{\n  \"resourceType\": \"Patient\""));
    let summary = world.get(&format!("{path}?_elements=birthDate")).await.is(200);
    assert!(summary.text().contains("birthDate") && !summary.text().contains("family"));
}

#[tokio::test]
async fn cors_allows_the_configured_origins() {
    let world = World::with(Config { cors_origins: vec!["https://app.example".into()], ..Config::default() });
    let ask = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,if-match"),
    ];
    let preflight = world.ask("OPTIONS", "/fhir/Patient/1", &ask, "").await.is(200);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example");
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    let allowed = preflight.header("access-control-allow-headers");
    assert!(allowed.contains("authorization"), "a wildcard does not cover Authorization: {allowed}");
    let read = world.ask("GET", "/fhir/Patient", &ask[..1], "").await.is(200);
    assert!(read.header("access-control-expose-headers").contains("etag"));
    let other = world.ask("GET", "/fhir/Patient", &[("origin", "https://evil.example")], "").await.is(200);
    assert_eq!(other.header("access-control-allow-origin"), "");
    assert_eq!(World::new().ask("GET", "/fhir/Patient", &ask[..1], "").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_token_guards_everything_but_health() {
    let world = World::with(Config { bearer_token: Some(seal::Secret::new("s3cret".into())), ..Config::default() });
    for path in ["/fhir/Patient", "/fhir/metadata", "/metrics"] {
        let refused = world.get(path).await.is(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"weir\"", "{path}");
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret", "Bearer"] {
            world.ask("GET", path, &[("authorization", wrong)], "").await.is(401);
        }
        world.ask("GET", path, &[("authorization", "bearer s3cret")], "").await.is(200);
    }
    world.get("/healthz").await.is(200);
    world.get("/readyz").await.is(200);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let world = World::with(Config { other_tenants: vec!["east".into()], ..Config::default() });
    let created = world.send("POST", "/t/east/fhir/Patient", PATIENT).await.is(201);
    assert!(created.header("location").starts_with("http://host/t/east/fhir/Patient/"));
    let id = created.id();
    world.get(&format!("/t/east/fhir/Patient/{id}")).await.is(200);
    world.get(&format!("/fhir/Patient/{id}")).await.is(404);
    let found = world.get("/t/east/fhir/Patient?_count=1").await.is(200);
    assert!(found.link("self").unwrap().starts_with("/t/east/fhir/Patient?"));
    world.get("/t/west/fhir/Patient").await.is(404);
    world.get("/t/../fhir/Patient").await.is(404);
}

#[tokio::test]
async fn request_ids_are_echoed_or_made() {
    let world = World::new();
    let given = world.ask("GET", "/fhir/Patient", &[("x-request-id", "run-7.1")], "").await;
    assert_eq!(given.header("x-request-id"), "run-7.1");
    let made = world.ask("GET", "/fhir/Patient", &[("x-request-id", "a b\"")], "").await;
    let again = world.get("/fhir/Patient").await;
    assert_eq!((made.header("x-request-id").len(), again.header("x-request-id").len()), (17, 17));
    assert_ne!(made.header("x-request-id"), again.header("x-request-id"));
}
