//! Batch and transaction over HTTP.

use crate::harness::World;
use fhir::json::Value;

fn statuses(entries: &[Value]) -> Vec<String> {
    let status =
        |entry: &Value| entry.get("response").unwrap().get("status").unwrap().as_str().unwrap()[..3].to_owned();
    entries.iter().map(status).collect()
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let world = World::new();
    let bundle = |kind: &str, gender: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"{kind}","entry":[
            {{"fullUrl":"urn:uuid:0d9c0f1e-0000-4000-8000-000000000001","resource":{{"resourceType":"Patient","gender":"{gender}"}},
              "request":{{"method":"POST","url":"Patient"}}}},
            {{"resource":{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},
              "subject":{{"reference":"urn:uuid:0d9c0f1e-0000-4000-8000-000000000001"}}}},
              "request":{{"method":"POST","url":"Observation"}}}}]}}"#
        )
    };
    let done = world.send("POST", "/fhir", &bundle("transaction", "male")).await.is(200);
    assert_eq!(done.json().get("type").and_then(Value::as_str), Some("transaction-response"));
    assert_eq!(statuses(&done.entries()), ["201", "201"]);
    let found = world.get("/fhir/Observation?subject.gender=male").await.is(200);
    assert_eq!(found.total().as_deref(), Some("1"), "the urn became a reference");

    world.send("POST", "/fhir/", &bundle("transaction", "blue")).await.is(422);
    assert_eq!(world.get("/fhir/Observation").await.total().as_deref(), Some("1"), "nothing of it was stored");
}

#[tokio::test]
async fn a_batch_answers_each_entry() {
    let world = World::new();
    let id = world.patient().await;
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[
        {{"request":{{"method":"GET","url":"Patient/{id}"}}}},
        {{"request":{{"method":"GET","url":"Patient/none"}}}},
        {{"request":{{"method":"GET","url":"Patient?_summary=count"}}}},
        {{"request":{{"method":"DELETE","url":"Patient/{id}"}}}}]}}"#
    );
    let done = world.send("POST", "/fhir", &bundle).await.is(200);
    let mut got = statuses(&done.entries());
    assert_eq!(got.len(), 4);
    assert_eq!((got.remove(1), got.remove(1)), ("404".into(), "200".into()));
    world.send("POST", "/fhir", r#"{"resourceType":"Bundle","type":"searchset"}"#).await.is(400);
    world.send("POST", "/fhir", r#"{"resourceType":"Patient"}"#).await.is(400);
}
