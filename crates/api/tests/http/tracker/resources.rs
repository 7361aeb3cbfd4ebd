//! Providers, clinics and products.

use super::{post, put, text, world};
use fhir::json;
use fhir::json::Value;

#[tokio::test]
async fn resources_are_made_shown_changed_and_deleted() {
    let world = world().await;
    let cases = [
        (
            "providers",
            json!({ "kind": "practitioner", "given": "Rosa Maria", "family": "Finley", "npi": "1234567893", "phone": "617-555-0100" }),
            "family",
        ),
        (
            "providers",
            json!({ "kind": "organization", "name": "Harbor Pharmacy", "email": "desk@harbor.example" }),
            "name",
        ),
        (
            "clinics",
            json!({ "name": "South Clinic", "address": { "line": "1 Dock Street", "postalCode": "02110" } }),
            "name",
        ),
        (
            "vaccine-products",
            json!({ "name": "Comirnaty, adults", "cvx": "208", "mvx": "PFR", "manufacturer": "Pfizer" }),
            "name",
        ),
    ];
    for (root, object, member) in cases {
        let made = post(&world, &format!("/{root}"), &object).await.is(201);
        let id = made.id();
        let path = format!("/{root}/{id}");
        assert_eq!(made.header("location"), path);
        let shown = world.get(&path).await.is(200);
        let Value::Object(members) = &object else { unreachable!() };
        for (name, value) in members {
            assert_eq!(shown.json().get(name), Some(value), "{root} {name}");
        }
        let listed = world.get(&format!("/{root}")).await.is(200).json();
        assert!(listed.list("items").iter().any(|one| one.str("id") == Some(id.as_str())), "{listed}");
        let mut changed = object.clone();
        changed.set(member, "Changed");
        let changed = put(&world, &path, &changed).await.is(200);
        assert_eq!(text(&changed.json(), &[member]), "Changed");
        assert_eq!(changed.header("etag"), "W/\"2\"");
        let stale = world.ask("DELETE", &path, &[("if-match", "W/\"1\"")], "").await;
        assert_eq!(stale.status, 412);
        world.ask("DELETE", &path, &[], "").await.is(204);
        world.get(&path).await.is(404);
    }
}

#[tokio::test]
async fn a_change_keeps_what_the_object_does_not_show() {
    let world = world().await;
    let body = r#"{"resourceType":"Location","id":"east","name":"East","status":"active","position":{"longitude":-71.50,"latitude":42.1},
        "telecom":[{"system":"phone","value":"1"},{"system":"fax","value":"2"}]}"#;
    world.send("PUT", "/fhir/Location/east", body).await.is(201);
    put(&world, "/clinics/east", &json!({ "name": "East Clinic", "active": false })).await.is(200);
    let stored = world.get("/fhir/Location/east").await.is(200);
    for part in ["-71.50", "\"fax\"", "East Clinic", "\"inactive\""] {
        assert!(stored.text().contains(part), "{part}: {}", stored.text());
    }
    assert!(!stored.text().contains("\"phone\""), "what the object shows and leaves out goes");
}

#[tokio::test]
async fn products_are_vaccines_too() {
    let world = world().await;
    let object = json!({ "name": "M-M-R II", "cvx": "03", "mvx": "MSD" });
    put(&world, "/vaccines/mmr", &object).await.is(201);
    assert_eq!(text(&world.get("/vaccines/mmr").await.is(200).json(), &["name"]), "M-M-R II");
    assert_eq!(world.get("/vaccines").await.is(200).json().list("items").len(), 1);
    world.ask("DELETE", "/vaccine-products/mmr", &[], "").await.is(204);
    world.get("/vaccines/mmr").await.is(404);
}

#[tokio::test]
async fn wrong_objects_are_refused() {
    let world = world().await;
    let cases = [
        ("/clinics/a", json!({}), "name: is missing"),
        ("/clinics/a", json!({ "name": "A", "adress": {} }), "did you mean address"),
        ("/providers/a", json!({ "name": "A" }), "organization"),
        ("/providers/a", json!({ "kind": "nurse", "family": "A" }), "practitioner"),
        ("/providers/a", json!({ "family": "A", "npi": "12" }), "10 digits"),
        ("/providers/rosa", json!({ "kind": "organization", "name": "A" }), "kind: cannot be changed"),
        ("/vaccines/a", json!({ "name": "A", "cvx": "999" }), "cvx"),
        ("/vaccines/a", json!({ "name": "A" }), "cvx: is missing"),
        ("/vaccines/208", json!({ "name": "A", "cvx": "208" }), "choose another"),
        ("/vaccines/a_b", json!({ "name": "A", "cvx": "208" }), "1 to 64"),
    ];
    for (path, object, hint) in cases {
        let reply = put(&world, path, &object).await.is(422);
        assert!(reply.text().contains(hint), "{hint}: {}", reply.text());
    }
}
