//! The search mix of the public benchmark of FHIR servers: 24 parameters, each with its values, modifiers and prefixes.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

use crate::http::percent_encode;

/// The name of the values in the shared data.
pub(crate) const CONFIG: &str = "hs-search-config.json";
/// Families in the order in which an iteration asks them.
const FAMILIES: [&str; 6] = ["string", "date", "token", "quantity", "composite", "reference"];

/// One parameter of one type and every request that can be made of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Class {
    /// `family Type.parameter`
    pub(crate) name: String,
    pub(crate) targets: Vec<String>,
}

/// The mix, with the given ids as values of references by their type.
pub(crate) fn read(path: &Path, ids: &HashMap<String, Vec<String>>) -> Result<Vec<Class>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    classes(&serde_json::from_str(&text)?, ids)
}

/// Types that references of the mix point to.
pub(crate) const REFERENCED: [&str; 3] = ["Patient", "Encounter", "Practitioner"];

fn classes(config: &Value, ids: &HashMap<String, Vec<String>>) -> Result<Vec<Class>> {
    let mut classes = Vec::new();
    for family in FAMILIES {
        for (name, parameters) in config[family].as_object().into_iter().flatten() {
            for (parameter, values) in parameters.as_object().into_iter().flatten() {
                let queries = match values.as_str() {
                    Some(target) => references(parameter, target, ids.get(target).map_or(&[], Vec::as_slice)),
                    None => queries(parameter, values),
                };
                let targets: Vec<String> =
                    queries.into_iter().map(|query| format!("/fhir/{name}?{query}&_count=20")).collect();
                anyhow::ensure!(!targets.is_empty(), "{family} {name}.{parameter} has no values");
                classes.push(Class { name: format!("{family} {name}.{parameter}"), targets });
            }
        }
    }
    Ok(classes)
}

fn references(parameter: &str, target: &str, ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| format!("{parameter}={target}/{id}")).collect()
}

/// Every value with every modifier and prefix.
fn queries(parameter: &str, values: &Value) -> Vec<String> {
    let list = |name: &str| -> Vec<&str> {
        let list: Vec<&str> = values[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if list.is_empty() && name != "values" { vec![""] } else { list }
    };
    let mut queries = Vec::new();
    for modifier in list("modifiers") {
        for prefix in list("prefixes") {
            for value in list("values") {
                queries.push(format!("{parameter}{modifier}={}", percent_encode(&format!("{prefix}{value}"))));
            }
        }
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_combination_is_asked() {
        let config = json!({
            "date": { "Patient": { "birthdate": { "prefixes": ["", "lt"], "values": ["2000-01-01"] } } },
            "string": { "Patient": { "name": { "modifiers": ["", ":contains"], "values": ["A B"] } } },
            "reference": { "Encounter": { "subject": "Patient" } }
        });
        let ids = HashMap::from([("Patient".to_owned(), vec!["1".to_owned()])]);
        let classes = classes(&config, &ids).expect("a mix");
        let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["string Patient.name", "date Patient.birthdate", "reference Encounter.subject"]);
        assert_eq!(
            classes[0].targets,
            ["/fhir/Patient?name=A%20B&_count=20", "/fhir/Patient?name:contains=A%20B&_count=20"]
        );
        assert_eq!(classes[1].targets[1], "/fhir/Patient?birthdate=lt2000-01-01&_count=20");
        assert_eq!(classes[2].targets, ["/fhir/Encounter?subject=Patient/1&_count=20"]);
        assert!(super::classes(&config, &HashMap::new()).is_err());
    }
}
