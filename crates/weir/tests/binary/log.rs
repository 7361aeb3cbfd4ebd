//! What `weir serve` writes to standard error.

use crate::support::{Server, run, weir};
use serde_json::Value;

#[test]
fn requests_are_logged_as_the_level_and_the_format_say() {
    let logged = |settings: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::spawn(weir(dir.path()).envs(settings.iter().copied()).arg("serve"));
        assert_eq!(server.client().get("/Patient/id-of-somebody").status, 404);
        assert_eq!(server.client().send_root("GET", "/ops/default/id-of-somebody", "").unwrap().status, 404);
        server.kill();
        let log = server.log();
        assert!(!log.contains("id-of-somebody") && !log.contains('\x1b'), "no ids, and no colours in a file: {log}");
        log
    };
    let text = logged(&[]);
    assert!(text.contains("api::request: request method=\"GET\" route=\"/{type}/{id}\" status=404 "), "{text}");
    assert!(text.contains("request method=\"GET\" route=\"/ops/{tenant}/{name}\" status=404 "), "{text}");
    let json = logged(&[("WEIR__LOG__FORMAT", "json")]);
    let line = json.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
    assert_eq!((&line["fields"]["route"], &line["fields"]["status"]), (&"/{type}/{id}".into(), &404.into()));
    for level in ["warn", "info,api::request=off"] {
        assert!(!logged(&[("WEIR__LOG__LEVEL", level)]).contains("/{type}"), "{level}");
    }
}

#[test]
fn a_level_that_is_none_does_not_silence_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let output = weir(dir.path()).env("WEIR__LOG__LEVEL", "wran").arg("serve").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("error: log.level: \"wran\" is no level (did you mean warn?)"), "{said}");
    assert!(!dir.path().join("data").exists());
}

#[test]
fn a_demo_logs_no_requests_unless_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let demo = ["demo", "--patients", "3", "--flood", "0", "--campaign", "0", "--port", "0", "--exit-after-load"];
    let quiet = run(dir.path(), &demo);
    let said = String::from_utf8(quiet.stderr).unwrap();
    assert!(quiet.status.success() && said.contains("loaded ") && !said.contains("api::request"), "{said}");
    let asked = weir(dir.path()).args(demo).env("WEIR__LOG__LEVEL", "info").output().unwrap();
    assert!(String::from_utf8(asked.stderr).unwrap().contains("api::request"));
}
