//! Many write about the same persons at the same moment. More threads than cores, so that the system stops some of them
//! at any point.

use crate::support::{ADA, BOB, Stand, covid, patient, stand};
use std::sync::Arc;

const CALLERS: usize = 24;
const ROUNDS: usize = 4;

/// In each round, on a stand of its own, runs `write` for each caller at once; answers what is counted then.
async fn at_once<F: Future<Output = ()> + Send + 'static>(write: impl Fn(Arc<Stand>, usize) -> F) -> Vec<[u64; 4]> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let stand = Arc::new(stand().await);
        let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(write(stand.clone(), caller))).collect();
        for caller in callers {
            caller.await.unwrap();
        }
        stand.audit().await;
        rounds.push(stand.counts());
    }
    rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn all_records_of_one_who_comes_everywhere_at_once_are_linked() {
    let rounds = at_once(|stand, _| async move { drop(stand.create("Patient", &patient(ADA)).await) }).await;
    assert_eq!(rounds, [[1, 1, 0, 0]; ROUNDS]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn transactions_that_name_the_same_persons_in_another_order_end() {
    let rounds = at_once(|stand, caller| async move {
        let mut whos = [ADA, BOB];
        whos.rotate_left(caller % 2);
        let entry = |who| format!(r#"{{"resource":{},"request":{{"method":"POST","url":"Patient"}}}}"#, patient(who));
        let entries = whos.map(entry).join(",");
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
        stand.engine.bundle(&stand.session, bundle.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(rounds, [[2, 2, 0, 0]; ROUNDS]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_patient_and_doses_that_come_at_once_meet() {
    let rounds = at_once(|stand, caller| async move {
        match caller % 4 {
            0 => stand.put("Patient", "ada", &patient(ADA)).await,
            1 => drop(stand.create("Patient", &patient(ADA)).await),
            _ => drop(stand.create("Immunization", &covid("ada", "208", "2021-04-01")).await),
        }
    })
    .await;
    // Doses of one day are one dose.
    assert_eq!(rounds, [[1, 0, 1, 0]; ROUNDS]);
}
