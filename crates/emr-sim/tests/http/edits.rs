//! What the EMR's own staff does, and how little of it the API shows.

use crate::client::{FHIR, open, patient};
use emr_sim::{Profile, Sim};
use serde_json::{Value, json};
use std::time::Duration;

fn updated_us(sim: &Sim, resource_type: &str, id: &str) -> i64 {
    let records = sim.records(resource_type);
    records.iter().find(|record| record.id == id).map_or(0, |record| record.updated_us)
}

#[tokio::test]
async fn an_edit_of_an_unreliable_type_is_invisible_to_last_updated() {
    let emr = open(Profile::OpenEmr8).await;
    let patient_id = emr.sim.insert(patient("k1"));
    let subject = json!({ "reference": format!("Patient/{patient_id}") });
    let vital = json!([{ "coding": [{ "code": "vital-signs" }] }]);
    let laboratory = json!([{ "coding": [{ "code": "laboratory" }] }]);
    for (resource_type, category, moves) in [
        ("Encounter", Value::Null, true),
        ("Condition", Value::Null, true),
        ("AllergyIntolerance", Value::Null, true),
        ("Observation", vital, true),
        ("Observation", laboratory, false),
        ("DiagnosticReport", Value::Null, false),
        ("DocumentReference", Value::Null, false),
        ("CarePlan", Value::Null, false),
        ("ServiceRequest", Value::Null, false),
    ] {
        let body = json!({ "resourceType": resource_type, "category": category, "subject": subject });
        let id = emr.sim.insert(body);
        let before = updated_us(&emr.sim, resource_type, &id);
        emr.sim.advance(Duration::from_secs(3_600));
        assert!(emr.sim.edit(resource_type, &id, |body| body["status"] = json!("changed")));
        let after = updated_us(&emr.sim, resource_type, &id);
        assert_eq!(after > before, moves, "{resource_type}");
        let shown = emr.get(&format!("{FHIR}/{resource_type}/{id}")).await.json();
        assert_eq!(shown["status"], "changed", "a read shows the edit");
    }
}

#[tokio::test]
async fn a_time_kept_by_code_misses_some_edits() {
    let emr = open(Profile::OpenEmr8).await;
    let id = emr.sim.insert(json!({ "resourceType": "Immunization" }));
    let mut missed = 0;
    for number in 0..16 {
        let before = updated_us(&emr.sim, "Immunization", &id);
        emr.sim.advance(Duration::from_secs(60));
        emr.sim.edit("Immunization", &id, |body| body["lotNumber"] = json!(number.to_string()));
        missed += usize::from(updated_us(&emr.sim, "Immunization", &id) == before);
    }
    assert_eq!(missed, 2);
}

#[tokio::test]
async fn a_delete_leaves_no_trace_and_its_number_is_not_used_again() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, pid) = emr.patient("k1").await;
    assert!(emr.sim.delete("Patient", &id) && !emr.sim.delete("Patient", &id));
    assert_eq!(emr.get(&format!("{FHIR}/Patient/{id}")).await.status, 404);
    assert_eq!(emr.get(&format!("{FHIR}/Patient?_lastUpdated=ge2000-01-01")).await.entries(), 0);
    assert_eq!(emr.patient("k2").await.1, pid + 1);
}
