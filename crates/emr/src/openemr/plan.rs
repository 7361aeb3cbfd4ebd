//! The capability plan: by which way each resource type can be written, read from `/metadata`.

use fhir::json::Value;
use std::collections::BTreeMap;

/// How a resource type is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// FHIR create and update.
    Fhir,
    /// OpenEMR's own REST API.
    Rest,
    /// A document in the patient's chart and a message to the staff.
    Document,
    /// Not at all.
    Nothing,
}

/// Types with a REST endpoint of their own.
const REST: [&str; 7] = [
    "Appointment",
    "Encounter",
    "Observation",
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
];
/// Types that belong to no patient's chart: there is nowhere to put a document.
const NOT_OF_A_PATIENT: [&str; 16] = [
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "HealthcareService",
    "Schedule",
    "Slot",
    "Medication",
    "Substance",
    "Questionnaire",
    "ValueSet",
    "CodeSystem",
    "ConceptMap",
    "Subscription",
    "Group",
];

/// What one resource type can do there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Abilities {
    interactions: Vec<String>,
    parameters: Vec<String>,
}

/// What an OpenEMR says that it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its version, such as `7.0.2`.
    pub version: String,
    types: BTreeMap<String, Abilities>,
}

/// The answer was no CapabilityStatement.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("what /metadata answers is no CapabilityStatement")]
pub struct NoPlan;

impl Plan {
    /// Reads a CapabilityStatement.
    pub fn read(metadata: &[u8]) -> Result<Plan, NoPlan> {
        let statement = std::str::from_utf8(metadata).ok().and_then(|text| Value::parse(text).ok()).ok_or(NoPlan)?;
        if statement.str("resourceType") != Some("CapabilityStatement") {
            return Err(NoPlan);
        }
        let version = statement.path(&["software", "version"]).and_then(Value::as_str).unwrap_or_default();
        let resources = statement.list("rest").iter().flat_map(|rest| rest.list("resource"));
        let names = |resource: &Value, list: &str, member: &str| -> Vec<String> {
            resource.list(list).iter().filter_map(|item| item.str(member)).map(str::to_owned).collect()
        };
        let types = resources.filter_map(|resource| {
            let interactions = names(resource, "interaction", "code");
            let parameters = names(resource, "searchParam", "name");
            Some((resource.str("type")?.to_owned(), Abilities { interactions, parameters }))
        });
        Ok(Plan { version: version.to_owned(), types: types.collect() })
    }

    /// How resources of this type are written.
    pub fn way(&self, name: &str) -> Way {
        if self.can(name, "create") && self.can(name, "update") {
            Way::Fhir
        } else if REST.contains(&name) {
            Way::Rest
        } else if NOT_OF_A_PATIENT.contains(&name) {
            Way::Nothing
        } else {
            Way::Document
        }
    }

    /// Whether it says that a type has this interaction.
    pub fn can(&self, name: &str, interaction: &str) -> bool {
        self.types.get(name).is_some_and(|of| of.interactions.iter().any(|other| other == interaction))
    }

    /// Whether it says that a search parameter works. One that does not gives an empty bundle, not an error.
    pub fn searches(&self, name: &str, parameter: &str) -> bool {
        self.types.get(name).is_some_and(|of| of.parameters.iter().any(|other| other == parameter))
    }

    /// Types that are written by FHIR.
    pub fn by_fhir(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str).filter(|name| self.way(name) == Way::Fhir)
    }

    /// Types that can be searched, and so be pulled.
    pub fn readable(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str).filter(|name| self.can(name, "search-type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_follow_from_what_is_declared() {
        let statement = r#"{"resourceType":"CapabilityStatement","software":{"version":"8.0.0"},"rest":[{"resource":[
            {"type":"Patient","interaction":[{"code":"create"},{"code":"update"},{"code":"search-type"}],
             "searchParam":[{"name":"identifier"}]},
            {"type":"Appointment","interaction":[{"code":"search-type"}]},
            {"type":"Organization","interaction":[{"code":"create"}]}]}]}"#;
        let plan = Plan::read(statement.as_bytes()).unwrap();
        assert_eq!(plan.version, "8.0.0");
        let expected = [
            ("Patient", Way::Fhir),
            ("Appointment", Way::Rest),
            ("Immunization", Way::Document),
            ("Location", Way::Nothing),
            // A type that can be created and never changed is no use.
            ("Organization", Way::Nothing),
        ];
        for (name, way) in expected {
            assert_eq!(plan.way(name), way, "{name}");
        }
        assert!(plan.searches("Patient", "identifier") && !plan.searches("Appointment", "identifier"));
        assert_eq!(plan.readable().collect::<Vec<_>>(), ["Appointment", "Patient"]);
        assert_eq!(Plan::read(b"[]"), Err(NoPlan));
    }
}
