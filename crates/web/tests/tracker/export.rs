//! Files that leave the house.

use crate::support::{ADA, BOB, covid};
use crate::world::{World, somebody};

#[tokio::test]
async fn small_counts_do_not_leave() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let bob = world.patient(BOB).await;
    for n in 0..12 {
        let patient = world.patient(somebody(n, 1960)).await;
        world.dose(&patient, "208", "2021-05-03").await;
    }
    world.dose(&ada, "207", "2021-04-01").await;
    world.dose(&bob, "207", "2021-04-02").await;
    let file = world.get("/tracker/export/vaccines.csv?programme=covid-19-primary").await.is(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"covid-19-primary-vaccines.csv\"");
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(lines[0], "cvx,vaccine,doses,counted,programme,calculator,version,as_of");
    assert_eq!(lines.len(), 3);
    // The other would tell the hidden one, as the total is known.
    assert!(
        lines[1..].iter().all(|line| line.contains(",hidden,doses,covid-19-primary,surveillance,2023-05,2021-06-15")),
        "{lines:?}"
    );
    let days = world.get("/tracker/export/doses.csv").await.is(200);
    days.shows("2021-04-01,hidden,").shows("2021-04-02,hidden,").shows("2021-05-03,12,");
    let coverage = world.get("/tracker/export/coverage.csv").await.is(200);
    coverage.shows("day,reached_first_dose,reached_full,reached_booster").shows("2021-04-01,hidden,0,0,");
    let sexes = world.get("/tracker/export/sexes.csv").await.is(200);
    sexes.shows("female,hidden,").shows("known living persons");
    for file in ["reported", "ages", "regions", "clinics", "lots", "invalid", "quality"] {
        let reply = world.get(&format!("/tracker/export/{file}.csv")).await.is(200);
        for count in 1..11 {
            reply.hides(&format!(",{count},"));
        }
    }
}

#[tokio::test]
async fn a_hostile_lot_is_no_formula() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let dose = covid(&ada, "208", "2021-04-01").replace("\"L1\"", "\"=HYPERLINK(1,2)\"");
    world.stand.create("Immunization", &dose).await;
    world.get("/tracker/export/lots.csv").await.is(200).shows("\"'=HYPERLINK(1,2)\",hidden,");
}

#[tokio::test]
async fn an_unknown_file_is_named() {
    let world = World::new().await;
    world.get("/tracker/export/dose.csv").await.is(404).shows("did you mean doses.csv?");
    world.get("/tracker/export/ages.csv?programme=x").await.is(404);
    world.get("/tracker/export/ages.csv?by=x").await.is(400);
}
