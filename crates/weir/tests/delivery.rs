//! SIGKILL at random points while changes are delivered to a failing EMR: nothing is lost, doubled, out of order or too fast.
//! Everything is read from the simulator: its records and its arrival log.
//!
//! `WEIR_DELIVERY_KILLS` (default 30), `WEIR_DELIVERY_WRITES` (3,000), `WEIR_DELIVERY_RATE` (200 a second) and
//! `WEIR_DELIVERY_SEED` change the run; `cargo xtask sim delivery` makes the long one.

#[path = "binary/support.rs"]
#[expect(dead_code, reason = "shared with the binary tests, which use more of it")]
mod support;

use emr_sim::{Faults, Options, Profile, Record, Sim};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Client, Server, weir};

const WRITERS: u64 = 8;
const PATIENTS: u64 = 200;

/// The newest acknowledged marker of each resource.
type Acknowledged = Arc<Mutex<HashMap<String, u64>>>;

fn config(dir: &Path, sim: &Sim, mode: &str, rate: u64) {
    let text = format!(
        "[log]\nlevel = \"warn\"\n\n[[destination]]\nname = \"emr\"\nurl = \"http://{}/fhir\"\nmode = \"{mode}\"\n\
         types = [\"Patient\", \"Observation\"]\nper_second = {rate}\nper_minute = {}\nconcurrency = 32\nquiesce_s = 3\ntimeout_s = 2\n",
        sim.address(),
        rate * 55
    );
    std::fs::write(dir.join("weir.toml"), text).unwrap();
}

fn start(dir: &Path, port: u16) -> Server {
    let mut command = weir(dir);
    command.env("WEIR__SERVER__LISTEN", format!("127.0.0.1:{port}"));
    Server::spawn(command.arg("serve").arg("--config").arg(dir.join("weir.toml")))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A new version of a patient, or an observation of one. Each writer has patients of its own, so that its order is the order.
fn resource(writer: u64, turn: u64, marker: u64) -> (String, Value) {
    let patient = format!("p{writer}-{}", (turn / 4) % (PATIENTS / WRITERS));
    let name = json!([{ "family": patient }]);
    if turn.is_multiple_of(4) {
        let body = json!({ "resourceType": "Patient", "id": patient, "name": name, "multipleBirthInteger": marker });
        return (format!("Patient/{patient}"), body);
    }
    let id = format!("o{writer}-{turn}");
    let body = json!({
        "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "count" },
        "subject": { "reference": format!("Patient/{patient}") }, "valueInteger": marker
    });
    (format!("Observation/{id}"), body)
}

/// Writes until `left` is used up, over all kills: what is not acknowledged is sent again.
fn write(address: &str, writer: u64, left: &AtomicU64, acknowledged: &Acknowledged) {
    let mut client = None;
    for turn in 0.. {
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
            return;
        }
        let marker = turn + 1;
        let (key, body) = resource(writer, turn, marker);
        loop {
            if client.is_none() {
                client = Client::connect(address).ok();
            }
            match client.as_mut().map(|client| client.send("PUT", &format!("/{key}"), &body.to_string())) {
                Some(Ok(answer)) => {
                    assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
                    break;
                }
                _ => client = None,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        acknowledged.lock().unwrap().insert(key, marker);
    }
}

/// Longer than a breaker stays open.
const STILL_MAX: Duration = Duration::from_secs(400);

fn marker(record: &Record) -> u64 {
    record.body["multipleBirthInteger"].as_u64().or(record.body["valueInteger"].as_u64()).expect("a marker")
}

/// Our key of a record, by the identifier that weir writes.
fn key(record: &Record) -> String {
    let identifiers = record.body["identifier"].as_array().cloned().unwrap_or_default();
    let ours = identifiers.iter().find(|identifier| identifier["system"] == "urn:weir");
    ours.and_then(|ours| ours["value"].as_str()).expect("our identifier").replacen('-', "/", 1)
}

fn records(sim: &Sim) -> Vec<Record> {
    ["Patient", "Observation"].iter().flat_map(|name| sim.records(name)).collect()
}

/// What of the acknowledged is not at the EMR as it should be.
fn missing(sim: &Sim, acknowledged: &Acknowledged) -> usize {
    let there: HashMap<String, u64> = records(sim).iter().map(|record| (key(record), marker(record))).collect();
    let acknowledged = acknowledged.lock().unwrap();
    acknowledged.iter().filter(|(key, marker)| there.get(*key) != Some(marker)).count()
}

/// Waits until all has arrived. A long backlog takes its time; that nothing arrives any more is a failure.
fn drained(sim: &Sim, acknowledged: &Acknowledged) {
    let (mut least, mut since) = (usize::MAX, Instant::now());
    loop {
        let left = missing(sim, acknowledged);
        match left {
            0 => return,
            left if left < least => (least, since) = (left, Instant::now()),
            _ => assert!(since.elapsed() < STILL_MAX, "{left} changes are missing at the EMR, and nothing arrives"),
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn verify(sim: &Sim, rate: u64) {
    let records = records(sim);
    let mut copies: HashMap<String, usize> = HashMap::new();
    for record in &records {
        *copies.entry(key(record)).or_default() += 1;
    }
    let doubled: Vec<_> = copies.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "doubled at the EMR: {doubled:?}");
    // Observations of a patient were created in the order in which they were written, and after their patient.
    let patients: HashMap<&str, &Record> = records
        .iter()
        .filter(|record| key(record).starts_with("Patient"))
        .map(|record| (&*record.id, record))
        .collect();
    let mut newest: HashMap<&str, u64> = HashMap::new();
    let mut observations: Vec<&Record> = records.iter().filter(|record| key(record).starts_with("Obs")).collect();
    observations.sort_by_key(|record| record.seq);
    for record in observations {
        let reference = record.body["subject"]["reference"].as_str().expect("a subject");
        let patient = patients.get(reference.trim_start_matches("Patient/")).expect("the patient is there");
        assert!(patient.seq < record.seq, "{} before its patient", key(record));
        let last = newest.insert(&patient.id, marker(record)).unwrap_or(0);
        assert!(last < marker(record), "{} out of order", key(record));
    }
    assert!(sim.verify_chain(), "the arrival log is whole");
    let most = |seconds| sim.max_in_window(Duration::from_secs(seconds)) as u64;
    assert!(most(1) <= rate, "{} arrivals in a second", most(1));
    assert!(most(60) <= rate * 55, "{} arrivals in a minute", most(60));
}

#[expect(clippy::disallowed_methods, reason = "the settings of a test run come from its environment")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn faults() -> Faults {
    Faults {
        commit_then_drop: 0.02,
        late_commit: 0.01,
        late_commit_max_ms: 2_000,
        // Every Retry-After stops all calls for as long as it says.
        too_many: 0.01,
        server_error: 0.03,
        stall: 0.005,
        stall_ms: 1_000,
        half_close: 0.01,
        ..Faults::default()
    }
}

#[test]
fn deliveries_survive_sigkill() {
    let (kills, writes) = (setting("WEIR_DELIVERY_KILLS", 30), setting("WEIR_DELIVERY_WRITES", 3_000));
    let (rate, seed) = (setting("WEIR_DELIVERY_RATE", 200), setting("WEIR_DELIVERY_SEED", 1));
    eprintln!(
        "WEIR_DELIVERY_SEED={seed} WEIR_DELIVERY_KILLS={kills} WEIR_DELIVERY_WRITES={writes} WEIR_DELIVERY_RATE={rate}"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options =
        Options { profile: Profile::FhirR4, faults: faults(), seed, oauth_required: false, ..Options::default() };
    let sim = runtime.block_on(Sim::start(options)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    config(dir.path(), &sim, "search", rate);
    let port = free_port();
    let acknowledged = Acknowledged::default();
    let left = Arc::new(AtomicU64::new(writes));
    let mut server = start(dir.path(), port);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (left, acknowledged, address) = (left.clone(), acknowledged.clone(), format!("127.0.0.1:{port}"));
            std::thread::spawn(move || write(&address, writer, &left, &acknowledged))
        })
        .collect();
    let (mut random, mut killed) = (seed, 0);
    let started = Instant::now();
    // Kills go on until there were enough, and all is written; deliveries go on after both.
    while killed < kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(100 + (random >> 33) % 1_500));
        server.kill();
        server = start(dir.path(), port);
        killed += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    drained(&sim, &acknowledged);
    // Late commits and repeated sendings would show now.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(missing(&sim, &acknowledged), 0);
    verify(&sim, rate);
    eprintln!(
        "{} resources, {} arrivals, {killed} kills, {:.0} s",
        acknowledged.lock().unwrap().len(),
        sim.arrivals(0, usize::MAX).len(),
        started.elapsed().as_secs_f64()
    );
}
