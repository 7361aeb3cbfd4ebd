//! `/patients`: new ones, lists and single persons.

use super::{ada, bob, covid, dose, post, text, world};
use fhir::json;
use fhir::json::Value;

#[tokio::test]
async fn a_patient_is_created_and_recognised() {
    let world = world().await;
    let first = post(&world, "/patients", &json!({ "phi": ada() })).await.is(201);
    let person = text(&first.json(), &["id"]);
    assert_eq!(first.json().get("recognised"), Some(&Value::Bool(false)));
    assert_eq!(first.header("location"), format!("/patients/{person}"));

    let mut moved = ada();
    moved.set("email", "ada@example.org");
    let second = post(&world, "/patients", &json!({ "phi": moved })).await.is(201).json();
    assert_eq!(second.get("recognised"), Some(&Value::Bool(true)));
    assert_eq!((text(&second, &["id"]), text(&second, &["grade"])), (person.clone(), "certain".into()));
    assert_eq!(second.list("records").len(), 2);

    // By the person's id and by a record's.
    for id in [person.clone(), text(&second, &["patient"])] {
        let whole = world.get(&format!("/patients/{id}")).await.is(200).json();
        assert_eq!(text(&whole, &["id"]), person);
        assert_eq!(text(&whole, &["phi", "family"]), "Lovelock");
        assert_eq!(text(&whole, &["phi", "email"]), "ada@example.org", "of all records together");
        assert_eq!(text(&whole, &["phi", "address", "postalCode"]), "02139");
        assert_eq!(whole.list("records").len(), 2);
    }
}

#[tokio::test]
async fn what_was_sent_is_what_is_shown() {
    let world = world().await;
    let mut phi = ada();
    phi.set("email", "ada@example.org");
    phi.set("identifiers", json!([{ "system": "https://clinic.example.org/mrn", "value": "A-1" }]));
    let made = post(&world, "/patients", &json!({ "phi": (phi.clone()) })).await.is(201).json();
    let whole = world.get(&format!("/patients/{}", text(&made, &["id"]))).await.is(200).json();
    let shown = whole.get("phi").unwrap();
    for name in ["given", "family", "birthDate", "sex", "phone", "email"] {
        assert_eq!(shown.str(name), phi.str(name), "{name}");
    }
    assert_eq!(text(&shown.list("identifiers")[0], &["value"]), "A-1");
    assert_eq!(text(shown, &["address", "line"]), "12 Cedar Lane");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = world().await;
    let ada = text(&post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201).json(), &["person"]);
    let bob = text(&post(&world, "/patients", &json!({ "phi": bob() })).await.is(201).json(), &["id"]);
    let filters = [
        ("programme=covid-19-primary&status=partial", &ada),
        ("programme=covid-19-primary&status=not", &bob),
        ("region=010", &bob),
        ("sex=female", &ada),
        ("born_from=1980-01-01", &bob),
        ("born_until=1980-01-01", &ada),
    ];
    for (filter, person) in filters {
        let list = world.get(&format!("/patients?{filter}")).await.is(200).json();
        assert_eq!((text(&list, &["total"]), list.list("items").len()), ("1".into(), 1), "{filter}");
        assert_eq!(text(&list.list("items")[0], &["id"]), *person, "{filter}");
    }
    let first = world.get("/patients?limit=1&programme=covid-19-primary").await.is(200).json();
    let second = world.get(&format!("/patients?limit=1&after={}", text(&first, &["next"]))).await.is(200).json();
    let shown = [&first, &second].map(|page| text(&page.list("items")[0], &["family"]));
    assert!(shown.contains(&"Lovelock".into()) && shown.contains(&"Quimby".into()), "{shown:?}");
    assert_eq!(second.get("next"), None, "it is the last page");
    assert!(first.list("items")[0].get("status").is_some(), "the status of the asked programme");
    assert_eq!(text(&world.get("/patients?linked=true").await.is(200).json(), &["total"]), "0");
}

#[tokio::test]
async fn reading_leaves_a_trail() {
    let world = world().await;
    let made = post(&world, "/patients", &json!({ "phi": ada() })).await.is(201).json();
    let patient = text(&made, &["patient"]);
    let path = format!("/fhir/AuditEvent?patient=Patient/{patient}&_count=200");
    let before = world.get(&path).await.is(200).entries().len();
    world.get(&format!("/patients/{patient}")).await.is(200);
    let after = world.get(&path).await.is(200).entries().len();
    assert!(after > before, "{before} {after}");
}

#[tokio::test]
async fn a_dose_that_arrives_by_fhir_counts() {
    let world = world().await;
    let made = post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201).json();
    let body = format!(
        r#"{{"resourceType":"Immunization","status":"completed","patient":{{"reference":"Patient/{}"}},"occurrenceDateTime":"2025-09-01",
        "vaccineCode":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"208"}}]}}}}"#,
        text(&made, &["patient"])
    );
    world.send("POST", "/fhir/Immunization", &body).await.is(201);
    let status = world.get(&format!("/patients/{}/status", text(&made, &["person"]))).await.is(200).json();
    assert_eq!(covid(&status), "full");
}
