//! MedicationRequest and MedicationStatement: the list of medications, by its older endpoint.

use super::list::{Entry, List, elsewhere};
use super::push::{Looked, Push, Subject, Written};
use crate::outcome::problem_of;
use ::fhir::json::Value;
use delivery::Remote;

const MEDICATIONS: List = List {
    word: "medication",
    begins: &["authoredOn", "effectiveDateTime", "effectivePeriod.start", "dateAsserted"],
    ends: &["effectivePeriod.end", "dispenseRequest.validityPeriod.end"],
    begin_needed: false,
    old: true,
};

fn entry<'a>(push: &Push<'_>, body: &'a Value) -> Written<Entry<'a>> {
    let concept = body.get("medicationCodeableConcept").ok_or_else(|| elsewhere(push))?;
    let ended = matches!(body.str("status"), Some("stopped" | "completed" | "cancelled" | "not-taken"));
    Ok(Entry { concept: Some(concept), ended })
}

/// The number of a record with this FHIR id.
pub(super) async fn number(push: &Push<'_>, subject: &Subject, uuid: &str) -> Written<Option<(&'static str, String)>> {
    MEDICATIONS.number(push, subject, uuid).await
}

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    MEDICATIONS.write(push, body, entry(push, body)?).await
}

pub(super) async fn remove(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    MEDICATIONS.remove(push, there).await
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let entry = body.map(|body| entry(push, body)).transpose().map_err(problem_of)?;
    MEDICATIONS.look(push, body, entry).await
}
