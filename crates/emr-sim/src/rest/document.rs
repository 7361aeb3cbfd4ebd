//! Documents: the way in for what has no other, such as immunizations. The file name comes back in the list.

use super::{Call, multipart};
use crate::http::Reply;
use crate::records::New;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) fn upload(call: Call<'_>, pid: &str) -> Reply {
    let content_type = call.request.header("content-type").unwrap_or_default();
    let file = multipart::file(content_type, &call.request.body).filter(|file| file.field == "document");
    let (Some(patient), Some(file), Some(path)) = (call.patient_by_pid(pid), file, call.request.parameter("path"))
    else {
        return Reply::json(400, &json!({ "document": "a file in the field document and a path are needed" }));
    };
    let body = json!({
        "resourceType": "DocumentReference",
        "status": "current",
        "category": [{ "text": path }],
        "subject": { "reference": format!("Patient/{patient}") },
        "date": call.state.zone.instant(call.now_us),
        "content": [{ "attachment": {
            "contentType": file.media_type, "title": file.name, "data": STANDARD.encode(&file.bytes),
        } }],
    });
    let row = json!({
        "filename": file.name, "mimetype": file.media_type, "docdate": call.state.zone.column(call.now_us), "size": file.bytes.len(), "path": path,
    });
    let key = Some(file.name);
    let new = New { key: key.clone(), patient: Some(patient), body, row, ..New::default() };
    let record = call.state.records.add("DocumentReference", new, call.now_us, &mut call.state.random);
    Reply::json(200, &json!(true)).committed(&record.id).key(key)
}

/// Documents of a patient in the category `path`.
pub(super) fn list(call: &Call<'_>, pid: &str) -> Reply {
    let patient = call.patient_by_pid(pid).unwrap_or_default();
    let path = call.request.parameter("path").unwrap_or_default();
    let records = call.state.records.of_patient("DocumentReference", &patient).into_iter();
    let rows: Vec<Value> = records
        .filter(|record| record.row["path"] == path)
        .map(|record| {
            let mut row = record.row.clone();
            row["id"] = json!(record.number);
            row
        })
        .collect();
    if rows.is_empty() { Reply::empty(404) } else { Reply::json(200, &json!(rows)) }
}
