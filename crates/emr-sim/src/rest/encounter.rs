//! Encounters: created and changed. `external_id` comes back, so that it can carry a key.

use super::validate::text;
use super::{Call, invalid, processed};
use crate::http::Reply;
use crate::records::{New, Record};
use crate::zone::Zone;
use serde_json::{Map, Value, json};

const CLASSES: [&str; 6] = ["AMB", "EMER", "HH", "IMP", "VR", "FLD"];
const COLUMNS: [&str; 12] = [
    "date",
    "onset_date",
    "reason",
    "facility",
    "pc_catid",
    "facility_id",
    "billing_facility",
    "sensitivity",
    "referral_source",
    "external_id",
    "pos_code",
    "class_code",
];

pub(super) fn create(call: Call<'_>, uuid: &str) -> Reply {
    let body = call.request.json();
    let mut problems = Map::new();
    for column in ["pc_catid", "class_code"] {
        if text(&body[column]).is_empty() {
            let message = format!("{column} must be provided, but does not exist");
            problems.insert(column.into(), json!({ "Required::NON_EXISTENT_KEY": message }));
        }
    }
    check_class(&body, &mut problems);
    if call.pid(uuid).is_none() {
        problems.insert("puuid".into(), json!({ "Callback::INVALID_VALUE": "Patient UUID does not exist" }));
    }
    if !problems.is_empty() {
        return invalid(&Value::Object(problems));
    }
    let mut row = json!({ "date": call.state.zone.column(call.now_us) });
    copy(&body, &mut row);
    let key = key(&row);
    let new = New {
        key: key.clone(),
        patient: Some(uuid.to_owned()),
        body: resource(&call.state.zone, &row, uuid),
        row,
        ..New::default()
    };
    let id = call.state.records.add("Encounter", new, call.now_us, &mut call.state.random).id.clone();
    let shown = call.state.records.get("Encounter", &id).map_or(Value::Null, |record| shown(&call, record));
    processed(201, shown).committed(&id).key(key)
}

pub(super) fn update(call: Call<'_>, uuid: &str, euuid: &str) -> Reply {
    let body = call.request.json();
    let mut problems = Map::new();
    check_class(&body, &mut problems);
    let found = call.state.records.get("Encounter", euuid).filter(|record| record.patient.as_deref() == Some(uuid));
    if found.is_none() {
        problems.insert("euuid".into(), json!({ "Callback::INVALID_VALUE": "Encounter UUID does not exist" }));
    }
    if !problems.is_empty() {
        return invalid(&Value::Object(problems));
    }
    let zone = call.state.zone.clone();
    call.state.records.change("Encounter", euuid, call.now_us, |record| {
        copy(&body, &mut record.row);
        record.key = key(&record.row);
        record.body = resource(&zone, &record.row, uuid);
    });
    let shown = call.state.records.get("Encounter", euuid).map_or(Value::Null, |record| shown(&call, record));
    processed(200, shown).committed(euuid)
}

fn check_class(body: &Value, problems: &mut Map<String, Value>) {
    let class = text(&body["class_code"]);
    if !class.is_empty() && !CLASSES.contains(&class.as_str()) {
        problems.insert("class_code".into(), json!({ "Callback::INVALID_VALUE": "class_code is not a valid code" }));
    }
}

fn copy(body: &Value, row: &mut Value) {
    for column in COLUMNS {
        if let Some(value) = body.get(column) {
            row[column] = value.clone();
        }
    }
}

fn key(row: &Value) -> Option<String> {
    Some(text(&row["external_id"])).filter(|key| !key.is_empty())
}

fn resource(zone: &Zone, row: &Value, patient: &str) -> Value {
    json!({
        "resourceType": "Encounter",
        "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": row["class_code"] },
        "subject": { "reference": format!("Patient/{patient}") },
        "period": { "start": zone.column_instant(&text(&row["date"])) },
        "reasonCode": [{ "text": row["reason"] }],
    })
}

/// A row as the API shows it: `eid` and `encounter` are the number that vitals need.
fn shown(call: &Call<'_>, record: &Record) -> Value {
    let mut row = if record.row.is_object() { record.row.clone() } else { json!({}) };
    let patient = record.patient.clone().unwrap_or_default();
    row["eid"] = json!(record.number);
    row["encounter"] = json!(record.number);
    row["uuid"] = json!(record.id);
    row["euuid"] = json!(record.id);
    row["puuid"] = json!(patient);
    row["pid"] = json!(call.pid(&patient));
    row
}

pub(super) fn list(call: &Call<'_>, uuid: &str) -> Reply {
    let records = call.state.records.of_patient("Encounter", uuid).into_iter();
    processed(200, json!(records.map(|record| shown(call, record)).collect::<Vec<Value>>()))
}

pub(super) fn get(call: &Call<'_>, euuid: &str) -> Reply {
    let record = call.state.records.get("Encounter", euuid);
    record.map_or_else(|| Reply::json(404, &json!([])), |record| processed(200, shown(call, record)))
}
