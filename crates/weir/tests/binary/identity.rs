//! `weir tracker` where it is about who is who: beside a running server and without one.

use crate::support::{Server, run, weir};
use serde_json::{Value, json};
use std::path::Path;

fn patient(id: &str, given: &str, family: &str, birth: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "gender": "female", "birthDate": birth,
        "name": [{ "family": family, "given": [given] }],
        "telecom": [{ "system": "phone", "value": format!("617-555-{}{}", &birth[5..7], &birth[8..10]) }],
        "address": [{ "line": ["12 Cedar Lane"], "city": "Cambridge", "state": "MA", "postalCode": "02139" }] })
}

fn put(server: &Server, patient: &Value) {
    let path = format!("/Patient/{}", patient["id"].as_str().unwrap());
    let answer = server.client().send("PUT", &path, &patient.to_string()).unwrap();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
}

/// The person of a record, as the tracker's REST has it.
fn person(server: &Server, id: &str) -> String {
    let answer = server.client().send_root("GET", &format!("/patients/{id}"), "").unwrap();
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// `weir tracker` with `arguments`; its lines as JSON.
fn tracker(dir: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = weir(dir).args(["tracker", "--json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, &[&["tracker"], arguments].concat());
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_key_is_changed_beside_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    put(&server, &patient("ada", "Adelaide", "Lovelock", "1975-12-10"));
    put(&server, &patient("other", "Adelaide", "Lovelok", "1975-12-10"));
    put(&server, &patient("bob", "Roberta", "Quimby", "1990-03-04"));
    let before = ["ada", "other", "bob"].map(|id| person(&server, id));
    assert!(before[0] == before[1] && before[0] != before[2]);
    assert_eq!(tracker(dir.path(), &["rotate-key"]), [json!({ "key": 2, "records": 3 })]);
    put(&server, &patient("third", "Adelaide", "Lovelock", "1975-12-10"));
    assert_eq!(person(&server, "third"), before[0]);
    server.kill();
    assert_eq!(tracker(dir.path(), &["rotate-key"]), [json!({ "key": 3, "records": 4 })]);
    let server = Server::start(dir.path());
    put(&server, &patient("fourth", "Adelaide", "Lovelock", "1975-12-10"));
    assert_eq!(["ada", "fourth", "bob"].map(|id| person(&server, id)), before);
    let unknown = refused(dir.path(), &["rotate-key", "--tenant", "nobody"]);
    assert!(unknown.contains("tenant"), "{unknown}");
}
