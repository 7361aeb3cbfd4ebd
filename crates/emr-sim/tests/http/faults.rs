//! The ways in which an answer fails to come, and what was done all the same.

use crate::client::{Emr, FHIR, open, patient, until};
use emr_sim::{Arrival, Faults, Profile};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

async fn with(faults: Faults) -> Emr {
    let emr = open(Profile::OpenEmr8).await;
    emr.sim.set_faults(faults);
    emr
}

fn last(emr: &Emr) -> Arrival {
    emr.sim.arrivals(0, usize::MAX).pop().expect("an arrival")
}

fn path() -> String {
    format!("{FHIR}/Patient")
}

#[tokio::test]
async fn commit_then_drop_leaves_the_record() {
    let emr = with(Faults { commit_then_drop: 1.0, ..Faults::default() }).await;
    for number in 0..6 {
        let sent = emr.try_send("POST", &path(), &patient(&format!("k{number}"))).await;
        assert!(sent.is_err());
        assert_eq!(emr.sim.counts()["Patient"], number + 1);
    }
    let arrival = last(&emr);
    assert_eq!((arrival.status, arrival.key.as_deref()), (0, Some("k5")));
    assert_eq!(arrival.committed.as_ref(), emr.sim.records("Patient").last().map(|record| &record.id));
    assert_eq!(emr.get(&path()).await.entries(), 6, "reads are answered");
}

#[tokio::test]
async fn a_late_commit_appears_after_the_connection_has_ended() {
    let emr = with(Faults { late_commit: 1.0, late_commit_max_ms: 200, ..Faults::default() }).await;
    assert!(emr.try_send("POST", &path(), &patient("k1")).await.is_err());
    until("the late commit", || emr.sim.counts().get("Patient") == Some(&1)).await;
    until("the log says so", || last(&emr).committed.is_some()).await;
    assert_eq!(last(&emr).status, 0);
    assert!(emr.sim.verify_chain());
}

#[tokio::test]
async fn a_late_commit_is_lost_when_the_emr_goes_down_first() {
    let emr = with(Faults { late_commit: 1.0, late_commit_max_ms: 3_600_000, ..Faults::default() }).await;
    assert!(emr.try_send("POST", &path(), &patient("k1")).await.is_err());
    assert_eq!((emr.sim.state().late, emr.sim.records("Patient").len()), (1, 0));
    assert_eq!(last(&emr).committed, None);
}

#[tokio::test]
async fn too_many_comes_with_and_without_retry_after_and_does_nothing() {
    let emr = with(Faults { too_many: 1.0, ..Faults::default() }).await;
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let answer = emr.send("POST", &path(), &patient("k1")).await;
        assert_eq!(answer.status, 429);
        seen.insert(answer.header("retry-after").is_some());
    }
    assert_eq!(seen.len(), 2);
    assert!(emr.sim.records("Patient").is_empty());
}

#[tokio::test]
async fn server_errors_do_nothing_and_count() {
    let emr = with(Faults { server_error: 1.0, ..Faults::default() }).await;
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        seen.insert(emr.send("POST", &path(), &patient("k1")).await.status);
    }
    assert_eq!(seen, BTreeSet::from([500, 502, 503, 504]));
    assert_eq!((emr.sim.state().arrivals, emr.sim.records("Patient").len()), (40, 0));
}

#[tokio::test]
async fn a_stalled_answer_was_done_at_once() {
    let emr = with(Faults { stall: 1.0, stall_ms: 400, ..Faults::default() }).await;
    let begin = Instant::now();
    assert_eq!(emr.send("POST", &path(), &patient("k1")).await.status, 201);
    assert!(begin.elapsed() >= Duration::from_millis(400));
    emr.sim.set_faults(Faults { stall: 1.0, stall_ms: 60_000, ..Faults::default() });
    let body = patient("k2");
    let path = path();
    let waiting = emr.try_send("POST", &path, &body);
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err());
    until("the record of the stalled request", || emr.sim.counts().get("Patient") == Some(&2)).await;
}

#[tokio::test]
async fn a_half_closed_connection_still_reads() {
    let emr = with(Faults { half_close: 1.0, ..Faults::default() }).await;
    let address = emr.sim.address();
    let both = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {FHIR}/Patient HTTP/1.1\r\nhost: x\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        // The other direction is open: a reset would make the second of two writes fail.
        for _ in 0..3 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(answer)
    });
    let answer = both.await.expect("no panic").expect("no reset");
    assert!(answer.is_empty(), "nothing was sent");
    let mut done = 0;
    for number in 0..30 {
        assert!(emr.try_send("POST", &path(), &patient(&format!("k{number}"))).await.is_err());
        done = emr.sim.records("Patient").len();
    }
    assert!((5..=25).contains(&done), "{done} of 30 half-closed writes were done");
}

#[tokio::test]
async fn every_request_counts_and_the_same_seed_fails_the_same_way() {
    let faults = Faults { commit_then_drop: 0.2, too_many: 0.2, server_error: 0.2, ..Faults::default() };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let emr = with(faults).await;
        for number in 0..30 {
            drop(emr.try_send("POST", &path(), &patient(&format!("k{number}"))).await);
        }
        let arrivals = emr.sim.arrivals(0, 99);
        assert_eq!(arrivals.len(), 30);
        let done = arrivals.iter().filter(|arrival| arrival.committed.is_some()).count();
        assert_eq!(emr.sim.records("Patient").len(), done);
        runs.push(arrivals.into_iter().map(|arrival| (arrival.status, arrival.committed)).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
}
