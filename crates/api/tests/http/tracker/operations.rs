//! `Patient/$match` and `Patient/{id}/$immunization-status`.

use super::{ada, dose, post, text, world};
use crate::harness::World;
use fhir::json::Value;

const MATCH: &str = "/fhir/Patient/$match";

fn question(patient: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{{"resourceType":"Patient",{patient}}}}}{more}]}}"#
    )
}

const ADA: &str = r#""name":[{"given":["Adelaide"],"family":"Lovelock"}],"birthDate":"1975-12-10","gender":"female",
    "telecom":[{"system":"phone","value":"617-555-0143"}]"#;

#[tokio::test]
async fn a_match_has_its_score_and_grade() {
    let world = world().await;
    let made = post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201).json();
    let reply = world.send("POST", MATCH, &question(ADA, "")).await.is(200);
    let entries = reply.entries();
    assert_eq!(entries.len(), 1, "{}", reply.text());
    assert_eq!(text(&entries[0], &["resource", "id"]), text(&made, &["patient"]));
    let search = entries[0].get("search").unwrap();
    assert_eq!(search.str("mode"), Some("match"));
    let extension = &search.list("extension")[0];
    assert_eq!(extension.str("url"), Some("http://hl7.org/fhir/StructureDefinition/match-grade"));
    assert!(matches!(extension.str("valueCode"), Some("certain" | "probable")), "{extension}");
    let score: f64 = text(search, &["score"]).parse().unwrap();
    assert!((0.0..=1.0).contains(&score) && score > 0.5, "{score}");

    let stranger = ADA
        .replace("Lovelock", "Zimmermann")
        .replace("1975", "1999")
        .replace("Adelaide", "Xaver")
        .replace("0143", "9999");
    let nobody = world.send("POST", MATCH, &question(&stranger, "")).await.is(200);
    assert_eq!(nobody.total().as_deref(), Some("0"));
}

#[tokio::test]
async fn thin_and_wrong_questions_are_refused() {
    let world = world().await;
    let thin = question(r#""name":[{"family":"Lovelock"}]"#, "");
    assert!(world.send("POST", MATCH, &thin).await.is(422).text().contains("too little"));
    let cases = [
        question(ADA, r#",{"name":"cuont","valueInteger":1}"#),
        question(ADA, r#",{"name":"count","valueInteger":0}"#),
        question(ADA, r#",{"name":"onlyCertainMatches","valueString":"yes"}"#),
        r#"{"resourceType":"Parameters"}"#.to_owned(),
        r#"{"resourceType":"Patient"}"#.to_owned(),
        "{".to_owned(),
    ];
    for body in cases {
        world.send("POST", MATCH, &body).await.is(400);
    }
    assert_eq!(world.get(MATCH).await.is(405).header("allow"), "POST");
}

#[tokio::test]
async fn nobody_may_ask_without_end() {
    let world = world().await;
    let statuses = {
        let mut statuses = Vec::new();
        for _ in 0..62 {
            statuses.push(world.send("POST", MATCH, &question(ADA, "")).await);
        }
        statuses
    };
    assert!(statuses[..60].iter().all(|reply| reply.status == 200));
    assert!(statuses[60..].iter().all(|reply| reply.status == 429 && reply.header("retry-after") == "1"));
    let asked = world.get("/fhir/AuditEvent?subtype=$match&_count=200").await.is(200);
    assert_eq!(asked.entries().len(), 62, "each question is in the book, also a refused one");
    world.clock.advance_us(1_000_000);
    world.send("POST", MATCH, &question(ADA, "")).await.is(200);
}

async fn parameters(world: &World, path: &str) -> Value {
    let reply = world.get(path).await.is(200);
    let valid = world.send("POST", "/fhir/Parameters/$validate", reply.text()).await.is(200);
    assert!(valid.text().contains("no problems found"), "{}", valid.text());
    reply.json()
}

#[tokio::test]
async fn a_status_is_parameters_with_what_fhir_has_for_it() {
    let world = world().await;
    let made = post(&world, "/vaccines", &dose(ada(), "2025-08-01")).await.is(201).json();
    let path = format!("/fhir/Patient/{}/$immunization-status", text(&made, &["patient"]));
    let all = parameters(&world, &path).await;
    let named =
        |value: &Value, name: &str| value.list("parameter").iter().filter(|one| one.str("name") == Some(name)).count();
    assert!(named(&all, "programme") > 10 && named(&all, "recommendation") == 1 && named(&all, "evaluation") > 0);
    let one = parameters(&world, &format!("{path}?programme=covid-19-primary&asOf=2025-08-15")).await;
    let text = one.to_string();
    assert_eq!(named(&one, "programme"), 1);
    assert!(text.contains(r#"{"name":"status","valueCode":"partial"}"#), "{text}");
    assert!(text.contains(&format!("Immunization/{}", super::text(&made, &["id"]))), "{text}");

    let body = r#"{"resourceType":"Parameters","parameter":[{"name":"programme","valueString":"covid-19-primary"},{"name":"asOf","valueDate":"2025-07-01"}]}"#;
    let posted = world.send("POST", &path, body).await.is(200);
    assert!(posted.text().contains(r#"{"name":"status","valueCode":"not"}"#), "{}", posted.text());
    world.get(&format!("{path}?asof=2025-01-01")).await.is(400);
    world.get(&format!("{path}?programme=none")).await.is(400);
    world.get(&format!("{path}?asOf=2025")).await.is(400);
    world.get("/fhir/Patient/nobody/$immunization-status").await.is(404);
}
