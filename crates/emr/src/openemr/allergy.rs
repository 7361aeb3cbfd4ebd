//! AllergyIntolerance: the list of allergies.

use super::list::{Entry, List, has_code};
use super::push::{Looked, Push, Written};
use ::fhir::json::Value;
use delivery::Remote;

const ALLERGIES: List = List {
    word: "allergy",
    begins: &["onsetDateTime", "onsetPeriod.start", "recordedDate"],
    ends: &["lastOccurrence"],
    begin_needed: false,
    old: false,
};

fn entry(body: &Value) -> Entry<'_> {
    Entry { concept: body.get("code"), ended: has_code(body.get("clinicalStatus"), &["inactive", "resolved"]) }
}

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    ALLERGIES.write(push, body, entry(body)).await
}

pub(super) async fn remove(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    ALLERGIES.remove(push, there).await
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    ALLERGIES.look(push, body, body.map(entry)).await
}
