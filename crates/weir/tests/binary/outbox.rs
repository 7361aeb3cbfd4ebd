//! `weir outbox` and the operator's routes of a running server.

use crate::support::{Server, run, weir};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;

/// An EMR that refuses everything, for good.
fn stubborn_emr() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let body = r#"{"resourceType":"OperationOutcome","issue":[{"code":"business-rule"}]}"#;
            let head = format!(
                "HTTP/1.1 422 no\r\nContent-Type: application/fhir+json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            reader.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    url
}

fn outbox(dir: &Path, arguments: &[&str]) -> Output {
    run(dir, &[&["outbox"], arguments].concat())
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(dir: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(&outbox(dir, &[arguments, &["--json"]].concat()))).unwrap()
}

#[track_caller]
fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(reason), "{text}");
}

/// Asks once a moment until the destination is as `wanted`. The server may still be starting.
fn until(dir: &Path, wanted: impl Fn(&Value) -> bool) {
    let mut last = outbox(dir, &["ls", "--json"]);
    for _ in 0..600 {
        let all: Value = serde_json::from_slice(&last.stdout).unwrap_or_default();
        if all["destinations"].get(0).is_some_and(&wanted) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        last = outbox(dir, &["ls", "--json"]);
    }
    panic!("it never came to that: {last:?}");
}

fn start(dir: &Path, more: &str) -> Server {
    let url = stubborn_emr();
    let text = format!("{more}\n[[destination]]\nname = \"emr\"\nurl = \"{url}\"\nmode = \"put\"\nper_second = 50\n");
    std::fs::write(dir.join("weir.toml"), text).unwrap();
    Server::spawn(weir(dir).arg("serve").arg("--config").arg(dir.join("weir.toml")))
}

/// Status, head and body of an answer to `GET path`.
fn get(server: &Server, path: &str, authorization: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

#[test]
fn an_operator_sees_pauses_and_replays_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    refused(&outbox(dir, &["ls"]), "no server has ");
    let server = start(dir, "");
    until(dir, |emr| emr["running"] == true);

    assert_eq!(
        said(&outbox(dir, &["pause", "emr"])),
        "emr is paused: nothing is sent until `weir outbox resume emr`\n"
    );
    let put = server.client().send("PUT", "/Patient/a", r#"{"resourceType":"Patient","id":"a"}"#).unwrap();
    assert_eq!(put.status, 201);
    until(dir, |emr| emr["depth"] == 1 && emr["paused"] == true);
    let ls = said(&outbox(dir, &["ls"]));
    let row: Vec<&str> =
        ls.lines().nth(1).unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(row[..6], ["default", "emr", "fhir", "paused", "1", "0"], "{ls}");
    assert_eq!(said(&outbox(dir, &["eta"])), "default/emr: not before it is resumed\n");
    assert!(said(&outbox(dir, &["show", "emr"])).contains("pending    Patient/a"));

    assert_eq!(told(dir, &["resume", "emr"]), json!({ "paused": false }));
    until(dir, |emr| emr["dead"] == 1);
    let show = said(&outbox(dir, &["show", "emr", "--state", "dead"]));
    assert!(show.contains("dead       Patient/a") && show.contains("422: business-rule"), "{show}");
    let no = told(dir, &["show", "emr"])["intents"][0]["no"].to_string();
    assert_eq!(said(&outbox(dir, &["eta", "emr"])), "default/emr: nothing waits\n");
    assert_eq!(told(dir, &["replay", "emr", &no]), json!({ "replayed": 1 }));
    until(dir, |emr| emr["dead"] == 1);
    assert_eq!(said(&outbox(dir, &["replay", "emr", "--all"])), "1 refused record will be sent again\n");

    refused(&outbox(dir, &["replay", "emr", "99"]), "no refused record has the number 99: nothing is sent again");
    refused(&outbox(dir, &["show", "erm"]), "tenant default has no destination erm (did you mean emr?)");
    refused(&outbox(dir, &["pause", "emr", "--tenant", "b"]), "tenant b has no destination emr");
    refused(&outbox(dir, &["show", "emr", "--state", "dad"]), "unknown state (did you mean dead?)");
    for wrong in [&["replay", "emr"][..], &["replay", "emr", "1", "--all"], &["pause"]] {
        assert_eq!(outbox(dir, wrong).status.code(), Some(2), "{wrong:?}");
    }
    let (status, metrics) = get(&server, "/metrics", "");
    assert_eq!(status, 200);
    assert!(metrics.contains("weir_delivery_paused{tenant=\"default\",destination=\"emr\"} 0.0"), "{metrics}");
    assert_eq!(metrics.matches("# EOF").count(), 1);
}

#[test]
fn the_operators_routes_ask_for_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "a-long-and-random-token\n").unwrap();
    let server = start(dir.path(), &format!("[server]\ntoken_file = {token:?}\n"));
    until(dir.path(), |emr| emr["running"] == true);
    // `operator:a-long-and-random-token`
    let basic = "Authorization: Basic b3BlcmF0b3I6YS1sb25nLWFuZC1yYW5kb20tdG9rZW4=\r\n";
    let bearer = "Authorization: Bearer a-long-and-random-token\r\n";
    for path in ["/ops", "/ops/style.css", "/ops/default/emr", "/ops/api/destinations"] {
        for wrong in ["", "Authorization: Bearer a-long\r\n", "Authorization: Basic b3BlcmF0b3I6YS1sb25n\r\n"] {
            let (status, answer) = get(&server, path, wrong);
            assert_eq!(status, 401, "{path}");
            let answer = answer.to_ascii_lowercase();
            assert!(
                answer.contains("www-authenticate: bearer realm") && answer.contains("www-authenticate: basic realm")
            );
        }
        assert_eq!([get(&server, path, basic).0, get(&server, path, bearer).0], [200, 200], "{path}");
    }
    // Browsers send a login along with requests that other sites make: FHIR is for programs, and takes none.
    assert_eq!(get(&server, "/fhir/Patient", basic).0, 401);
    assert_eq!(get(&server, "/fhir/Patient", bearer).0, 200);
}
