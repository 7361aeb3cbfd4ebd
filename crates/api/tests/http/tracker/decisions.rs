//! Merge, unmerge, apart and the queue, over HTTP.

use super::{ada, bob, covid, dose, post, text, world};
use fhir::json;

#[tokio::test]
async fn a_merge_counts_both_and_an_unmerge_restores() {
    let world = world().await;
    let one = post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201).json();
    let other = post(&world, "/vaccines", &dose(bob(), "2025-09-01")).await.is(201).json();
    let (into, from) = (text(&one, &["person"]), text(&other, &["person"]));
    let merge = json!({ "from": (from.clone()), "why": "married, new name" });
    let merged = post(&world, &format!("/patients/{into}/merge"), &merge).await.is(200).json();
    assert_eq!((covid(&merged).as_str(), merged.list("records").len()), ("full", 2));
    assert_eq!(text(&world.get("/patients?linked=true").await.is(200).json(), &["total"]), "1");
    let found = world.get(&format!("/patients/{from}")).await.is(200).json();
    assert_eq!(text(&found, &["id"]), into, "who was merged is found under the old id");

    let unmerge = json!({ "records": [(text(&other, &["patient"]))], "why": "they were not" });
    let parted = post(&world, &format!("/patients/{into}/unmerge"), &unmerge).await.is(200).json();
    assert_eq!((text(&parted, &["id"]), covid(&parted)), (from, "partial".into()));
    let left = world.get(&format!("/patients/{into}/status")).await.is(200).json();
    assert_eq!(covid(&left), "partial");
}

#[tokio::test]
async fn wrong_decisions_are_refused() {
    let world = world().await;
    let one = post(&world, "/patients", &json!({ "phi": ada() })).await.is(201).json();
    let (person, patient) = (text(&one, &["id"]), text(&one, &["patient"]));
    let merge = format!("/patients/{person}/merge");
    post(&world, &merge, &json!({ "from": (person.clone()), "why": "x" })).await.is(400);
    post(&world, &merge, &json!({ "from": "nobody", "why": "x" })).await.is(404);
    assert!(post(&world, &merge, &json!({ "from": "nobody" })).await.is(422).text().contains("why: is missing"));
    let unmerge = format!("/patients/{person}/unmerge");
    post(&world, &unmerge, &json!({ "records": [(patient.clone())], "why": "x" })).await.is(400);
    post(&world, &unmerge, &json!({ "records": [], "why": "x" })).await.is(422);
    post(&world, &unmerge, &json!({ "records": [1], "why": "x" })).await.is(422);
    post(&world, "/patients/nobody/unmerge", &json!({ "records": ["a"], "why": "x" })).await.is(404);
    post(&world, "/reviews/apart", &json!({ "records": [(patient.clone()), "b"], "why": "x" })).await.is(404);
    post(&world, "/reviews/apart", &json!({ "records": [(patient.clone()), (patient.clone())], "why": "x" }))
        .await
        .is(422);
    post(&world, "/reviews/dismiss", &json!({ "records": [(patient), "b"] })).await.is(404);
}

#[tokio::test]
async fn the_queue_is_worked_off() {
    let world = world().await;
    let one = post(&world, "/patients", &json!({ "phi": ada() })).await.is(201).json();
    // A twin: alike in everything but the name and sex.
    let mut twin = ada();
    twin.set("given", "Adrian");
    twin.set("sex", "male");
    let other = post(&world, "/patients", &json!({ "phi": twin })).await.is(201).json();
    assert_ne!(text(&one, &["id"]), text(&other, &["id"]));
    let queue = world.get("/reviews").await.is(200).json();
    assert_eq!(text(&queue, &["total"]), "1", "{queue}");
    let pair = queue.list("items")[0].get("records").unwrap().clone();
    assert!(!queue.list("items")[0].list("reasons").is_empty());
    let assign = json!({ "records": pair.clone(), "assigned": "ann", "due": "2026-12-24" });
    let assigned = post(&world, "/reviews/assign", &assign).await.is(200).json();
    assert_eq!((text(&assigned, &["assigned"]), text(&assigned, &["due"])), ("ann".into(), "2026-12-24".into()));
    for (query, count) in [("assigned=ann", 1), ("assigned=", 0), ("due_by=2026-12-23", 0), ("due_by=2026-12-24", 1)] {
        let found = world.get(&format!("/reviews?{query}")).await.is(200).json();
        assert_eq!(found.list("items").len(), count, "{query}");
    }
    world.get("/reviews?due_by=soon").await.is(400);
    let late = json!({ "records": pair.clone(), "due": "soon" });
    assert!(post(&world, "/reviews/assign", &late).await.is(422).text().contains("due"));
    post(&world, "/reviews/assign", &json!({ "records": ["a", "b"], "assigned": "ann" })).await.is(404);
    let nobody = post(&world, "/reviews/assign", &json!({ "records": pair.clone() })).await.is(200).json();
    assert!(nobody.get("assigned").is_none() && nobody.get("due").is_none(), "{nobody}");
    post(&world, "/reviews/apart", &json!({ "records": pair, "why": "twins" })).await.is(204);
    assert_eq!(text(&world.get("/reviews").await.is(200).json(), &["total"]), "0");
}
