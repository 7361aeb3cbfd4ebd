//! Patient in OpenEMR: which elements become columns, and which are lost.

use crate::records::codings;
use serde_json::{Map, Value, json};

/// Why a resource is not taken.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// PHP met a null: 500.
    Crash,
    /// 400 with the names of columns and what is wrong with them.
    Invalid(Map<String, Value>),
}

/// Identifier types that have a column.
const KEPT_IDENTIFIERS: [&str; 2] = ["PT", "SS"];

/// The stored form of a Patient. `before` is the stored form so far: an update merges into it.
pub(crate) fn stored(input: &Value, before: Option<&Value>) -> Result<Value, Refusal> {
    let identifiers = input["identifier"].as_array().map_or(&[][..], Vec::as_slice);
    if identifiers.iter().any(|identifier| !identifier["type"].is_object()) {
        return Err(Refusal::Crash);
    }
    let mut invalid = Map::new();
    let names = input["name"].as_array().map_or(&[][..], Vec::as_slice);
    // Only an official name is read; any other is as good as none.
    let name = names.iter().find(|name| name["use"] == "official");
    if !names.is_empty() || before.is_none() {
        let name = name.unwrap_or(&Value::Null);
        length(&mut invalid, "fname", name["given"][0].as_str(), 1, 255);
        length(&mut invalid, "lname", name["family"].as_str(), 2, 255);
    }
    // Gender and birth date are always set, also by an update that does not name them.
    let (sex, birth) = (input["gender"].as_str(), input["birthDate"].as_str());
    length(&mut invalid, "sex", sex, 4, 30);
    if birth.is_none_or(|date| date.parse::<jiff::civil::Date>().is_err()) {
        invalid.insert("DOB".into(), json!({ "Datetime::INVALID_VALUE": "Date of Birth must be a valid date" }));
    }
    for email in telecoms(input, "email") {
        if !email["value"].as_str().is_some_and(|text| text.contains('@')) {
            invalid.insert("email".into(), json!({ "Callback::INVALID_VALUE": "Email is not a valid email" }));
        }
    }
    if !invalid.is_empty() {
        return Err(Refusal::Invalid(invalid));
    }
    let mut stored = before.cloned().unwrap_or_else(|| json!({ "resourceType": "Patient", "active": true }));
    stored["gender"] = json!(sex);
    stored["birthDate"] = json!(birth);
    if let Some(name) = name {
        stored["name"] = json!([official(name)]);
    }
    for kept in KEPT_IDENTIFIERS {
        if let Some(value) = identifiers.iter().rev().find(|identifier| has_type(identifier, kept)) {
            keep_identifier(&mut stored, kept, &value["value"]);
        }
    }
    if let Some(address) = input["address"].get(0) {
        stored["address"] = json!([with(address, &["use", "line", "city", "state", "postalCode", "period"])]);
    }
    keep_telecoms(&mut stored, input);
    if input["generalPractitioner"].is_array() {
        stored["generalPractitioner"] = json!([input["generalPractitioner"][0]]);
    }
    Ok(stored)
}

fn length(invalid: &mut Map<String, Value>, column: &str, text: Option<&str>, least: usize, most: usize) {
    let found = text.unwrap_or_default().chars().count();
    let problem = match found {
        0 => json!({ "Required::NON_EXISTENT_KEY": format!("{column} must be provided, but does not exist") }),
        _ if found < least => {
            json!({ "LengthBetween::TOO_SHORT": format!("{column} must be {least} characters or longer") })
        }
        _ if found > most => {
            json!({ "LengthBetween::TOO_LONG": format!("{column} must be {most} characters or shorter") })
        }
        _ => return,
    };
    invalid.insert(column.to_owned(), problem);
}

/// First two given names, family name and first prefix: the columns there are.
fn official(name: &Value) -> Value {
    let given: Vec<&Value> = name["given"].as_array().map_or(&[][..], Vec::as_slice).iter().take(2).collect();
    let mut kept = json!({ "use": "official", "family": name["family"], "given": given });
    if name["prefix"][0].is_string() {
        kept["prefix"] = json!([name["prefix"][0]]);
    }
    kept
}

fn has_type(identifier: &Value, code: &str) -> bool {
    codings(&identifier["type"]).any(|coding| coding["code"] == code)
}

/// Writes the column behind an identifier; its system is the EMR's own when shown.
pub(crate) fn keep_identifier(stored: &mut Value, code: &str, value: &Value) {
    let system = match code {
        "SS" => "http://hl7.org/fhir/sid/us-ssn",
        _ => "http://terminology.hl7.org/CodeSystem/v2-0203",
    };
    let mut list = stored["identifier"].as_array().cloned().unwrap_or_default();
    list.retain(|identifier| !has_type(identifier, code));
    list.push(json!({
        "use": "official",
        "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code }] },
        "system": system,
        "value": value,
    }));
    stored["identifier"] = json!(list);
}

fn telecoms<'a>(resource: &'a Value, system: &'a str) -> impl Iterator<Item = &'a Value> {
    let list = resource["telecom"].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter(move |telecom| telecom["system"] == system)
}

/// A phone per use and an e-mail address have columns; one that is given replaces its column.
fn keep_telecoms(stored: &mut Value, input: &Value) {
    let mut list = stored["telecom"].as_array().cloned().unwrap_or_default();
    for telecom in telecoms(input, "phone").chain(telecoms(input, "email")) {
        let (system, phone_use) = (&telecom["system"], &telecom["use"]);
        let is_phone = system == "phone";
        if is_phone && !["home", "work", "mobile"].iter().any(|known| phone_use == known) {
            continue;
        }
        list.retain(|other| other["system"] != *system || is_phone && other["use"] != *phone_use);
        list.push(with(telecom, &["system", "value", "use"]));
    }
    if !list.is_empty() {
        stored["telecom"] = json!(list);
    }
}

/// Only the named members.
fn with(value: &Value, members: &[&str]) -> Value {
    let kept = members.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient() -> Value {
        json!({
            "resourceType": "Patient",
            "meta": { "tag": [{ "code": "mine" }] },
            "extension": [{ "url": "urn:x", "valueString": "y" }],
            "identifier": [{ "type": { "coding": [{ "code": "PT" }] }, "system": "urn:weir", "value": "k1" }],
            "name": [{ "use": "official", "family": "Ito", "given": ["Aiko", "Rin", "Mei"] }],
            "telecom": [{ "system": "phone", "use": "home", "value": "1" }, { "system": "email", "value": "a@b.c" }],
            "gender": "female", "birthDate": "1990-05-01",
        })
    }

    #[test]
    fn columns_are_kept_and_the_rest_is_lost() {
        let kept = stored(&patient(), None).unwrap_or_default();
        assert_eq!(kept["name"][0]["given"], json!(["Aiko", "Rin"]));
        assert_eq!(kept["identifier"][0]["value"], "k1");
        assert_eq!(kept["identifier"][0]["system"], "http://terminology.hl7.org/CodeSystem/v2-0203");
        assert!(kept.get("meta").is_none() && kept.get("extension").is_none());
    }

    #[test]
    fn an_identifier_without_type_crashes_php() {
        let mut input = patient();
        input["identifier"] = json!([{ "system": "urn:weir", "value": "k1" }]);
        assert_eq!(stored(&input, None), Err(Refusal::Crash));
    }

    #[test]
    fn each_rule_names_its_column() {
        let input = json!({ "resourceType": "Patient", "name": [{ "use": "official", "family": "I" }], "gender": "f" });
        let Err(Refusal::Invalid(columns)) = stored(&input, None) else { panic!("taken") };
        assert_eq!(columns.keys().collect::<Vec<_>>(), ["DOB", "fname", "lname", "sex"]);
    }

    #[test]
    fn an_update_merges() {
        let before = stored(&patient(), None).unwrap_or_default();
        let update = json!({ "resourceType": "Patient", "gender": "male", "birthDate": "1990-05-02",
            "telecom": [{ "system": "phone", "use": "mobile", "value": "2" }] });
        let after = stored(&update, Some(&before)).unwrap_or_default();
        assert_eq!(after["name"], before["name"]);
        assert_eq!(after["telecom"].as_array().map(Vec::len), Some(3));
        assert_eq!((&after["gender"], &after["birthDate"]), (&json!("male"), &json!("1990-05-02")));
    }
}
