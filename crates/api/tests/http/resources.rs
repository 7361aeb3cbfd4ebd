//! Create, read, update, patch, delete, versions, and the operations on an instance.

use crate::harness::{FHIR, PATIENT, World};
use fhir::json::Value;

#[tokio::test]
async fn a_resource_lives_and_dies() {
    let world = World::new();
    let created = world.send("POST", "/fhir/Patient", PATIENT).await.is(201);
    let id = created.id();
    assert_eq!(created.header("etag"), "W/\"1\"");
    assert_eq!(created.header("location"), format!("http://host/fhir/Patient/{id}/_history/1"));
    assert_eq!(created.header("last-modified"), "Thu, 09 Oct 2025 08:53:20 GMT");
    let path = format!("/fhir/Patient/{id}");

    let read = world.get(&path).await.is(200);
    assert_eq!(read.header("content-type"), "application/fhir+json; charset=utf-8");
    assert_eq!(read.json(), created.json());
    assert_eq!(world.get(&format!("{path}/_history/1")).await.is(200).json(), created.json());

    let changed = PATIENT.replace("\"active\":true", &format!("\"id\":\"{id}\",\"active\":false"));
    let updated = world.send("PUT", &path, &changed).await.is(200);
    assert_eq!(updated.header("etag"), "W/\"2\"");
    assert_eq!(world.get(&path).await.is(200).json().get("active"), Some(&Value::Bool(false)));
    assert_eq!(world.get(&format!("{path}/_history/1")).await.json().get("active"), Some(&Value::Bool(true)));
    world.get(&format!("{path}/_history/9")).await.is(404);
    world.get(&format!("{path}/_history/x")).await.is(404);

    world.ask("DELETE", &path, &[], "").await.is(204);
    world.get(&path).await.is(410);
    world.ask("DELETE", &path, &[], "").await.is(204);
    world.ask("DELETE", "/fhir/Patient/never", &[], "").await.is(204);
    world.get("/fhir/Patient/never").await.is(404);
}

#[tokio::test]
async fn an_update_can_create() {
    let world = World::new();
    let body = r#"{"resourceType":"Patient","id":"p-1"}"#;
    let created = world.send("PUT", "/fhir/Patient/p-1", body).await.is(201);
    assert_eq!(created.header("location"), "http://host/fhir/Patient/p-1/_history/1");
    let again = world.send("PUT", "/fhir/Patient/p-1", body).await.is(200);
    assert_eq!(again.header("etag"), "W/\"1\"", "the same content is no new version");
    world.ask("PUT", "/fhir/Patient/p-1", &[FHIR, ("if-none-match", "*")], body).await.is(412);
}

#[tokio::test]
async fn conditional_writes_find_their_resource() {
    let world = World::new();
    let body = r#"{"resourceType":"Patient","identifier":[{"system":"http://s","value":"1"}]}"#;
    let criteria = "identifier=http://s|1";
    let created = world.ask("POST", "/fhir/Patient", &[FHIR, ("if-none-exist", criteria)], body).await.is(201);
    let existed = world.ask("POST", "/fhir/Patient", &[FHIR, ("if-none-exist", criteria)], body).await.is(200);
    assert_eq!(existed.id(), created.id());
    let in_url = world.send("POST", &format!("/fhir/Patient?{criteria}&_format=json"), body).await.is(200);
    assert_eq!(in_url.id(), created.id(), "criteria in the URL are those of If-None-Exist");
    world.send("POST", "/fhir/Patient?nmae=x", body).await.is(400);
    world.send("POST", "/fhir/Basic?_pretty=true", r#"{"resourceType":"Basic","code":{"text":"x"}}"#).await.is(201);

    let changed = body.replace("\"identifier\"", "\"gender\":\"female\",\"identifier\"");
    let path = format!("/fhir/Patient?{criteria}");
    let updated = world.send("PUT", &format!("{path}&_format=json&_pretty=true"), &changed).await.is(200);
    assert_eq!((updated.id(), updated.header("etag")), (created.id(), "W/\"2\""));
    let patch = r#"[{"op":"replace","path":"/gender","value":"male"}]"#;
    let patched = world.ask("PATCH", &path, &[("content-type", "application/json-patch+json")], patch).await.is(200);
    assert_eq!(patched.header("etag"), "W/\"3\"");
    world.ask("DELETE", &path, &[], "").await.is(204);
    world.get(&format!("/fhir/Patient/{}", created.id())).await.is(410);

    let unnamed = world.send("PUT", "/fhir/Patient", body).await;
    assert!(unnamed.status.is_client_error(), "no criteria must not mean every Patient");
    let unnamed = world.ask("DELETE", "/fhir/Patient", &[], "").await;
    assert!(unnamed.status.is_client_error(), "no criteria must not mean every Patient");
    let only_form = world.ask("DELETE", "/fhir/Patient?_format=json", &[], "").await;
    assert!(only_form.status.is_client_error(), "a format is no criterion");
}

#[tokio::test]
async fn both_kinds_of_patch_apply() {
    let world = World::new();
    let path = format!("/fhir/Patient/{}", world.patient().await);
    let patch = r#"[{"op":"replace","path":"/birthDate","value":"1991-01-01"}]"#;
    let kind = ("content-type", "application/json-patch+json");
    let patched = world.ask("PATCH", &path, &[kind], patch).await.is(200);
    assert_eq!(patched.json().get("birthDate").and_then(Value::as_str), Some("1991-01-01"));
    let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[
        {"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.birthDate"},
        {"name":"value","valueDate":"1992-02-02"}]}]}"#;
    let patched = world.send("PATCH", &path, parameters).await.is(200);
    assert_eq!(patched.json().get("birthDate").and_then(Value::as_str), Some("1992-02-02"));
    assert_eq!(patched.header("etag"), "W/\"3\"");
    world.ask("PATCH", &path, &[kind, ("if-match", "W/\"1\"")], patch).await.is(412);
    world.ask("PATCH", &path, &[("content-type", "application/xml-patch+xml")], "<x/>").await.is(415);
    world.ask("PATCH", &path, &[kind], r#"[{"op":"frob"}]"#).await.is(400);
}

#[tokio::test]
async fn history_tells_every_version() {
    let world = World::new();
    let id = world.patient().await;
    let path = format!("/fhir/Patient/{id}");
    world.clock.advance_us(10_000_000);
    let changed = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
    world.send("PUT", &path, &changed).await.is(200);
    world.ask("DELETE", &path, &[], "").await.is(204);

    let history = world.get(&format!("{path}/_history")).await.is(200);
    assert_eq!(history.json().get("type").and_then(Value::as_str), Some("history"));
    let methods: Vec<_> = history
        .entries()
        .iter()
        .map(|entry| entry.get("request").unwrap().get("method").unwrap().as_str().unwrap().to_owned())
        .collect();
    assert_eq!(methods, ["DELETE", "PUT", "POST"]);
    assert!(history.entries()[0].get("resource").is_none());
    assert_eq!(world.get("/fhir/Patient/_history").await.is(200).entries().len(), 3);
    assert_eq!(world.get("/fhir/_history").await.is(200).entries().len(), 3);
    let since = format!("{path}/_history?_since=2025-10-09T08:53:25Z");
    assert_eq!(world.get(&since).await.is(200).entries().len(), 2);
    let at = format!("{path}/_history?_at=2025-10-09T08:53:22Z");
    assert_eq!(world.get(&at).await.is(200).entries().len(), 1);

    let mut next = Some(format!("{path}/_history?_count=1"));
    let mut seen = 0;
    while let Some(url) = next {
        let page = world.get(&url).await.is(200);
        seen += page.entries().len();
        next = page.link("next");
        assert!(seen <= 3);
    }
    assert_eq!(seen, 3);
    let wrong = world.get(&format!("{path}/_history?_sinse=2025")).await.is(400);
    assert!(wrong.text().contains("_since"));
    world.get(&format!("{path}/_history?_since=soon")).await.is(400);
}

#[tokio::test]
async fn meta_is_read_added_and_deleted() {
    let world = World::new();
    let path = format!("/fhir/Patient/{}", world.patient().await);
    let body = r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":
        {"tag":[{"system":"http://t","code":"a"}]}}]}"#;
    let added = world.send("POST", &format!("{path}/$meta-add"), body).await.is(200);
    assert!(added.text().contains("http://t"));
    assert!(world.get(&format!("{path}/$meta")).await.is(200).text().contains("http://t"));
    assert_eq!(world.get("/fhir/Patient?_tag=http://t|a").await.found("match").len(), 1);
    world.send("POST", &format!("{path}/$meta-delete"), body).await.is(200);
    assert!(!world.get(&format!("{path}/$meta")).await.is(200).text().contains("http://t"));
    assert!(!world.get(&format!("{path}/%24meta")).await.is(200).text().contains("http://t"), "$ may be encoded");
}

#[tokio::test]
async fn validate_says_what_is_wrong_without_storing() {
    let world = World::new();
    let fine = world.send("POST", "/fhir/Patient/$validate", PATIENT).await.is(200);
    assert!(!fine.text().contains("\"error\""), "{}", fine.text());
    let wrong = PATIENT.replace("1990-05-01", "May 1990");
    let issues = world.send("POST", "/fhir/Patient/$validate", &wrong).await.is(200);
    assert!(issues.text().contains("Patient.birthDate") && issues.text().contains("\"error\""));
    let wrapped = format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{wrong}}}]}}"#);
    assert!(world.send("POST", "/fhir/Patient/$validate", &wrapped).await.is(200).text().contains("birthDate"));
    assert_eq!(world.get("/fhir/Patient").await.total().as_deref(), Some("0"));
}

#[tokio::test]
async fn validate_checks_what_is_stored() {
    let world = World::new();
    let path = format!("/fhir/Patient/{}/$validate", world.patient().await);
    let fine = world.get(&path).await.is(200);
    assert!(fine.text().contains("no problems found"), "{}", fine.text());
    assert_eq!(world.send("POST", &path, "").await.is(200).text(), fine.text());
    world.ask("HEAD", &path, &[], "").await.is(200);
    world.get("/fhir/Patient/none/$validate").await.is(404);
    world.get("/fhir/Patient/$validate").await.is(405);

    let profiled = world.get(&format!("{path}?profile=http://p")).await.is(200);
    assert!(profiled.text().contains("profiles are not checked"), "{}", profiled.text());
    let wrapped = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{PATIENT}}},
        {{"name":"profile","valueUri":"http://p"}}]}}"#
    );
    let profiled = world.send("POST", "/fhir/Patient/$validate", &wrapped).await.is(200);
    assert!(profiled.text().contains("profiles are not checked"), "{}", profiled.text());
}

#[tokio::test]
async fn meta_of_a_type_and_of_all_says_what_is_in_use() {
    let world = World::new();
    let labelled = |ty: &str, rest: &str, meta: &str| format!(r#"{{"resourceType":"{ty}"{rest},"meta":{meta}}}"#);
    let tag = |code: &str| format!(r#"{{"tag":[{{"system":"http://t","code":"{code}"}}],"profile":["http://p"]}}"#);
    assert_eq!(
        world.get("/fhir/$meta").await.is(200).text(),
        r#"{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":{}}]}"#
    );
    for code in ["b", "a", "b"] {
        world.send("POST", "/fhir/Patient", &labelled("Patient", "", &tag(code))).await.is(201);
    }
    world.patient().await;
    world.send("POST", "/fhir/Group", &labelled("Group", r#","type":"person","actual":true"#, &tag("c"))).await.is(201);
    let gone = world.send("POST", "/fhir/Patient", &labelled("Patient", "", &tag("gone"))).await.is(201).id();
    world.ask("DELETE", &format!("/fhir/Patient/{gone}"), &[], "").await.is(204);
    let tags = |codes: &[&str]| {
        let tags: Vec<String> =
            codes.iter().map(|code| format!(r#"{{"system":"http://t","code":"{code}"}}"#)).collect();
        format!(r#"{{"profile":["http://p"],"tag":[{}]}}"#, tags.join(","))
    };
    for (path, codes) in
        [("/fhir/$meta", &["a", "b", "c"][..]), ("/fhir/Patient/$meta", &["a", "b"]), ("/fhir/Group/$meta", &["c"])]
    {
        let text = world.get(path).await.is(200);
        assert!(text.text().contains(&tags(codes)), "{path}: {}", text.text());
    }
}
