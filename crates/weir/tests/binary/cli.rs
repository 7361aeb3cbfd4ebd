//! Configuration mistakes, refusals, loading, and the round trip of backup, restore and doctor.

use crate::support::{Server, run, weir};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn patient(id: &str, gender: &str) -> String {
    json!({ "resourceType": "Patient", "id": id, "gender": gender }).to_string()
}

/// The lines of an export of `ty`, sorted.
fn exported(dir: &Path, to: &str, ty: &str) -> Vec<String> {
    let to = dir.join(to);
    let output = weir(dir).arg("export").arg(&to).args(["--type", ty]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(to.join(format!("{ty}.ndjson"))).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weir.toml");
    std::fs::write(&file, "[server]\n\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let output = weir(dir.path()).arg("serve").arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("weir.toml:3: unknown key server.lisen (did you mean listen?)"));
    assert!(!dir.path().join("data").exists(), "nothing is made before the configuration is right");
}

#[test]
fn serve_opens_to_others_only_with_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let output = weir(dir.path()).env("WEIR__SERVER__LISTEN", "0.0.0.0:0").arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: ") && stderr(&output).contains("hint: set server.token_file"));

    let token = dir.path().join("token");
    std::fs::write(&token, "a-long-and-random-token\n").unwrap();
    let server = Server::spawn(weir(dir.path()).env("WEIR__SERVER__TOKEN_FILE", &token).arg("serve"));
    let refused = server.client().get("/Patient");
    assert_eq!((refused.status, &refused.json()["resourceType"]), (401, &json!("OperationOutcome")));
}

#[test]
fn a_load_says_what_it_refused_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let lines = [patient("a", "male"), patient("b", "martian"), patient("c", "female")].join("\n");
    std::fs::write(path("in.ndjson"), lines).unwrap();
    let (input, rejects) = (path("in.ndjson"), path("rejects.ndjson"));
    let output = run(dir.path(), &["load", "--json", &input, "--rejects", &rejects]);
    assert_eq!(output.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["resources"], &summary["refused"]), (&json!(2), &json!(1)));
    assert!(stderr(&output).contains("refused "));
    let refused = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(refused.lines().count(), 1);
    assert!(refused.contains("martian"));
    assert_eq!(exported(dir.path(), "out", "Patient").len(), 2);
}

#[test]
fn a_load_with_a_checkpoint_does_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (input, checkpoint) = (path("in.ndjson"), path("checkpoint"));
    // Without ids a second load would make second resources.
    std::fs::write(&input, "{\"resourceType\":\"Patient\"}\n{\"resourceType\":\"Patient\",\"active\":true}\n").unwrap();
    for _ in 0..2 {
        let output = run(dir.path(), &["load", &input, "--checkpoint", &checkpoint]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(exported(dir.path(), "out", "Patient").len(), 2);
}

#[test]
fn what_is_restored_is_what_was_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let lines: Vec<String> = (0..50).map(|n| patient(&format!("p{n}"), "other")).collect();
    std::fs::write(path("in.ndjson"), lines.join("\n")).unwrap();
    assert!(run(dir.path(), &["load", &path("in.ndjson")]).status.success());
    let before = exported(dir.path(), "before", "Patient");
    assert_eq!(before.len(), 50);
    let backup = run(dir.path(), &["backup", &path("backup")]);
    assert!(backup.status.success(), "{}", stderr(&backup));

    std::fs::remove_dir_all(path("data")).unwrap();
    let restore = run(dir.path(), &["restore", &path("backup"), &path("data")]);
    assert!(restore.status.success(), "{}", stderr(&restore));
    let doctor = run(dir.path(), &["doctor", "--rebuild", "--json"]);
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert!(doctor.status.success() && report["problems"] == json!([]), "{report}");
    assert_eq!(exported(dir.path(), "after", "Patient"), before);
    let found = Server::start(dir.path()).client().get("/Patient?gender=other&_summary=count");
    assert_eq!(found.json()["total"], json!(50), "the rebuilt index finds all");
}
