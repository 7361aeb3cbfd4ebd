//! Messages to the staff: written, and by no API ever read. What was sent cannot be looked up again.

use super::Call;
use super::validate::{Column, Rule, broken};
use crate::http::Reply;
use crate::records::New;
use serde_json::{Value, json};

const COLUMNS: [Column; 6] = [
    ("body", true, Rule::Length(2, 65_535)),
    ("to", true, Rule::Length(2, 255)),
    ("from", true, Rule::Length(2, 255)),
    ("groupname", true, Rule::Length(2, 255)),
    ("title", true, Rule::Length(2, 255)),
    ("message_status", true, Rule::Length(2, 20)),
];

pub(super) fn create(call: Call<'_>, pid: &str) -> Reply {
    let row = call.request.json();
    let problems = broken(&row, &COLUMNS);
    if !problems.is_empty() {
        return Reply::json(400, &Value::Object(problems));
    }
    let Some(patient) = call.patient_by_pid(pid) else { return Reply::error(500, "the message could not be saved") };
    let new = New { patient: Some(patient), row, body: json!({ "resourceType": "message" }), ..New::default() };
    let record = call.state.records.add("message", new, call.now_us, &mut call.state.random);
    Reply::json(201, &json!({ "mid": record.number })).committed(&record.id)
}

pub(super) fn update(call: Call<'_>, mid: &str) -> Reply {
    let row = call.request.json();
    let problems = broken(&row, &COLUMNS);
    if !problems.is_empty() {
        return Reply::json(400, &Value::Object(problems));
    }
    let Some(id) = id(&call, mid) else { return Reply::empty(404) };
    call.state.records.change("message", &id, call.now_us, |record| record.row = row);
    Reply::json(200, &json!({ "mid": mid })).committed(&id)
}

pub(super) fn delete(call: Call<'_>, mid: &str) -> Reply {
    let Some(id) = id(&call, mid) else { return Reply::empty(404) };
    call.state.records.remove("message", &id);
    Reply::json(200, &json!(true)).committed(&id)
}

fn id(call: &Call<'_>, mid: &str) -> Option<String> {
    let number = mid.parse().ok()?;
    call.state.records.numbered("message", number).map(|record| record.id.clone())
}
