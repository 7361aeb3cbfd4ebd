//! Each kind of record: written, changed, taken back, and found again after a connection broke.

use crate::house::{Delivery, House};
use emr_sim::{Faults, Profile};
use serde_json::{Value, json};

fn patient() -> Value {
    json!({
        "identifier": [{ "system": "urn:clinic", "value": "c-1" }],
        "name": [{ "family": "Ito", "given": ["Aiko"] }],
        "gender": "female", "birthDate": "1990-05-01",
    })
}

async fn with_patient(profile: Profile) -> Delivery {
    let delivery = House::build(profile).await.deliver().await;
    delivery.put("Patient/p1", patient()).await;
    delivery
}

fn drop_everything() -> Faults {
    Faults { commit_then_drop: 1.0, ..Faults::default() }
}

fn subject() -> Value {
    json!({ "reference": "Patient/p1" })
}

fn encounter() -> Value {
    json!({
        "status": "finished", "class": { "code": "AMB" }, "subject": subject(),
        "period": { "start": "2026-03-01T09:30:00Z" }, "reasonCode": [{ "text": "Vaccination" }],
    })
}

fn appointment() -> Value {
    json!({
        "status": "booked", "description": "Flu shot", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T09:20:00Z",
        "participant": [{ "actor": subject(), "status": "accepted" }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_created_changed_and_found_again() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    let first = delivery.only("Patient");
    assert_eq!(first.key.as_deref(), Some("Patient-p1"));
    assert_eq!(delivery.more("Patient/p1", "pid"), Some(first.number.to_string()));
    let mut changed = patient();
    changed["name"][0]["family"] = json!("Sato");
    delivery.put("Patient/p1", changed).await;
    let second = delivery.only("Patient");
    assert_eq!((second.id, &second.body["name"][0]["family"]), (first.id, &json!("Sato")));
    let faults = drop_everything();
    delivery.put_with(faults, "Patient", "Patient/p2", patient()).await;
    let ids: Vec<_> = delivery.sim().records("Patient").into_iter().map(|record| (record.id, record.number)).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(delivery.book.delivered("Patient/p2").map(|there| there.remote.id), Some(ids[1].0.clone()));
    assert_eq!(delivery.more("Patient/p2", "pid"), Some(ids[1].1.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_openemr_would_refuse_never_leaves_and_says_why() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    let mut partial = patient();
    partial["birthDate"] = json!("1990");
    let before = delivery.sim().state().arrivals;
    delivery.put("Patient/p2", partial).await;
    assert_eq!(delivery.problem("Patient/p2"), "birthDate is needed, with month and day");
    delivery.put("Location/l1", json!({ "name": "Room 1" })).await;
    assert_eq!(delivery.problem("Location/l1"), "OpenEMR 8.0.0 cannot take a Location");
    assert_eq!(delivery.sim().state().arrivals, before);
    delivery.delete("Patient/p1").await;
    assert!(delivery.problem("Patient/p1").contains("no way to take back a Patient"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_practitioner_who_is_there_already_is_linked() {
    let delivery = House::build(Profile::OpenEmr8).await.deliver().await;
    let npi = |value: &str| json!([{ "system": "http://hl7.org/fhir/sid/us-npi", "value": value }]);
    let name = json!([{ "use": "official", "family": "Okafor", "given": ["Ada"] }]);
    let body = json!({ "resourceType": "Practitioner", "identifier": npi("1234567890"), "name": name });
    let there = delivery.sim().insert(body);
    delivery.put("Practitioner/d1", json!({ "identifier": npi("1234567890"), "name": name })).await;
    assert_eq!(delivery.only("Practitioner").id, there);
    assert_eq!(delivery.book.delivered("Practitioner/d1").map(|there| there.remote.id), Some(there));
    assert_eq!(delivery.more("Practitioner/d1", "id").as_deref(), Some("1"));
    let other = json!({ "identifier": npi("1234567891"), "name": name });
    delivery.put_with(drop_everything(), "Practitioner", "Practitioner/d2", other).await;
    assert_eq!(delivery.sim().records("Practitioner").len(), 2);
    let clinic = json!({ "identifier": npi("1234567892"), "name": "Harbour clinic" });
    delivery.put_with(drop_everything(), "Organization", "Organization/o1", clinic.clone()).await;
    delivery.put("Organization/o1", json!({ "identifier": npi("1234567892"), "name": "Harbour clinic 2" })).await;
    assert_eq!(delivery.only("Organization").body["name"], "Harbour clinic 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appointment_moves_by_a_new_one_and_goes_when_it_is_cancelled() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    delivery.put_with(drop_everything(), "Appointment", "Appointment/a1", appointment()).await;
    let first = delivery.only("Appointment");
    assert_eq!(first.key.as_deref(), Some("Appointment-a1"));
    assert_eq!((&first.row["pc_eventDate"], &first.row["pc_startTime"]), (&json!("2026-12-01"), &json!("09:00:00")));
    assert_eq!(delivery.book.delivered("Appointment/a1").map(|there| there.remote.id), Some(first.id.clone()));
    let mut moved = appointment();
    moved["start"] = json!("2026-12-02T10:00:00Z");
    moved["end"] = json!("2026-12-02T10:20:00Z");
    delivery.put("Appointment/a1", moved.clone()).await;
    let second = delivery.only("Appointment");
    assert_ne!(second.number, first.number);
    assert_eq!(second.row["pc_eventDate"], "2026-12-02");
    assert_eq!(delivery.more("Appointment/a1", "eid"), Some(second.number.to_string()));
    moved["status"] = json!("cancelled");
    delivery.put("Appointment/a1", moved.clone()).await;
    assert_eq!(delivery.sim().records("Appointment").len(), 0);
    // It comes back, the answer is lost, and it is there once.
    moved["status"] = json!("booked");
    delivery.put_with(drop_everything(), "Appointment", "Appointment/a1", moved).await;
    assert_eq!(delivery.only("Appointment").key.as_deref(), Some("Appointment-a1"));
    delivery.delete("Appointment/a1").await;
    assert_eq!(delivery.sim().records("Appointment").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_answer_is_lost_leaves_one_appointment() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    delivery.put("Appointment/a1", appointment()).await;
    let mut moved = appointment();
    moved["start"] = json!("2026-12-03T09:00:00Z");
    moved["end"] = json!("2026-12-03T09:20:00Z");
    delivery.put_with(drop_everything(), "Appointment", "Appointment/a1", moved).await;
    assert_eq!(delivery.only("Appointment").row["pc_eventDate"], "2026-12-03");
}

#[tokio::test(flavor = "multi_thread")]
async fn vital_signs_go_into_their_encounter_in_american_units() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    delivery.put_with(drop_everything(), "Encounter", "Encounter/e1", encounter()).await;
    assert_eq!(delivery.only("Encounter").key.as_deref(), Some("Encounter-e1"));
    let mut changed = encounter();
    changed["reasonCode"][0]["text"] = json!("Second dose");
    delivery.put("Encounter/e1", changed).await;
    assert_eq!(delivery.only("Encounter").row["reason"], "Second dose");
    let weight = |kg: &str| {
        json!({
            "status": "final", "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }] },
            "subject": subject(), "encounter": { "reference": "Encounter/e1" }, "effectiveDateTime": "2026-03-01T09:35:00Z",
            "valueQuantity": { "value": kg.parse::<f64>().unwrap(), "code": "kg", "system": "http://unitsofmeasure.org" },
        })
    };
    delivery.put_with(drop_everything(), "vital", "Observation/w1", weight("70")).await;
    assert_eq!(delivery.only("vital").row["weight"], "154.32");
    delivery.put("Observation/w1", weight("72.5")).await;
    assert_eq!(delivery.only("vital").row["weight"], "159.84");
    let pressure = json!({
        "status": "final", "code": { "coding": [{ "system": "http://loinc.org", "code": "85354-9" }] },
        "subject": subject(), "encounter": { "reference": "Encounter/e1" },
        "component": [
            { "code": { "coding": [{ "system": "http://loinc.org", "code": "8480-6" }] }, "valueQuantity": { "value": 120, "code": "mm[Hg]" } },
            { "code": { "coding": [{ "system": "http://loinc.org", "code": "8462-4" }] }, "valueQuantity": { "value": 80, "code": "mm[Hg]" } },
        ],
    });
    delivery.put("Observation/bp", pressure).await;
    let forms = delivery.sim().records("vital");
    assert_eq!((&forms[1].row["bps"], &forms[1].row["bpd"]), (&json!("120"), &json!("80")));
    assert_eq!(forms[1].row["note"], "[Observation-bp]");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_the_staff_has_made_are_found_by_their_fhir_ids() {
    let delivery = House::build(Profile::OpenEmr8).await.deliver().await;
    let mut theirs = patient();
    theirs["resourceType"] = json!("Patient");
    let patient = delivery.sim().insert(theirs);
    let visit = json!({ "resourceType": "Encounter", "subject": { "reference": format!("Patient/{patient}") } });
    let visit = delivery.sim().insert(visit);
    // Linked by their ids alone, as a pull does: the numbers are asked for.
    delivery.book.link("Patient/p1", &patient);
    delivery.book.link("Encounter/e1", &visit);
    let pulse = json!({
        "status": "final", "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] }, "subject": subject(),
        "encounter": { "reference": "Encounter/e1" }, "valueQuantity": { "value": 61, "code": "/min" },
    });
    delivery.put("Observation/v1", pulse).await;
    assert_eq!(delivery.only("vital").row["pulse"], "61");
    delivery.put("Appointment/a1", appointment()).await;
    assert_eq!(delivery.only("Appointment").patient, Some(patient));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_user_without_the_right_is_told_from_bad_data() {
    let mut house = House::build(Profile::OpenEmr8).await;
    house.scopes.retain(|scope| scope != "user/encounter.write");
    let delivery = house.deliver().await;
    delivery.put("Patient/p1", patient()).await;
    delivery.put("Encounter/e1", encounter()).await;
    assert!(delivery.problem("Encounter/e1").contains("no right"), "{}", delivery.problem("Encounter/e1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_allergies_and_medications_are_rows_of_lists() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    let concept =
        |system: &str, code: &str, text: &str| json!({ "coding": [{ "system": system, "code": code }], "text": text });
    let condition = json!({
        "code": concept("http://hl7.org/fhir/sid/icd-10-cm", "E11.9", "Diabetes"), "subject": subject(),
        "onsetDateTime": "2019-04", "clinicalStatus": { "coding": [{ "code": "active" }] },
    });
    let allergy = json!({ "code": concept("http://snomed.info/sct", "91936005", "Penicillin"), "patient": subject() });
    let medication = json!({
        "status": "active", "intent": "order", "subject": subject(), "authoredOn": "2026-02-03",
        "medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", "860975", "Metformin"),
    });
    for (ty, key, mut body, member) in [
        ("Condition", "Condition/c1", condition, "code"),
        ("AllergyIntolerance", "AllergyIntolerance/y1", allergy, "code"),
        ("MedicationRequest", "MedicationRequest/m1", medication, "medicationCodeableConcept"),
    ] {
        delivery.put_with(drop_everything(), ty, key, body.clone()).await;
        let first = delivery.only(ty);
        assert_eq!(delivery.book.delivered(key).map(|there| there.remote.id), Some(first.id.clone()), "{ty}");
        body[member]["text"] = json!("Something else");
        delivery.put(key, body.clone()).await;
        let second = delivery.only(ty);
        assert_eq!((second.id, second.row["title"].as_str()), (first.id, Some("Something else")), "{ty}");
        delivery.delete(key).await;
        assert_eq!(delivery.sim().records(ty).len(), 0, "{ty}");
    }
    let ended = json!({
        "code": { "text": "Cough" }, "subject": subject(), "recordedDate": "2026-01-02", "abatementDateTime": "2026-01-09",
        "clinicalStatus": { "coding": [{ "code": "resolved" }] },
    });
    delivery.put("Condition/c2", ended).await;
    let row = delivery.only("Condition").row;
    assert_eq!((&row["begdate"], &row["enddate"]), (&json!("2026-01-02"), &json!("2026-01-09")));
    delivery.put("Condition/c3", json!({ "code": { "text": "Cough" }, "subject": subject() })).await;
    assert!(delivery.problem("Condition/c3").contains("onsetDateTime"), "{}", delivery.problem("Condition/c3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immunization_becomes_a_document_and_a_message() {
    let delivery = with_patient(Profile::OpenEmr702).await;
    let shot = |lot: &str| {
        json!({
            "status": "completed", "patient": subject(), "occurrenceDateTime": "2026-10-01", "lotNumber": lot,
            "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208", "display": "COVID-19" }] },
        })
    };
    delivery.put_with(drop_everything(), "DocumentReference", "Immunization/i1", shot("L1")).await;
    let document = delivery.only("DocumentReference");
    assert!(document.key.as_deref().is_some_and(|name| name.starts_with("Immunization-i1.")), "{:?}", document.key);
    assert_eq!(delivery.only("message").row["title"], "Immunization to enter");
    delivery.put("Immunization/i1", shot("L2")).await;
    assert_eq!(delivery.sim().records("DocumentReference").len(), 2);
    assert_eq!(delivery.sim().records("message").len(), 2);
    delivery.delete("Immunization/i1").await;
    let last = delivery.sim().records("DocumentReference").pop().unwrap();
    assert_eq!(last.key.as_deref(), Some("Immunization-i1.withdrawn.txt"));
    let report = json!({
        "status": "current", "subject": subject(),
        "content": [{ "attachment": { "contentType": "application/pdf", "data": "JVBERi0=" } }],
    });
    delivery.put("DocumentReference/r1", report).await;
    let last = delivery.sim().records("DocumentReference").pop().unwrap();
    assert_eq!(last.body["content"][0]["attachment"]["contentType"], "application/pdf");
    assert_eq!(last.body["content"][0]["attachment"]["data"], "JVBERi0=");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_fhir_can_create_go_by_fhir() {
    let delivery = with_patient(Profile::OpenEmrWrites).await;
    let shot = json!({
        "status": "completed", "patient": subject(), "occurrenceDateTime": "2026-10-01",
        "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] },
    });
    delivery.put_with(drop_everything(), "Immunization", "Immunization/i1", shot.clone()).await;
    let first = delivery.only("Immunization");
    assert_eq!(first.key.as_deref(), Some("Immunization-i1"));
    let mut changed = shot;
    changed["lotNumber"] = json!("L2");
    delivery.put("Immunization/i1", changed).await;
    assert_eq!(delivery.only("Immunization").body["lotNumber"], "L2");
    delivery.delete("Immunization/i1").await;
    assert_eq!(delivery.only("Immunization").body["status"], "entered-in-error");
    delivery.put("Appointment/a1", appointment()).await;
    let mut cancelled = appointment();
    cancelled["status"] = json!("cancelled");
    delivery.put("Appointment/a1", cancelled).await;
    assert_eq!(delivery.only("Appointment").body["status"], "cancelled");
    assert_eq!(delivery.sim().records("message").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_staff_has_deleted_is_created_again() {
    let delivery = with_patient(Profile::OpenEmr8).await;
    delivery.put("Encounter/e1", encounter()).await;
    let first = delivery.only("Encounter");
    assert!(delivery.sim().delete("Encounter", &first.id));
    let mut changed = encounter();
    changed["reasonCode"][0]["text"] = json!("Again");
    delivery.put("Encounter/e1", changed).await;
    let second = delivery.only("Encounter");
    assert_ne!(second.id, first.id);
    assert_eq!(second.row["reason"], "Again");
}
