//! `weir tracker export`, beside a running server and without one.

use crate::support::{Server, run, weir};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn resources() -> [(&'static str, Value); 3] {
    let patient = json!({ "resourceType": "Patient", "id": "ada", "gender": "female", "birthDate": "1975-12-10",
        "name": [{ "family": "Lovelock", "given": ["Adelaide"] }], "address": [{ "postalCode": "02139" }] });
    let dose = |id: &str, day: &str| {
        json!({ "resourceType": "Immunization", "id": id, "status": "completed", "patient": { "reference": "Patient/ada" },
            "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] },
            "occurrenceDateTime": day, "location": { "reference": "Location/north" } })
    };
    [("Patient/ada", patient), ("Immunization/a", dose("a", "2021-04-01")), ("Immunization/b", dose("b", "2021-04-22"))]
}

/// All files below a directory by their paths.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::io::read_to_string(flate2::read::MultiGzDecoder::new(bytes)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_is_the_same_beside_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    for (path, body) in resources() {
        let answer = server.client().send("PUT", &format!("/{path}"), &body.to_string()).unwrap();
        assert_eq!(answer.status, 201);
    }
    let export = |name: &str, more: &[&str]| {
        let to = dir.path().join(name);
        let output =
            weir(dir.path()).args(["tracker", "export", "--json", "--to"]).arg(&to).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), files(&to))
    };
    let (online, written) = export("online", &[]);
    assert_eq!(online["rows"]["doses"], 2);
    assert_eq!(online["rows"]["persons"], 1);
    let dose = &lines(&written["doses/day=2021-04-22/part-0.ndjson.gz"])[0];
    assert_eq!((&dose["dose"], &dose["cvx"], &dose["clinic"]), (&json!("b"), &json!("208"), &json!("Location/north")));
    let standings = lines(&written["standings/part-0.ndjson.gz"]);
    let covid = standings.iter().find(|row| row["programme"] == "covid-19-primary").unwrap();
    assert_eq!(
        (&covid["status"], &covid["full_on"], &covid["region"]),
        (&json!("full"), &json!("2021-04-22"), &json!("021"))
    );
    let events: Vec<Value> =
        written.iter().filter(|(name, _)| name.starts_with("events/")).flat_map(|(_, file)| lines(file)).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["no"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.last().copied() == online["last_event"].as_u64(), "{numbers:?}");
    assert!(events.iter().any(|event| event["type"] == "dose-recorded" && event["dose"]["id"] == "b"));
    let manifest: Value = serde_json::from_slice(&written["_manifest.json"]).unwrap();
    assert_eq!((&manifest["rows"], &manifest["last_event"]), (&online["rows"], &online["last_event"]));
    for (name, file) in written.iter().filter(|(name, _)| name.ends_with(".gz")) {
        let text = std::io::read_to_string(flate2::read::MultiGzDecoder::new(file.as_slice())).unwrap();
        assert!(
            !text.contains("Lovelock") && !text.contains("1975-12-10") && !text.contains("02139"),
            "{name}: {text}"
        );
    }
    let (since, later) = export("since", &["--since-no", &numbers[numbers.len() - 2].to_string()]);
    assert_eq!((&since["rows"]["events"], &since["rows"]["doses"]), (&json!(1), &json!(2)));
    assert_eq!(later["_counters.json"], written["_counters.json"]);
    let (parquet, columns) = export("parquet", &["--format", "parquet"]);
    assert_eq!(parquet["rows"], online["rows"]);
    let names = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().map(|name| name.replace(".parquet", ".ndjson.gz")).collect()
    };
    assert_eq!(names(&columns), names(&written), "the same tables and days");
    assert!(columns["doses/day=2021-04-22/part-0.parquet"].ends_with(b"PAR1"));
    assert_eq!(columns["_counters.json"], written["_counters.json"]);
    let manifest: Value = serde_json::from_slice(&columns["_manifest.json"]).unwrap();
    assert_eq!(manifest["format"], "parquet");
    let again = run(dir.path(), &["tracker", "export", "--to", dir.path().join("online").to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("it is not empty: name a new directory"));

    server.kill();
    let (_, offline) = export("offline", &[]);
    assert!(offline == written, "the same rows are the same bytes");
}

#[test]
fn persons_of_several_tenants_are_counted_once_beside_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = weir(dir.path());
        command.env("WEIR__STORE__TENANTS", "north").args(arguments);
        command
    };
    let mut server = Server::spawn(&mut command(&["serve"]));
    let [(_, mut ada), (_, first), (_, second)] = resources();
    ada["telecom"] = json!([{ "system": "phone", "value": "617-555-0143" }]);
    let mut client = server.client();
    let mut put = |base: &str, path: &str, body: &Value| {
        assert_eq!(client.send_root("PUT", &format!("{base}/fhir/{path}"), &body.to_string()).unwrap().status, 201);
    };
    put("", "Patient/ada", &ada);
    put("", "Immunization/a", &first);
    put("/t/north", "Patient/ada", &ada);
    put("/t/north", "Immunization/b", &second);
    let count = |arguments: &[&str]| {
        let output = command(&[&["tracker", "network"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let online: Value = serde_json::from_str(&count(&["--json", "--by", "day"])).unwrap();
    let tenants: Vec<&str> =
        online["network"]["tenants"].as_array().unwrap().iter().map(|one| one["tenant"].as_str().unwrap()).collect();
    assert_eq!((tenants, &online["network"]["persons"]), (vec!["default", "north"], &Value::Null));
    let days: Vec<&Value> = online["groups"].as_array().unwrap().iter().map(|group| &group["values"][0]).collect();
    assert_eq!(days, ["2021-04-01", "2021-04-22"]);
    let text = count(&[]);
    assert!(
        text.contains("all together: hidden living persons, hidden fully, 0 partly, 0 not"),
        "one person, full: {text}"
    );
    let wrong = command(&["tracker", "network", "--programme", "covid"]).output().unwrap();
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("there is none of this id"));
    server.kill();
    let mut offline: Value = serde_json::from_str(&count(&["--json", "--by", "day"])).unwrap();
    for (place, value) in [("at_us", &online["at_us"]), ("network", &online["network"])] {
        offline[place] = value.clone();
    }
    assert_eq!(offline, online);
}

#[test]
fn an_event_sink_is_checked_with_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weir.toml");
    std::fs::write(
        &file,
        "[[event_sink]]\nname = \"lake\"\nurl = \"nats://127.0.0.1:4222\"\ntopics = [\"vacination\"]\n",
    )
    .unwrap();
    let check = run(dir.path(), &["config", "check", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(
        !check.status.success()
            && text.contains("event_sink lake: unknown topic vacination (did you mean vaccination?)"),
        "{text}"
    );
}

/// The value of a metric without labels, or with whatever labels it has.
#[cfg(feature = "nats")]
fn metric(server: &Server, name: &str) -> Option<f64> {
    let answer = server.client().send_root("GET", "/metrics", "").unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(feature = "nats")]
#[test]
fn a_server_publishes_and_goes_on_where_it_was_killed() {
    struct Nats(tempfile::TempDir);
    impl Nats {
        fn services(&self, action: &str) -> String {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services");
            let output =
                std::process::Command::new(script).args([action, "nats"]).env("WEIR_NATS_DIR", self.0.path()).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    }
    impl Drop for Nats {
        fn drop(&mut self) {
            self.services("stop");
        }
    }
    let nats = Nats(tempfile::tempdir().unwrap());
    nats.services("start");
    let settings = nats.services("env");
    let url = settings.lines().find_map(|line| line.strip_prefix("WEIR_NATS_URL=")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, format!("[[event_sink]]\nname = \"lake\"\nurl = \"{url}\"\n")).unwrap();
    let start = || Server::spawn(weir(dir.path()).arg("--config").arg(&config).arg("serve"));
    let put = |server: &Server, (path, body): &(&str, Value)| {
        server.client().send("PUT", &format!("/{path}"), &body.to_string()).unwrap();
    };
    let settled = |server: &Server| {
        let mut last = 0.0;
        for _ in 0..100 {
            std::thread::sleep(std::time::Duration::from_millis(400));
            let now = metric(server, "weir_events_newest").unwrap();
            if now == last && now > 0.0 {
                return now;
            }
            last = now;
        }
        panic!("nothing was published");
    };
    let all = resources();
    let mut server = start();
    put(&server, &all[0]);
    put(&server, &all[1]);
    let before = settled(&server);
    assert_eq!(metric(&server, "weir_events_published_total"), Some(before));
    server.kill();
    let server = start();
    put(&server, &all[2]);
    // What was there is told again at once; the new dose comes after it.
    let after = loop {
        let after = settled(&server);
        if after > before {
            break after;
        }
    };
    assert_eq!(metric(&server, "weir_events_published_total"), Some(after - before), "nothing is sent twice");
    assert_eq!(metric(&server, "weir_events_repeated_total"), Some(0.0));
    assert_eq!(metric(&server, "weir_events_flowing"), Some(1.0));
}
