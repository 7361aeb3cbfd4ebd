//! FHIR create and update as OpenEMR does them: no conditions, no versions, no Location header.

use super::patient::{self, Refusal};
use super::{read, references, register};
use crate::http::{Reply, Request};
use crate::records::New;
use crate::state::{Emr, State};
use serde_json::{Map, Value, json};

/// Elements that no column holds.
const LOST: [&str; 9] =
    ["id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension", "note"];

pub(super) fn create(emr: &Emr, state: &mut State, request: &Request, resource_type: &str) -> Reply {
    let input = match parsed(request, resource_type) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    let body = match stored(state, resource_type, &input, None) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let new = New { body, ..New::default() };
    let record = state.records.add(resource_type, new, emr.clock.wall_us(), &mut state.random);
    let (id, number) = (record.id.clone(), record.number);
    if resource_type == "Patient" && record.key.is_none() {
        // A patient without a number of ours gets the EMR's.
        state.records.change("Patient", &id, emr.clock.wall_us(), |record| {
            patient::keep_identifier(&mut record.body, "PT", &json!(number.to_string()));
        });
    }
    let name = if resource_type == "Patient" { "pid" } else { "id" };
    Reply::json(201, &json!({ name: number, "uuid": id })).committed(&id)
}

pub(super) fn update(emr: &Emr, state: &mut State, request: &Request, resource_type: &str, id: &str) -> Reply {
    let input = match parsed(request, resource_type) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    let Some(before) = state.records.get(resource_type, id).map(|record| record.body.clone()) else {
        let message = format!("UUID {id} does not exist");
        return invalid(&[("uuid".to_owned(), json!({ "Callback::INVALID_VALUE": message }))].into_iter().collect());
    };
    let body = match stored(state, resource_type, &input, Some(&before)) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let now_us = emr.clock.wall_us();
    state.records.change(resource_type, id, now_us, |record| record.body = body);
    read::read(state, now_us, resource_type, id).committed(id)
}

/// The body, or the OperationOutcome of one that is no such resource.
fn parsed(request: &Request, resource_type: &str) -> Result<Value, Reply> {
    let input = request.json();
    if input["resourceType"] == resource_type {
        return Ok(input);
    }
    let outcome = json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": "error", "code": "invalid", "diagnostics": format!("the body is no {resource_type}") }],
    });
    Err(Reply::fhir(400, &outcome))
}

/// What is kept of a resource, or the answer that refuses it.
fn stored(state: &State, resource_type: &str, input: &Value, before: Option<&Value>) -> Result<Value, Reply> {
    let kept = match resource_type {
        "Patient" => patient::stored(input, before),
        "Practitioner" | "Organization" => register::stored(resource_type, input, before),
        _ => Ok(merged(resource_type, input, before)),
    };
    let kept = kept.map_err(|refusal| match refusal {
        Refusal::Crash => Reply::error(500, "Call to a member function getCoding() on null"),
        Refusal::Invalid(columns) => invalid(&columns),
    })?;
    let mut columns = Map::new();
    if let Some(reference) = references::dangling(&state.records, &kept) {
        let message = format!("{reference} does not exist");
        columns.insert("reference".into(), json!({ "Callback::INVALID_VALUE": message }));
    }
    let owned = !matches!(resource_type, "Patient" | "Practitioner" | "Organization" | "Location");
    if owned && crate::records::patient_of(&kept).is_none() {
        columns.insert(
            "puuid".into(),
            json!({ "Required::NON_EXISTENT_KEY": "puuid must be provided, but does not exist" }),
        );
    }
    if columns.is_empty() { Ok(kept) } else { Err(invalid(&columns)) }
}

/// Members that are given replace those that are there; members that are not stay.
fn merged(resource_type: &str, input: &Value, before: Option<&Value>) -> Value {
    let mut kept = before.cloned().unwrap_or_else(|| json!({ "resourceType": resource_type }));
    for (name, value) in input.as_object().into_iter().flatten() {
        if !LOST.contains(&name.as_str()) {
            kept[name] = value.clone();
        }
    }
    kept
}

pub(super) fn invalid(columns: &Map<String, Value>) -> Reply {
    Reply::json(400, &json!({ "validationErrors": columns }))
}
