//! OpenEMR's standard REST API, `/apis/default/api`.

mod appointment;
mod document;
mod encounter;
mod lists;
mod message;
mod multipart;
mod patient;
mod validate;
mod vital;

use crate::http::{Reply, Request};
use crate::oauth::{self, scope};
use crate::state::{Emr, State};
use serde_json::{Value, json};

/// What a handler works with.
pub(super) struct Call<'a> {
    pub(super) state: &'a mut State,
    pub(super) request: &'a Request,
    pub(super) now_us: i64,
}

pub(crate) fn answer(emr: &Emr, state: &mut State, request: &Request, path: &[&str]) -> Reply {
    let access = match oauth::authorize(emr, state, request) {
        Ok(access) => access,
        Err(reply) => return reply,
    };
    let word = path.iter().rev().copied().find(|part| is_word(part)).unwrap_or_default();
    if let Err(refused) = scope::rest(&access, word, request.method != "GET") {
        return refused;
    }
    let call = Call { state, request, now_us: emr.clock.wall_us() };
    match (request.method.as_str(), path) {
        ("GET", ["patient"]) => patient::list(&call),
        ("GET", ["patient", uuid]) => patient::get(&call, uuid),
        ("POST", ["patient"]) => patient::create(call),
        ("PUT", ["patient", uuid]) => patient::update(call, uuid),
        ("GET", ["facility"]) => patient::register(&call, "Organization"),
        ("GET", ["practitioner"]) => patient::register(&call, "Practitioner"),
        ("GET", ["patient", pid, "appointment"]) => appointment::list(&call, Some(pid)),
        ("GET", ["appointment"]) => appointment::list(&call, None),
        ("GET", ["appointment", eid] | ["patient", _, "appointment", eid]) => appointment::get(&call, eid),
        ("POST", ["patient", pid, "appointment"]) => appointment::create(call, pid),
        ("DELETE", ["patient", _, "appointment", eid]) => appointment::delete(call, eid),
        ("GET", ["patient", uuid, "encounter"]) => encounter::list(&call, uuid),
        ("GET", ["patient", _, "encounter", euuid]) => encounter::get(&call, euuid),
        ("POST", ["patient", uuid, "encounter"]) => encounter::create(call, uuid),
        ("PUT", ["patient", uuid, "encounter", euuid]) => encounter::update(call, uuid, euuid),
        ("GET", ["patient", pid, "encounter", eid, "vital"]) => vital::list(&call, pid, eid),
        ("GET", ["patient", _, "encounter", _, "vital", vid]) => vital::get(&call, vid),
        ("POST", ["patient", pid, "encounter", eid, "vital"]) => vital::create(call, pid, eid),
        ("PUT", ["patient", _, "encounter", _, "vital", vid]) => vital::update(call, vid),
        (method, ["patient", patient, list, rest @ ..]) if lists::is_list(list) => {
            lists::answer(call, method, patient, list, rest)
        }
        ("POST", ["patient", pid, "document"]) => document::upload(call, pid),
        ("GET", ["patient", pid, "document"]) => document::list(&call, pid),
        ("POST", ["patient", pid, "message"]) => message::create(call, pid),
        ("PUT", ["patient", _, "message", mid]) => message::update(call, mid),
        ("DELETE", ["patient", _, "message", mid]) => message::delete(call, mid),
        ("GET", ["immunization"]) => immunizations(&call),
        _ => Reply::error(404, "Not Found"),
    }
}

fn is_word(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Immunizations can be read and not written.
fn immunizations(call: &Call<'_>) -> Reply {
    let rows = call.state.records.all("Immunization").map(|record| {
        json!({ "uuid": record.id, "id": record.number, "puuid": record.patient,
            "administered_date": record.body["occurrenceDateTime"], "cvx_code": record.body["vaccineCode"]["coding"][0]["code"] })
    });
    processed(200, json!(rows.collect::<Vec<Value>>()))
}

/// The envelope of OpenEMR's newer endpoints.
pub(super) fn processed(status: u16, data: Value) -> Reply {
    Reply::json(status, &json!({ "validationErrors": [], "internalErrors": [], "data": data, "links": [] }))
}

/// The 400 of OpenEMR's newer endpoints.
pub(super) fn invalid(columns: &Value) -> Reply {
    Reply::json(400, &json!({ "validationErrors": columns, "internalErrors": [], "data": [], "links": [] }))
}

impl Call<'_> {
    /// FHIR id of the patient with this pid.
    pub(super) fn patient_by_pid(&self, pid: &str) -> Option<String> {
        let number = pid.parse().ok()?;
        self.state.records.numbered("Patient", number).map(|record| record.id.clone())
    }

    /// pid of the patient with this FHIR id.
    pub(super) fn pid(&self, uuid: &str) -> Option<u64> {
        self.state.records.get("Patient", uuid).map(|record| record.number)
    }
}
