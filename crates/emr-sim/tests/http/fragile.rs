//! Going down: by order, by too much load, by too many calls a minute.

use crate::client::{Emr, FHIR, open, patient, send, start, until};
use emr_sim::{Options, Profile};
use std::collections::BTreeMap;
use std::time::Duration;

async fn fire(emr: &Emr, requests: usize) -> Vec<Option<u16>> {
    let tasks: Vec<_> = (0..requests)
        .map(|number| {
            let request =
                emr.request("POST", &format!("{FHIR}/Patient")).body(patient(&format!("k{number}")).to_string());
            tokio::spawn(async move { send(request).await.ok().map(|answer| answer.status) })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.expect("no panic"));
    }
    statuses
}

#[tokio::test]
async fn a_fragile_emr_slows_fails_falls_and_comes_back_with_its_data() {
    let options = Options {
        profile: Profile::Fragile,
        oauth_required: false,
        fragile_rate_per_s: 10.0,
        outage: Duration::from_secs(2),
        ..Options::default()
    };
    let emr = start(options).await;
    let (id, _) = emr.patient("before").await;
    let statuses = fire(&emr, 200).await;
    assert_eq!(emr.sim.state().falls, 1, "{statuses:?}");
    assert!(statuses.iter().any(Option::is_none), "connections were reset");
    assert!(emr.try_send("GET", &format!("{FHIR}/Patient/{id}"), &patient("x")).await.is_err(), "the port refuses");
    until("it comes back", || emr.sim.state().open).await;
    for _ in 0..100 {
        if emr.try_send("GET", &format!("{FHIR}/Patient/{id}"), &patient("x")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(emr.get(&format!("{FHIR}/Patient/{id}")).await.status, 200);
    let arrivals = emr.sim.arrivals(0, 999);
    let done = arrivals.iter().filter(|arrival| arrival.committed.is_some()).count();
    assert_eq!(emr.sim.records("Patient").len(), done);
    assert!(emr.sim.verify_chain());
}

#[tokio::test]
async fn a_fragile_emr_fails_half_before_it_falls() {
    let options =
        Options { profile: Profile::Fragile, oauth_required: false, fragile_rate_per_s: 20.0, ..Options::default() };
    let emr = start(options).await;
    // Twenty in the second are borne; the next sixty bring it to its knees and not down.
    let mut seen = BTreeMap::new();
    for status in fire(&emr, 70).await {
        *seen.entry(status).or_insert(0) += 1;
    }
    assert!(seen.get(&Some(500)).is_some_and(|failed| *failed > 3), "{seen:?}");
    assert!(seen.get(&Some(201)).is_some_and(|done| *done >= 40), "{seen:?}");
    assert_eq!(emr.sim.state().falls, 0);
}

#[tokio::test]
async fn taken_down_the_port_refuses_and_up_again_it_has_its_data() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, _) = emr.patient("k1").await;
    let address = emr.sim.address();
    emr.sim.set_down(true);
    until("the port refuses", || std::net::TcpStream::connect(address).is_err()).await;
    emr.sim.set_down(false);
    until("the port accepts", || std::net::TcpStream::connect(address).is_ok()).await;
    assert_eq!(emr.get(&format!("{FHIR}/Patient/{id}")).await.status, 200);
}

#[tokio::test]
async fn the_strict_profile_takes_250_a_minute_and_then_nothing_until_the_top_of_the_minute() {
    let emr = start(Options { profile: Profile::Strict, oauth_required: false, ..Options::default() }).await;
    let path = format!("{FHIR}/metadata");
    let mut refused = 0;
    // Enough for two minutes, in case one ends on the way.
    while refused == 0 && emr.sim.state().arrivals < 510 {
        let answer = emr.get(&path).await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), None);
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    let mut by_minute: BTreeMap<i64, usize> = BTreeMap::new();
    for arrival in emr.sim.arrivals(0, 999) {
        *by_minute.entry(arrival.at_us / 60_000_000).or_default() += usize::from(arrival.status == 200);
    }
    assert_eq!(by_minute.values().max(), Some(&250), "{by_minute:?}");
    let token = emr.form("/oauth2/default/token", &[("grant_type", "client_credentials")]).await;
    assert!(token.status == 429 || by_minute.len() > 1, "tokens are refused too");
    emr.sim.advance(Duration::from_secs(60));
    assert_eq!(emr.get(&path).await.status, 200);
}
