//! Server-sent events: what a page is told, and when they end.

use crate::sse::{next, open, value};
use crate::support::{ADA, BOB};
use crate::world::World;

#[tokio::test]
async fn a_page_is_told_everything_once_and_then_what_changes() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let mut body = open(&world.router, "/tracker/events?programme=covid-19-primary").await;
    let first = next(&mut body).await.unwrap();
    // Every key is one that the page has.
    let page = world.get("/tracker").await.is(200);
    for pair in first["changed"].as_array().unwrap() {
        page.shows(&format!("data-live=\"{}\"", pair[0].as_str().unwrap()));
    }
    assert!(value(&first, "people").unwrap().contains("<dt>doses given</dt><dd>0</dd>"));
    world.dose(&ada, "212", "2021-06-01").await;
    let second = next(&mut body).await.unwrap();
    assert!(value(&second, "people").unwrap().contains("<dt>doses given</dt><dd>1</dd>"));
    assert!(value(&second, "curve").unwrap().contains("<svg"));
    assert_eq!(value(&second, "quality"), None, "what is the same is not sent again");
    world.patient(BOB).await;
    let third = next(&mut body).await.unwrap();
    assert!(value(&third, "people").unwrap().contains("50.0%"));
    assert_eq!(value(&third, "lots"), None);
}

#[tokio::test]
async fn events_end_when_the_server_stops() {
    let world = World::new().await;
    let mut body = open(&world.router, "/tracker/events").await;
    assert!(next(&mut body).await.is_some());
    world.stop.send(()).unwrap();
    while next(&mut body).await.is_some() {}
}

#[tokio::test]
async fn a_stranger_cannot_open_streams_without_end() {
    let world = World::new().await;
    let mut open_ones = Vec::new();
    for _ in 0..64 {
        open_ones.push(open(&world.router, "/tracker/events").await);
    }
    world.get("/tracker/events").await.is(503).shows("too many pages are live already");
    open_ones.pop();
    drop(open(&world.router, "/tracker/events").await);
}
