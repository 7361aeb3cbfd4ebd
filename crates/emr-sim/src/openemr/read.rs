//! How OpenEMR shows a record.

use crate::http::Reply;
use crate::records::Record;
use crate::state::State;
use crate::zone::Zone;
use serde_json::{Value, json};

/// A record as a FHIR resource. The version is always "1", whatever happened to it.
pub(crate) fn resource(record: &Record, zone: &Zone, now_us: i64) -> Value {
    let mut resource = record.body.clone();
    resource["id"] = json!(record.id);
    resource["meta"] = json!({ "versionId": "1", "lastUpdated": zone.last_updated(record.updated_us, now_us) });
    resource
}

/// Something that is not there is an empty list with 404.
pub(super) fn read(state: &State, now_us: i64, resource_type: &str, id: &str) -> Reply {
    match state.records.get(resource_type, id) {
        Some(record) => Reply::fhir(200, &resource(record, &state.zone, now_us)),
        None => Reply::json(404, &json!([])),
    }
}
