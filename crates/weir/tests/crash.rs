//! SIGKILL at random points while 32 connections write: whatever was acknowledged is there afterwards, whole and found.
//!
//! `WEIR_CRASH_ROUNDS` (default 50) and `WEIR_CRASH_SEED` change the run; `cargo xtask sim crash` makes 1,000 rounds.

#[path = "binary/support.rs"]
#[expect(dead_code, reason = "shared with the binary tests, which use more of it")]
mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use support::{Client, Server, run};

const CONNECTIONS: usize = 32;

/// What one connection knows about one resource.
struct Patient {
    id: String,
    /// Marker and version of the last acknowledged write.
    marker: String,
    version: u64,
    /// Marker of an update that was sent and not answered.
    unanswered: Option<String>,
}

/// Three resources of one transaction, found by `marker`.
struct Transaction {
    marker: String,
    acknowledged: bool,
}

#[derive(Default)]
struct Written {
    patients: Vec<Patient>,
    transactions: Vec<Transaction>,
}

/// A Patient that is the same for the same marker, so that a torn one shows.
fn patient(marker: &str, id: Option<&str>) -> Value {
    let lines: Vec<String> = (0..4).map(|line| format!("{line} Street of {marker}")).collect();
    let mut patient = json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:crash", "value": marker }],
        "name": [{ "family": format!("Family-{marker}") }],
        "address": [{ "line": lines }],
    });
    if let Some(id) = id {
        patient["id"] = id.into();
    }
    patient
}

fn transaction(marker: &str) -> Value {
    let entry = json!({ "resource": patient(marker, None), "request": { "method": "POST", "url": "Patient" } });
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry, entry, entry] })
}

/// Creates, updates and transacts until the server dies.
fn write(address: &str, name: &str, acknowledged: &Sender<()>) -> Written {
    let mut written = Written::default();
    let Ok(mut client) = Client::connect(address) else { return written };
    for turn in 0.. {
        let marker = format!("{name}-{turn}");
        let alive = match turn % 4 {
            0 => create(&mut client, &marker, &mut written),
            3 => transact(&mut client, &marker, &mut written),
            _ => update(&mut client, &marker, &mut written),
        };
        // After the kill nobody counts any more.
        if !alive || acknowledged.send(()).is_err() {
            break;
        }
    }
    written
}

fn create(client: &mut Client, marker: &str, written: &mut Written) -> bool {
    let Ok(answer) = client.send("POST", "/Patient", &patient(marker, None).to_string()) else { return false };
    assert_eq!(answer.status, 201);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    written.patients.push(Patient { id, marker: marker.to_owned(), version: 1, unanswered: None });
    true
}

fn update(client: &mut Client, marker: &str, written: &mut Written) -> bool {
    let Some(last) = written.patients.last_mut() else { return true };
    let body = patient(marker, Some(&last.id)).to_string();
    let Ok(answer) = client.send("PUT", &format!("/Patient/{}", last.id), &body) else {
        last.unanswered = Some(marker.to_owned());
        return false;
    };
    assert_eq!(answer.status, 200);
    last.version += 1;
    last.marker = marker.to_owned();
    true
}

fn transact(client: &mut Client, marker: &str, written: &mut Written) -> bool {
    let answer = client.send("POST", "", &transaction(marker).to_string());
    if let Ok(answer) = &answer {
        assert_eq!(answer.status, 200);
    }
    written.transactions.push(Transaction { marker: marker.to_owned(), acknowledged: answer.is_ok() });
    answer.is_ok()
}

/// Ids of the patients that a search by marker finds.
fn found(client: &mut Client, marker: &str) -> BTreeSet<String> {
    let answer = client.get(&format!("/Patient?identifier=urn:crash%7C{marker}"));
    assert_eq!(answer.status, 200);
    let bundle = answer.json();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    assert_eq!(bundle["total"].as_u64(), Some(entries.len() as u64));
    entries.iter().map(|entry| checked(&entry["resource"])).collect()
}

/// The id of a resource that is whole: equal to what its own marker makes.
fn checked(resource: &Value) -> String {
    let id = resource["id"].as_str().expect("an id").to_owned();
    // The three of a transaction are one person, whom weir writes a golden record for.
    if resource["meta"]["tag"][0]["code"] == "golden-record" {
        assert!(resource["link"].as_array().is_some_and(|links| links.len() > 1), "a golden record links records");
        return id;
    }
    let marker = resource["identifier"][0]["value"].as_str().expect("a marker");
    let mut bare = resource.clone();
    bare.as_object_mut().expect("an object").remove("meta");
    assert_eq!(bare, patient(marker, Some(&id)));
    id
}

fn verify(client: &mut Client, written: &Written) {
    for known in &written.patients {
        let answer = client.get(&format!("/Patient/{}", known.id));
        assert_eq!(answer.status, 200, "an acknowledged write is lost");
        let resource = answer.json();
        checked(&resource);
        let version: u64 = resource["meta"]["versionId"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        let marker = resource["identifier"][0]["value"].as_str().unwrap_or_default();
        let expected = if marker == known.marker { known.version } else { known.version + 1 };
        assert!(marker == known.marker || known.unanswered.as_deref() == Some(marker), "an older or foreign version");
        assert_eq!(version, expected);
        assert_eq!(found(client, marker), BTreeSet::from([known.id.clone()]), "not indexed");
        let history = client.get(&format!("/Patient/{}/_history", known.id)).json();
        let versions: Vec<u64> = versions(&history).into_iter().map(|(_, version)| version).collect();
        assert_eq!(versions, (1..=version).rev().collect::<Vec<_>>(), "history has a hole");
    }
    for known in &written.transactions {
        let count = found(client, &known.marker).len();
        assert!(count == 3 || (count == 0 && !known.acknowledged), "{count} of 3 resources of a transaction");
    }
}

/// `(id, version)` of the entries of a history Bundle.
fn versions(history: &Value) -> Vec<(String, u64)> {
    let entries = history["entry"].as_array().cloned().unwrap_or_default();
    let version = |resource: &Value| resource["meta"]["versionId"].as_str().and_then(|text| text.parse().ok());
    entries.iter().map(|entry| (checked(&entry["resource"]), version(&entry["resource"]).unwrap_or(0))).collect()
}

/// Every version is in the history of the system exactly once.
fn verify_system_history(client: &mut Client, patients: &[Patient]) {
    let mut seen: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let mut path = "/_history?_count=1000".to_owned();
    loop {
        let page = client.get(&path).json();
        for (id, version) in versions(&page) {
            assert!(seen.entry(id).or_default().insert(version), "a version appears twice");
        }
        let links = page["link"].as_array().cloned().unwrap_or_default();
        let next = links.iter().find(|link| link["relation"] == "next").and_then(|link| link["url"].as_str());
        match next.and_then(|url| url.split_once("/fhir")) {
            Some((_, rest)) => path = rest.to_owned(),
            None => break,
        }
    }
    for (id, versions) in &seen {
        assert_eq!(versions.len() as u64, *versions.last().unwrap_or(&0), "history of {id} has a hole");
    }
    for known in patients {
        assert!(seen.get(&known.id).is_some_and(|versions| versions.contains(&known.version)));
    }
}

/// Checks that the change log is dense and everything opens.
fn verify_with_doctor(dir: &Path) {
    let output = run(dir, &["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success() && report["problems"] == json!([]), "{report}");
}

#[expect(clippy::disallowed_methods, reason = "the settings of a test run come from its environment")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn acknowledged_writes_survive_sigkill() {
    let (rounds, seed) = (setting("WEIR_CRASH_ROUNDS", 50), setting("WEIR_CRASH_SEED", 1));
    eprintln!("WEIR_CRASH_SEED={seed} WEIR_CRASH_ROUNDS={rounds}");
    let dir = tempfile::tempdir().unwrap();
    let mut random = seed;
    let mut patients: Vec<Patient> = Vec::new();
    for round in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let enough = (random >> 33) % 400 + 1;
        let mut server = Server::start(dir.path());
        let (sender, acknowledged) = channel();
        let writers: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let (address, sender) = (server.address.clone(), sender.clone());
                std::thread::spawn(move || write(&address, &format!("r{round}c{connection}"), &sender))
            })
            .collect();
        drop(sender);
        for _ in 0..enough {
            acknowledged.recv().expect("the server lives until it is killed");
        }
        server.kill();
        let written: Vec<Written> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let server = Server::start(dir.path());
        let mut client = server.client();
        for one in written {
            verify(&mut client, &one);
            patients.extend(one.patients);
        }
        if round + 1 == rounds {
            verify_system_history(&mut client, &patients);
        }
    }
    verify_with_doctor(dir.path());
    eprintln!("{} acknowledged patients survived {rounds} kills", patients.len());
}
