//! The plain FHIR server.

use crate::client::{Emr, open, send};
use emr_sim::Profile;
use serde_json::{Value, json};

async fn with_header(
    emr: &Emr,
    method: &str,
    path: &str,
    header: (&'static str, &str),
    body: &Value,
) -> crate::client::Answer {
    let request = emr.request(method, path).header(header.0, header.1).body(body.to_string());
    send(request).await.expect("an answer")
}

fn observation(key: &str, value: u32) -> Value {
    json!({ "resourceType": "Observation", "status": "final", "identifier": [{ "system": "urn:a", "value": key }],
        "subject": { "reference": "Patient/p" }, "meta": { "tag": [{ "code": "kept" }] }, "valueInteger": value })
}

#[tokio::test]
async fn if_none_exist_creates_once() {
    let emr = open(Profile::FhirR4).await;
    let condition = ("if-none-exist", "identifier=urn:a|k1");
    let first = with_header(&emr, "POST", "/fhir/Observation", condition, &observation("k1", 1)).await;
    let again = with_header(&emr, "POST", "/fhir/Observation", condition, &observation("k1", 2)).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert!(first.header("location").is_some_and(|location| location.ends_with("/_history/1")));
    assert_eq!(
        emr.send("POST", "/fhir/Observation", &observation("k1", 3)).await.status,
        201,
        "without it, twice is twice"
    );
    let many = with_header(&emr, "POST", "/fhir/Observation", condition, &observation("k1", 4)).await;
    assert_eq!(many.status, 412);
    let other = ("if-none-exist", "identifier=urn:b|k1");
    assert_eq!(
        with_header(&emr, "POST", "/fhir/Observation", other, &observation("k1", 5)).await.status,
        201,
        "systems count"
    );
}

#[tokio::test]
async fn put_creates_replaces_and_respects_versions() {
    let emr = open(Profile::FhirR4).await;
    let mut body = json!({ "resourceType": "Patient", "id": "mine", "active": true, "gender": "female" });
    let created = emr.send("PUT", "/fhir/Patient/mine", &body).await;
    assert_eq!((created.status, created.header("etag")), (201, Some("W/\"1\"")));
    body.as_object_mut().expect("an object").remove("gender");
    let replaced = with_header(&emr, "PUT", "/fhir/Patient/mine", ("if-match", "W/\"1\""), &body).await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, Some("W/\"2\"")));
    assert!(replaced.json().get("gender").is_none(), "an update replaces");
    let stale = with_header(&emr, "PUT", "/fhir/Patient/mine", ("if-match", "W/\"1\""), &body).await;
    assert_eq!(stale.status, 412);
    assert_eq!(emr.get("/fhir/Patient/mine").await.json()["meta"]["versionId"], "2");
    assert_eq!(emr.send("PUT", "/fhir/Patient/other", &body).await.status, 400);
    assert_eq!(emr.send("DELETE", "/fhir/Patient/mine", &Value::Null).await.status, 204);
    assert_eq!(emr.get("/fhir/Patient/mine").await.status, 404);
}

#[tokio::test]
async fn a_conditional_update_finds_its_resource() {
    let emr = open(Profile::FhirR4).await;
    let path = "/fhir/Observation?identifier=urn:a%7Ck1";
    let created = emr.send("PUT", path, &observation("k1", 1)).await;
    let updated = emr.send("PUT", path, &observation("k1", 2)).await;
    assert_eq!((created.status, updated.status), (201, 200));
    let resource = updated.json();
    assert_eq!((&resource["valueInteger"], &resource["meta"]["tag"][0]["code"]), (&json!(2), &json!("kept")));
    assert_eq!(emr.send("PUT", "/fhir/Observation?nonsense=1", &observation("k1", 3)).await.status, 400);
    emr.send("POST", "/fhir/Observation", &observation("k1", 4)).await;
    assert_eq!(emr.send("PUT", path, &observation("k1", 5)).await.status, 412);
}

#[tokio::test]
async fn searches_page_by_next_links() {
    let emr = open(Profile::FhirR4).await;
    for number in 0..25 {
        emr.sim.insert(observation(&format!("k{number}"), number));
    }
    let mut path = "/fhir/Observation?patient=Patient/p&_count=10".to_owned();
    let mut ids = Vec::new();
    let base = emr.url("");
    loop {
        let page = emr.get(&path).await;
        assert_eq!(page.json()["total"], 25);
        ids.extend(page.ids());
        let links = page.json()["link"].as_array().cloned().unwrap_or_default();
        let next = links.iter().find(|link| link["relation"] == "next").and_then(|link| link["url"].as_str());
        match next.and_then(|url| url.strip_prefix(&base)) {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 25);
    assert_eq!(emr.get("/fhir/Observation?identifier=urn:a%7Ck3").await.entries(), 1);
    assert_eq!(emr.get("/fhir/Observation?_lastUpdated=lt2000-01-01").await.entries(), 0);
    let statement = emr.get("/fhir/metadata").await.json();
    assert_eq!(statement["rest"][0]["resource"][0]["conditionalCreate"], true);
}
