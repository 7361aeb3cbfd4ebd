//! Problems, allergies and medications: one table of lists, shown by FHIR as three types.

use super::validate::{Column, Rule, broken, text};
use super::{Call, invalid, processed};
use crate::http::Reply;
use crate::records::{New, Record};
use serde_json::{Value, json};

const DATED: [Column; 4] = [
    ("title", true, Rule::Length(2, 255)),
    ("begdate", true, Rule::Date),
    ("diagnosis", false, Rule::Length(2, 255)),
    ("enddate", false, Rule::Date),
];
const ALLERGY: [Column; 4] = [
    ("title", true, Rule::Length(2, 255)),
    ("begdate", false, Rule::Date),
    ("diagnosis", false, Rule::Length(2, 255)),
    ("enddate", false, Rule::Date),
];
/// Medications want a time in their dates, the others forbid it.
const MEDICATION: [Column; 4] = [
    ("title", true, Rule::Length(2, 255)),
    ("begdate", false, Rule::DateTime),
    ("diagnosis", false, Rule::Length(2, 255)),
    ("enddate", false, Rule::DateTime),
];

#[derive(Debug, Clone, Copy)]
struct List {
    resource_type: &'static str,
    columns: &'static [Column],
    /// Older endpoints take a pid, know no envelope and answer with a number.
    old: bool,
}

fn list_of(word: &str) -> Option<List> {
    match word {
        "medical_problem" => Some(List { resource_type: "Condition", columns: &DATED, old: false }),
        "allergy" => Some(List { resource_type: "AllergyIntolerance", columns: &ALLERGY, old: false }),
        "medication" => Some(List { resource_type: "MedicationRequest", columns: &MEDICATION, old: true }),
        _ => None,
    }
}

pub(super) fn is_list(word: &str) -> bool {
    list_of(word).is_some()
}

pub(super) fn answer(call: Call<'_>, method: &str, patient: &str, word: &str, rest: &[&str]) -> Reply {
    let Some(list) = list_of(word) else { return Reply::error(404, "Not Found") };
    let owner = if list.old { call.patient_by_pid(patient) } else { call.pid(patient).map(|_| patient.to_owned()) };
    let Some(owner) = owner else {
        let columns = json!({ "puuid": { "Callback::INVALID_VALUE": "Patient does not exist" } });
        return if list.old { Reply::json(400, &columns) } else { invalid(&columns) };
    };
    let found = rest.first().and_then(|id| find(&call, list, &owner, id)).map(|record| record.id.clone());
    match (method, rest, found) {
        ("GET", [], _) => show_all(&call, list, &owner),
        ("POST", [], _) => create(call, list, owner),
        ("GET", [_], Some(id)) => show(&call, list, &id, 200),
        ("PUT", [_], Some(id)) => update(call, list, &owner, &id),
        ("DELETE", [_], Some(id)) => {
            call.state.records.remove(list.resource_type, &id);
            let reply = if list.old { Reply::json(200, &json!(true)) } else { processed(200, json!([])) };
            reply.committed(&id)
        }
        ("PUT", [_], None) if !list.old => {
            invalid(&json!({ "uuid": { "Callback::INVALID_VALUE": "UUID does not exist" } }))
        }
        _ => Reply::empty(404),
    }
}

fn find<'a>(call: &'a Call<'_>, list: List, owner: &str, id: &str) -> Option<&'a Record> {
    let records = &call.state.records;
    let record = if list.old {
        records.numbered(list.resource_type, id.parse().ok()?)
    } else {
        records.get(list.resource_type, id)
    };
    record.filter(|record| record.patient.as_deref() == Some(owner))
}

fn problems(list: List, body: &Value, creates: bool) -> Option<Reply> {
    let mut problems = broken(body, list.columns);
    if !creates {
        problems.retain(|column, _| body.get(column).is_some());
    }
    if problems.is_empty() {
        return None;
    }
    let problems = Value::Object(problems);
    Some(if list.old { Reply::json(400, &problems) } else { invalid(&problems) })
}

fn create(call: Call<'_>, list: List, owner: String) -> Reply {
    let body = call.request.json();
    if let Some(refused) = problems(list, &body, true) {
        return refused;
    }
    let mut row = json!({});
    copy(&body, &mut row);
    let new = New { patient: Some(owner.clone()), body: resource(list, &row, &owner), row, ..New::default() };
    let record = call.state.records.add(list.resource_type, new, call.now_us, &mut call.state.random);
    let (id, number) = (record.id.clone(), record.number);
    let reply = if list.old {
        Reply::json(201, &json!({ "id": number }))
    } else {
        processed(201, json!({ "id": number, "uuid": id }))
    };
    reply.committed(&id)
}

fn update(call: Call<'_>, list: List, owner: &str, id: &str) -> Reply {
    let body = call.request.json();
    if let Some(refused) = problems(list, &body, false) {
        return refused;
    }
    call.state.records.change(list.resource_type, id, call.now_us, |record| {
        if !record.row.is_object() {
            record.row = json!({});
        }
        copy(&body, &mut record.row);
        record.body = resource(list, &record.row, owner);
    });
    show(&call, list, id, 200).committed(id)
}

fn copy(body: &Value, row: &mut Value) {
    for column in ["title", "begdate", "enddate", "diagnosis", "comments"] {
        if let Some(value) = body.get(column) {
            row[column] = value.clone();
        }
    }
}

fn resource(list: List, row: &Value, patient: &str) -> Value {
    let subject = json!({ "reference": format!("Patient/{patient}") });
    let code = code(row);
    let begin = row["begdate"].as_str().map(|date| date.get(..10).unwrap_or(date).to_owned());
    let ended = !text(&row["enddate"]).is_empty();
    let status = |system: &str, code: &str| json!({ "coding": [{ "system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code }] });
    match list.resource_type {
        "Condition" => json!({
            "resourceType": "Condition", "subject": subject, "code": code, "onsetDateTime": begin,
            "clinicalStatus": status("condition-clinical", if ended { "resolved" } else { "active" }),
        }),
        "AllergyIntolerance" => json!({
            "resourceType": "AllergyIntolerance", "patient": subject, "code": code, "onsetDateTime": begin,
            "clinicalStatus": status("allergyintolerance-clinical", if ended { "resolved" } else { "active" }),
        }),
        _ => json!({
            "resourceType": "MedicationRequest", "subject": subject, "medicationCodeableConcept": code, "authoredOn": begin,
            "intent": "order", "status": if ended { "completed" } else { "active" },
        }),
    }
}

/// `SYSTEM:CODE` of the diagnosis column, with the title as text.
fn code(row: &Value) -> Value {
    let diagnosis = text(&row["diagnosis"]);
    let coding: Vec<Value> = diagnosis
        .split(';')
        .filter_map(|one| one.split_once(':'))
        .map(|(system, code)| {
            let system = match system {
                "ICD10" => "http://hl7.org/fhir/sid/icd-10-cm",
                "SNOMED-CT" | "SNOMED" => "http://snomed.info/sct",
                "RXNORM" => "http://www.nlm.nih.gov/research/umls/rxnorm",
                "CVX" => "http://hl7.org/fhir/sid/cvx",
                other => other,
            };
            json!({ "system": system, "code": code })
        })
        .collect();
    if coding.is_empty() { json!({ "text": row["title"] }) } else { json!({ "coding": coding, "text": row["title"] }) }
}

fn row_of(record: &Record) -> Value {
    let mut row = if record.row.is_object() { record.row.clone() } else { json!({}) };
    row["id"] = json!(record.number);
    row["uuid"] = json!(record.id);
    row["puuid"] = json!(record.patient);
    row
}

fn show(call: &Call<'_>, list: List, id: &str, status: u16) -> Reply {
    let Some(record) = call.state.records.get(list.resource_type, id) else { return Reply::empty(404) };
    if list.old { Reply::json(status, &row_of(record)) } else { processed(status, row_of(record)) }
}

fn show_all(call: &Call<'_>, list: List, owner: &str) -> Reply {
    let records = call.state.records.of_patient(list.resource_type, owner).into_iter();
    let rows: Vec<Value> = records.map(row_of).collect();
    match (list.old, rows.is_empty()) {
        (true, true) => Reply::empty(404),
        (true, false) => Reply::json(200, &json!(rows)),
        (false, _) => processed(200, json!(rows)),
    }
}
