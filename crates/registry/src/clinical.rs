//! What a resource says about vaccination: a dose that was given, or something observed that the schedule may know.

use crate::day;
use crate::facts::is_false;
use fhir::json::Node;
use serde::{Deserialize, Serialize};
use vaccines::Date;

/// Code systems of vaccines (CVX) and manufacturers (MVX).
const CVX: [&str; 2] = ["http://hl7.org/fhir/sid/cvx", "urn:oid:2.16.840.1.113883.12.292"];
const MVX: [&str; 2] = ["http://hl7.org/fhir/sid/mvx", "urn:oid:2.16.840.1.113883.12.227"];
/// Systems of observations, with the names that the schedule has for them.
const OBSERVED: [(&str, &str); 3] = [
    ("http://snomed.info/sct", "SNOMED"),
    ("http://hl7.org/fhir/sid/cvx", "CVX"),
    ("https://phinvads.cdc.gov", "CDCPHINVS"),
];
/// Codes of one resource that are kept: a few say what it is, thousands say nothing.
const CODES_MAX: usize = 16;

/// An Immunization as the tracker keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dose {
    /// Id of the Immunization.
    pub(crate) id: String,
    /// Id of the Patient it is about.
    pub(crate) record: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) not_done: bool,
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cvx: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mvx: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lot: Option<String>,
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Date>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) subpotent: bool,
    /// Reported by somebody who did not give it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) historical: bool,
    /// `Location/1` or `Organization/1`: where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clinic: Option<String>,
    /// `Practitioner/1` or `Organization/1`: who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
    /// The day it came to be known here.
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reported: Option<Date>,
}

/// A coded finding, by the names of the schedule's systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    /// `Condition/1`.
    pub(crate) of: String,
    pub(crate) record: String,
    /// System and code.
    pub(crate) codes: Vec<(String, String)>,
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<Date>,
}

/// The id in a reference to a Patient on this server.
fn patient_of(resource: Node<'_>, member: &str) -> Option<String> {
    let reference = resource.path(&[member, "reference"]).and_then(Node::as_str)?;
    let mut parts = reference.rsplit('/');
    let (id, ty) = (parts.next()?, parts.next()?);
    (ty == "Patient").then(|| id.to_owned())
}

fn reference(node: Option<Node<'_>>) -> Option<String> {
    let text = node?.str("reference")?;
    // Bounded and free of separators: it becomes part of a counter's key.
    (text.len() <= 200 && !text.contains(char::is_control)).then(|| text.into_owned())
}

fn coding<'a>(concept: Option<Node<'a>>, systems: &[&str]) -> Option<String> {
    let codings = concept?.get("coding")?.items();
    let found = codings.into_iter().find(|coding| {
        coding.str("system").is_some_and(|system| systems.contains(&system.as_ref())) && coding.get("code").is_some()
    })?;
    found.str("code").map(|code| code.trim().to_owned())
}

/// A dose of an Immunization; `None` when it is about nobody here or was entered in error.
pub(crate) fn dose(id: &str, immunization: Node<'_>, reported: Date) -> Option<Dose> {
    let status = immunization.str("status")?;
    if status == "entered-in-error" {
        return None;
    }
    let record = patient_of(immunization, "patient")?;
    let date = |member: &str| immunization.str(member).and_then(|text| day::of_fhir(&text));
    let text = |member: &str| {
        let text = immunization.str(member).map(|text| text.trim().to_uppercase());
        text.filter(|text| !text.is_empty() && text.len() <= 64 && !text.contains(char::is_control))
    };
    let manufacturer = immunization.get("manufacturer");
    let identifier = manufacturer.and_then(|node| node.get("identifier"));
    let mvx = identifier
        .filter(|identifier| identifier.str("system").is_some_and(|system| MVX.contains(&system.as_ref())))
        .and_then(|identifier| identifier.str("value").map(|value| value.trim().to_uppercase()));
    let performers = immunization.get("performer").into_iter().flat_map(Node::items);
    let provider = performers.filter_map(|performer| reference(performer.get("actor"))).next();
    Some(Dose {
        id: id.to_owned(),
        record,
        not_done: status == "not-done",
        date: date("occurrenceDateTime"),
        cvx: coding(immunization.get("vaccineCode"), &CVX).and_then(|code| code.parse().ok()),
        mvx,
        lot: text("lotNumber"),
        expires: date("expirationDate"),
        subpotent: immunization.get("isSubpotent").and_then(Node::as_bool).unwrap_or(false),
        historical: immunization.get("primarySource").and_then(Node::as_bool) == Some(false),
        clinic: reference(immunization.get("location"))
            .or_else(|| provider.clone().filter(|who| who.contains("Organization/"))),
        provider,
        reported: date("recorded").or(Some(reported)),
    })
}

/// What a Condition, Observation or AllergyIntolerance says; `None` when it is about nobody here, is not active or has no
/// code of a system that schedules use.
pub(crate) fn finding(of: String, resource: Node<'_>) -> Option<Finding> {
    let record = patient_of(resource, "subject").or_else(|| patient_of(resource, "patient"))?;
    let status = |member: &str| {
        let codings = resource.get(member).and_then(|concept| concept.get("coding"));
        codings
            .and_then(|codings| codings.items().next())
            .and_then(|coding| coding.str("code").map(|code| code.into_owned()))
    };
    let refuted = matches!(status("verificationStatus").as_deref(), Some("refuted" | "entered-in-error"));
    let inactive = matches!(status("clinicalStatus").as_deref(), Some("inactive" | "remission" | "resolved"));
    let void = matches!(resource.str("status").as_deref(), Some("entered-in-error" | "cancelled" | "registered"));
    if refuted || inactive || void {
        return None;
    }
    let mut codes = Vec::new();
    for concept in ["code", "valueCodeableConcept"] {
        let codings = resource.get(concept).and_then(|concept| concept.get("coding"));
        for coding in codings.into_iter().flat_map(Node::items) {
            let system = coding.str("system").unwrap_or_default();
            let known = OBSERVED.iter().find(|(url, _)| *url == system);
            if let (Some((_, name)), Some(code)) = (known, coding.str("code")) {
                codes.push(((*name).to_owned(), code.into_owned()));
            }
        }
    }
    codes.truncate(CODES_MAX);
    let dates = ["onsetDateTime", "effectiveDateTime", "recordedDate", "issued"];
    let date = dates.iter().find_map(|member| resource.str(member).and_then(|text| day::of_fhir(&text)));
    (!codes.is_empty()).then_some(Finding { of, record, codes, date })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json::{Document, Limits};

    fn with<T>(json: &str, read: impl FnOnce(Node<'_>) -> T) -> T {
        read(Document::parse(json.as_bytes(), &Limits::default()).unwrap().root())
    }

    fn today() -> Date {
        "2026-11-28".parse().unwrap()
    }

    #[test]
    fn a_dose_of_an_immunization() {
        let json = r#"{"resourceType":"Immunization","status":"completed","patient":{"reference":"Patient/p"},
            "vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"03"}]},"occurrenceDateTime":"2021-04-05",
            "lotNumber":" ab1 ","location":{"reference":"Location/l"},"primarySource":false,
            "performer":[{"actor":{"reference":"Practitioner/d"}}]}"#;
        let dose = with(json, |node| dose("i", node, today())).unwrap();
        assert_eq!((dose.cvx, dose.record.as_str(), dose.historical), (Some(3), "p", true));
        assert_eq!((dose.lot.as_deref(), dose.clinic.as_deref()), (Some("AB1"), Some("Location/l")));
        assert_eq!((dose.provider.as_deref(), dose.reported), (Some("Practitioner/d"), Some(today())));
    }

    #[test]
    fn what_was_entered_in_error_is_no_dose() {
        let json = r#"{"status":"entered-in-error","patient":{"reference":"Patient/p"}}"#;
        assert_eq!(with(json, |node| dose("i", node, today())), None);
        let json = r#"{"status":"completed","patient":{"reference":"Group/p"}}"#;
        assert_eq!(with(json, |node| dose("i", node, today())), None);
    }

    #[test]
    fn only_active_findings_with_a_code_count() {
        let json = |status: &str, system: &str| {
            format!(
                r#"{{"subject":{{"reference":"Patient/p"}},"clinicalStatus":{{"coding":[{{"code":"{status}"}}]}},
                "code":{{"coding":[{{"system":"{system}","code":"77386006"}}]}},"onsetDateTime":"2026-01-02"}}"#
            )
        };
        let found = |status, system| with(&json(status, system), |node| finding("Condition/c".into(), node));
        let active = found("active", "http://snomed.info/sct").unwrap();
        assert_eq!(active.codes, [("SNOMED".to_owned(), "77386006".to_owned())]);
        assert_eq!(active.date.unwrap().to_string(), "2026-01-02");
        assert_eq!(found("resolved", "http://snomed.info/sct"), None);
        assert_eq!(found("active", "http://loinc.org"), None);
    }
}
