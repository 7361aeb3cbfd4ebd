//! Condition: the list of medical problems.

use super::list::{Entry, List, has_code};
use super::push::{Looked, Push, Written};
use ::fhir::json::Value;
use delivery::Remote;

const PROBLEMS: List = List {
    word: "medical_problem",
    begins: &["onsetDateTime", "onsetPeriod.start", "recordedDate"],
    ends: &["abatementDateTime", "abatementPeriod.end"],
    begin_needed: true,
    old: false,
};

fn entry(body: &Value) -> Entry<'_> {
    let ended = has_code(body.get("clinicalStatus"), &["inactive", "remission", "resolved"]);
    Entry { concept: body.get("code"), ended }
}

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    PROBLEMS.write(push, body, entry(body)).await
}

pub(super) async fn remove(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    PROBLEMS.remove(push, there).await
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    PROBLEMS.look(push, body, body.map(entry)).await
}
