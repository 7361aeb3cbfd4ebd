//! Practitioner and Organization in OpenEMR: both need a National Provider Identifier.

use super::patient::Refusal;
use serde_json::{Map, Value, json};

const NPI: &str = "http://hl7.org/fhir/sid/us-npi";

/// The stored form of a Practitioner or Organization; an update merges into `before`.
pub(super) fn stored(resource_type: &str, input: &Value, before: Option<&Value>) -> Result<Value, Refusal> {
    let mut invalid = Map::new();
    let identifiers = input["identifier"].as_array().map_or(&[][..], Vec::as_slice);
    let npi = identifiers.iter().find(|identifier| identifier["system"] == NPI).map(|identifier| &identifier["value"]);
    let mut stored = before.cloned().unwrap_or_else(|| json!({ "resourceType": resource_type, "active": true }));
    let (column, checked) =
        if resource_type == "Practitioner" { ("npi", "npi") } else { ("facility_npi", "facility_npi") };
    match npi.and_then(Value::as_str) {
        Some(value) if (10..=15).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            stored["identifier"] = json!([{ "system": NPI, "value": value }]);
        }
        None if before.is_some() => {}
        _ => {
            invalid
                .insert(column.into(), json!({ "Numeric::NOT_NUMERIC": format!("{checked} must be 10 to 15 digits") }));
        }
    }
    if resource_type == "Practitioner" {
        let names = input["name"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(name) = names.iter().find(|name| name["use"] == "official") {
            two(&mut invalid, "fname", name["given"][0].as_str());
            two(&mut invalid, "lname", name["family"].as_str());
            stored["name"] = json!([{ "use": "official", "family": name["family"], "given": name["given"] }]);
        } else if before.is_none() {
            two(&mut invalid, "fname", None);
            two(&mut invalid, "lname", None);
        }
    } else if before.is_none() || input["name"].is_string() {
        two(&mut invalid, "name", input["name"].as_str());
        stored["name"] = input["name"].clone();
    }
    if !invalid.is_empty() {
        return Err(Refusal::Invalid(invalid));
    }
    for member in ["telecom", "address"] {
        if input[member].is_array() {
            stored[member] = input[member].clone();
        }
    }
    Ok(stored)
}

fn two(invalid: &mut Map<String, Value>, column: &str, text: Option<&str>) {
    if text.is_none_or(|text| text.chars().count() < 2) {
        let message = format!("{column} must be 2 characters or longer");
        invalid.insert(column.to_owned(), json!({ "LengthBetween::TOO_SHORT": message }));
    }
}
