//! A plain FHIR R4 server at `/fhir`: versions, conditions, client-assigned ids, paged searches.

mod search;
mod write;

use crate::clock::instant;
use crate::http::{Reply, Request};
use crate::oauth::{self, scope};
use crate::records::Record;
use crate::state::{Emr, State};
use serde_json::{Value, json};

pub(crate) fn answer(emr: &Emr, state: &mut State, request: &Request) -> Reply {
    let path: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["oauth2", "default", ..] => return oauth::answer(emr, state, request),
        ["fhir", "metadata"] => return Reply::fhir(200, &statement(request)),
        ["fhir", ".well-known", "smart-configuration"] => return Reply::json(200, &oauth::discovery(request)),
        _ => {}
    }
    let ["fhir", resource_type, rest @ ..] = path.as_slice() else { return outcome(404, "not-found", "no such path") };
    let access = match oauth::authorize(emr, state, request) {
        Ok(access) => access,
        Err(reply) => return reply,
    };
    if !resource_type.starts_with(|c: char| c.is_ascii_uppercase()) {
        return outcome(404, "not-supported", "no such resource type");
    }
    let write = !matches!(request.method.as_str(), "GET" | "HEAD") && rest != ["_search"];
    if let Err(refused) = scope::fhir(&access, resource_type, write) {
        return refused;
    }
    match (request.method.as_str(), rest) {
        ("GET", []) => search::search(state, request, resource_type, &request.query),
        ("POST", ["_search"]) => search::search(state, request, resource_type, &request.form()),
        ("GET", [id]) => read(state, resource_type, id),
        ("POST", []) => write::create(emr, state, request, resource_type),
        ("PUT", []) => write::conditional_update(emr, state, request, resource_type),
        ("PUT", [id]) => write::update(emr, state, request, resource_type, id),
        ("DELETE", [id]) => write::delete(state, resource_type, id),
        _ => outcome(405, "not-supported", "no such interaction"),
    }
}

/// A record as a resource with its version and time.
fn resource(record: &Record) -> Value {
    let mut resource = record.body.clone();
    resource["id"] = json!(record.id);
    let mut meta = record.body["meta"].as_object().cloned().unwrap_or_default();
    meta.insert("versionId".into(), json!(record.version.to_string()));
    meta.insert("lastUpdated".into(), json!(instant(record.updated_us)));
    resource["meta"] = Value::Object(meta);
    resource
}

/// A record with its ETag.
fn shown(status: u16, record: &Record) -> Reply {
    Reply::fhir(status, &resource(record)).header("etag", format!("W/\"{}\"", record.version))
}

fn read(state: &State, resource_type: &str, id: &str) -> Reply {
    match state.records.get(resource_type, id) {
        Some(record) => shown(200, record),
        None => outcome(404, "not-found", "no such resource"),
    }
}

fn outcome(status: u16, code: &str, text: &str) -> Reply {
    let issue = json!([{ "severity": "error", "code": code, "diagnostics": text }]);
    Reply::fhir(status, &json!({ "resourceType": "OperationOutcome", "issue": issue }))
}

const TYPES: [&str; 13] = [
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "Location",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "Task",
];

fn statement(request: &Request) -> Value {
    let interactions = ["read", "create", "update", "delete", "search-type"].map(|code| json!({ "code": code }));
    let parameters = search::PARAMETERS.map(|(name, meaning)| json!({ "name": name, "type": meaning.name() }));
    let resources = TYPES.map(|name| {
        json!({
            "type": name, "interaction": interactions, "searchParam": parameters, "versioning": "versioned-update",
            "conditionalCreate": true, "conditionalUpdate": true, "updateCreate": true, "readHistory": false,
        })
    });
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "software": { "name": "emr-sim", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "a plain FHIR server", "url": format!("{}/fhir", request.origin()) },
        "rest": [{
            "mode": "server",
            "security": { "service": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR",
            }] }] },
            "resource": resources,
        }],
    })
}
