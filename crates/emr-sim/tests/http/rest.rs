//! OpenEMR's standard REST API.

use crate::client::{Answer, Emr, FHIR, REST, open, send};
use emr_sim::Profile;
use serde_json::{Value, json};

fn appointment(key: &str) -> Value {
    json!({ "pc_catid": "5", "pc_title": "Vaccination", "pc_duration": "900", "pc_hometext": "a note", "pc_apptstatus": "-",
        "pc_eventDate": "2026-12-01", "pc_startTime": "09:30", "pc_facility": "1", "pc_billing_location": "1",
        "pc_website": key })
}

#[tokio::test]
async fn an_appointment_is_booked_listed_and_deleted_but_never_changed() {
    let emr = open(Profile::OpenEmr702).await;
    let (id, pid) = emr.patient("k1").await;
    let path = format!("{REST}/patient/{pid}/appointment");
    assert_eq!(emr.get(&path).await.status, 404, "none is 404");
    let booked = emr.send("POST", &path, &appointment("urn:uuid:a")).await;
    assert_eq!((booked.status, booked.json()), (200, json!({ "id": 1 })));
    let listed = emr.get(&path).await.json();
    assert_eq!((&listed[0]["pc_website"], &listed[0]["pc_eid"]), (&json!("urn:uuid:a"), &json!(1)));
    assert_eq!((&listed[0]["pc_startTime"], &listed[0]["pc_endTime"]), (&json!("09:30:00"), &json!("09:45:00")));
    assert!(listed[0].get("pc_hometext").is_none());
    let shown = emr.get(&format!("{FHIR}/Appointment?patient={id}")).await.json();
    assert_eq!(shown["entry"][0]["resource"]["start"], "2026-12-01T09:30:00+00:00");
    assert_eq!(emr.send("PUT", &format!("{path}/1"), &appointment("x")).await.status, 404);
    assert_eq!(emr.sim.arrivals(0, 99).iter().filter(|one| one.key.as_deref() == Some("urn:uuid:a")).count(), 1);
    assert_eq!(emr.send("DELETE", &format!("{path}/1"), &Value::Null).await.status, 200);
    assert!(emr.sim.records("Appointment").is_empty());
    assert_eq!(
        emr.send("DELETE", &format!("{path}/1"), &Value::Null).await.status,
        200,
        "deleting nothing is no error"
    );
}

#[tokio::test]
async fn an_appointment_that_breaks_rules_gets_a_bare_map_of_columns() {
    let emr = open(Profile::OpenEmr8).await;
    let (_, pid) = emr.patient("k1").await;
    let mut body = appointment("k");
    body["pc_startTime"] = json!("9:30");
    body["pc_title"] = json!("V");
    body["pc_aid"] = json!(77);
    body.as_object_mut().expect("an object").remove("pc_facility");
    let refused = emr.send("POST", &format!("{REST}/patient/{pid}/appointment"), &body).await;
    let columns = refused.json().as_object().cloned().unwrap_or_default();
    assert_eq!(refused.status, 400);
    assert_eq!(columns.keys().collect::<Vec<_>>(), ["pc_aid", "pc_facility", "pc_startTime", "pc_title"]);
    let nobody = emr.send("POST", &format!("{REST}/patient/999/appointment"), &appointment("k")).await;
    assert_eq!(nobody.status, 400);
}

async fn encounter(emr: &Emr, id: &str) -> Answer {
    let body = json!({ "pc_catid": "5", "class_code": "AMB", "date": "2026-12-01 09:30:00", "reason": "Vaccination", "external_id": "e1" });
    emr.send("POST", &format!("{REST}/patient/{id}/encounter"), &body).await
}

#[tokio::test]
async fn an_encounter_is_created_changed_and_found_by_its_external_id() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, _) = emr.patient("k1").await;
    let created = encounter(&emr, &id).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let euuid = created.json()["data"]["uuid"].as_str().unwrap_or_default().to_owned();
    let path = format!("{REST}/patient/{id}/encounter");
    let changed = emr.send("PUT", &format!("{path}/{euuid}"), &json!({ "reason": "Check" })).await.json();
    assert_eq!((&changed["data"]["reason"], &changed["data"]["external_id"]), (&json!("Check"), &json!("e1")));
    assert_eq!(emr.get(&path).await.json()["data"][0]["external_id"], "e1");
    let shown = emr.get(&format!("{FHIR}/Encounter/{euuid}")).await.json();
    assert_eq!((&shown["reasonCode"][0]["text"], &shown["class"]["code"]), (&json!("Check"), &json!("AMB")));
    let refused = emr.send("POST", &path, &json!({ "class_code": "NOPE" })).await.json();
    assert_eq!(refused["validationErrors"].as_object().map(serde_json::Map::len), Some(2));
}

#[tokio::test]
async fn vitals_need_an_encounter_and_show_as_observations() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, pid) = emr.patient("k1").await;
    let body = json!({ "weight": "150", "pulse": 72, "note": "ok" });
    assert_eq!(emr.send("POST", &format!("{REST}/patient/{pid}/encounter/1/vital"), &body).await.status, 500);
    let eid = encounter(&emr, &id).await.json()["data"]["eid"].as_u64().unwrap_or(0);
    let path = format!("{REST}/patient/{pid}/encounter/{eid}/vital");
    let created = emr.send("POST", &path, &body).await;
    assert_eq!((created.status, &created.json()["vid"]), (201, &json!(1)));
    let seen = emr.get(&format!("{FHIR}/Observation?patient={id}&code=http://loinc.org%7C29463-7")).await.json();
    let quantity = &seen["entry"][0]["resource"]["valueQuantity"];
    assert_eq!((&quantity["value"], &quantity["code"]), (&json!(150.0), &json!("[lb_av]")));
    assert_eq!(emr.send("PUT", &format!("{path}/1"), &json!({ "weight": 151 })).await.status, 200);
    assert_eq!(emr.sim.counts()["Observation"], 2);
    assert_eq!(emr.get(&format!("{path}/1")).await.json()["weight"], 151);
    assert_eq!(emr.send("POST", &path, &json!({ "pulse": "fast" })).await.status, 400);
}

#[tokio::test]
async fn lists_have_their_own_dates_and_their_own_ids() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, pid) = emr.patient("k1").await;
    let day = json!({ "title": "Asthma", "begdate": "2020-01-01", "diagnosis": "ICD10:J45.909" });
    for (path, resource_type) in [("medical_problem", "Condition"), ("allergy", "AllergyIntolerance")] {
        let path = format!("{REST}/patient/{id}/{path}");
        let created = emr.send("POST", &path, &day).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let own = created.json()["data"]["uuid"].as_str().unwrap_or_default().to_owned();
        let shown = emr.get(&format!("{FHIR}/{resource_type}/{own}")).await.json();
        assert_eq!(shown["code"]["coding"][0]["code"], "J45.909");
        assert_eq!(emr.send("PUT", &format!("{path}/{own}"), &json!({ "enddate": "2021-01-01" })).await.status, 200);
        assert_eq!(emr.send("DELETE", &format!("{path}/{own}"), &Value::Null).await.status, 200);
        assert_eq!(emr.sim.counts()[resource_type], 0);
    }
    let path = format!("{REST}/patient/{pid}/medication");
    assert_eq!(emr.send("POST", &path, &day).await.status, 400, "a medication wants a time");
    let timed = json!({ "title": "Salbutamol", "begdate": "2020-01-01 00:00:00" });
    let created = emr.send("POST", &path, &timed).await;
    assert_eq!((created.status, created.json()), (201, json!({ "id": 1 })));
    assert_eq!(emr.get(&path).await.json()[0]["title"], "Salbutamol");
    assert_eq!(emr.send("DELETE", &format!("{path}/1"), &Value::Null).await.json(), json!(true));
}

#[tokio::test]
async fn a_document_comes_back_by_its_file_name_and_a_message_never_does() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, pid) = emr.patient("k1").await;
    let body = "--b\r\nContent-Disposition: form-data; name=\"document\"; filename=\"vaccine-i1.xml\"\r\n\
        Content-Type: text/xml\r\n\r\n<x/>\r\n--b--\r\n";
    let path = format!("{REST}/patient/{pid}/document?path=/Immunizations");
    let request = emr.request("POST", &path).header("content-type", "multipart/form-data; boundary=b").body(body);
    let uploaded = send(request).await.expect("an answer");
    assert_eq!((uploaded.status, uploaded.json()), (200, json!(true)));
    assert_eq!(emr.get(&path).await.json()[0]["filename"], "vaccine-i1.xml");
    assert_eq!(emr.get(&format!("{FHIR}/DocumentReference?patient={id}")).await.entries(), 1);
    let message = json!({ "body": "New vaccination", "to": "admin", "from": "weir", "groupname": "Default", "title": "Other", "message_status": "New" });
    let path = format!("{REST}/patient/{pid}/message");
    let sent = emr.send("POST", &path, &message).await;
    assert_eq!((sent.status, sent.json()), (201, json!({ "mid": 1 })));
    assert_eq!(emr.get(&path).await.status, 404);
    assert_eq!(emr.send("POST", &path, &json!({})).await.status, 400);
}

#[tokio::test]
async fn immunizations_are_read_only() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, _) = emr.patient("k1").await;
    emr.sim.insert(json!({ "resourceType": "Immunization", "patient": { "reference": format!("Patient/{id}") } }));
    assert_eq!(emr.get(&format!("{REST}/immunization")).await.json()["data"][0]["puuid"], json!(id));
    assert_eq!(emr.send("POST", &format!("{REST}/immunization"), &json!({})).await.status, 404);
    assert_eq!(emr.send("POST", &format!("{REST}/patient/{id}/immunization"), &json!({})).await.status, 404);
}

#[tokio::test]
async fn a_patient_by_the_rest_api_tells_its_pid() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, pid) = emr.patient("k1").await;
    let row = emr.get(&format!("{REST}/patient/{id}")).await.json();
    assert_eq!((&row["data"]["pid"], &row["data"]["pubpid"]), (&json!(pid), &json!("k1")));
    let columns = json!({ "fname": "Bo", "lname": "Li", "sex": "Male", "DOB": "1980-01-01", "pubpid": "k2" });
    let created = emr.send("POST", &format!("{REST}/patient"), &columns).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(emr.get(&format!("{REST}/patient?pubpid=k2")).await.json()["data"][0]["lname"], "Li");
    assert_eq!(emr.get(&format!("{FHIR}/Patient?identifier=k2")).await.entries(), 1);
    let uuid = created.json()["data"]["uuid"].as_str().unwrap_or_default().to_owned();
    let changed = emr.send("PUT", &format!("{REST}/patient/{uuid}"), &json!({ "fname": "Boris", "lname": "Li" })).await;
    assert_eq!((changed.status, &changed.json()["data"]["sex"]), (200, &json!("Male")));
}
