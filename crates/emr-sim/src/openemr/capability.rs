//! `/metadata`: what the profile can do, and nothing else.

use super::{TYPES, search, writable};
use crate::http::Request;
use crate::options::Profile;
use serde_json::{Value, json};

pub(super) fn statement(profile: Profile, request: &Request) -> Value {
    let version = if profile == Profile::OpenEmr702 { "7.0.2" } else { "8.0.0" };
    let resources: Vec<Value> = TYPES.iter().map(|resource_type| resource(profile, resource_type)).collect();
    let base = request.origin();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/json"],
        "software": { "name": "OpenEMR", "version": version },
        "implementation": { "description": "OpenEMR FHIR API", "url": format!("{base}/apis/default/fhir") },
        "rest": [{
            "mode": "server",
            "security": {
                "service": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR",
                }] }],
                "extension": [{
                    "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                    "extension": [
                        { "url": "token", "valueUri": format!("{base}/oauth2/default/token") },
                        { "url": "register", "valueUri": format!("{base}/oauth2/default/registration") },
                    ],
                }],
            },
            "resource": resources,
        }],
    })
}

fn resource(profile: Profile, resource_type: &str) -> Value {
    let mut interactions = vec!["search-type", "read"];
    if writable(profile, resource_type) {
        interactions.extend(["create", "update"]);
    }
    let interactions: Vec<Value> = interactions.into_iter().map(|code| json!({ "code": code })).collect();
    let parameters: Vec<Value> = search::all_parameters(profile, resource_type)
        .map(|(name, meaning)| json!({ "name": name, "type": meaning.name() }))
        .collect();
    json!({ "type": resource_type, "interaction": interactions, "searchParam": parameters })
}
