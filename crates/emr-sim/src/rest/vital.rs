//! Vital signs: a form of columns inside an encounter, shown by FHIR as one Observation per column. Units are American.

use super::Call;
use super::validate::{Column, Rule, broken, text};
use crate::http::Reply;
use crate::records::New;
use serde_json::{Value, json};

const COLUMNS: [Column; 13] = [
    ("bps", false, Rule::Numeric),
    ("bpd", false, Rule::Numeric),
    ("weight", false, Rule::Numeric),
    ("height", false, Rule::Numeric),
    ("temperature", false, Rule::Numeric),
    ("pulse", false, Rule::Numeric),
    ("respiration", false, Rule::Numeric),
    ("BMI", false, Rule::Numeric),
    ("waist_circ", false, Rule::Numeric),
    ("head_circ", false, Rule::Numeric),
    ("oxygen_saturation", false, Rule::Numeric),
    ("note", false, Rule::Length(1, 255)),
    ("temp_method", false, Rule::Length(1, 255)),
];

/// Column, LOINC code, unit.
const CODES: [(&str, &str, &str); 11] = [
    ("bps", "8480-6", "mm[Hg]"),
    ("bpd", "8462-4", "mm[Hg]"),
    ("weight", "29463-7", "[lb_av]"),
    ("height", "8302-2", "[in_i]"),
    ("temperature", "8310-5", "[degF]"),
    ("pulse", "8867-4", "/min"),
    ("respiration", "9279-1", "/min"),
    ("BMI", "39156-5", "kg/m2"),
    ("waist_circ", "56086-2", "[in_i]"),
    ("head_circ", "9843-4", "[in_i]"),
    ("oxygen_saturation", "2708-6", "%"),
];

pub(super) fn create(call: Call<'_>, pid: &str, eid: &str) -> Reply {
    let body = call.request.json();
    let problems = broken(&body, &COLUMNS);
    if !problems.is_empty() {
        return Reply::json(400, &Value::Object(problems));
    }
    let encounter = eid.parse().ok().and_then(|number| call.state.records.numbered("Encounter", number));
    let encounter = encounter.map(|record| record.id.clone());
    let (Some(patient), Some(encounter)) = (call.patient_by_pid(pid), encounter) else {
        return Reply::error(500, "the form could not be saved");
    };
    let mut row = json!({ "pid": pid, "eid": eid, "date": call.state.zone.column(call.now_us) });
    copy(&body, &mut row);
    let new = New {
        patient: Some(patient.clone()),
        row: row.clone(),
        body: json!({ "resourceType": "vital", "encounter": encounter }),
        ..New::default()
    };
    let record = call.state.records.add("vital", new, call.now_us, &mut call.state.random);
    let (vid, id) = (record.number, record.id.clone());
    observe(call, vid, &row, &patient, &encounter);
    Reply::json(201, &json!({ "vid": vid, "fid": vid })).committed(&id)
}

pub(super) fn update(call: Call<'_>, vid: &str) -> Reply {
    let body = call.request.json();
    let problems = broken(&body, &COLUMNS);
    if !problems.is_empty() {
        return Reply::json(400, &Value::Object(problems));
    }
    let number = vid.parse().unwrap_or(0);
    let Some(before) = call.state.records.numbered("vital", number) else { return Reply::empty(404) };
    let (id, patient) = (before.id.clone(), before.patient.clone().unwrap_or_default());
    let encounter = before.body["encounter"].as_str().unwrap_or_default().to_owned();
    let mut row = before.row.clone();
    copy(&body, &mut row);
    call.state.records.change("vital", &id, call.now_us, |record| record.row = row.clone());
    observe(call, number, &row, &patient, &encounter);
    Reply::json(200, &json!({ "vid": vid })).committed(&id)
}

fn copy(body: &Value, row: &mut Value) {
    for (column, ..) in COLUMNS {
        if let Some(value) = body.get(column) {
            row[column] = value.clone();
        }
    }
    if let Some(date) = body["date"].as_str() {
        row["date"] = json!(date);
    }
}

/// Writes the Observations of a form: one for each column that has a value.
fn observe(call: Call<'_>, vid: u64, row: &Value, patient: &str, encounter: &str) {
    let date = row["date"].as_str().map(|date| call.state.zone.column_instant(date));
    for (column, code, unit) in CODES {
        let Ok(number) = text(&row[column]).parse::<f64>() else { continue };
        let body = json!({
            "resourceType": "Observation",
            "status": "final",
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs",
            }] }],
            "code": { "coding": [{ "system": "http://loinc.org", "code": code }] },
            "subject": { "reference": format!("Patient/{patient}") },
            "encounter": { "reference": format!("Encounter/{encounter}") },
            "effectiveDateTime": date.clone().unwrap_or_else(|| call.state.zone.instant(call.now_us)),
            "valueQuantity": { "value": number, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit },
        });
        let mark = json!({ "vid": vid, "column": column });
        let there = call.state.records.of_patient("Observation", patient).into_iter().find(|one| one.row == mark);
        match there.map(|record| record.id.clone()) {
            Some(id) => {
                call.state.records.change("Observation", &id, call.now_us, |record| record.body = body);
            }
            None => {
                let new = New { body, row: mark, ..New::default() };
                call.state.records.add("Observation", new, call.now_us, &mut call.state.random);
            }
        }
    }
}

/// The forms of an encounter, newest first.
pub(super) fn list(call: &Call<'_>, pid: &str, eid: &str) -> Reply {
    let patient = call.patient_by_pid(pid).unwrap_or_default();
    let forms = call.state.records.of_patient("vital", &patient).into_iter().rev();
    let rows: Vec<Value> =
        forms.filter(|form| form.row["eid"] == eid).map(|form| shown(form.number, &form.row)).collect();
    if rows.is_empty() { Reply::empty(404) } else { Reply::json(200, &json!(rows)) }
}

pub(super) fn get(call: &Call<'_>, vid: &str) -> Reply {
    let form = vid.parse().ok().and_then(|number| call.state.records.numbered("vital", number));
    form.map_or_else(|| Reply::empty(404), |form| Reply::json(200, &shown(form.number, &form.row)))
}

fn shown(vid: u64, row: &Value) -> Value {
    let mut row = row.clone();
    row["id"] = json!(vid);
    row
}
