//! Every kind of record at once, under every fault: each is there once, as it was written last.

use crate::house::{Delivery, House};
use emr_sim::{Faults, Options, Profile};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENTS: usize = 12;

fn faults() -> Faults {
    Faults {
        commit_then_drop: 0.05,
        late_commit: 0.03,
        late_commit_max_ms: 60,
        too_many: 0.02,
        server_error: 0.04,
        half_close: 0.02,
        ..Faults::default()
    }
}

/// The records of one patient; `round` is in the content.
fn records(number: usize, round: u32) -> Vec<(String, Value)> {
    let subject = json!({ "reference": format!("Patient/p{number}") });
    let day = 10 + round;
    let text = format!("round {round}");
    vec![
        (
            format!("Patient/p{number}"),
            json!({ "name": [{ "family": format!("Round{round}"), "given": ["A"] }], "gender": "female", "birthDate": "1990-05-01" }),
        ),
        (
            format!("Appointment/a{number}"),
            json!({ "status": "booked", "description": text, "start": format!("2026-12-{day}T09:00:00Z"),
                "end": format!("2026-12-{day}T09:20:00Z"), "participant": [{ "actor": subject, "status": "accepted" }] }),
        ),
        (
            format!("Encounter/e{number}"),
            json!({ "status": "finished", "class": { "code": "AMB" }, "subject": subject,
                "period": { "start": "2026-03-01T09:30:00Z" }, "reasonCode": [{ "text": text }] }),
        ),
        (
            format!("Observation/o{number}"),
            json!({ "status": "final", "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
                "subject": subject, "encounter": { "reference": format!("Encounter/e{number}") },
                "valueQuantity": { "value": 60 + round, "code": "/min" } }),
        ),
        (
            format!("Condition/c{number}"),
            json!({ "subject": subject, "code": { "text": text }, "onsetDateTime": "2026-01-01" }),
        ),
        (
            format!("MedicationRequest/m{number}"),
            json!({ "status": "active", "intent": "order", "subject": subject, "medicationCodeableConcept": { "text": text } }),
        ),
        (
            format!("Immunization/i{number}"),
            json!({ "status": "completed", "patient": subject, "occurrenceDateTime": "2026-10-01", "lotNumber": text,
                "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] } }),
        ),
    ]
}

async fn write_all(delivery: &Delivery, round: u32) {
    for number in 0..PATIENTS {
        for (key, body) in records(number, round) {
            delivery.put_soon(&key, body);
        }
    }
    delivery.settle().await;
}

/// Every record of a type has a key of its own, and its last content.
fn is_whole(delivery: &Delivery, ty: &str, shown: impl Fn(&Value, &Value) -> Value, expected: &Value) {
    let records = delivery.sim().records(ty);
    assert_eq!(records.len(), PATIENTS, "{ty}");
    for record in &records {
        assert_eq!(shown(&record.body, &record.row), *expected, "{ty} {:?}", record.key);
    }
    let mut patients: Vec<_> =
        records.iter().map(|record| record.patient.clone().unwrap_or(record.id.clone())).collect();
    patients.sort_unstable();
    patients.dedup();
    assert_eq!(patients.len(), PATIENTS, "{ty}: one for each patient");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_once_as_it_was_written_last() {
    let seed = std::env::var_os("WEIR_SIM_SEED").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1);
    let options = Options { profile: Profile::OpenEmr8, seed, ..Options::default() };
    let delivery = House::with(options).await.deliver().await;
    let storm = delivery.sim().clone();
    for round in 1..=2 {
        storm.set_faults(faults());
        let sim = storm.clone();
        // So that the retries of the last few do not take the test's patience.
        let calm = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(6)).await;
            sim.set_faults(Faults::default());
        });
        write_all(&delivery, round).await;
        calm.abort();
        storm.set_faults(Faults::default());
    }
    is_whole(&delivery, "Patient", |body, _| body["name"][0]["family"].clone(), &json!("Round2"));
    is_whole(&delivery, "Appointment", |_, row| row["pc_eventDate"].clone(), &json!("2026-12-12"));
    is_whole(&delivery, "Encounter", |_, row| row["reason"].clone(), &json!("round 2"));
    is_whole(&delivery, "vital", |_, row| row["pulse"].clone(), &json!("62"));
    is_whole(&delivery, "Condition", |_, row| row["title"].clone(), &json!("round 2"));
    is_whole(&delivery, "MedicationRequest", |_, row| row["title"].clone(), &json!("round 2"));
    let mut names: Vec<_> = delivery.sim().records("DocumentReference").into_iter().filter_map(|one| one.key).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), all), (2 * PATIENTS, 2 * PATIENTS), "one document for each version");
    // A message may come twice, and never not at all.
    assert!(delivery.sim().records("message").len() >= 2 * PATIENTS);
}
