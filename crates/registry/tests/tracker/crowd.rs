//! Many write about the same persons at the same moment. More threads than cores, so that the system stops some of them
//! at any point.

use crate::support::{ADA, BOB, Stand, covid, patient, stand};
use std::sync::Arc;

const CALLERS: usize = 24;
const ROUNDS: usize = 4;

/// Runs `write` for each caller at once.
async fn at_once<F: Future<Output = ()> + Send + 'static>(write: impl Fn(usize) -> F) {
    let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(write(caller))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

async fn persons(stand: &Stand) -> u64 {
    stand.audit().await;
    stand.counts()[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn all_records_of_one_who_comes_everywhere_at_once_are_linked() {
    for _ in 0..ROUNDS {
        let stand = Arc::new(stand().await);
        at_once(|_| {
            let stand = stand.clone();
            async move { drop(stand.create("Patient", &patient(ADA)).await) }
        })
        .await;
        assert_eq!(persons(&stand).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn transactions_that_name_the_same_persons_in_another_order_end() {
    for _ in 0..ROUNDS {
        let stand = Arc::new(stand().await);
        at_once(|caller| {
            let stand = stand.clone();
            async move {
                let mut whos = [ADA, BOB];
                whos.rotate_left(caller % 2);
                let entry =
                    |who| format!(r#"{{"resource":{},"request":{{"method":"POST","url":"Patient"}}}}"#, patient(who));
                let entries = whos.map(entry).join(",");
                let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
                stand.engine.bundle(&stand.session, bundle.as_bytes()).await.unwrap();
            }
        })
        .await;
        assert_eq!(persons(&stand).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_patient_and_doses_that_come_at_once_meet() {
    for _ in 0..ROUNDS {
        let stand = Arc::new(stand().await);
        at_once(|caller| {
            let stand = stand.clone();
            async move {
                match caller % 4 {
                    0 => stand.put("Patient", "ada", &patient(ADA)).await,
                    1 => drop(stand.create("Patient", &patient(ADA)).await),
                    _ => drop(stand.create("Immunization", &covid("ada", "208", "2021-04-01")).await),
                }
            }
        })
        .await;
        assert_eq!(persons(&stand).await, 1);
        assert_eq!(stand.counts()[2], 1, "doses of one day are one dose");
    }
}
