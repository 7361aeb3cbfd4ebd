//! What OpenEMR's FHIR API takes, and what it does to it.

use crate::client::{FHIR, open, patient};
use emr_sim::Profile;
use serde_json::json;

#[tokio::test]
async fn a_create_answers_with_numbers_and_a_second_one_makes_a_second_record() {
    let emr = open(Profile::OpenEmr8).await;
    let path = format!("{FHIR}/Patient");
    let first = emr.send("POST", &path, &patient("k1")).await;
    assert_eq!((first.status, first.header("location"), first.header("etag")), (201, None, None));
    assert_eq!(first.json()["pid"], 1);
    let request = emr.request("POST", &path).header("if-none-exist", "identifier=k1").body(patient("k1").to_string());
    let again = crate::client::send(request).await.expect("an answer");
    assert_eq!((again.status, &again.json()["pid"]), (201, &json!(2)));
    assert_eq!(emr.get(&format!("{path}?identifier=k1")).await.entries(), 2);
    assert_eq!(emr.sim.counts()["Patient"], 2);
}

#[tokio::test]
async fn an_identifier_without_type_is_a_500_and_leaves_nothing() {
    let emr = open(Profile::OpenEmr702).await;
    let mut body = patient("k1");
    body["identifier"][0].as_object_mut().expect("an object").remove("type");
    let answer = emr.send("POST", &format!("{FHIR}/Patient"), &body).await;
    assert_eq!((answer.status, &answer.json()["code"]), (500, &json!(500)));
    assert!(emr.sim.records("Patient").is_empty());
}

#[tokio::test]
async fn broken_rules_are_400_by_column() {
    let emr = open(Profile::OpenEmr8).await;
    let body = json!({ "resourceType": "Patient", "name": [{ "use": "official", "family": "I", "given": ["A"] }] });
    let answer = emr.send("POST", &format!("{FHIR}/Patient"), &body).await;
    assert_eq!(answer.status, 400);
    let columns = answer.json()["validationErrors"].as_object().cloned().unwrap_or_default();
    assert_eq!(columns.keys().collect::<Vec<_>>(), ["DOB", "lname", "sex"]);
    let wrong = emr.send("POST", &format!("{FHIR}/Patient"), &json!({ "resourceType": "Observation" })).await;
    assert_eq!((wrong.status, &wrong.json()["resourceType"]), (400, &json!("OperationOutcome")));
}

#[tokio::test]
async fn an_update_merges_and_the_version_stays_1() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, _) = emr.patient("k1").await;
    let path = format!("{FHIR}/Patient/{id}");
    let update = json!({ "resourceType": "Patient", "gender": "male", "birthDate": "1990-05-02",
        "meta": { "tag": [{ "code": "from-weir" }] }, "extension": [{ "url": "urn:x", "valueString": "x" }] });
    let answer = emr.send("PUT", &path, &update).await;
    assert_eq!(answer.status, 200);
    let resource = emr.get(&path).await.json();
    assert_eq!((&resource["name"][0]["family"], &resource["gender"]), (&json!("Ito"), &json!("male")));
    assert_eq!(resource["meta"]["versionId"], "1");
    assert_eq!(resource["meta"].as_object().map(serde_json::Map::len), Some(2));
    assert!(resource.get("extension").is_none());
    let without = emr.send("PUT", &path, &json!({ "resourceType": "Patient" })).await;
    assert_eq!(without.status, 400, "gender and birth date must be sent always");
    let missing = emr.send("PUT", &format!("{FHIR}/Patient/nobody"), &patient("k")).await;
    assert_eq!(missing.status, 400);
}

#[tokio::test]
async fn practitioner_and_organization_need_an_npi() {
    let emr = open(Profile::OpenEmr8).await;
    let path = format!("{FHIR}/Practitioner");
    let mut body =
        json!({ "resourceType": "Practitioner", "name": [{ "use": "official", "family": "Sato", "given": ["Ken"] }] });
    assert_eq!(emr.send("POST", &path, &body).await.status, 400);
    body["identifier"] = json!([{ "system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893" }]);
    let created = emr.send("POST", &path, &body).await;
    assert_eq!((created.status, &created.json()["id"]), (201, &json!(1)));
    let body = json!({ "resourceType": "Organization", "name": "Clinic",
        "identifier": [{ "system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893" }] });
    let created = emr.send("POST", &format!("{FHIR}/Organization"), &body).await;
    assert_eq!(created.status, 201);
    let id = created.json()["uuid"].as_str().unwrap_or_default().to_owned();
    let renamed = emr
        .send(
            "PUT",
            &format!("{FHIR}/Organization/{id}"),
            &json!({ "resourceType": "Organization", "name": "Clinic 2" }),
        )
        .await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("Clinic 2")));
}

#[tokio::test]
async fn other_types_are_written_only_where_the_profile_says_so() {
    let immunization = |patient: &str| {
        json!({ "resourceType": "Immunization", "status": "completed", "patient": { "reference": format!("Patient/{patient}") },
            "identifier": [{ "system": "urn:weir", "value": "i1" }],
            "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] },
            "occurrenceDateTime": "2026-01-01" })
    };
    for (profile, expected) in [(Profile::OpenEmr8, 404), (Profile::OpenEmrWrites, 201)] {
        let emr = open(profile).await;
        let (id, _) = emr.patient("k1").await;
        let answer = emr.send("POST", &format!("{FHIR}/Immunization"), &immunization(&id)).await;
        assert_eq!(answer.status, expected, "{profile}");
        let statement = emr.get(&format!("{FHIR}/metadata")).await.json();
        let resources = statement["rest"][0]["resource"].as_array().cloned().unwrap_or_default();
        let declared = resources.iter().any(|one| {
            let creates =
                one["interaction"].as_array().is_some_and(|all| all.iter().any(|one| one["code"] == "create"));
            one["type"] == "Immunization" && creates
        });
        assert_eq!(declared, expected == 201, "the statement of {profile} is true");
    }
}

#[tokio::test]
async fn openemr_writes_takes_every_type_and_no_dangling_reference() {
    let emr = open(Profile::OpenEmrWrites).await;
    let (id, _) = emr.patient("k1").await;
    for resource_type in [
        "Location",
        "Encounter",
        "Appointment",
        "Immunization",
        "Observation",
        "Condition",
        "AllergyIntolerance",
        "MedicationRequest",
        "DocumentReference",
    ] {
        let path = format!("{FHIR}/{resource_type}");
        let body = json!({ "resourceType": resource_type, "status": "active", "identifier": [{ "value": "k" }],
            "subject": { "reference": format!("Patient/{id}") } });
        let created = emr.send("POST", &path, &body).await;
        assert_eq!(created.status, 201, "{resource_type}: {}", created.text);
        assert_eq!(emr.get(&format!("{path}?identifier=k")).await.entries(), 1, "{resource_type}");
        let own = created.json()["uuid"].as_str().unwrap_or_default().to_owned();
        let change = json!({ "resourceType": resource_type, "description": "changed" });
        let changed = emr.send("PUT", &format!("{path}/{own}"), &change).await.json();
        assert_eq!((&changed["description"], &changed["status"]), (&json!("changed"), &json!("active")));
    }
    let body = json!({ "resourceType": "Condition", "subject": { "reference": "Patient/nobody" } });
    let refused = emr.send("POST", &format!("{FHIR}/Condition"), &body).await;
    assert_eq!(refused.status, 400);
    let body = json!({ "resourceType": "Condition", "code": { "text": "x" } });
    assert_eq!(emr.send("POST", &format!("{FHIR}/Condition"), &body).await.status, 400);
}

#[tokio::test]
async fn there_is_no_delete_and_a_missing_record_is_an_empty_list() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, _) = emr.patient("k1").await;
    assert_eq!(emr.send("DELETE", &format!("{FHIR}/Patient/{id}"), &json!(null)).await.status, 404);
    let missing = emr.get(&format!("{FHIR}/Patient/nobody")).await;
    assert_eq!((missing.status, missing.text.as_str()), (404, "[]"));
}
