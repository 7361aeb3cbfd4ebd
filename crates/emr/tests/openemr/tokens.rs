//! Access tokens that expire, refresh tokens that work once.

use crate::book::MemoryBook;
use crate::house::{Delivery, House, PATIENCE};
use emr_sim::{Faults, Profile};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn patient(family: &str) -> serde_json::Value {
    json!({ "name": [{ "family": family, "given": ["Aiko"] }], "gender": "female", "birthDate": "1990-05-01" })
}

fn token_calls(delivery: &Delivery) -> usize {
    let arrivals = delivery.sim().arrivals(0, usize::MAX);
    arrivals.iter().filter(|arrival| arrival.path.ends_with("/token")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_shared_until_most_of_their_life_is_over() {
    let delivery = House::build(Profile::OpenEmr8).await.deliver().await;
    // One of them was enrolment's.
    delivery.put("Patient/p1", patient("Ito")).await;
    delivery.put("Patient/p2", patient("Sato")).await;
    assert_eq!(token_calls(&delivery), 2);
    // Alive for the EMR, and old enough to be renewed.
    delivery.house.clock.advance_us(45 * 60 * 1_000_000);
    delivery.put("Patient/p3", patient("Mori")).await;
    assert_eq!(token_calls(&delivery), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_in_the_middle_is_renewed_once() {
    let delivery = House::build(Profile::OpenEmr8).await.deliver().await;
    delivery.put("Patient/p1", patient("Ito")).await;
    // Only the EMR's clock moves: the connector finds out by a 401.
    delivery.sim().advance(Duration::from_secs(2 * 3_600));
    delivery.put("Patient/p1", patient("Sato")).await;
    assert_eq!(delivery.only("Patient").body["name"][0]["family"], "Sato");
    let refused = delivery.sim().arrivals(0, usize::MAX).into_iter().filter(|arrival| arrival.status == 401).count();
    assert_eq!((refused, token_calls(&delivery)), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_rotation_finds_the_new_refresh_token() {
    let delivery = House::build(Profile::OpenEmr8).await.deliver().await;
    delivery.put("Patient/p1", patient("Ito")).await;
    delivery.end();
    let Delivery { house, book, .. } = delivery;
    // The disk keeps what the vault was given; the one of enrolment is used up.
    let kept = house.vault.kept.lock().unwrap().last().cloned().unwrap();
    let emr = Arc::new(house.connector(vec![house.writer_with(kept)]));
    let delivery = Delivery::start(house, emr, book).await;
    delivery.put("Patient/p2", patient("Sato")).await;
    assert_eq!(delivery.sim().records("Patient").len(), 2);
    assert_eq!(delivery.house.vault.kept.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_access_token_is_used_before_its_refresh_token_is_kept() {
    let house = House::build(Profile::OpenEmr8).await;
    *house.vault.failing.lock().unwrap() = 1;
    let delivery = house.deliver().await;
    delivery.put_soon("Patient/p1", patient("Ito"));
    delivery.settle().await;
    assert_eq!(delivery.only("Patient").body["name"][0]["family"], "Ito");
    // The second try kept the token of the first renewal: nothing was asked for twice.
    assert_eq!((token_calls(&delivery), delivery.house.vault.kept.lock().unwrap().len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_refresh_token_is_an_alarm_and_a_spare_takes_over() {
    let house = House::build(Profile::OpenEmr8).await;
    let (first, spare) = (house.writer().await, house.writer().await);
    let emr = Arc::new(house.connector(vec![first.clone(), spare]));
    let delivery = Delivery::start(house, emr, MemoryBook::default()).await;
    // The refresh token is used up and the answer is lost.
    delivery.sim().set_faults(Faults { token_drop: 1.0, ..Faults::default() });
    delivery.put_soon("Patient/p1", patient("Ito"));
    let lost = async {
        while token_calls(&delivery) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, lost).await.unwrap();
    delivery.sim().set_faults(Faults::default());
    delivery.settle().await;
    assert_eq!(delivery.sim().records("Patient").len(), 1);
    assert!(!delivery.emr.is_locked_out().await);
    delivery.end();
    // Without a spare nothing is written, and the reason is plain.
    let Delivery { house, .. } = delivery;
    let emr = Arc::new(house.connector(vec![first]));
    let delivery = Delivery::start(house, emr, MemoryBook::default()).await;
    delivery.put_soon("Patient/p2", patient("Sato"));
    let known = async {
        while !delivery.problem("Patient/p2").contains("enrol it again") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap();
    assert!(delivery.emr.is_locked_out().await);
    assert_eq!(delivery.sim().records("Patient").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_a_token_do_not_all_go_at_once_when_it_comes() {
    let house = House::build(Profile::OpenEmr8).await;
    let emr = Arc::new(house.connector(vec![house.writer().await]));
    let before = house.sim.state().arrivals;
    let delivery = Delivery::paced(house, emr, MemoryBook::default(), 4).await;
    // The answer with the token takes longer than the window of the limit.
    delivery.sim().set_faults(Faults { stall: 1.0, stall_ms: 1_500, ..Faults::default() });
    for number in 0..8 {
        delivery.put_soon(&format!("Patient/p{number}"), patient("Ito"));
    }
    delivery.settle().await;
    let mut at_us: Vec<u64> =
        delivery.sim().arrivals(before, usize::MAX).into_iter().map(|arrival| arrival.mono_us).collect();
    at_us.sort_unstable();
    let most = at_us.iter().map(|from| at_us.iter().filter(|at| (*from..from + 1_000_000).contains(at)).count()).max();
    assert!(most <= Some(4), "{most:?} arrivals in one second");
}
