//! What `weir serve` writes to standard error.

use crate::support::{Server, weir};
use serde_json::Value;

#[test]
fn requests_are_logged_as_the_level_and_the_format_say() {
    let logged = |settings: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::spawn(weir(dir.path()).envs(settings.iter().copied()).arg("serve"));
        assert_eq!(server.client().get("/Patient/p1").status, 404);
        server.kill();
        let log = server.log();
        assert!(!log.contains("p1") && !log.contains('\x1b'), "no ids, and no colours in a file: {log}");
        log
    };
    let text = logged(&[]);
    assert!(text.contains("api::request: request method=\"GET\" route=\"/{type}/{id}\" status=404 "), "{text}");
    let json = logged(&[("WEIR__LOG__FORMAT", "json")]);
    let line = json.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
    assert_eq!((&line["fields"]["route"], &line["fields"]["status"]), (&"/{type}/{id}".into(), &404.into()));
    for level in ["warn", "info,api::request=off"] {
        assert!(!logged(&[("WEIR__LOG__LEVEL", level)]).contains("/{type}"), "{level}");
    }
}
