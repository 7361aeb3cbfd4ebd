//! `[[event_sink]]`: where events are published.

use super::destination::overlay;
use crate::wiring::secret;
use anyhow::{Context, Result, bail, ensure};
use egress::{Settings, Spec};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// All keys with their defaults and meanings.
pub(crate) const TEMPLATE: &str = include_str!("event_sink.toml");

const TOPICS: [&str; 2] = [registry::VACCINATION, registry::IDENTITY];
/// Events of a topic that are under way at once.
const BATCH: usize = 256;
/// Between two looks for new events.
const POLL: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventSink {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) url: String,
    pub(crate) stream: String,
    pub(crate) topics: Vec<String>,
    pub(crate) tenant: String,
    pub(crate) credentials_file: PathBuf,
    pub(crate) ca_file: PathBuf,
    pub(crate) replicas: usize,
    pub(crate) duplicate_window_s: u64,
    pub(crate) timeout_s: u64,
}

/// Reads the tables, each over the defaults. `name` and `text` are those of the file, for errors.
pub(crate) fn parse(name: &str, text: &str, tables: Vec<toml::Value>) -> Result<Vec<EventSink>> {
    let template: toml::Table = TEMPLATE.parse().context("the built-in event sink is TOML")?;
    let defaults = template["event_sink"][0].as_table().cloned().unwrap_or_default();
    let mut sinks: Vec<EventSink> = Vec::new();
    for table in tables {
        let toml::Value::Table(table) = table else { bail!("{name}: write [[event_sink]]") };
        let mut merged = defaults.clone();
        overlay((name, text), "event_sink", &mut merged, table)?;
        let sink: EventSink = merged.try_into().context("event_sink")?;
        sink.check().with_context(|| format!("{name}: event_sink {}", sink.name))?;
        let twice = sinks.iter().any(|other| other.name == sink.name && other.tenant == sink.tenant);
        ensure!(!twice, "{name}: there are two event sinks {}", sink.name);
        sinks.push(sink);
    }
    Ok(sinks)
}

impl EventSink {
    fn check(&self) -> Result<()> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(!self.name.is_empty() && self.name.bytes().all(valid), "name must be of a-z, 0-9 and -");
        ensure!(self.kind == "nats", "kind must be nats");
        let host = self.url.strip_prefix("nats://").or_else(|| self.url.strip_prefix("tls://"));
        ensure!(host.is_some_and(|host| !host.is_empty()), "url must begin with nats:// or tls://");
        ensure!(
            !self.url.contains('@'),
            "url must not hold a login\nhint: put user:password into a file, and that into credentials_file"
        );
        let in_stream = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ensure!(
            !self.stream.is_empty() && self.stream.bytes().all(in_stream),
            "stream must be of A-Z, a-z, 0-9, - and _"
        );
        ensure!(
            self.tenant.bytes().all(in_stream),
            "tenant {} cannot be part of a subject: it must be of a-z, 0-9, - and _",
            self.tenant
        );
        ensure!(!self.topics.is_empty(), "topics must name one at least: {}", TOPICS.join(", "));
        if let Some(wrong) = self.topics.iter().find(|topic| !TOPICS.contains(&topic.as_str())) {
            bail!("unknown topic {wrong}{}", fhir::nearest::hint(wrong, TOPICS));
        }
        ensure!((1..=5).contains(&self.replicas), "replicas must be 1 to 5");
        ensure!(self.duplicate_window_s >= 60, "duplicate_window_s must be 60 or more");
        ensure!(self.timeout_s > 0, "timeout_s must be 1 or more");
        Ok(())
    }

    pub(crate) fn spec(&self) -> Spec {
        let mut topics = self.topics.clone();
        topics.sort();
        topics.dedup();
        Spec {
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            stream: self.stream.clone(),
            topics,
            batch: BATCH,
            poll: POLL,
        }
    }

    /// Reads the files that are named.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let login = match self.credentials_file.as_os_str().is_empty() {
            true => None,
            false => Some(secret(&self.credentials_file)?),
        };
        let ca_file = Some(self.ca_file.clone()).filter(|path| !path.as_os_str().is_empty());
        if let Some(path) = &ca_file {
            ensure!(path.is_file(), "ca_file: there is no file {}", path.display());
        }
        Ok(Settings {
            url: self.url.clone(),
            tenant: self.tenant.clone(),
            stream: self.stream.clone(),
            replicas: self.replicas,
            duplicate_window: Duration::from_secs(self.duplicate_window_s),
            login,
            ca_file,
            timeout: Duration::from_secs(self.timeout_s),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<EventSink>> {
        let text = format!("[[event_sink]]\nname = \"lake\"\nurl = \"nats://127.0.0.1:4222\"\n{text}");
        let table: toml::Table = text.parse().unwrap();
        parse("weir.toml", &text, table["event_sink"].as_array().unwrap().clone())
    }

    #[test]
    fn defaults_are_the_template() {
        let sink = &read("").unwrap()[0];
        let (spec, settings) = (sink.spec(), sink.settings().unwrap());
        assert_eq!((spec.stream.as_str(), spec.topics.len(), settings.replicas), ("WEIR", 2, 1));
        assert!(settings.login.is_none() && settings.ca_file.is_none() && settings.is_local());
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| format!("{:#}", read(text).unwrap_err());
        assert_eq!(error("strem = \"X\"\n"), "weir.toml:4: unknown key event_sink.strem (did you mean stream?)");
        for (text, part) in [
            ("kind = \"kafka\"\n", "event_sink lake: kind must be nats"),
            ("stream = \"a.b\"\n", "stream must be of"),
            ("tenant = \"a.b\"\n", "tenant a.b cannot be part of a subject"),
            ("topics = []\n", "topics must name one"),
            ("topics = [\"vacination\"]\n", "unknown topic vacination (did you mean vaccination?)"),
            ("replicas = 0\n", "replicas must be"),
            ("duplicate_window_s = 5\n", "duplicate_window_s must be"),
            ("[[event_sink]]\nname = \"lake\"\nurl = \"nats://x\"\n", "two event sinks lake"),
            ("[[event_sink]]\nname = \"b\"\nurl = \"nats://u:p@x\"\n", "url must not hold a login"),
            ("[[event_sink]]\nname = \"b\"\nurl = \"http://x\"\n", "url must begin with"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }
}
