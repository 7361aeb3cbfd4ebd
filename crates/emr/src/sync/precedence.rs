//! Who wins where both sides have changed the same element. `docs/guides/two-way-sync.md` shows it as a table.

use fhir::defs::{TypeId, r4};
use fhir::json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    Ours,
    Theirs,
    /// What one side has removed and the other has changed stays.
    Union,
    /// People decide.
    Nobody,
}

/// An element that both sides have changed differently.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The element of the resource in which it is, or that stands for its group: `name`, `value`.
    pub element: &'a str,
    pub ours: &'a Value,
    pub theirs: &'a Value,
}

/// The record of care: the EMR's.
const CLINICAL: [&str; 21] = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "Composition",
    "Condition",
    "DiagnosticReport",
    "Encounter",
    "EpisodeOfCare",
    "FamilyMemberHistory",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
    "ServiceRequest",
];
/// Who somebody is: the EMR's.
const DEMOGRAPHICS: [&str; 8] =
    ["active", "address", "birthDate", "deceased", "gender", "maritalStatus", "multipleBirth", "name"];
/// Booking and the vaccine calendar: ours, until the EMR has acted on it.
const CALENDAR: [&str; 4] = ["Appointment", "ImmunizationRecommendation", "Schedule", "Slot"];
/// Something has happened in the EMR that no booking can undo.
const ACTED_ON: [&str; 6] = ["arrived", "cancelled", "checked-in", "entered-in-error", "fulfilled", "noshow"];
/// What a request becomes when the EMR takes it.
const ASKED: [&str; 3] = ["pending", "proposed", "waitlist"];

pub fn precedence(ty: TypeId, question: &Question<'_>) -> Winner {
    let name = r4().ty(ty).name;
    match question.element {
        "identifier" | "telecom" => Winner::Union,
        _ if CALENDAR.contains(&name) && is_confirmed(question) => Winner::Theirs,
        _ if CALENDAR.contains(&name) => Winner::Ours,
        _ if CLINICAL.contains(&name) => Winner::Theirs,
        element if name == "Patient" && DEMOGRAPHICS.contains(&element) => Winner::Theirs,
        _ => Winner::Nobody,
    }
}

fn is_confirmed(question: &Question<'_>) -> bool {
    let status = |resource: &Value| resource.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (ours, theirs) = (status(question.ours), status(question.theirs));
    ACTED_ON.contains(&theirs.as_str()) || (theirs == "booked" && ASKED.contains(&ours.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json;

    fn winner(name: &str, element: &str, ours: &str, theirs: &str) -> Winner {
        let ty = r4().resource_by_name(name).unwrap();
        let (ours, theirs) = (json!({ "status": ours }), json!({ "status": theirs }));
        precedence(ty, &Question { element, ours: &ours, theirs: &theirs })
    }

    #[test]
    fn the_table() {
        assert_eq!(winner("Patient", "name", "", ""), Winner::Theirs);
        assert_eq!(winner("Patient", "telecom", "", ""), Winner::Union);
        assert_eq!(winner("Patient", "contact", "", ""), Winner::Nobody);
        assert_eq!(winner("Observation", "value", "final", "amended"), Winner::Theirs);
        assert_eq!(winner("Organization", "name", "", ""), Winner::Nobody);
        assert_eq!(winner("Appointment", "start", "booked", "booked"), Winner::Ours);
        assert_eq!(winner("Appointment", "start", "proposed", "booked"), Winner::Theirs);
        assert_eq!(winner("Appointment", "status", "booked", "noshow"), Winner::Theirs);
    }

    #[test]
    fn names_of_the_tables_exist() {
        for name in CLINICAL.into_iter().chain(CALENDAR) {
            assert!(r4().resource_by_name(name).is_some(), "{name}");
        }
        let patient = r4().ty(r4().resource_by_name("Patient").unwrap());
        assert!(DEMOGRAPHICS.iter().all(|name| patient.element(name).is_some()));
    }
}
