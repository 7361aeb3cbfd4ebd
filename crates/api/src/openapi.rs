//! OpenAPI 3.1, made from the table of routes.

use crate::route::ROWS;
use fhir::json;
use fhir::json::Value;

/// What the operator's API serves; crate `web` does it.
const OPERATIONS: [(&str, &str, &str); 6] = [
    ("", "get", "All destinations and their numbers"),
    ("/{tenant}/{destination}", "get", "One destination and its numbers"),
    (
        "/{tenant}/{destination}/intents",
        "get",
        "What waits or was refused; `state` is pending, in-flight, retry, probe or dead, `limit` 1 to 10000",
    ),
    ("/{tenant}/{destination}/pause", "post", "Send nothing more, also after a restart"),
    ("/{tenant}/{destination}/resume", "post", "Send again"),
    (
        "/{tenant}/{destination}/replay",
        "post",
        "Send refused records again: {\"numbers\": [1, 2]}, or {\"numbers\": null} for all",
    ),
];

/// The document as JSON text.
pub fn openapi() -> String {
    let mut paths = Vec::new();
    for row in ROWS {
        let mut item = json!({});
        let mut names: Vec<Value> = Vec::new();
        for name in row.path.split(['{', '}']).skip(1).step_by(2) {
            let (about, example) = parameter(name);
            names.push(json!({ "name": name, "in": "path", "required": true, "description": about,
                "schema": { "type": "string" }, "example": example }));
        }
        if !names.is_empty() {
            item.set("parameters", Value::Array(names));
        }
        for (method, summary) in row.methods {
            item.set(method, operation(row.path, method, summary));
        }
        paths.push((format!("/fhir{}", row.path.trim_end_matches('/')), item));
    }
    paths.extend(crate::tracker::paths(operation_id));
    for (path, summary) in [
        ("/healthz", "The process lives"),
        ("/readyz", "The store answers"),
        ("/metrics", "Metrics for Prometheus"),
        ("/openapi.json", "This document"),
    ] {
        paths.push((
            path.into(),
            json!({ "get": { "operationId": operation_id("get", path), "summary": summary,
                "responses": { "200": { "description": "OK" } } } }),
        ));
    }
    for (path, method, summary) in OPERATIONS {
        let path = format!("/ops/api/destinations{path}");
        let names = path
            .split(['{', '}'])
            .skip(1)
            .step_by(2)
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        let mut item = json!({ "parameters": names.collect::<Vec<_>>() });
        let responses = json!({ "200": { "description": "JSON" }, "4XX": { "description": "OperationOutcome" } });
        let id = operation_id(method, &path);
        item.set(method, json!({ "operationId": id, "summary": summary, "responses": responses }));
        paths.push((path, item));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "weir", "version": env!("CARGO_PKG_VERSION"),
            "description": "FHIR R4 REST API, and the vaccine tracker beside it. Search parameters of each type: GET /fhir/metadata. Other tenants than the default one: the same paths below /t/{tenant}." },
        "paths": Value::Object(paths),
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } }
    });
    document.to_string()
}

/// `get_type_id_history` for GET `/{type}/{id}/_history`: unique, and a fit name for generated clients.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = std::iter::once(method).chain(words).collect();
    words.join("_")
}

fn parameter(name: &str) -> (&'static str, &'static str) {
    match name {
        "type" => ("A FHIR R4 resource type", "Patient"),
        "id" => ("Logical id: 1 to 64 of A-Z a-z 0-9 - .", "019a0000-1234-7abc-8def-0123456789ab"),
        "version" => ("Version number", "1"),
        _ => ("A resource type of the compartment, or *", "Observation"),
    }
}

fn operation(path: &str, method: &str, summary: &str) -> Value {
    let outcome = json!({ "description": "OperationOutcome that says what is wrong, where, and what to do" });
    let ok = json!({ "description": "A resource, a Bundle, or nothing",
        "content": { "application/fhir+json": { "schema": { "type": "object" } } } });
    let mut operation = json!({ "operationId": operation_id(method, path), "summary": summary, "responses": { "2XX": ok, "4XX": outcome.clone(), "5XX": outcome } });
    let example = match (method, path) {
        ("post", "/{type}") | ("put", _) => {
            json!({ "resourceType": "Patient", "name": [{ "family": "Ito", "given": ["Aiko"] }], "birthDate": "1990-05-01" })
        }
        ("post", "/") => json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "fullUrl": "urn:uuid:0d9c0f1e-0000-4000-8000-000000000001", "resource": { "resourceType": "Patient" },
              "request": { "method": "POST", "url": "Patient" } }] }),
        ("post", "/$immds-forecast") => json!({ "resourceType": "Parameters", "parameter": [
            { "name": "assessmentDate", "valueDate": "2025-03-01" },
            { "name": "patient", "resource": { "resourceType": "Patient", "id": "1", "birthDate": "2024-01-10" } },
            { "name": "immunization", "resource": { "resourceType": "Immunization", "id": "2", "status": "completed",
              "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "03" }] },
              "patient": { "reference": "Patient/1" }, "occurrenceDateTime": "2025-02-10" } }] }),
        ("post", "/Patient/$match") => json!({ "resourceType": "Parameters", "parameter": [
            { "name": "resource", "resource": { "resourceType": "Patient", "birthDate": "1975-12-10",
              "name": [{ "family": "Lovelock", "given": ["Adelaide"] }], "telecom": [{ "system": "phone", "value": "617-555-0143" }] } },
            { "name": "onlyCertainMatches", "valueBoolean": false }, { "name": "count", "valueInteger": 5 }] }),
        ("post", "/Patient/{id}/$immunization-status") => json!({ "resourceType": "Parameters", "parameter": [
            { "name": "programme", "valueString": "MMR" }, { "name": "asOf", "valueDate": "2026-11-28" }] }),
        ("patch", _) => {
            let patch = json!([{ "op": "replace", "path": "/birthDate", "value": "1990-05-02" }]);
            operation.set("requestBody", json!({ "content": { "application/json-patch+json": { "example": patch } } }));
            return operation;
        }
        ("post", _) if path.ends_with("_search") => {
            let content = json!({ "application/x-www-form-urlencoded": { "example": "name=ito&_count=10" } });
            operation.set("requestBody", json!({ "content": content }));
            return operation;
        }
        _ => return operation,
    };
    operation.set("requestBody", json!({ "content": { "application/fhir+json": { "example": example } } }));
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_documented() {
        let document = Value::parse(&openapi()).unwrap();
        let paths = document.get("paths").unwrap();
        for row in ROWS {
            let item = paths.get(&format!("/fhir{}", row.path.trim_end_matches('/'))).unwrap();
            for (method, _) in row.methods {
                assert!(item.get(method).and_then(|operation| operation.get("responses")).is_some());
            }
        }
    }
}
