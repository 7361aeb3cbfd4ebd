//! Pages as a browser without JavaScript uses them.

use crate::world::{World, session};
use engine::Search;
use fhir::defs::r4;
use std::sync::atomic::Ordering;

/// Codes of the audit trail's newest records.
async fn audited(world: &World, interaction: &str) -> usize {
    let pairs = [("subtype".to_owned(), interaction.to_owned())];
    let ty = r4().resource_by_name("AuditEvent");
    let search = Search { ty, compartment: None, pairs: &pairs, lenient: false, cursor: None };
    world.engine.search(&session(), &search).await.unwrap().matches.len()
}

#[tokio::test]
async fn the_overview_shows_every_destination_with_its_numbers() {
    let world = World::new().await;
    world.patient("a", true).await;
    world.patient("b", false).await;
    world.until(1, 1).await;
    let page = world.get("/ops").await.is(200);
    page.shows("<h2><a href=\"/ops/default/emr\">emr</a></h2>").shows("Kind: picky. Tenant: default.");
    page.shows("data-live=\"default/emr/delivered\">1<").shows("data-live=\"default/emr/dead\">1<");
    page.shows("data-live=\"default/emr/depth\">0<").shows("Some records were refused for good").shows("nothing waits");
    page.shows("422: must be &lt;b&gt;active&lt;/b&gt; (12:00:0").shows("<div class=\"chart\" role=\"img\"");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
    assert_eq!(page.header("cache-control"), "no-store");
    for asset in ["/ops/style.css", "/ops/live.js"] {
        page.shows(&format!("=\"{asset}\""));
        world.get(asset).await.is(200);
    }
    world.get("/ops?colour=red").await.is(400).shows("unknown parameter colour");
}

#[tokio::test]
async fn pause_and_resume_work_by_forms() {
    let world = World::new().await;
    let page = world.get("/ops/default/emr").await.is(200);
    let done = world.submit(&page, "/ops/default/emr/pause", &[]).await.is(303);
    let page = world.get(done.header("location")).await.is(200);
    page.shows("Paused. What is on its way still arrives").shows("action=\"/ops/default/emr/resume\"");
    world.patient("a", true).await;
    world.until(0, 0).await;
    assert!(world.handle.status().paused);
    let done = world.submit(&page, "/ops/default/emr/resume", &[]).await.is(303);
    world.get(done.header("location")).await.is(200).shows("Records are sent again");
    world.until(1, 0).await;
    assert_eq!([audited(&world, "$delivery-pause").await, audited(&world, "$delivery-resume").await], [1, 1]);
}

#[tokio::test]
async fn a_refused_record_is_inspected_put_right_and_delivered() {
    let world = World::new().await;
    world.patient("a", false).await;
    let no = world.until(0, 1).await[0];
    let list = world.get("/ops/default/emr").await.is(200);
    list.shows("Its answer: 422: must be &lt;b&gt;active&lt;/b&gt;").shows("1 attempt");
    let path = format!("/ops/default/emr/intents/{no}");
    list.shows(&format!("href=\"{path}\""));

    assert_eq!(audited(&world, "read").await, 0);
    let page = world.get(&path).await.is(200);
    page.shows("Patient/a").shows("&quot;active&quot;: false");
    assert_eq!(audited(&world, "read").await, 1, "looking at a record is noted");

    let edit = format!("{path}/edit");
    let version = page.field("version");
    let send = async |json: &str| world.submit(&page, &edit, &[("json", json), ("version", &version)]).await;
    let kept = send("{\"resourceType\":\"Patient\",").await.is(400);
    kept.shows("There is a problem")
        .shows("<title>Error: ")
        .shows("{&quot;resourceType&quot;:&quot;Patient&quot;,</textarea>");
    send(r#"{"resourceType":"Patient","id":"b"}"#).await.is(400).shows("There is a problem");
    send(r#"{"resourceType":"Patient","id":"a","active":false}"#).await.is(400).shows("nothing was changed");
    world.until(0, 1).await;
    let done = send(r#"{"resourceType":"Patient","id":"a","active":true}"#).await.is(303);
    world.until(1, 0).await;
    world
        .get(done.header("location"))
        .await
        .is(200)
        .shows("The new version is stored and will be sent")
        .shows("Nothing was refused");

    world.get(&path).await.is(404).shows("it may have been delivered meanwhile");
    world.patient("a", false).await;
    let no = world.until(1, 1).await[0];
    let late = format!("/ops/default/emr/intents/{no}/edit");
    let fields = [("json", r#"{"resourceType":"Patient","id":"a","active":true}"#), ("version", version.as_str())];
    world.submit(&page, &late, &fields).await.is(412).shows("another version is current (3)");
}

#[tokio::test]
async fn refused_records_are_sent_again_one_or_all() {
    let world = World::new().await;
    for id in ["a", "b", "c"] {
        world.patient(id, false).await;
    }
    let numbers = world.until(0, 3).await;
    let attempts = || world.attempts.load(Ordering::Relaxed);
    assert_eq!(attempts(), 3);
    let page = world.get("/ops/default/emr").await.is(200);
    let one = format!("/ops/default/emr/intents/{}/replay", numbers[0]);
    let done = world.submit(&page, &one, &[]).await.is(303);
    world.get(done.header("location")).await.is(200).shows("1 record will be sent again");
    world.until(0, 3).await;
    assert_eq!(attempts(), 4);
    let done = world.submit(&page, "/ops/default/emr/replay", &[]).await.is(303);
    world.get(done.header("location")).await.is(200).shows("3 records will be sent again");
    world.until(0, 3).await;
    assert_eq!(attempts(), 7);
    assert_eq!(audited(&world, "$delivery-replay").await, 2);
    world
        .submit(&page, "/ops/default/emr/intents/99/replay", &[])
        .await
        .is(404)
        .shows("no refused record has the number 99");
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let world = World::new().await;
    let page = world.get("/ops/default/emr").await.is(200);
    let token = format!("token={}", page.field("token"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, body) in [
        (vec![form, ("sec-fetch-site", "cross-site")], token.as_str()),
        (vec![form, ("origin", "https://evil.example")], token.as_str()),
        (vec![form, ("sec-fetch-site", "same-origin")], "token=00"),
        (vec![form, ("sec-fetch-site", "same-origin")], ""),
    ] {
        for act in ["pause", "resume", "replay", "intents/1/replay", "intents/1/edit"] {
            world.ask("POST", &format!("/ops/default/emr/{act}"), &headers, body).await.is(403);
        }
    }
    world.ask("POST", "/ops/api/destinations/default/emr/pause", &[("sec-fetch-site", "cross-site")], "").await.is(403);
    assert!(!world.handle.status().paused);
    world.ask("GET", "/ops/default/emr/pause", &[], "").await.is(405);
}

#[tokio::test]
async fn what_is_not_there_is_said_on_a_page() {
    let mut world = World::new().await;
    world.get("/ops/default/erm").await.is(404).shows("tenant default has no destination erm (did you mean emr?)");
    world.get("/ops/other/emr").await.is(404).shows("tenant other has no destination emr");
    world.get("/ops/default/emr/intents/x").await.is(404);
    world.get("/ops/default/emr/intents/7").await.is(404);
    let page = world.get("/ops/default/emr").await.is(200);
    world.end_delivery().await;
    world.get("/ops").await.is(200).shows("Does not run");
    world.get("/ops/default/emr").await.is(200).shows("Does not run");
    world.submit(&page, "/ops/default/emr/pause", &[]).await.is(503).shows("does not run now");
}
