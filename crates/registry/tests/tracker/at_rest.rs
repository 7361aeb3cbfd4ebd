//! What stands on the disk, and what is made from it.

use crate::support::{ADA, BOB, START, closed, covid, open, patient, stand};
use registry::Registry;
use std::path::Path;
use std::sync::Arc;
use store::ManualClock;
use tempfile::TempDir;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START.parse::<jiff::Timestamp>().unwrap().as_microsecond()))
}

#[tokio::test]
async fn a_store_that_is_older_than_its_registry_is_counted_when_it_is_opened() {
    let old = closed(TempDir::new().unwrap(), clock(), 1);
    let one = old.create("Patient", &patient(ADA)).await;
    let other = old.create("Patient", &patient(ADA)).await;
    let gone = old.create("Patient", &patient(BOB)).await;
    old.create("Immunization", &covid(&one, "208", "2021-04-01")).await;
    let dose = old.create("Immunization", &covid(&other, "208", "2021-05-01")).await;
    old.put("Immunization", &dose, &covid(&other, "208", "2021-05-02")).await;
    old.delete("Patient", &gone).await;
    let crate::support::Stand { dir, clock, store, engine, registry, .. } = old;
    store.close();
    drop((store, engine, registry));
    let stand = open(dir, clock, 5).await;
    assert_eq!(stand.counts(), [1, 0, 0, 1], "two records of one person, and nobody else");
    stand.audit().await;
    let tables = |registry: &Registry| registry.table(&stand.session, registry::Kind::Dose).unwrap();
    let before = tables(&stand.registry);
    stand.registry.build(&stand.engine, &stand.session).await.unwrap();
    assert_eq!(tables(&stand.registry), before);
}

#[tokio::test]
async fn other_definitions_measure_everybody_anew() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    stand.create("Immunization", &covid(&ada, "212", "2021-04-01")).await;
    assert_eq!(stand.counts(), [1, 0, 0, 1]);
    let two = r#"
        id = "covid-19-primary"
        title = "COVID-19, two doses of anything"
        version = "2"
        early_dose = "count"
        mixing = true
        [[product]]
        name = "any"
        cvx = [207, 208, 212]
        doses_required = 2
    "#;
    let schedule = Arc::new(vaccines::Schedule::builtin().unwrap());
    let programme = vaccines::surveillance::Programme::from_toml(two).unwrap();
    stand.registry.redefine(registry::Definitions::new(vec![schedule], vec![programme]).unwrap());
    stand.registry.build(&stand.engine, &stand.session).await.unwrap();
    stand.registry.turn(&stand.engine, &stand.session).await.unwrap();
    assert_eq!(stand.counts(), [1, 0, 1, 0]);
    stand.audit().await;
}

/// All bytes below a directory.
fn bytes_in(dir: &Path, out: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { bytes_in(&path, out) } else { out.extend(std::fs::read(path).unwrap()) }
    }
}

#[tokio::test]
async fn nothing_that_identifies_a_person_stands_in_clear_on_the_disk() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    stand.create("Patient", &patient(crate::support::Who { given: "Bertha", ..ADA })).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    stand.create("Immunization", &covid(&ada, "208", "2021-04-01")).await;
    let (into, from) = (stand.person(&ada), stand.person(&bob));
    stand.registry.merge(&stand.engine, &stand.session, into, from, "Lovelock is Quimby").await.unwrap();
    stand.store.close();
    let mut bytes = Vec::new();
    bytes_in(stand.dir.path(), &mut bytes);
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    for clear in [
        "lovelock",
        "quimby",
        "adelaide",
        "robert",
        "1975-12",
        "1975",
        "5550143",
        "555-0143",
        "02139",
        "cedar",
        "springfield",
        "covid-19",
    ] {
        assert!(!text.contains(clear), "{clear}");
    }
}

#[tokio::test]
async fn another_tenant_key_finds_nobody() {
    let (one, other) = (stand().await, open(TempDir::new().unwrap(), clock(), 9).await);
    one.create("Patient", &patient(ADA)).await;
    assert_eq!(one.matches(ADA).len(), 1);
    // The records of one under the key of the other: nothing of them means anything there.
    let feed = one.engine.feed(&one.session).await.unwrap();
    let records = feed.states("record", "", 10).await.unwrap();
    let state =
        records.into_iter().map(|(key, value)| store::StateChange { space: "record".into(), key, value: Some(value) });
    let keep = engine::Keep { state: state.collect(), ..engine::Keep::default() };
    other.engine.feed(&other.session).await.unwrap().keep(keep).await.unwrap();
    let other = other.reopen().await;
    assert!(other.matches(ADA).is_empty());
}
