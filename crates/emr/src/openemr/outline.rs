//! A resource as a text that the staff can read.

use fhir::json::Value;

const WIDTH: usize = 2;
/// Elements that say nothing to a reader.
const SILENT: [&str; 8] =
    ["resourceType", "meta", "text", "implicitRules", "language", "id", "contained", "userSelected"];

/// What a CodeableConcept says: its text, the display of a code, or the code.
pub(super) fn concept(concept: &Value) -> Option<String> {
    let codings = concept.list("coding");
    let text = concept.str("text").or_else(|| codings.iter().find_map(|coding| coding.str("display")));
    text.or_else(|| codings.iter().find_map(|coding| coding.str("code"))).map(str::to_owned)
}

/// One line per element, indented as they are nested.
pub(super) fn outline(resource: &Value) -> String {
    let mut out = String::new();
    out.push_str(&words(resource.str("resourceType").unwrap_or("Record")));
    out.push('\n');
    members(resource, 0, &mut out);
    out
}

fn members(value: &Value, depth: usize, out: &mut String) {
    let Value::Object(members) = value else { return };
    for (name, member) in members.iter().filter(|(name, _)| !SILENT.contains(&name.as_str())) {
        element(name, member, depth, out);
    }
}

fn element(name: &str, value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| element(name, item, depth, out)),
        _ => {
            out.push_str(&" ".repeat(depth * WIDTH));
            out.push_str(&words(name));
            match line(value) {
                Some(text) => {
                    out.push_str(": ");
                    out.push_str(&text);
                    out.push('\n');
                }
                None => {
                    out.push_str(":\n");
                    members(value, depth + 1, out);
                }
            }
        }
    }
}

/// What fits on the line of its element: simple values, codes, quantities, references.
fn line(value: &Value) -> Option<String> {
    match value {
        Value::String(text) | Value::Number(text) => Some(text.replace(['\r', '\n'], " ")),
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        Value::Null => Some("-".to_owned()),
        Value::Array(_) => None,
        Value::Object(members) => {
            let has = |name: &str| members.iter().any(|(other, _)| other == name);
            if has("coding") {
                let codes: Vec<String> = value.list("coding").iter().map(coding).collect();
                let text = concept(value).unwrap_or_default();
                return Some(format!("{text} ({})", codes.join(", ")));
            }
            if has("value") && (has("unit") || has("code")) {
                let number = value.get("value").and_then(Value::scalar).unwrap_or_default();
                let unit = value.str("unit").or_else(|| value.str("code")).unwrap_or_default();
                return Some(format!("{number} {unit}"));
            }
            if members.iter().all(|(name, _)| matches!(name.as_str(), "system" | "code" | "display")) && has("code") {
                return Some(format!("{} ({})", value.str("display").unwrap_or_default(), coding(value)));
            }
            let words = ["display", "reference", "text"].into_iter().find_map(|name| value.str(name));
            words.filter(|_| members.len() <= 2).map(str::to_owned)
        }
    }
}

fn coding(coding: &Value) -> String {
    let system = match coding.str("system").unwrap_or_default() {
        "http://hl7.org/fhir/sid/cvx" => "CVX",
        "http://loinc.org" => "LOINC",
        "http://snomed.info/sct" => "SNOMED CT",
        "http://hl7.org/fhir/sid/icd-10-cm" => "ICD-10-CM",
        "http://www.nlm.nih.gov/research/umls/rxnorm" => "RxNorm",
        other => other,
    };
    format!("{system} {}", coding.str("code").unwrap_or_default()).trim().to_owned()
}

/// `occurrenceDateTime` as `Occurrence date time`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.trim_start_matches('_').char_indices() {
        match (at, letter.is_ascii_uppercase()) {
            (0, _) => out.push(letter.to_ascii_uppercase()),
            (_, true) => {
                out.push(' ');
                out.push(letter.to_ascii_lowercase());
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_immunization_reads_well() {
        let value = Value::parse(
            r#"{"resourceType":"Immunization","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"208","display":"COVID-19"}]},
            "patient":{"reference":"Patient/7"},"occurrenceDateTime":"2026-10-01","lotNumber":"L1","doseQuantity":{"value":0.3,"unit":"mL"},
            "performer":[{"actor":{"reference":"Practitioner/9"}}]}"#,
        )
        .unwrap();
        let expected = "Immunization\nStatus: completed\nVaccine code: COVID-19 (CVX 208)\nPatient: Patient/7\n\
            Occurrence date time: 2026-10-01\nLot number: L1\nDose quantity: 0.3 mL\nPerformer:\n  Actor: Practitioner/9\n";
        assert_eq!(outline(&value), expected);
    }
}
