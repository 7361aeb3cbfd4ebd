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
    assert!(unknown.contains("there is no tenant nobody"), "{unknown}");
}

/// People of whom every third has come twice, once with errors, as NDJSON.
fn clinic() -> String {
    let mut lines = String::new();
    for n in 0..300_usize {
        let letter =
            |at: usize| char::from(b'a' + ((n + 1) * [7919, 104_729, 1_299_709][at % 3] / (at + 1) % 26) as u8);
        let (given, family): (String, String) = ((8..14).map(letter).collect(), (0..8).map(letter).collect());
        let birth = format!("{}-{:02}-{:02}", 1930 + n % 80, 1 + n % 12, 1 + n % 28);
        let mut add = |id: String, family: &str| {
            let mut one = patient(&id, &given, family, &birth);
            one["telecom"][0]["value"] = json!(format!("413-556-{n:04}"));
            one["address"][0]["postalCode"] = json!(format!("{}", 20_000 + n));
            lines += &format!("{one}\n");
        };
        add(format!("a{n}"), &family);
        if n.is_multiple_of(3) {
            add(format!("b{n}"), &format!("{family}e"));
        }
    }
    lines
}

#[test]
fn a_tenant_learns_weights_and_puts_them_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clinic.ndjson");
    std::fs::write(&file, clinic()).unwrap();
    let loaded = run(dir.path(), &["load", file.to_str().unwrap()]);
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let shown = run(dir.path(), &["tracker", "weights", "estimate"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.starts_with("learnt from 400 records with some ") && text.contains("birth    equal  "), "{text}");
    assert!(refused(dir.path(), &["weights", "apply", "1"]).contains("there are no weights 1"));
    assert!(refused(dir.path(), &["weights", "apply", "one"]).contains("hint: weir tracker weights list"));

    let server = Server::start(dir.path());
    let learnt = &tracker(dir.path(), &["weights", "estimate", "--save", "--examples", "1"])[0];
    assert_eq!((&learnt["saved"], &learnt["weights"]["version"]), (&json!(1), &json!("estimated-1")));
    assert_eq!(tracker(dir.path(), &["weights", "apply", "1"])[0]["version"], "estimated-1");
    let in_force = |dir: &Path| -> Vec<bool> {
        tracker(dir, &["weights", "list"]).iter().map(|line| line["in_force"].as_bool().unwrap()).collect()
    };
    assert_eq!(in_force(dir.path()), [false, true]);
    put(&server, &patient("ada", "Adelaide", "Lovelock", "1975-12-10"));
    put(&server, &patient("other", "Adelaide", "Lovelock", "1975-12-10"));
    assert_eq!(person(&server, "ada"), person(&server, "other"));
    drop(server);
    let to = dir.path().join("export");
    tracker(dir.path(), &["export", "--to", to.to_str().unwrap()]);
    let events = std::fs::read_dir(to.join("events")).unwrap().flat_map(|day| {
        let part = std::fs::read(day.unwrap().path().join("part-0.ndjson.gz")).unwrap();
        let text = std::io::read_to_string(flate2::read::MultiGzDecoder::new(part.as_slice())).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    });
    let events: Vec<Value> = events.collect();
    assert!(events.iter().any(|event| event["type"] == "weights-applied" && event["weights"] == "estimated-1"));
    let link = events.iter().find(|event| event["type"] == "link" && event["records"][0] == "other").unwrap();
    assert_eq!(link["weights"], "estimated-1");
    assert_eq!(tracker(dir.path(), &["weights", "apply", "shipped"])[0]["version"], "weir-1");
    assert_eq!(in_force(dir.path()), [true, false]);
}

#[test]
fn two_houses_find_whom_both_know() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (here.path(), there.path());
    let server = Server::start(here);
    put(&server, &patient("ada", "Adelaide", "Lovelock", "1975-12-10"));
    put(&server, &patient("bob", "Roberta", "Quimby", "1990-03-04"));
    put(&server, &patient("maud", "Maud", "Ashdown", "1951-02-03"));
    let file = there.join("theirs.ndjson");
    let theirs = [
        patient("x1", "Adelaide", "Lovelok", "1975-12-10"),
        patient("x2", "Maud", "Ashdown", "1951-02-03"),
        patient("x3", "Ivor", "Birchall", "1962-07-19"),
    ];
    std::fs::write(&file, theirs.map(|one| format!("{one}\n")).concat()).unwrap();
    assert!(run(there, &["load", file.to_str().unwrap()]).status.success());
    let key = here.join("north.key");
    std::fs::write(&key, "4d1f0c9a7e2b3856d4c1a0f9e8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9\n").unwrap();
    let key = key.to_str().unwrap();
    let path = |dir: &Path, name: &str| dir.join(name).to_str().unwrap().to_owned();
    for format in ["weir", "olt"] {
        let with = ["--partner", "north", "--key-file", key, "--format", format];
        let (ours, theirs) = (path(here, &format!("{format}.ours")), path(here, &format!("{format}.theirs")));
        let written = tracker(here, &[&["partner-tokens", "--to", &ours], &with[..]].concat());
        assert_eq!((&written[0]["records"], &written[0]["without_tokens"]), (&json!(3), &json!(0)));
        tracker(there, &[&["partner-tokens", "--to", &theirs], &with[..]].concat());
        let text = std::fs::read_to_string(&ours).unwrap().to_lowercase();
        for clear in ["lovelock", "adelaide", "1975", "maud", "quimby", "ada", "bob"] {
            assert!(!text.split([',', ' ', '\n']).any(|word| word == clear) && !text.contains("lovelock"), "{clear}");
        }
        let met = tracker(here, &[&["partner-match", &theirs], &with[..]].concat());
        let back = tracker(there, &[&["partner-match", &ours], &with[..]].concat());
        let pairs = |met: &[Value], ours: &str, theirs: &str| {
            let mut pairs: Vec<(String, String)> =
                met.iter().map(|pair| (pair[ours].to_string(), pair[theirs].to_string())).collect();
            pairs.sort();
            pairs
        };
        let certain: Vec<Value> = met.iter().filter(|pair| pair["certain"] == true).cloned().collect();
        let mut records: Vec<&str> = certain.iter().map(|pair| pair["record"].as_str().unwrap()).collect();
        records.sort_unstable();
        // T1 has the whole surname: a misspelt one agrees in weir's tokens alone.
        assert_eq!(records, if format == "weir" { vec!["ada", "maud"] } else { vec!["maud"] });
        assert_eq!(
            pairs(&met, "our_reference", "their_reference"),
            pairs(&back, "their_reference", "our_reference"),
            "both see the same pairs"
        );
        let csv = run(here, &[&["tracker", "partner-match", &theirs], &with[..]].concat());
        let csv = String::from_utf8(csv.stdout).unwrap();
        assert!(
            csv.starts_with("record,person,our_reference,their_reference,certain,rules\n")
                && csv.lines().count() == met.len() + 1
        );
        let again = refused(here, &[&["partner-tokens", "--to", &ours], &with[..]].concat());
        assert!(again.contains("hint: name a file that is not there yet"), "{again}");
    }
    let answer = server.client().send("GET", "/AuditEvent?_count=200", "").unwrap();
    assert!(String::from_utf8(answer.body).unwrap().contains("partner-north"), "audited");

    let theirs = path(here, "weir.theirs");
    let other = path(here, "other.key");
    std::fs::write(&other, "0".repeat(64)).unwrap();
    assert!(tracker(here, &["partner-match", &theirs, "--partner", "north", "--key-file", &other]).is_empty());
    std::fs::write(&other, "too short").unwrap();
    let short = refused(here, &["partner-match", &theirs, "--partner", "north", "--key-file", &other]);
    assert!(short.contains("shorter than 32 characters") && short.contains("openssl rand"), "{short}");
    let none = refused(here, &["partner-match", &theirs, "--partner", "north"]);
    assert!(none.contains("exchange.key_dir"), "{none}");
    std::fs::write(path(here, "bad"), "RuleId,Token,RecordId\nT1,olt.V1.abc,1\n").unwrap();
    let bad = path(here, "bad");
    let sealed = refused(here, &["partner-match", &bad, "--partner", "north", "--key-file", key, "--format", "olt"]);
    assert!(sealed.contains("line 2 of the partner's file: this token is encrypted"), "{sealed}");
    // By the configuration.
    let output = weir(here)
        .env("WEIR__EXCHANGE__KEY_DIR", here)
        .args(["tracker", "partner-match", &theirs, "--partner", "north"])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
