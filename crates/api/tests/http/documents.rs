//! What the server says about itself.

use crate::harness::World;
use fhir::json::Value;

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match value.get(name) {
        Some(Value::Array(items)) => items,
        _ => panic!("no array {name}"),
    }
}

#[tokio::test]
async fn the_capability_statement_is_valid_and_complete() {
    let world = World::new();
    let reply = world.get("/fhir/metadata").await.is(200);
    let issues = world.send("POST", "/fhir/CapabilityStatement/$validate", reply.text()).await.is(200);
    assert!(!issues.text().contains("\"error\""), "{}", issues.text());
    let statement = reply.json();
    let rest = &items(&statement, "rest")[0];
    let types = items(rest, "resource");
    let defs = fhir::defs::r4();
    assert_eq!(types.len(), defs.resources().count());
    let patient = types.iter().find(|one| one.get("type").and_then(Value::as_str) == Some("Patient")).unwrap();
    let params: Vec<_> = items(patient, "searchParam").iter().map(|one| one.get("name").unwrap().to_string()).collect();
    for name in ["\"birthdate\"", "\"family\"", "\"_id\"", "\"_lastUpdated\"", "\"general-practitioner\""] {
        assert!(params.contains(&name.to_owned()), "{name}");
    }
    assert!(items(patient, "searchRevInclude").contains(&Value::from("Observation:subject")));
    assert!(items(patient, "operation").iter().any(|one| one.to_string().contains("everything")));
}

#[tokio::test]
async fn every_listed_search_parameter_is_accepted() {
    let world = World::new();
    let statement = world.get("/fhir/metadata").await.is(200).json();
    let mut refused = Vec::new();
    for one in items(&items(&statement, "rest")[0], "resource") {
        let ty = one.get("type").unwrap().as_str().unwrap();
        if !matches!(ty, "Patient" | "Observation" | "Immunization" | "Encounter") {
            continue;
        }
        for param in items(one, "searchParam") {
            let name = param.get("name").unwrap().as_str().unwrap();
            let value = match param.get("type").unwrap().as_str().unwrap() {
                "date" => "2020",
                "number" => "1",
                "quantity" => "1||mg",
                "composite" | "special" => continue,
                _ => "a",
            };
            let reply = world.get(&format!("/fhir/{ty}?{name}={value}")).await;
            if reply.status != 200 {
                refused.push(format!("{ty}?{name}={value}: {}", reply.text()));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn openapi_describes_paths_that_exist() {
    let world = World::tracking(Default::default()).await;
    let document = world.get("/openapi.json").await.is(200).json();
    assert_eq!(document.get("openapi").and_then(Value::as_str), Some("3.1.0"));
    let Some(Value::Object(paths)) = document.get("paths") else { panic!("no paths") };
    let id = world.patient().await;
    let mut operation_ids = std::collections::HashSet::new();
    for (path, item) in paths {
        let Value::Object(members) = item else { panic!("{path}") };
        let concrete = path.replace("{type}", "Patient").replace("{id}", &id).replace("{version}", "1");
        let concrete = concrete.replace("{other}", "Observation");
        for (method, operation) in members.iter().filter(|(name, _)| name != "parameters") {
            let operation_id = operation.get("operationId").and_then(Value::as_str).unwrap();
            assert!(operation_ids.insert(operation_id.to_owned()), "{operation_id} twice");
            // The operator's API is served beside this router; the tests of `web` call it. Those of `tracker` call the tracker.
            if method == "get" && !path.starts_with("/ops/") && operation.get("tags").is_none() {
                let reply = world.get(&concrete).await;
                assert_eq!(reply.status, 200, "{concrete}: {}", reply.text());
            }
        }
        let declared = item.get("parameters").map_or(0, |list| match list {
            Value::Array(list) => list.len(),
            _ => 0,
        });
        assert_eq!(declared, path.matches('{').count(), "{path}");
    }
}

#[tokio::test]
async fn health_and_metrics() {
    let world = World::new();
    assert_eq!(world.get("/healthz").await.is(200).text(), r#"{"status":"ok"}"#);
    assert_eq!(world.get("/readyz").await.is(200).text(), r#"{"status":"ready"}"#);
    let id = world.patient().await;
    world.get(&format!("/fhir/Patient/{id}")).await.is(200);
    world.get("/fhir/Patient/none").await.is(404);
    let text = world.get("/metrics").await.is(200);
    for line in [
        "weir_http_requests_total{interaction=\"read\",status=\"2xx\"} 1",
        "weir_http_requests_total{interaction=\"read\",status=\"4xx\"} 1",
        "weir_http_in_flight 0",
        "weir_resources{resource=\"Patient\"} 1",
        "weir_store_segments 0",
    ] {
        assert!(text.text().contains(line), "{line} in {}", text.text());
    }
    assert!(!text.text().contains(&id));
    assert_eq!(world.metrics.snapshot().requests, 3);
}
