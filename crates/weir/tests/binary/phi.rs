//! Nothing that identifies a patient is in clear on disk, in a backup or in a log.

use crate::support::{Server, run, weir};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes that needles are looked up by. Shorter needles would be found by chance in encrypted data.
const KEY: usize = 6;

#[derive(Default)]
struct Needles(HashMap<[u8; KEY], Vec<Vec<u8>>>);

impl Needles {
    /// The value as it is written and as an index normalises it; a short one only with the quotes JSON puts around it.
    fn add(&mut self, value: &str) {
        for text in [value.to_owned(), value.to_lowercase()] {
            let text = if text.len() < KEY { format!("\"{text}\"") } else { text };
            if let Some(key) = text.as_bytes().first_chunk::<KEY>() {
                self.0.entry(*key).or_default().push(text.into_bytes());
            }
        }
    }

    fn of(patients: &str) -> Needles {
        let mut needles = Needles::default();
        for line in patients.lines() {
            let patient: Value = serde_json::from_str(line).unwrap();
            for member in ["name", "telecom", "identifier", "address", "birthDate"] {
                needles.add_texts(&patient[member]);
            }
        }
        needles
    }

    /// All texts below a value, without system URIs and codes, which identify nobody.
    fn add_texts(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_texts(item)),
            Value::Object(members) => {
                let telling = ["family", "given", "text", "value", "line"];
                members
                    .iter()
                    .filter(|(name, _)| telling.contains(&name.as_str()))
                    .for_each(|(_, v)| self.add_texts(v));
            }
            _ => {}
        }
    }

    /// How many places of `bytes` hold a needle.
    fn hits(&self, bytes: &[u8]) -> usize {
        let found = |at: usize, key: &[u8]| {
            let key: &[u8; KEY] = key.try_into().expect("windows of this length");
            self.0.get(key).is_some_and(|needles| needles.iter().any(|needle| bytes[at..].starts_with(needle)))
        };
        bytes.windows(KEY).enumerate().filter(|(at, key)| found(*at, key)).count()
    }
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // Not the socket that a killed server leaves behind.
        if path.is_dir() {
            files(&path, out);
        } else if path.is_file() {
            out.push(path);
        }
    }
}

/// No file under `dir` holds a needle, neither in its text nor in its name.
fn assert_clean(needles: &Needles, dir: &Path) {
    let mut paths = Vec::new();
    files(dir, &mut paths);
    assert!(!paths.is_empty());
    for path in paths {
        assert_eq!(needles.hits(&std::fs::read(&path).unwrap()), 0, "{}", path.display());
        assert_eq!(needles.hits(path.strip_prefix(dir).unwrap().to_str().unwrap().as_bytes()), 0);
    }
}

/// Requests of all kinds with personal data in them, right and wrong ones.
fn provoke(server: &Server, patient: &Value) {
    let mut client = server.client();
    let id = patient["id"].as_str().unwrap();
    let family = patient["name"][0]["family"].as_str().unwrap().replace(' ', "%20");
    let birth = patient["birthDate"].as_str().unwrap();
    assert_eq!(client.get(&format!("/Patient/{id}")).status, 200);
    let ascii = family.is_ascii();
    if ascii {
        assert_eq!(client.get(&format!("/Patient?name={family}&birthdate={birth}")).status, 200);
        assert_eq!(client.get(&format!("/Patient?nmae={family}")).status, 400);
    }
    let mut wrong = patient.clone();
    wrong["gender"] = json!(family);
    wrong["surname"] = json!(birth);
    let answer = client.send("PUT", &format!("/Patient/{id}"), &wrong.to_string()).unwrap();
    assert!((400..500).contains(&answer.status));
    assert!(client.send("POST", "/Patient", &patient.to_string()[1..]).unwrap().status == 400);
    let stale = client.send("PUT", "/Patient/other", &patient.to_string()).unwrap();
    assert_eq!(stale.status, 400, "an id that is not the one in the URL");
}

#[test]
fn nothing_on_disk_or_in_a_log_is_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut demo = weir(dir.path());
    let demo = demo
        .args(["demo", "--patients", "60", "--flood", "0", "--campaign", "40", "--exit-after-load", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    // The demo keeps its key beside its data.
    std::fs::rename(data.with_extension("key"), dir.path().join("key")).unwrap();

    let export = dir.path().join("export");
    assert!(run(dir.path(), &["export", export.to_str().unwrap(), "--type", "Patient"]).status.success());
    let patients = std::fs::read_to_string(export.join("Patient.ndjson")).unwrap();
    let needles = Needles::of(&patients);
    assert!(needles.hits(patients.as_bytes()) > 4 * 60, "the search for clear text finds it where it is");

    let mut command = weir(dir.path());
    let mut server = Server::spawn(command.env("WEIR__LOG__LEVEL", "trace").arg("serve"));
    for line in patients.lines().take(20) {
        provoke(&server, &serde_json::from_str(line).unwrap());
    }
    // Killed, so that the write-ahead log is still there to be looked at.
    server.kill();
    let log = server.log();
    assert!(log.contains("serves FHIR R4"), "the log was read");
    assert_eq!(needles.hits(log.as_bytes()), 0, "personal data in the log");
    assert_clean(&needles, &data);

    let backup = dir.path().join("backup");
    assert!(run(dir.path(), &["backup", backup.to_str().unwrap()]).status.success());
    assert_clean(&needles, &backup);
    assert_clean(&needles, &data);
}
