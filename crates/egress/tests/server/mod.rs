//! A NATS server of one test's own.

use async_nats::jetstream::{self, Context, consumer};
use egress::{Nats, Settings};
use futures_util::StreamExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Server {
    dir: TempDir,
    url: String,
}

/// A message of a stream, as a consumer sees it.
pub(crate) struct Got {
    pub(crate) subject: String,
    pub(crate) id: String,
    pub(crate) payload: Vec<u8>,
}

impl Got {
    /// What the test numbered the event by.
    pub(crate) fn n(&self) -> Option<u64> {
        serde_json::from_slice::<serde_json::Value>(&self.payload).ok()?["n"].as_u64()
    }
}

fn services(dir: &Path, action: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services");
    let output = Command::new(script).args([action, "nats"]).env("WEIR_NATS_DIR", dir).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/services {action} nats: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

impl Server {
    pub(crate) fn start() -> Server {
        let dir = TempDir::new().unwrap();
        services(dir.path(), "start");
        let settings = services(dir.path(), "env");
        let url = settings.lines().find_map(|line| line.strip_prefix("WEIR_NATS_URL=")).unwrap().to_owned();
        Server { dir, url }
    }

    pub(crate) fn kill(&self) {
        services(self.dir.path(), "stop");
    }

    /// Starts again where it was, with what it kept.
    pub(crate) fn again(&self) {
        services(self.dir.path(), "start");
    }

    pub(crate) fn outlet(&self, stream: &str) -> Nats {
        Nats::new(Settings {
            url: self.url.clone(),
            tenant: "default".into(),
            stream: stream.into(),
            replicas: 1,
            duplicate_window: Duration::from_secs(120),
            login: None,
            ca_file: None,
            timeout: Duration::from_secs(2),
        })
    }

    pub(crate) async fn jetstream(&self) -> Context {
        jetstream::new(async_nats::connect(&self.url).await.unwrap())
    }

    pub(crate) async fn delete(&self, stream: &str) {
        self.jetstream().await.delete_stream(stream).await.unwrap();
    }

    /// All messages of a stream from the first.
    pub(crate) async fn messages(&self, stream: &str) -> Vec<Got> {
        let stream = self.jetstream().await.get_stream(stream).await.unwrap();
        let count = stream.cached_info().state.messages as usize;
        let consumer = stream.create_consumer(consumer::pull::OrderedConfig::default()).await.unwrap();
        let mut all = Vec::new();
        let mut messages = consumer.messages().await.unwrap();
        while all.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(60), messages.next()).await;
            let message = next.expect("a message within a minute").unwrap().unwrap();
            let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            let id = id.map(|id| id.as_str().to_owned()).unwrap_or_default();
            all.push(Got { subject: message.subject.to_string(), id, payload: message.payload.to_vec() });
        }
        all
    }

    /// What the test numbered the stream's events by.
    pub(crate) async fn numbers(&self, stream: &str) -> Vec<u64> {
        self.messages(stream).await.iter().map(|message| message.n().unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        services(self.dir.path(), "stop");
    }
}
