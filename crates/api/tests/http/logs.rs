//! The request log: what it says, and what it does not.

use crate::harness::{FHIR, PATIENT, World};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::EnvFilter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Catches what this thread logs at `level` while the guard lives.
    fn catch(&self, level: &str) -> (Dispatch, DefaultGuard) {
        // While there is only one subscriber, other tests' threads switch off what they come to first for all threads.
        let second = Dispatch::new(NoSubscriber::new());
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter(EnvFilter::new(level))
            .with_writer(move || lines.clone())
            .finish();
        (second, tracing::subscriber::set_default(subscriber))
    }

    fn taken(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn each_request_is_one_line_without_ids_and_queries() {
    let lines = Lines::default();
    let _guard = lines.catch("info");
    let world = World::new();
    let id = world.patient().await;
    let asked = [("x-request-id", "run-7")];
    world.ask("GET", &format!("/fhir/Patient/{id}"), &asked, "").await.is(200);
    world.get("/fhir/Patient?family=Ito").await.is(200);
    world.get(&format!("/fhir/Patient/{id}/%24meta")).await.is(200);
    world.ask("PUT", &format!("/fhir/Patient/{id}/secret/Ito/more"), &[FHIR], PATIENT).await.is(404);
    world.ask("ITO", &format!("/fhir/Patient/{id}"), &[], "").await.is(405);
    world.get("/healthz").await.is(200);
    let logged = lines.taken();
    let expected = [
        ("POST", "/{type}", 201),
        ("GET", "/{type}/{id}", 200),
        ("GET", "/{type}", 200),
        ("GET", "/{type}/{id}/$meta", 200),
        ("PUT", "none", 404),
        ("other", "/{type}/{id}", 405),
    ];
    assert_eq!(logged.len(), expected.len(), "{logged:#?}");
    for (line, (method, route, status)) in logged.iter().zip(expected) {
        let fields = format!(r#""method":"{method}","route":"{route}","status":{status},"duration_ms":"#);
        assert!(line.contains(&fields), "{fields} in {line}");
        assert!(!line.contains(&id) && !line.to_lowercase().contains("ito"), "{line}");
    }
    assert!(logged[1].contains(r#""request_id":"run-7""#), "{}", logged[1]);
}

#[tokio::test]
async fn the_request_log_is_off_by_level() {
    let lines = Lines::default();
    for level in ["warn", "info,api::request=off"] {
        let _guard = lines.catch(level);
        World::new().get("/fhir/Patient").await.is(200);
        assert_eq!(lines.taken(), Vec::<String>::new(), "{level}");
    }
}
