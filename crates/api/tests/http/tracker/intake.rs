//! Files of vaccinations.

use super::{text, world};
use crate::harness::{Reply, World};
use fhir::json::Value;

const PATH: &str = "/vaccines/import";
const HEAD: &str = "vaccine,provider,clinic,date,given,family,birthDate,sex,phone,line,postalCode,idempotency_key";

async fn send(world: &World, media: &str, body: &str) -> Reply {
    world.ask("POST", PATH, &[("content-type", media)], body.to_owned()).await
}

fn rows(reply: &Reply) -> Vec<Value> {
    reply.text().lines().map(|line| Value::parse(line).unwrap()).collect()
}

#[tokio::test]
async fn rows_are_answered_in_order_and_bad_ones_stop_nothing() {
    let world = world().await;
    let ada = "Adelaide,Lovelock,1975-12-10,female,617-555-0143,12 Cedar Lane,02139";
    let file = format!(
        "{HEAD}\r\n208,rosa,north,2025-08-01,{ada},k1\r\n208,rosa,nowhere,2025-08-01,{ada},k2\r\n\
         208,rosa,north,2025-09-01,{ada},k3\r\n208,rosa,north,,Robert,,1990-03-04,male,413-555-0188,\"7, Mill Road\",01002,k4\r\n\
         too,short\r\n208,rosa,north,,Robert,Quimby,1990-03-04,male,413-555-0188,\"7, Mill Road\",01002,k5\r\n"
    );
    let reply = send(&world, "text/csv", &file).await.is(200);
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let answers = rows(&reply);
    let lines: Vec<String> = answers.iter().map(|row| text(row, &["line"])).collect();
    assert_eq!(lines, ["2", "3", "4", "5", "6", "7"]);
    let statuses: Vec<&str> = answers.iter().map(|row| row.str("status").unwrap()).collect();
    assert_eq!(statuses, ["recorded", "refused", "recorded", "refused", "refused", "recorded"]);
    assert_eq!(text(&answers[1].list("errors")[0], &["field"]), "clinic");
    assert_eq!(text(&answers[3].list("errors")[0], &["field"]), "phi.family");
    assert_eq!(
        (super::covid(&answers[0]), super::covid(&answers[2])),
        ("partial".into(), "full".into()),
        "in their order"
    );
    assert_eq!(text(&answers[0], &["person"]), text(&answers[2], &["person"]));
    assert_eq!(world.get("/fhir/Patient").await.total().as_deref(), Some("2"));

    let again = rows(&send(&world, "text/csv", &file).await.is(200));
    let statuses: Vec<&str> = again.iter().map(|row| row.str("status").unwrap()).collect();
    assert_eq!(statuses, ["repeated", "refused", "repeated", "refused", "refused", "repeated"]);
    assert_eq!(world.get("/fhir/Immunization").await.total().as_deref(), Some("3"));
}

#[tokio::test]
async fn ndjson_is_flat_or_nested() {
    let world = world().await;
    let file = concat!(
        r#"{"vaccine":"208","provider":"rosa","clinic":"north","family":"Lovelock","given":"Adelaide","birthDate":"1975-12-10","postalCode":"02139"}"#,
        "\n\n{\"vaccine\":\n",
        r#"{"vaccine":"208","provider":"rosa","clinic":"north","phi":{"family":"Quimby","birthDate":"1990-03-04"}}"#,
        "\n",
        r#"{"vaccine":"208","provider":"rosa","clinic":"north","familiy":"Quimby","birthDate":"1990-03-04"}"#,
    );
    let answers = rows(&send(&world, "application/x-ndjson", file).await.is(200));
    let statuses: Vec<&str> = answers.iter().map(|row| row.str("status").unwrap()).collect();
    assert_eq!(statuses, ["recorded", "refused", "recorded", "refused"]);
    assert_eq!(text(&answers[1], &["line"]), "3");
    assert!(answers[3].to_string().contains("unknown member familiy"), "{}", answers[3]);
}

#[tokio::test]
async fn many_rows_are_all_there() {
    let world = world().await;
    let mut file = format!("{HEAD}\n");
    const GIVEN: [&str; 6] = ["Adelaide", "Bettina", "Cornelia", "Dorothea", "Friederike", "Wilhelmina"];
    const FAMILY: [&str; 10] = [
        "Ashdown",
        "Birdwell",
        "Cromarty",
        "Delacroix",
        "Eastwick",
        "Fotheringay",
        "Grimaldi",
        "Holloway",
        "Ivanov",
        "Quimby",
    ];
    for person in 0..60 {
        let (given, family) = (GIVEN[person / 10], FAMILY[person % 10]);
        for month in 1..=2 {
            let (day, year, phone, zip) = (person % 28 + 1, 40 + person, 1_000 + person * 97, 100 + person * 13);
            file.push_str(&format!(
                "208,rosa,north,2025-0{month}-{day:02},{given},{family},19{year}-0{}-{day:02},female,617-555-{phone},{} {family} Street,02{zip},\n",
                person % 9 + 1,
                person * 31 + 7
            ));
        }
    }
    let answers = rows(&send(&world, "text/csv", &file).await.is(200));
    assert_eq!(answers.len(), 120);
    assert!(answers.iter().all(|row| row.str("status") == Some("recorded")), "{answers:?}");
    assert_eq!(world.get("/fhir/Immunization").await.total().as_deref(), Some("120"));
    let stats = world.get("/stats?programme=covid-19-primary").await.is(200).json();
    assert_eq!(text(&stats, &["total", "people", "full"]), "60", "{stats}");
}

#[tokio::test]
async fn files_that_are_none() {
    let world = world().await;
    send(&world, "application/json", "{}").await.is(415);
    send(&world, "text/csv", "").await.is(400);
    send(&world, "application/x-ndjson", "\n").await.is(400);
    assert!(send(&world, "text/csv", "vacine\n1\n").await.is(400).text().contains("did you mean vaccine"));
    send(&world, "text/csv", "vaccine,vaccine\n1,2\n").await.is(400);
    world.ask("POST", PATH, &[("content-type", "text/csv")], b"vaccine\n\xff\n".to_vec()).await.is(400);
}
