//! `/stats`, its CSV and its stream.

use super::{ada, bob, dose, post, text, world};
use crate::harness::World;
use axum::body::Body;
use axum::http::Request;
use fhir::json;
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt;

const COVID: &str = "programme=covid-19-primary";

#[tokio::test]
async fn numbers_follow_every_commit() {
    let world = world().await;
    post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201);
    post(&world, "/patients", &json!({ "phi": bob() })).await.is(201);
    let stats = world.get(&format!("/stats?{COVID}&by=region,sex")).await.is(200).json();
    let people = |name: &str| text(&stats, &["total", "people", name]);
    assert_eq!(["persons", "not", "partial", "full"].map(people), ["2", "1", "1", "0"]);
    assert_eq!(stats.list("groups").len(), 2);
    let doses = world.get(&format!("/stats?{COVID}&by=clinic")).await.is(200).json();
    assert_eq!(text(&doses, &["total", "doses"]), "1");
    assert!(world.get("/programmes").await.is(200).text().contains("covid-19-primary"));
}

#[tokio::test]
async fn small_counts_never_leave_in_a_csv() {
    let world = world().await;
    post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201);
    let reply = world.get(&format!("/stats?{COVID}&by=region&format=csv")).await.is(200);
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = reply.text().lines().collect();
    assert!(lines[0].starts_with("region,persons,not,partial,full,"), "{lines:?}");
    assert!(lines[1].starts_with("all,<11,0,<11,0,"), "{lines:?}");
    assert_eq!(lines.len(), 3);
    let accept = ("accept", "text/csv");
    let doses = world.ask("GET", &format!("/stats?{COVID}&by=lot"), &[accept], "").await.is(200);
    assert!(doses.text().contains("EK5730,<11,covid-19-primary"), "{}", doses.text());
    let json = world.get(&format!("/stats?{COVID}&suppress=true")).await.is(200).json();
    assert_eq!(json.path(&["total", "people", "persons"]), Some(&fhir::json::Value::Null));
}

/// Events of a stream until one has the text, in real time.
async fn until(body: &mut Body, wanted: &str) -> String {
    let waiting = async {
        loop {
            let frame = body.frame().await.expect("the stream goes on").unwrap();
            let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("the event comes")
}

async fn watch(world: &World, path: &str) -> Body {
    let request = Request::get(path).header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

#[tokio::test]
async fn a_stream_tells_the_change() {
    let world = world().await;
    let mut body = watch(&world, &format!("/stats/stream?{COVID}")).await;
    let first = until(&mut body, "event: stats").await;
    assert!(first.contains("\"partial\":0"), "{first}");
    post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201);
    until(&mut body, "\"partial\":1").await;
    let mut second = dose(ada(), "2025-09-01");
    second.set("lot", "X2");
    post(&world, "/vaccines", &second).await.is(201);
    until(&mut body, "\"full\":1").await;
}

#[tokio::test]
async fn watchers_are_bounded_and_make_room_when_they_go() {
    let world = world().await;
    let path = format!("/stats/stream?{COVID}");
    let mut watchers = Vec::new();
    for _ in 0..256 {
        watchers.push(watch(&world, &path).await);
    }
    world.get(&path).await.is(503);
    watchers.pop();
    watchers.push(watch(&world, &path).await);
}
