//! Commands while a server has the data directory open, and loading into a server over the network.

use crate::support::{Server, run, weir};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn patients(range: std::ops::Range<u32>) -> String {
    range.map(|n| json!({ "resourceType": "Patient", "id": format!("p{n}") }).to_string() + "\n").collect()
}

fn count(server: &Server, query: &str) -> Value {
    server.client().get(&format!("/{query}&_summary=count")).json()["total"].clone()
}

/// Writes `text` to a file in `dir`.
fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn done(command: &mut std::process::Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

#[test]
fn a_running_server_is_backed_up_while_it_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut client = server.client();
    let create = |client: &mut crate::support::Client| {
        let answer = client.send("POST", "/Patient", r#"{"resourceType":"Patient","active":true}"#).unwrap();
        assert_eq!(answer.status, 201);
    };
    (0..100).for_each(|_| create(&mut client));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let mut other = server.client();
    let writer = std::thread::spawn(move || {
        while stopped.try_recv().is_err() {
            create(&mut other);
        }
    });
    let backup = dir.path().join("backup");
    done(weir(dir.path()).arg("backup").arg(&backup));
    stop.send(()).unwrap();
    writer.join().unwrap();

    let copy = dir.path().join("copy");
    done(weir(dir.path()).arg("restore").arg(&backup).arg(&copy));
    let doctor = done(weir(dir.path()).env("WEIR__STORE__DIR", &copy).args(["doctor", "--json"]));
    assert_eq!(serde_json::from_slice::<Value>(&doctor.stdout).unwrap()["problems"], json!([]));
    let restored = Server::spawn(weir(dir.path()).env("WEIR__STORE__DIR", &copy).arg("serve"));
    let found = count(&restored, "Patient?active=true").as_u64().unwrap();
    assert!(found >= 100, "{found}");
    let after = count(&server, "Patient?active=true").as_u64().unwrap();
    assert!(found <= after, "{found} of {after}");
}

#[test]
fn a_running_server_is_loaded_exported_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let input = file(dir.path(), "in.ndjson", &patients(0..40));
    let load = done(weir(dir.path()).args(["load", "--json"]).arg(&input));
    assert_eq!(serde_json::from_slice::<Value>(&load.stdout).unwrap()["resources"], json!(40));
    assert_eq!(count(&server, "Patient?_id=p0,p39,p40"), json!(2));

    let read = server.client().get("/Patient/p39").json();
    let since = read["meta"]["lastUpdated"].as_str().unwrap();
    let later = json!({ "resourceType": "Patient", "id": "later" }).to_string();
    done(weir(dir.path()).arg("load").arg(file(dir.path(), "later.json", &later)));
    let export = |name: &str, since: &str| {
        let to = dir.path().join(name);
        done(weir(dir.path()).arg("export").arg(&to).args(["--since", since]));
        std::fs::read_to_string(to.join("Patient.ndjson")).unwrap()
    };
    assert_eq!(export("all", "2020").lines().count(), 41);
    let newest = export("newest", since);
    assert!(newest.contains("\"later\"") && newest.lines().count() <= 41);
    let wrong = run(dir.path(), &["export", "elsewhere", "--since", "yesterday"]);
    assert!(!wrong.status.success() && stderr(&wrong).contains("hint: such as"));

    let doctor = done(weir(dir.path()).args(["doctor", "--compact"]));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("bodies open"));
    let rebuild = run(dir.path(), &["doctor", "--rebuild"]);
    assert!(!rebuild.status.success());
    assert!(stderr(&rebuild).contains("hint: stop the server first"), "{}", stderr(&rebuild));
    assert_eq!(count(&server, "Patient?_id=later"), json!(1), "it goes on serving");
}

#[test]
fn a_server_is_loaded_over_the_network_with_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = file(dir.path(), "token", "a-long-and-random-token\n");
    let mut server = Server::spawn(weir(dir.path()).env("WEIR__SERVER__TOKEN_FILE", &token).arg("serve"));
    let url = format!("http://{}/fhir", server.address);
    let lines = patients(0..10) + "{\"resourceType\":\"Patient\",\"gender\":\"martian\"}\n";
    let input = file(dir.path(), "in.ndjson", &lines);
    let elsewhere = dir.path().join("elsewhere");
    let load = |token: Option<&Path>| {
        let mut command = weir(&elsewhere);
        command.arg("load").arg(&input).args(["--json", "--server", &url]);
        if let Some(token) = token {
            command.arg("--token-file").arg(token);
        }
        let output = command.output().unwrap();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        ((summary["resources"].clone(), summary["refused"].clone()), stderr(&output))
    };
    let (numbers, text) = load(None);
    assert_eq!(numbers, (json!(0), json!(11)));
    assert!(text.contains("401"), "{text}");
    let (numbers, text) = load(Some(&token));
    assert_eq!(numbers, (json!(10), json!(1)));
    assert!(text.contains("in.ndjson:11: 4") && text.contains("gender"), "{text}");
    assert!(!elsewhere.exists(), "nothing of its own is made");

    server.kill();
    let (numbers, text) = load(Some(&token));
    assert_eq!(numbers.0, json!(0));
    assert!(text.contains("the server does not answer"), "{text}");
    let wrong = run(dir.path(), &["load", input.to_str().unwrap(), "--server", "localhost:8080"]);
    assert!(stderr(&wrong).contains("hint: such as http://"));
}

#[test]
fn names_of_files_in_a_directory_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).unwrap();
    file(&input, "Aguilar_Maria.json", r#"{"resourceType":"Patient","gender":"martian"}"#);
    file(&input, "Zimmer_Otto.json", r#"{"resourceType":"Patient"}"#);
    let checkpoint = dir.path().join("checkpoint");
    let load = || weir(dir.path()).arg("load").arg(&input).arg("--checkpoint").arg(&checkpoint).output().unwrap();
    let output = load();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("in file 1: "), "{}", stderr(&output));
    let noted = std::fs::read_to_string(&checkpoint).unwrap();
    assert_eq!(noted.lines().count(), 2);
    for text in [stderr(&output), noted] {
        assert!(!text.contains("Aguilar") && !text.contains("Zimmer"), "{text}");
    }
    assert!(stderr(&load()).is_empty(), "what was refused is not tried again");
}
