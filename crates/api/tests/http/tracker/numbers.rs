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
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the event comes")
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

#[tokio::test]
async fn a_census_table_is_the_denominator_on_request() {
    let world = world().await;
    post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201);
    let census = format!("/stats?{COVID}&by=region&denominator=census");
    let refused = world.get(&census).await.is(400);
    assert!(refused.text().contains("vaccines.census_files"), "{}", refused.text());
    world.get(&format!("/stats?{COVID}&denominator=cencus")).await.is(400);
    let table = |date: &str, persons: u32| {
        let text = format!(
            "# id: ma\n# title: MA\n# date: {date}\n# tenants: default\nregion,persons\n021,{persons}\n999,500\n"
        );
        registry::Census::parse(&text).unwrap()
    };
    let registry = world.registry.clone().unwrap();
    let mut body = watch(&world, &format!("/stats/stream?{COVID}")).await;
    until(&mut body, "known living persons").await;
    registry.use_censuses(vec![table("2024-07-01", 40)]).unwrap();
    let mut body = watch(&world, &format!("/stats/stream?{COVID}&denominator=census")).await;
    until(&mut body, "\"date\":\"2024-07-01\"").await;
    let stats = world.get(&census).await.is(200).json();
    let of = |path: &[&str]| text(&stats, &[&["total", "people"], path].concat());
    assert_eq!([of(&["not"]), of(&["partial"]), of(&["census", "people"])], ["539", "1", "540"]);
    assert_eq!(of(&["census", "first_percent"]), "0.2");
    assert_eq!(text(&stats, &["census", "id"]), "ma");
    registry.use_censuses(vec![table("2025-07-01", 40)]).unwrap();
    until(&mut body, "\"date\":\"2025-07-01\"").await;
    let csv = world.get(&format!("{census}&format=csv")).await.is(200);
    let lines: Vec<&str> = csv.text().lines().collect();
    assert!(
        lines[0].contains(",census_people,first_percent,full_percent,exceeded,census,census_date,programme"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("all,<11,hidden,<11,0,") && lines[1].contains(",540,,,false,ma,2025-07-01,"),
        "{lines:?}"
    );
    assert!(lines[3].starts_with("999,0,500,0,0,") && lines[3].contains(",500,0.0,0.0,false,ma,"), "{lines:?}");
    world.get(&format!("/t/other{census}")).await.is(400);
}
