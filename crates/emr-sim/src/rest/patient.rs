//! Patients by the REST API: the way from a FHIR id to the pid that other paths need.

use super::validate::text;
use super::{Call, invalid, processed};
use crate::http::Reply;
use crate::openemr::patient::{Refusal, keep_identifier, stored};
use crate::records::{New, Record, codings};
use crate::zone::Zone;
use serde_json::{Value, json};

fn row(zone: &Zone, record: &Record) -> Value {
    let body = &record.body;
    let identifiers = body["identifier"].as_array().map_or(&[][..], Vec::as_slice);
    let mut numbered = identifiers.iter().filter(|one| codings(&one["type"]).any(|coding| coding["code"] == "PT"));
    json!({
        "id": record.number, "pid": record.number, "uuid": record.id,
        "pubpid": numbered.next().map_or(&Value::Null, |one| &one["value"]),
        "fname": body["name"][0]["given"][0], "mname": body["name"][0]["given"][1], "lname": body["name"][0]["family"],
        "DOB": body["birthDate"], "sex": body["gender"],
        "last_updated": zone.column(record.updated_us),
    })
}

/// All patients, or those whose columns equal the parameters.
pub(super) fn list(call: &Call<'_>) -> Reply {
    let rows = call.state.records.all("Patient").map(|record| row(&call.state.zone, record));
    let found = rows.filter(|row| call.request.query.iter().all(|(name, value)| text(&row[name.as_str()]) == *value));
    processed(200, json!(found.collect::<Vec<Value>>()))
}

pub(super) fn get(call: &Call<'_>, uuid: &str) -> Reply {
    let record = call.state.records.get("Patient", uuid);
    record.map_or_else(|| Reply::json(404, &json!([])), |record| processed(200, row(&call.state.zone, record)))
}

/// The columns as the FHIR resource that has the same rules.
fn resource(columns: &Value, before: Option<&Value>) -> Result<Value, Refusal> {
    let has_name = ["fname", "lname", "mname"].iter().any(|column| columns.get(*column).is_some());
    let given: Vec<Value> =
        ["fname", "mname"].iter().map(|name| columns[*name].clone()).filter(Value::is_string).collect();
    let mut input = json!({ "gender": columns["sex"], "birthDate": columns["DOB"] });
    if let Some(before) = before {
        // Here, unlike by FHIR, what is not given stays.
        for (column, member) in [("sex", "gender"), ("DOB", "birthDate")] {
            if columns.get(column).is_none() {
                input[member] = before[member].clone();
            }
        }
    }
    if has_name {
        input["name"] = json!([{ "use": "official", "family": columns["lname"], "given": given }]);
    }
    let mut resource = stored(&input, before)?;
    if columns["pubpid"].is_string() {
        keep_identifier(&mut resource, "PT", &columns["pubpid"]);
    }
    Ok(resource)
}

fn refused(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Crash => Reply::error(500, "Internal Server Error"),
        Refusal::Invalid(columns) => invalid(&Value::Object(columns)),
    }
}

pub(super) fn create(call: Call<'_>) -> Reply {
    let body = match resource(&call.request.json(), None) {
        Ok(body) => body,
        Err(refusal) => return refused(refusal),
    };
    let record = call.state.records.add("Patient", New { body, ..New::default() }, call.now_us, &mut call.state.random);
    processed(201, json!({ "pid": record.number, "uuid": record.id })).committed(&record.id)
}

pub(super) fn update(call: Call<'_>, uuid: &str) -> Reply {
    let Some(before) = call.state.records.get("Patient", uuid).map(|record| record.body.clone()) else {
        return invalid(&json!({ "uuid": { "Callback::INVALID_VALUE": "UUID does not exist" } }));
    };
    let body = match resource(&call.request.json(), Some(&before)) {
        Ok(body) => body,
        Err(refusal) => return refused(refusal),
    };
    call.state.records.change("Patient", uuid, call.now_us, |record| record.body = body);
    get(&call, uuid).committed(uuid)
}

/// Facilities or practitioners with the numbers that appointments name.
pub(super) fn register(call: &Call<'_>, resource_type: &str) -> Reply {
    let rows = call.state.records.all(resource_type).map(|record| {
        let name = &record.body["name"];
        json!({ "id": record.number, "uuid": record.id, "npi": record.body["identifier"][0]["value"],
            "name": if name.is_string() { name } else { &Value::Null },
            "fname": name[0]["given"][0], "lname": name[0]["family"] })
    });
    processed(200, json!(rows.collect::<Vec<Value>>()))
}
