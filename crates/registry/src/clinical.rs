//! What a resource says about vaccination: a dose that was given, or something observed that the schedule may know.

use crate::day;
use crate::facts::is_false;
use crate::read;
use fhir::json::Node;
use serde::{Deserialize, Serialize};
use vaccines::Date;

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

impl Dose {
    /// The resource that says it: `Immunization/1`.
    pub(crate) fn of(&self) -> String {
        format!("Immunization/{}", self.id)
    }
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
    /// When it was over.
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Date>,
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
    let performers = immunization.get("performer").into_iter().flat_map(Node::items);
    let provider = performers.filter_map(|performer| reference(performer.get("actor"))).next();
    Some(Dose {
        id: id.to_owned(),
        record,
        not_done: status == "not-done",
        date: date("occurrenceDateTime"),
        cvx: read::cvx(immunization),
        mvx: read::mvx(immunization),
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

/// What a resource finds, such as `Condition/1`; nothing when it is about nobody here, does not hold or has no code of a system that schedules
/// use.
pub(crate) fn findings(of: &str, resource: Node<'_>) -> Vec<Finding> {
    let Some(record) = patient_of(resource, "subject").or_else(|| patient_of(resource, "patient")) else {
        return Vec::new();
    };
    let kept = |mut found: read::Finding| {
        found.codes.truncate(CODES_MAX);
        Finding { of: of.to_owned(), record: record.clone(), codes: found.codes, date: found.date, until: found.until }
    };
    read::findings(resource).into_iter().map(kept).collect()
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
                r#"{{"resourceType":"Condition","subject":{{"reference":"Patient/p"}},"clinicalStatus":{{"coding":[{{"code":"{status}"}}]}},
                "code":{{"coding":[{{"system":"{system}","code":"77386006"}}]}},"onsetDateTime":"2026-01-02"}}"#
            )
        };
        let found = |status, system| with(&json(status, system), |node| findings("Condition/c", node));
        let active = found("active", "http://snomed.info/sct").remove(0);
        assert_eq!(active.codes, [("SNOMED".to_owned(), "77386006".to_owned())]);
        assert_eq!(active.date.unwrap().to_string(), "2026-01-02");
        assert_eq!(found("resolved", "http://snomed.info/sct"), []);
        assert_eq!(found("active", "http://loinc.org"), []);
    }
}
