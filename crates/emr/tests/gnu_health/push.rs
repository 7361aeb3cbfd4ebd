//! Writes, changes, deletions, refusals, lost answers and lost sessions.

use crate::house::{House, PATIENCE};
use serde_json::{Value, json};
use std::time::Duration;

fn ada() -> Value {
    json!({
        "name": [{ "use": "official", "family": "Aguilar", "given": ["Ada", "Maria"] }],
        "gender": "female", "birthDate": "1980-02-29", "telecom": [{ "system": "phone", "value": "+49 30 901820" }],
        "address": [{ "line": ["Elbe 1"], "postalCode": "20095", "city": "Hamburg" }],
        "identifier": [{ "system": "urn:clinic", "value": "C-7" }]
    })
}

fn visit(status: &str) -> Value {
    json!({
        "status": status, "start": "2026-12-01T10:30:00+01:00",
        "participant": [
            { "actor": { "reference": "Practitioner/d1" }, "status": "accepted" },
            { "actor": { "reference": "Patient/p1" }, "status": "accepted" }
        ]
    })
}

fn shot(dose: u32) -> Value {
    json!({
        "status": "completed", "patient": { "reference": "Patient/p1" }, "occurrenceDateTime": "2026-11-01",
        "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] }, "lotNumber": "L1",
        "route": { "coding": [{ "code": "IM" }] }, "site": { "coding": [{ "code": "LD" }] },
        "doseQuantity": { "value": 0.3, "code": "mL" }, "protocolApplied": [{ "doseNumberPositiveInt": dose }],
        "note": [{ "text": "No fever" }]
    })
}

async fn house_with_ada() -> House {
    let house = House::build().await;
    house.put("Practitioner/d1", json!({ "identifier": [{ "system": "urn:license", "value": "HP-1" }] })).await;
    house.put("Patient/p1", ada()).await;
    house
}

#[tokio::test]
async fn a_patient_is_a_party_and_a_patient() {
    let house = house_with_ada().await;
    let party = house.double.only("party.party");
    assert_eq!(
        (&party["ref"], &party["name"], &party["lastname"]),
        (&json!("Patient-p1"), &json!("Ada Maria"), &json!("Aguilar"))
    );
    assert_eq!(party["dob"], json!({ "__class__": "date", "year": 1980, "month": 2, "day": 29 }));
    assert_eq!((&party["gender"], &party["fed_country"]), (&json!("f"), &json!("XXX")));
    assert_eq!(party["alternative_ids"][0]["code"], "C-7");
    assert_eq!(house.double.only("gnuhealth.patient")["puid"], "Patient-p1");
    // What GNU Health has of its own stays, what is new is added, what is there already is not doubled.
    house.double.inside(|inside| {
        let party = inside.models.get_mut("party.party").unwrap().get_mut(&1).unwrap();
        party["contact_mechanisms"].as_array_mut().unwrap().push(json!({ "type": "fax", "value": "7" }));
    });
    let mut changed = ada();
    changed["name"][0]["family"] = "Okafor".into();
    let email = json!({ "system": "email", "value": "ada@example.org" });
    changed["telecom"].as_array_mut().unwrap().push(email);
    house.put("Patient/p1", changed).await;
    let party = house.double.only("party.party");
    assert_eq!(party["lastname"], "Okafor");
    let kinds: Vec<&Value> = party["contact_mechanisms"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["phone", "fax", "email"]);
    assert_eq!(party["addresses"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_deleted_patient_is_inactive_and_comes_back() {
    let house = house_with_ada().await;
    house.delete("Patient/p1").await;
    assert_eq!(house.double.only("gnuhealth.patient")["active"], false);
    assert_eq!(house.double.only("party.party")["active"], false);
    let mut back = ada();
    back["gender"] = "other".into();
    house.put("Patient/p1", back).await;
    assert_eq!(house.double.only("gnuhealth.patient")["active"], true);
    let party = house.double.only("party.party");
    assert_eq!((&party["active"], &party["gender"]), (&json!(true), &json!("other")));
}

#[tokio::test]
async fn an_appointment_is_made_moved_cancelled_and_deleted() {
    let house = house_with_ada().await;
    house.put("Appointment/a1", visit("booked")).await;
    let row = house.double.only("gnuhealth.appointment");
    assert_eq!(
        (&row["name"], &row["state"], &row["patient"]),
        (&json!("Appointment-a1"), &json!("confirmed"), &json!(1))
    );
    // Not that of the service user.
    assert_eq!(row["healthprof"], 2);
    assert_eq!((&row["appointment_date"]["hour"], &row["appointment_date"]["minute"]), (&json!(9), &json!(30)));
    let mut moved = visit("booked");
    moved["start"] = "2026-12-02T08:00:00Z".into();
    house.put("Appointment/a1", moved).await;
    let row = house.double.only("gnuhealth.appointment");
    assert_eq!((&row["appointment_date"]["day"], &row["name"]), (&json!(2), &json!("Appointment-a1")));
    let mut cancelled = visit("cancelled");
    cancelled["cancelationReason"] = json!({ "coding": [{ "code": "pat-cpp" }] });
    house.put("Appointment/a1", cancelled).await;
    assert_eq!(house.double.only("gnuhealth.appointment")["state"], "user_cancelled");
    house.delete("Appointment/a1").await;
    assert!(house.double.records("gnuhealth.appointment").is_empty());
    // What somebody has deleted there is made again by a change here.
    house.put("Appointment/a2", visit("booked")).await;
    house.double.inside(|inside| inside.models.get_mut("gnuhealth.appointment").unwrap().clear());
    house.put("Appointment/a2", visit("arrived")).await;
    assert_eq!(house.double.only("gnuhealth.appointment")["state"], "checked_in");
}

#[tokio::test]
async fn a_vaccination_waits_for_its_signature() {
    let house = house_with_ada().await;
    house.put("Immunization/i1", shot(1)).await;
    let row = house.double.only("gnuhealth.vaccination");
    assert_eq!((&row["vaccine"], &row["dose"], &row["vaccine_lot"]), (&json!(1), &json!(1), &json!("L1")));
    assert_eq!((&row["admin_route"], &row["admin_site"], &row["amount"]), (&json!("im"), &json!("ld"), &json!(0.3)));
    assert_eq!((&row["observations"], &row["state"]), (&json!("No fever\nImmunization-i1"), &json!("in_progress")));
    // The same dose twice is somebody's mistake, and so is a change after the signature.
    house.put("Immunization/i2", shot(1)).await;
    assert_eq!(house.problem("Immunization/i2"), "This vaccine dose has been given already to the patient");
    let house = house_with_ada().await;
    house.put("Immunization/i1", shot(1)).await;
    house.double.inside(|inside| {
        let rows = inside.models.get_mut("gnuhealth.vaccination").unwrap();
        rows.get_mut(&1).unwrap().insert("state".into(), "done".into());
    });
    house.put("Immunization/i1", shot(2)).await;
    assert!(house.problem("Immunization/i1").contains("has been signed"));
    assert_eq!(house.double.only("gnuhealth.vaccination")["dose"], 1);
}

#[tokio::test]
async fn what_gnu_health_has_no_place_for_is_refused_with_the_reason() {
    let unknown_vaccine = || {
        let mut shot = shot(1);
        shot["vaccineCode"]["coding"][0]["code"] = "999".into();
        shot
    };
    let not_given = || json!({ "status": "not-done", "patient": { "reference": "Patient/p1" }, "occurrenceDateTime": "2026-11-01" });
    let mut unborn = ada();
    unborn["birthDate"] = "2099-01-01".into();
    for (key, body, part) in [
        ("Encounter/e1", json!({ "subject": { "reference": "Patient/p1" } }), "takes no Encounter"),
        ("Appointment/a1", visit("proposed"), "no place in GNU Health's calendar"),
        ("Immunization/i1", unknown_vaccine(), "no vaccine in GNU Health"),
        ("Immunization/i1", not_given(), "not given"),
        ("Practitioner/d2", json!({ "identifier": [{ "value": "none" }] }), "LICENSE ID"),
        ("Patient/p1", json!({ "gender": "female" }), "needs a name"),
        ("Patient/p2", unborn, "SM-CORE-0001: Wrong date of birth"),
    ] {
        let house = house_with_ada().await;
        house.put(key, body).await;
        assert!(house.problem(key).contains(part), "{key}: {}", house.problem(key));
    }
}

#[tokio::test]
async fn answers_that_are_lost_double_nothing() {
    for (key, body, model) in [
        ("Patient/p1", ada(), "party.party"),
        ("Appointment/a1", visit("booked"), "gnuhealth.appointment"),
        ("Immunization/i1", shot(1), "gnuhealth.vaccination"),
    ] {
        let house = if key == "Patient/p1" { House::build().await } else { house_with_ada().await };
        house.double.inside(|inside| inside.drop_answers = 1);
        house.put(key, body).await;
        assert_eq!(house.double.records(model).len(), 1, "{key}");
        assert_eq!(house.double.inside(|inside| inside.drop_answers), 0, "{key}");
    }
}

#[tokio::test]
async fn a_session_that_has_expired_is_made_again_once() {
    let house = house_with_ada().await;
    house.double.expire_session();
    house.put("Appointment/a1", visit("booked")).await;
    assert_eq!(house.double.count("common.db.login"), 2);
    assert_eq!(house.double.count("model.gnuhealth.appointment.create"), 2);
    house.double.only("gnuhealth.appointment");
    // A password that is not valid any more stops the deliveries without giving anything up.
    house.double.expire_session();
    house.double.inside(|inside| inside.password_changed = true);
    house.put_soon("Appointment/a2", visit("booked"));
    let tried = async {
        while house.problem("Appointment/a2").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tried).await.expect("it is tried");
    assert!(house.problem("Appointment/a2").contains("refuses the login"));
    house.double.inside(|inside| inside.password_changed = false);
    house.settle().await;
    assert_eq!(house.double.records("gnuhealth.appointment").len(), 2);
}

#[tokio::test]
async fn failures_of_the_server_pass() {
    for error in [
        json!(["ConcurrencyException", "Records were modified in the meanwhile"]),
        json!([
            "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n",
            ""
        ]),
    ] {
        let house = house_with_ada().await;
        house.double.inside(|inside| inside.fail_with = Some(error));
        house.put("Appointment/a1", visit("booked")).await;
        house.double.only("gnuhealth.appointment");
    }
}
