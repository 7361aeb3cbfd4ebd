//! Search by GET and POST, paging, compartments, `$everything`, strict and lenient handling.

use crate::harness::{FHIR, World};
use fhir::json::Value;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn ward(world: &World) {
    for number in 1..=7 {
        let body = format!(
            r#"{{"resourceType":"Patient","id":"p{number}","gender":"{}","name":[{{"family":"Núñez{number}"}}]}}"#,
            if number % 2 == 0 { "male" } else { "female" }
        );
        world.send("PUT", &format!("/fhir/Patient/p{number}"), &body).await.is(201);
        let body = format!(
            r#"{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"text":"x"}},
            "subject":{{"reference":"Patient/p{number}"}}}}"#
        );
        world.send("PUT", &format!("/fhir/Observation/o{number}"), &body).await.is(201);
    }
}

fn ids(resources: &[Value]) -> Vec<String> {
    let mut ids: Vec<_> = resources.iter().map(|one| one.get("id").unwrap().as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn get_and_post_find_the_same() {
    let world = World::new();
    ward(&world).await;
    let got = world.get("/fhir/Patient?gender=female&family=N%C3%BA%C3%B1ez&_sort=family").await.is(200);
    assert_eq!(ids(&got.found("match")), ["p1", "p3", "p5", "p7"]);
    assert_eq!(got.total().as_deref(), Some("4"));
    let full_url = got.entries()[0].get("fullUrl").unwrap().as_str().unwrap().to_owned();
    assert!(full_url.starts_with("http://host/fhir/Patient/p"));
    let form = "gender=female&family=N%C3%BA%C3%B1ez&_sort=family";
    let posted = world.ask("POST", "/fhir/Patient/_search", &[FORM], form).await.is(200);
    assert_eq!(posted.json(), got.json());
    let mixed = world.ask("POST", "/fhir/Patient/_search?gender=female", &[FORM], "_sort=family").await.is(200);
    assert_eq!(ids(&mixed.found("match")), ["p1", "p3", "p5", "p7"]);
    world.ask("POST", "/fhir/Patient/_search", &[FHIR], "{}").await.is(415);
    world.ask("POST", "/fhir/Patient/_search", &[FORM], "family=%FF").await.is(400);
}

#[tokio::test]
async fn page_links_lead_to_the_end_and_stay_stable() {
    let world = World::new();
    ward(&world).await;
    for start in ["/fhir/Patient?_count=3&_sort=family", "/fhir/Patient?_count=3"] {
        let (mut next, mut seen, mut pages) = (Some(start.to_owned()), Vec::new(), 0);
        while let Some(url) = next {
            let page = world.get(&url).await.is(200);
            assert_eq!(page.total().as_deref(), Some("7"));
            assert!(page.link("self").is_some() && page.link("first").is_some());
            assert!(page.link("first").unwrap().contains("_count=3"));
            seen.extend(ids(&page.found("match")));
            pages += 1;
            // A Patient that arrives in between must not shift the pages.
            world.send("PUT", &format!("/fhir/Patient/q{pages}"), &body(pages)).await;
            next = page.link("next");
            assert!(pages <= 4);
        }
        seen.sort();
        assert_eq!(seen, ["p1", "p2", "p3", "p4", "p5", "p6", "p7"]);
        assert_eq!(pages, 3);
        for page in 1..=3 {
            world.ask("DELETE", &format!("/fhir/Patient/q{page}"), &[], "").await.is(204);
        }
    }
    world.get("/fhir/Patient?_page=nonsense").await.is(400);
}

fn body(page: usize) -> String {
    format!(r#"{{"resourceType":"Patient","id":"q{page}","name":[{{"family":"Aab"}}]}}"#)
}

#[tokio::test]
async fn includes_counts_and_all_types() {
    let world = World::new();
    ward(&world).await;
    let page = world.get("/fhir/Observation?subject=Patient/p2&_include=Observation:subject").await.is(200);
    assert_eq!((ids(&page.found("match")), ids(&page.found("include"))), (vec!["o2".into()], vec!["p2".into()]));
    let page = world.get("/fhir/Patient?_id=p2&_revinclude=Observation:subject").await.is(200);
    assert_eq!(ids(&page.found("include")), ["o2"]);
    let counted = world.get("/fhir/Patient?_summary=count").await.is(200);
    assert_eq!((counted.total().as_deref(), counted.entries().len()), (Some("7"), 0));
    let all = world.get("/fhir?_type=Patient,Observation&_summary=count").await.is(200);
    assert_eq!(all.total().as_deref(), Some("14"));
    let all = world.ask("POST", "/fhir/_search", &[FORM], "_type=Patient&_count=2").await.is(200);
    assert_eq!(all.found("match").len(), 2);
    assert!(all.link("next").unwrap().starts_with("/fhir?"), "{:?}", all.link("next"));
    let next = world.get(&all.link("next").unwrap()).await.is(200);
    assert_eq!(next.found("match").len(), 2);
}

#[tokio::test]
async fn compartments_hold_what_belongs_to_their_owner() {
    let world = World::new();
    ward(&world).await;
    assert_eq!(ids(&world.get("/fhir/Patient/p3/Observation").await.is(200).found("match")), ["o3"]);
    assert_eq!(ids(&world.get("/fhir/Patient/p3/Observation?status=draft").await.is(200).found("match")).len(), 0);
    let all = world.get("/fhir/Patient/p3/*").await.is(200);
    assert!(ids(&all.found("match")).contains(&"o3".to_owned()));
    assert!(all.link("self").unwrap().starts_with("/fhir/Patient/p3/*"));
    let posted = world.ask("POST", "/fhir/Patient/p3/Observation/_search", &[FORM], "status=final").await.is(200);
    assert_eq!(ids(&posted.found("match")), ["o3"]);
    world.get("/fhir/Patient/p3/Observatoin").await.is(404);
}

#[tokio::test]
async fn everything_about_a_patient() {
    let world = World::new();
    ward(&world).await;
    let all = world.get("/fhir/Patient/p4/$everything").await.is(200);
    let mut found = all.found("match");
    found.extend(all.found("include"));
    assert_eq!(ids(&found), ["o4", "p4"]);
    let body = r#"{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Immunization"}]}"#;
    let some = world.send("POST", "/fhir/Patient/p4/$everything", body).await.is(200);
    assert!(!some.text().contains("\"o4\"") && !some.text().contains("\"p4\""), "{}", some.text());
    let some = world.get("/fhir/Patient/p4/$everything?_type=Observation").await.is(200);
    assert_eq!((ids(&some.found("match")), some.total().as_deref()), (vec!["o4".to_owned()], Some("1")));
    world.get("/fhir/Patient/nobody/$everything").await.is(404);
}

#[tokio::test]
async fn unknown_parameters_are_refused_or_reported() {
    let world = World::new();
    ward(&world).await;
    let strict = world.get("/fhir/Patient?gendr=male").await.is(400);
    assert!(strict.text().contains("gender"), "{}", strict.text());
    let prefer = ("prefer", "return=minimal; handling=lenient");
    let lenient = world.ask("GET", "/fhir/Patient?gendr=male&_count=9", &[prefer], "").await.is(200);
    assert_eq!(lenient.found("match").len(), 7);
    assert_eq!(lenient.found("outcome").len(), 1);
    assert!(!lenient.link("self").unwrap().contains("gendr"), "the self link shows what was understood");
}

#[tokio::test]
async fn numbers_and_schedules_are_ranges() {
    let world = World::new();
    for (id, value) in [("a", "94"), ("b", "95"), ("c", "104.9"), ("d", "105")] {
        let body = format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},
            "valueQuantity":{{"value":{value},"unit":"mg"}}}}"#
        );
        world.send("PUT", &format!("/fhir/Observation/{id}"), &body).await.is(201);
    }
    let found = |reply: crate::harness::Reply| ids(&reply.found("match"));
    assert_eq!(found(world.get("/fhir/Observation?value-quantity=1e2").await.is(200)), ["b", "c"]);
    assert_eq!(found(world.get("/fhir/Observation?value-quantity=1.05e2").await.is(200)), ["c", "d"]);
    assert_eq!(found(world.get("/fhir/Observation?value-quantity=105.0||mg").await.is(200)), ["d"]);

    let request = r#"{"resourceType":"ServiceRequest","id":"s","status":"active","intent":"order",
        "subject":{"display":"x"},"occurrenceTiming":{"event":["2013-01-31","2013-03-24"]}}"#;
    world.send("PUT", "/fhir/ServiceRequest/s", request).await.is(201);
    for (when, expected) in [("2013", 1), ("ap2013-02-01", 1), ("gt2013-02-01", 1), ("sa2013-01-31", 0), ("2013-02", 0)]
    {
        let reply = world.get(&format!("/fhir/ServiceRequest?occurrence={when}")).await.is(200);
        assert_eq!(reply.found("match").len(), expected, "{when}");
    }
}
