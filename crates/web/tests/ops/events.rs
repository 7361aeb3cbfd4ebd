//! Server-sent events: what a page is told, and when they end.

use crate::sse::{next, open, value};
use crate::world::World;
use serde_json::Value;

#[tokio::test]
async fn a_page_is_told_everything_once_and_then_what_changes() {
    let world = World::new().await;
    world.until(0, 0).await;
    let mut body = open(&world.router, "/ops/events").await;
    let first = next(&mut body).await.unwrap();
    assert_eq!(first["destinations"], serde_json::json!(["default/emr"]));
    assert_eq!(value(&first, "default/emr/delivered").unwrap(), "0");
    assert!(value(&first, "default/emr/chart").unwrap().contains("<svg"));
    // Every key is one that the page has.
    let page = world.get("/ops").await.is(200);
    for pair in first["changed"].as_array().unwrap() {
        page.shows(&format!("data-live=\"{}\"", pair[0].as_str().unwrap()));
    }
    world.patient("a", true).await;
    world.until(1, 0).await;
    let delivered = loop {
        let event = next(&mut body).await.unwrap();
        assert_eq!(event["destinations"], Value::Null);
        if let Some(delivered) = value(&event, "default/emr/delivered") {
            break delivered;
        }
    };
    assert_eq!(delivered, "1");
}

#[tokio::test]
async fn events_end_when_the_server_stops() {
    let world = World::new().await;
    let mut body = open(&world.router, "/ops/events?tenant=default&destination=emr").await;
    assert!(next(&mut body).await.is_some());
    world.stop.send(()).unwrap();
    while next(&mut body).await.is_some() {}
}

#[tokio::test]
async fn a_stranger_cannot_open_streams_without_end() {
    let world = World::new().await;
    world.get("/ops/events?tenant=default").await.is(400).shows("tenant and destination belong together");
    world.get("/ops/events?tenant=default&destination=none").await.is(404);
    let mut open_ones = Vec::new();
    for _ in 0..64 {
        open_ones.push(open(&world.router, "/ops/events").await);
    }
    world.get("/ops/events").await.is(503).shows("too many pages are live already");
    open_ones.pop();
    drop(open(&world.router, "/ops/events").await);
}
