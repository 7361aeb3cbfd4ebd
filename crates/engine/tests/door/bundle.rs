//! Transactions and batches.

use crate::harness::{World, text, ty};
use engine::Precondition;
use fhir::json::Value;

fn entry(full_url: &str, method: &str, url: &str, resource: &str) -> String {
    format!(r#"{{"fullUrl":"{full_url}","resource":{resource},"request":{{"method":"{method}","url":"{url}"}}}}"#)
}

fn request(method: &str, url: &str) -> String {
    format!(r#"{{"request":{{"method":"{method}","url":"{url}"}}}}"#)
}

fn bundle(kind: &str, entries: &[String]) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
}

fn entries(bundle: &Value) -> &[Value] {
    match bundle.get("entry") {
        Some(Value::Array(entries)) => entries,
        _ => &[],
    }
}

fn response<'a>(bundle: &'a Value, at: usize, member: &str) -> &'a str {
    entries(bundle)[at].get("response").unwrap().get(member).and_then(Value::as_str).unwrap_or("")
}

fn observation(subject: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{subject}"}}}}"#
    )
}

const PATIENT: &str = r#"{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]}"#;

#[tokio::test]
async fn references_between_entries_are_resolved_and_searchable() {
    let world = World::new();
    let body = bundle(
        "transaction",
        &[
            entry("urn:uuid:2", "POST", "Observation", &observation("urn:uuid:1")),
            entry("urn:uuid:1", "POST", "Patient", PATIENT),
        ],
    );
    let answer = world.bundle(&body).await.unwrap();
    assert_eq!(answer.get("type").and_then(Value::as_str), Some("transaction-response"));
    assert_eq!(response(&answer, 0, "status"), "201 Created");
    let location = response(&answer, 1, "location");
    let patient = location.strip_prefix("Patient/").unwrap().strip_suffix("/_history/1").unwrap();
    assert_eq!(response(&answer, 1, "etag"), "W/\"1\"");
    assert!(!response(&answer, 1, "lastModified").is_empty());
    let found = world.search("Observation", &format!("patient={patient}")).await.unwrap();
    assert!(text(&found.matches[0]).contains(&format!(r#""reference":"Patient/{patient}""#)));
}

#[tokio::test]
async fn references_may_go_round_in_a_circle() {
    let world = World::new();
    let patient = |other: &str| {
        format!(r#"{{"resourceType":"Patient","link":[{{"other":{{"reference":"{other}"}},"type":"seealso"}}]}}"#)
    };
    let body = bundle(
        "transaction",
        &[
            entry("urn:uuid:1", "POST", "Patient", &patient("urn:uuid:2")),
            entry("urn:uuid:2", "POST", "Patient", &patient("urn:uuid:1")),
        ],
    );
    world.bundle(&body).await.unwrap();
    for patient in world.search("Patient", "").await.unwrap().matches {
        assert!(!text(&patient).contains("urn:uuid"));
    }
}

#[tokio::test]
async fn conditional_references_need_exactly_one_match() {
    let world = World::new();
    let body =
        bundle("transaction", &[entry("urn:uuid:2", "POST", "Observation", &observation("Patient?identifier=s|1"))]);
    let none = world.bundle(&body).await.unwrap_err();
    assert_eq!((none.status, none.issues[0].expression.as_deref()), (412, Some("Bundle.entry[0]")));
    let id = world.create("Patient", PATIENT).await.id;
    world.bundle(&body).await.unwrap();
    assert_eq!(world.ids("Observation", &format!("subject=Patient/{id}")).await.len(), 1);
    world.create("Patient", PATIENT).await;
    assert_eq!(world.bundle(&body).await.unwrap_err().status, 412);
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_nothing() {
    let world = World::new();
    let bad = [
        entry("urn:uuid:2", "POST", "Patient", r#"{"resourceType":"Patient","active":1}"#),
        entry("urn:uuid:2", "POST", "Observation", &observation("urn:uuid:missing")),
        entry("urn:uuid:1", "POST", "Patient", PATIENT),
        entry("urn:uuid:2", "PUT", "Patient/x", r#"{"resourceType":"Patient","id":"y"}"#),
        r#"{"resource":{"resourceType":"Patient","id":"x"},"request":{"method":"PUT","url":"Patient/x","ifMatch":"W/\"3\""}}"#
            .to_owned(),
        request("POST", "Nothing"),
    ];
    for (at, bad) in bad.iter().enumerate() {
        let body = bundle("transaction", &[entry("urn:uuid:1", "POST", "Patient", PATIENT), bad.clone()]);
        let error = world.bundle(&body).await.unwrap_err();
        assert!((400..500).contains(&error.status), "{at}");
        let place = error.issues[0].expression.as_deref().unwrap();
        assert!(place.starts_with("Bundle.entry[1]"), "{at}: {place}");
    }
    assert!(world.ids("Patient", "").await.is_empty());
    assert_eq!(world.engine.stats(&world.session).await.unwrap().last_seq, 0);
}

#[tokio::test]
async fn the_same_resource_twice_is_refused() {
    let world = World::new();
    let put = entry("urn:uuid:1", "PUT", "Patient/x", r#"{"resourceType":"Patient","id":"x"}"#);
    let again = entry("urn:uuid:2", "PUT", "Patient/x", r#"{"resourceType":"Patient","id":"x"}"#);
    assert_eq!(world.bundle(&bundle("transaction", &[put, again])).await.unwrap_err().status, 400);
}

#[tokio::test]
async fn entries_run_in_the_order_of_the_specification_and_answer_in_their_own() {
    let world = World::new();
    let old = world.create("Patient", PATIENT).await.id;
    let create = format!(
        r#"{{"fullUrl":"urn:uuid:1","resource":{PATIENT},"request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}}}}"#
    );
    let body = bundle(
        "transaction",
        &[request("GET", "Patient?identifier=s|1"), create, request("DELETE", &format!("Patient/{old}"))],
    );
    let answer = world.bundle(&body).await.unwrap();
    assert_eq!(response(&answer, 0, "status"), "200 OK");
    assert_eq!(response(&answer, 1, "status"), "201 Created", "the match was deleted first");
    assert_eq!(response(&answer, 2, "status"), "204 No Content");
    let found = entries(&answer)[0].get("resource").unwrap();
    let id = entries(found)[0].get("resource").unwrap().get("id").unwrap().as_str().unwrap();
    assert_ne!(id, old);
    assert!(response(&answer, 1, "location").contains(id));
}

#[tokio::test]
async fn conditional_entries_and_patches() {
    let world = World::new();
    let id = world.create("Patient", PATIENT).await.id;
    let existed = format!(
        r#"{{"fullUrl":"urn:uuid:1","resource":{PATIENT},"request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}}}}"#
    );
    let body =
        bundle("transaction", &[existed, entry("urn:uuid:2", "POST", "Observation", &observation("urn:uuid:1"))]);
    let answer = world.bundle(&body).await.unwrap();
    assert_eq!(response(&answer, 0, "status"), "200 OK");
    assert_eq!(world.ids("Observation", &format!("patient={id}")).await.len(), 1);
    let patch = r#"{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="}"#;
    let body = bundle(
        "transaction",
        &[
            entry("urn:uuid:1", "PATCH", "Patient?identifier=s|1", patch),
            entry("urn:uuid:2", "PUT", "Patient?identifier=s|2", r#"{"resourceType":"Patient"}"#),
            request("DELETE", "Observation?status=final"),
        ],
    );
    let answer = world.bundle(&body).await.unwrap();
    assert_eq!(response(&answer, 0, "status"), "200 OK");
    assert_eq!(response(&answer, 1, "status"), "201 Created");
    assert_eq!(response(&answer, 2, "status"), "204 No Content");
    let patched = world.engine.read(&world.session, ty("Patient"), &id).await.unwrap();
    assert!(text(&patched).contains(r#""active":true"#));
    assert!(world.ids("Observation", "").await.is_empty());
}

#[tokio::test]
async fn batch_entries_stand_alone() {
    let world = World::new();
    let body = bundle(
        "batch",
        &[
            entry("urn:uuid:1", "PUT", "Patient/a", r#"{"resourceType":"Patient","id":"a"}"#),
            entry("urn:uuid:2", "POST", "Patient", r#"{"resourceType":"Patient","active":1}"#),
            request("GET", "Patient/nobody"),
            request("BREW", "Patient"),
        ],
    );
    let answer = world.bundle(&body).await.unwrap();
    assert_eq!(answer.get("type").and_then(Value::as_str), Some("batch-response"));
    let statuses: Vec<&str> = (0..4).map(|at| &response(&answer, at, "status")[..3]).collect();
    assert_eq!(statuses, ["201", "422", "404", "400"]);
    assert!(entries(&answer)[1].get("response").unwrap().get("outcome").is_some());
    assert!(world.engine.read(&world.session, ty("Patient"), "a").await.is_ok());
}

#[tokio::test]
async fn what_is_no_bundle_or_too_large_is_refused() {
    let world = World::with(engine::Options { transaction_entries_max: 1, ..engine::Options::default() });
    for (body, status) in [
        ("{".to_owned(), 400),
        (PATIENT.to_owned(), 400),
        (bundle("document", &[]), 400),
        (bundle("transaction", &[request("GET", "Patient/a"), request("GET", "Patient/b")]), 413),
    ] {
        assert_eq!(world.bundle(&body).await.unwrap_err().status, status, "{body}");
    }
    assert!(entries(&world.bundle(&bundle("transaction", &[])).await.unwrap()).is_empty());
}

#[tokio::test]
async fn a_large_transaction_is_committed_whole() {
    let world = World::new();
    let patients = (0..1_000).map(|at| entry(&format!("urn:uuid:{at}"), "POST", "Patient", PATIENT));
    let body = bundle("transaction", &patients.collect::<Vec<_>>());
    assert_eq!(entries(&world.bundle(&body).await.unwrap()).len(), 1_000);
    assert_eq!(world.search("Patient", "_summary=count").await.unwrap().total, Some(1_000));
    let none = Precondition::default();
    assert!(world.engine.delete(&world.session, ty("Patient"), Some("x"), &none).await.unwrap().resource.is_none());
}

#[tokio::test]
async fn a_search_in_a_batch_can_be_paged() {
    let world = World::new();
    world.create("Patient", PATIENT).await;
    world.create("Patient", PATIENT).await;
    let mut url = "Patient?_count=1".to_owned();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = world.bundle(&bundle("batch", &[request("GET", &url)])).await.unwrap();
        let found = entries(&answer)[0].get("resource").unwrap().clone();
        let resource = entries(&found)[0].get("resource").unwrap();
        seen.push(resource.get("id").and_then(Value::as_str).unwrap().to_owned());
        let Some(Value::Array(links)) = found.get("link") else { panic!("no links") };
        let next = links.iter().find(|link| link.get("relation").and_then(Value::as_str) == Some("next"));
        url = next.and_then(|link| link.get("url")?.as_str()).unwrap_or_default().to_owned();
    }
    assert_ne!(seen[0], seen[1]);
    assert!(url.is_empty(), "the second page is the last");
}
