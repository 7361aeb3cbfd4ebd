//! The JSON API, and the numbers for Prometheus.

use crate::world::{NOON_US, World};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::json;

const BASE: &str = "/ops/api/destinations";

#[tokio::test]
async fn destinations_are_told_with_all_their_numbers() {
    let world = World::new().await;
    world.patient("a", true).await;
    world.patient("b", false).await;
    let no = world.until(1, 1).await[0];
    let all = world.get(BASE).await.is(200).json();
    let emr = &all["destinations"][0];
    assert_eq!(emr["tenant"], "default");
    assert_eq!([&emr["name"], &emr["kind"], &emr["breaker"]], ["emr", "picky", "closed"]);
    assert_eq!([&emr["paused"], &emr["open"], &emr["running"]], [false, true, true]);
    assert_eq!([&emr["delivered"], &emr["dead"], &emr["depth"]], [1, 1, 0]);
    assert!(emr["as_of_us"].as_i64().unwrap() >= NOON_US && emr["eta_s"] == 0.0);
    let one = world.get(&format!("{BASE}/default/emr")).await.is(200).json();
    assert_eq!(one["name"], "emr");

    let intents = world.get(&format!("{BASE}/default/emr/intents?state=dead&limit=5")).await.is(200).json();
    let intent = &intents["intents"][0];
    assert_eq!([&intent["no"], &intent["attempts"]], [no, 1]);
    assert_eq!([&intent["key"], &intent["state"]], ["Patient/b", "dead"]);
    assert_eq!(intent["problem"], json!({ "status": 422, "text": "must be <b>active</b>" }));
    assert_eq!(world.get(&format!("{BASE}/default/emr/intents?state=retry")).await.json(), json!({ "intents": [] }));
}

#[tokio::test]
async fn destinations_are_steered() {
    let world = World::new().await;
    let post = async |act: &str, body: &str| world.ask("POST", &format!("{BASE}/default/emr/{act}"), &[], body).await;
    assert_eq!(post("pause", "").await.is(200).json(), json!({ "paused": true }));
    world.until(0, 0).await;
    assert!(world.handle.status().paused);
    assert_eq!(post("resume", "").await.is(200).json(), json!({ "paused": false }));
    world.patient("a", false).await;
    let no = world.until(0, 1).await[0];
    assert_eq!(post("replay", &format!("{{\"numbers\":[{no}]}}")).await.is(200).json(), json!({ "replayed": 1 }));
    world.until(0, 1).await;
    assert_eq!(post("replay", "{\"numbers\":null}").await.is(200).json(), json!({ "replayed": 1 }));
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_error_that_teaches() {
    let world = World::new().await;
    let get = async |path: &str| world.get(&format!("{BASE}{path}")).await;
    let cases = [
        ("?stat=1", 400, "unknown parameter stat"),
        ("/default/erm", 404, "tenant default has no destination erm (did you mean emr?)"),
        ("/default/emr/intents?limti=4", 400, "unknown parameter limti (did you mean limit?)"),
        ("/default/emr/intents?limit=0", 400, "limit must be a number from 1 to 10000"),
        (
            "/default/emr/intents?state=dad",
            400,
            "unknown state (did you mean dead?): use one of pending, in-flight, retry, probe, dead",
        ),
        ("/default/emr/pause", 405, "this path does not take this method"),
    ];
    for (path, status, reason) in cases {
        assert_eq!(get(path).await.is(status).reason(), reason, "{path}");
    }
    let path = format!("{BASE}/default/emr/replay");
    for body in ["", "{}", "{\"numbers\":[1],\"all\":true}", "{\"numbers\":\"all\"}"] {
        let reason = world.ask("POST", &path, &[], body).await.is(400).reason();
        assert!(reason.starts_with("the body must be {\"numbers\": [1, 2]}"), "{body}: {reason}");
    }
    let reason = world.ask("POST", &path, &[], "{\"numbers\":[7]}").await.is(404).reason();
    assert_eq!(reason, "no refused record has the number 7: nothing is sent again");
}

#[tokio::test]
async fn prometheus_gets_the_numbers_of_each_destination() {
    let world = World::new().await;
    world.patient("a", true).await;
    world.patient("b", false).await;
    world.until(1, 1).await;
    let mut registry = Registry::with_prefix("weir");
    registry.register_collector(Box::new(web::ops::Metrics(world.desk.clone(), Default::default())));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let labels = "{tenant=\"default\",destination=\"emr\"}";
    for line in [
        format!("weir_delivery_backlog{labels} 0.0"),
        format!("weir_delivery_oldest_age_seconds{labels} 0.0"),
        format!("weir_delivery_eta_seconds{labels} 0.0"),
        format!("weir_delivery_delivered_total{labels} 1"),
        format!("weir_delivery_failed_total{labels} 0"),
        format!("weir_delivery_dead{labels} 1.0"),
        format!("weir_delivery_paused{labels} 0.0"),
        format!("weir_delivery_running{labels} 1.0"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    for name in ["rate_per_second", "rate_allowed_per_second"] {
        assert!(text.contains(&format!("weir_delivery_{name}{labels} ")), "{text}");
    }
}
