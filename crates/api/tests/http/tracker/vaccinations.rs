//! `POST /vaccines`: one commit, one person, one dose for each key.

use super::{JSON, ada, bob, covid, dose, post, put, text, world};
use fhir::json;
use fhir::json::Value;

#[tokio::test]
async fn a_vaccination_makes_the_person_and_then_finds_it() {
    let world = world().await;
    let first = post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201);
    let (person, first) = (text(&first.json(), &["person"]), first.json());
    assert_eq!((covid(&first).as_str(), first.get("recognised")), ("partial", Some(&Value::Bool(false))));
    assert_eq!(text(&first, &["standing"]), "counted");
    assert_eq!(text(&first, &["clinic"]), "Location/north");
    assert!(first.list("programmes").iter().all(|one| one.str("programme") != Some("MMR")), "only its own programmes");

    let mut again = ada();
    again.set("given", "Adelaide Mary");
    let second = post(&world, "/vaccines", &dose(again, "2025-09-10")).await.is(201);
    assert_eq!(second.header("location"), format!("/patients/{person}"));
    let second = second.json();
    assert_eq!(text(&second, &["person"]), person);
    assert_eq!((covid(&second).as_str(), second.get("recognised")), ("full", Some(&Value::Bool(true))));
    assert_eq!(world.get("/fhir/Patient").await.total().as_deref(), Some("1"), "it is the same record");

    let stored = world.get(&format!("/fhir/Immunization/{}", text(&second, &["id"]))).await.is(200);
    for part in ["\"208\"", "Location/north", "Practitioner/rosa", "EK5730", "2025-09-10"] {
        assert!(stored.text().contains(part), "{part}: {}", stored.text());
    }
    let status = world.get(&format!("/patients/{person}/status?programme=covid-19-primary")).await.is(200).json();
    assert_eq!((covid(&status).as_str(), status.list("programmes").len()), ("full", 1));
    let before = world.get(&format!("/patients/{person}/status?as_of=2025-08-15")).await.is(200).json();
    assert_eq!(covid(&before), "partial");
}

#[tokio::test]
async fn a_vaccine_is_a_code_a_product_or_a_brand() {
    let world = world().await;
    let product = json!({ "name": "Comirnaty, adults", "cvx": "208", "mvx": "pfr" });
    put(&world, "/vaccines/comirnaty-30", &product).await.is(201);
    for (at, name) in ["208", "comirnaty-30", "Medication/comirnaty-30", "comirnaty"].iter().enumerate() {
        let mut body = dose(ada(), &format!("2025-0{}-01", at + 1));
        body.set("vaccine", *name);
        let made = post(&world, "/vaccines", &body).await.is(201).json();
        assert_eq!(text(&made, &["vaccine", "cvx"]), "208", "{name}");
    }
    let stored = world.get("/fhir/Immunization").await.is(200);
    assert!(stored.text().contains("\"PFR\""), "the product's manufacturer: {}", stored.text());
}

#[tokio::test]
async fn simultaneous_vaccinations_of_a_new_person_make_one() {
    let world = std::sync::Arc::new(world().await);
    let mut tasks = tokio::task::JoinSet::new();
    for day in 1..=8 {
        let world = world.clone();
        tasks.spawn(async move {
            // Other spellings take other locks: the registry must see that it is the same person.
            let mut phi = ada();
            if day % 2 == 0 {
                phi.set("family", "LOVELOCK");
                phi.set("given", "Adelaide M");
            }
            post(&world, "/vaccines", &dose(phi, &format!("2025-0{day}-01"))).await.is(201).json()
        });
    }
    let made = tasks.join_all().await;
    let person = text(&made[0], &["person"]);
    assert!(made.iter().all(|one| text(one, &["person"]) == person), "{made:?}");
    let list = world.get("/patients").await.is(200).json();
    assert_eq!(text(&list, &["total"]), "1");
    assert_eq!(world.get("/fhir/Immunization").await.total().as_deref(), Some("8"));
}

#[tokio::test]
async fn a_key_records_once() {
    let world = std::sync::Arc::new(world().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let world = world.clone();
        tasks.spawn(async move {
            let body = dose(ada(), "2025-08-01").to_string();
            world.ask("POST", "/vaccines", &[JSON, ("idempotency-key", "desk 3 / 17")], body).await
        });
    }
    let replies = tasks.join_all().await;
    let created = replies.iter().filter(|reply| reply.status.as_u16() == 201).count();
    let replayed = replies.iter().filter(|reply| reply.header("idempotency-replayed") == "true").count();
    assert_eq!((created, replayed), (1, 5));
    let ids: std::collections::HashSet<String> = replies.iter().map(|reply| text(&reply.json(), &["id"])).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.get("/fhir/Immunization").await.total().as_deref(), Some("1"));

    let other = dose(bob(), "2025-08-01").to_string();
    let refused = world.ask("POST", "/vaccines", &[JSON, ("idempotency-key", "desk 3 / 17")], other).await.is(422);
    assert!(refused.text().contains("another vaccination"));
    assert_eq!(world.get("/fhir/Patient").await.total().as_deref(), Some("1"), "nothing was made");
}

#[tokio::test]
async fn the_day_is_today_unless_it_is_said_and_history_needs_no_clinic() {
    let world = world().await;
    let body = json!({ "vaccine": "03", "historical": true, "phi": bob() });
    let made = post(&world, "/vaccines", &body).await.is(201).json();
    assert_eq!(text(&made, &["date"]), super::TODAY);
    let stored = world.get(&format!("/fhir/Immunization/{}", text(&made, &["id"]))).await.is(200);
    assert!(stored.text().contains("\"primarySource\":false"), "{}", stored.text());
}

#[tokio::test]
async fn tenants_know_nothing_of_each_other() {
    let world = world().await;
    let made = post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201).json();
    let person = text(&made, &["person"]);
    assert_eq!(text(&world.get("/t/other/patients").await.is(200).json(), &["total"]), "0");
    world.get(&format!("/t/other/patients/{person}")).await.is(404);
    let refused = post(&world, "/t/other/vaccines", &dose(ada(), "2025-08-01")).await.is(422);
    assert!(refused.text().contains("provider"), "the provider is another tenant's: {}", refused.text());
    super::furnish(&world, "/t/other").await;
    let made = post(&world, "/t/other/vaccines", &dose(ada(), "2025-08-01")).await.is(201);
    assert!(made.header("location").starts_with("/t/other/patients/"));
    assert_ne!(text(&made.json(), &["person"]), person);
    world.get("/t/nobody/patients").await.is(404);
}
