//! Practitioner: linked to the health professional whose LICENSE ID is one of its identifiers. Whom a clinic employs is not entered
//! by a service user.

use super::push::{Push, Written, clause, remote, row_id};
use delivery::Remote;
use fhir::json::Value;

pub(super) async fn link(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let licenses: Vec<Value> =
        body.list("identifier").iter().filter_map(|identifier| identifier.get("value").cloned()).collect();
    let domain = vec![clause("code", "in", Value::Array(licenses))];
    let rows = push.search("gnuhealth.healthprofessional", domain, 1, &["id"]).await?;
    rows.first().and_then(row_id).map(|id| remote(id, &[])).ok_or_else(|| {
        push.refuse("no health professional in GNU Health has a LICENSE ID that is an identifier of it: enter it there and replay")
    })
}
