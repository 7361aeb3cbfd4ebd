//! Appointments: created and deleted, never changed. Local wall time without a zone.

use super::Call;
use super::validate::{Rule, broken, text};
use crate::http::Reply;
use crate::records::{New, Record};
use crate::zone::Zone;
use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};
use serde_json::{Value, json};

const COLUMNS: [super::validate::Column; 10] = [
    ("pc_catid", true, Rule::Numeric),
    ("pc_title", true, Rule::Length(2, 150)),
    ("pc_duration", true, Rule::Numeric),
    ("pc_hometext", true, Rule::Any),
    ("pc_apptstatus", true, Rule::Any),
    ("pc_eventDate", true, Rule::Date),
    ("pc_startTime", true, Rule::Length(5, 5)),
    ("pc_facility", true, Rule::Numeric),
    ("pc_billing_location", true, Rule::Numeric),
    ("pc_aid", false, Rule::Numeric),
];

pub(super) fn create(call: Call<'_>, pid: &str) -> Reply {
    let body = call.request.json();
    let mut problems = broken(&body, &COLUMNS);
    let patient = call.patient_by_pid(pid);
    if patient.is_none() {
        problems.insert("pid".into(), json!({ "Callback::INVALID_VALUE": "pid must be for a valid patient" }));
    }
    let provider = text(&body["pc_aid"]).parse().ok();
    let provider = provider.map(|number| call.state.records.numbered("Practitioner", number).map(|one| one.id.clone()));
    if provider == Some(None) {
        problems.insert("pc_aid".into(), json!({ "Callback::INVALID_VALUE": "pc_aid must be for a valid user" }));
    }
    let time = text(&body["pc_startTime"]).parse::<Time>();
    let date = text(&body["pc_eventDate"]).parse::<jiff::civil::Date>();
    let (Some(patient), Ok(time), Ok(date), true) = (patient, time, date, problems.is_empty()) else {
        if problems.is_empty() {
            problems.insert(
                "pc_startTime".into(),
                json!({ "Length::TOO_SHORT": "pc_startTime must be 5 characters long" }),
            );
        }
        // A bare map of columns, without an envelope.
        return Reply::json(400, &Value::Object(problems));
    };
    let duration_s = text(&body["pc_duration"]).parse::<f64>().unwrap_or(0.0) as i64;
    let start = date.to_datetime(time);
    let end = start.saturating_add(SignedDuration::from_secs(duration_s));
    let key = Some(text(&body["pc_website"])).filter(|key| !key.is_empty());
    let row = row(&body, &call, pid, start, end);
    let resource = resource(&call.state.zone, &body, &patient, provider.flatten().as_deref(), start, end);
    let new = New { key: key.clone(), patient: Some(patient), body: resource, row, ..New::default() };
    let record = call.state.records.add("Appointment", new, call.now_us, &mut call.state.random);
    Reply::json(200, &json!({ "id": record.number })).committed(&record.id).key(key)
}

fn row(body: &Value, call: &Call<'_>, pid: &str, start: DateTime, end: DateTime) -> Value {
    let mut row = json!({
        "pid": pid,
        "pc_pid": pid,
        "pc_startTime": start.time().strftime("%H:%M:%S").to_string(),
        "pc_endTime": end.time().strftime("%H:%M:%S").to_string(),
        "pc_time": call.state.zone.column(call.now_us),
    });
    // pc_hometext is stored and never shown again.
    for name in [
        "pc_catid",
        "pc_title",
        "pc_apptstatus",
        "pc_eventDate",
        "pc_facility",
        "pc_billing_location",
        "pc_aid",
        "pc_website",
    ] {
        row[name] = body[name].clone();
    }
    row
}

fn resource(zone: &Zone, body: &Value, patient: &str, provider: Option<&str>, start: DateTime, end: DateTime) -> Value {
    let mut participants =
        vec![json!({ "actor": { "reference": format!("Patient/{patient}") }, "status": "accepted" })];
    participants.extend(
        provider.map(|id| json!({ "actor": { "reference": format!("Practitioner/{id}") }, "status": "accepted" })),
    );
    json!({
        "resourceType": "Appointment",
        "status": status(&text(&body["pc_apptstatus"])),
        "description": body["pc_title"],
        "start": zone.wall_instant(start),
        "end": zone.wall_instant(end),
        "participant": participants,
    })
}

/// OpenEMR's one-character states in FHIR's words.
fn status(state: &str) -> &'static str {
    match state {
        "x" | "%" => "cancelled",
        "?" => "noshow",
        "@" | "~" => "arrived",
        ">" | "$" | "!" => "fulfilled",
        "<" => "checked-in",
        _ => "booked",
    }
}

/// A state whose meaning is `status`.
fn state(status: &str) -> &'static str {
    ["-", "x", "?", "@", ">", "<"].into_iter().find(|state| self::status(state) == status).unwrap_or("-")
}

/// A row as the lists show it. What staff changed on the screens shows here too.
fn shown(call: &Call<'_>, record: &Record) -> Value {
    let mut row = if record.row.is_object() { record.row.clone() } else { json!({}) };
    // A column of the table: there whoever made the row.
    if row["pc_website"].is_null() {
        row["pc_website"] = json!("");
    }
    row["pc_eid"] = json!(record.number);
    row["pc_uuid"] = json!(record.id);
    row["puuid"] = json!(record.patient);
    let shown_status = record.body["status"].as_str().unwrap_or_default();
    if status(&text(&row["pc_apptstatus"])) != shown_status {
        row["pc_apptstatus"] = json!(state(shown_status));
    }
    if let Some(start) = record.body["start"].as_str().filter(|start| start.len() >= 19) {
        row["pc_eventDate"] = json!(start[..10]);
        row["pc_startTime"] = json!(start[11..19]);
    }
    if let Some(end) = record.body["end"].as_str().filter(|end| end.len() >= 19) {
        row["pc_endTime"] = json!(end[11..19]);
    }
    if let Some(patient) = record.patient.as_deref().and_then(|id| call.state.records.get("Patient", id)) {
        row["pid"] = json!(patient.number.to_string());
        row["fname"] = patient.body["name"][0]["given"][0].clone();
        row["lname"] = patient.body["name"][0]["family"].clone();
        row["DOB"] = patient.body["birthDate"].clone();
    }
    row
}

/// All appointments of a patient; none at all is 404 with an empty body.
pub(super) fn list(call: &Call<'_>, pid: Option<&str>) -> Reply {
    let records: Vec<&Record> = match pid {
        Some(pid) => {
            let patient = call.patient_by_pid(pid).unwrap_or_default();
            call.state.records.of_patient("Appointment", &patient)
        }
        None => call.state.records.all("Appointment").collect(),
    };
    let rows: Vec<Value> = records.into_iter().map(|record| shown(call, record)).collect();
    if rows.is_empty() { Reply::empty(404) } else { Reply::json(200, &json!(rows)) }
}

pub(super) fn get(call: &Call<'_>, eid: &str) -> Reply {
    let record = eid.parse().ok().and_then(|number| call.state.records.numbered("Appointment", number));
    record.map_or_else(|| Reply::empty(404), |record| Reply::json(200, &json!([shown(call, record)])))
}

/// Deleting what is not there is no error: the database deleted no row.
pub(super) fn delete(call: Call<'_>, eid: &str) -> Reply {
    let records = &mut call.state.records;
    let id =
        eid.parse().ok().and_then(|number| records.numbered("Appointment", number)).map(|record| record.id.clone());
    let done = Reply::json(200, &json!({ "message": "record deleted" }));
    match id {
        Some(id) if records.remove("Appointment", &id) => done.committed(&id),
        _ => done,
    }
}
