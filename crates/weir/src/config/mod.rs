//! One TOML file, overlaid by `WEIR__SECTION__KEY`.

pub(crate) mod destination;
pub(crate) mod event_sink;

use anyhow::{Context, Result, bail};
use destination::Destination;
use event_sink::EventSink;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Every key with its default and what it means. `weir config generate` prints this; parsing it gives the defaults.
pub(crate) const TEMPLATE: &str = include_str!("config.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) fhir: Fhir,
    pub(crate) vaccines: Vaccines,
    pub(crate) exchange: Exchange,
    pub(crate) alerts: Alerts,
    pub(crate) log: Log,
    /// `[[destination]]`, as often as there are.
    #[serde(skip)]
    pub(crate) destinations: Vec<Destination>,
    /// `[[event_sink]]`
    #[serde(skip)]
    pub(crate) event_sinks: Vec<EventSink>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: String,
    pub(crate) base_url: String,
    pub(crate) token_file: PathBuf,
    pub(crate) tls_cert_file: PathBuf,
    pub(crate) tls_key_file: PathBuf,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) body_bytes_max: usize,
    pub(crate) in_flight_max: usize,
    pub(crate) request_timeout_s: u64,
    pub(crate) header_timeout_s: u64,
    pub(crate) shutdown_timeout_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) dir: PathBuf,
    pub(crate) master_key_file: PathBuf,
    pub(crate) cache_bytes_max: usize,
    pub(crate) queue_max: usize,
    pub(crate) tenants: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fhir {
    pub(crate) validation: String,
    pub(crate) transaction_entries_max: usize,
    pub(crate) page_default: u32,
    pub(crate) page_max: u32,
    pub(crate) includes_max: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vaccines {
    pub(crate) time_zone: String,
    pub(crate) schedule_dirs: Vec<PathBuf>,
    pub(crate) programme_files: Vec<PathBuf>,
    pub(crate) census_files: Vec<PathBuf>,
    pub(crate) verified_sources: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) key_dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerts {
    pub(crate) webhook_url: String,
    pub(crate) webhook_token_file: PathBuf,
    pub(crate) smtp_url: String,
    pub(crate) smtp_user: String,
    pub(crate) smtp_password_file: PathBuf,
    pub(crate) mail_from: String,
    pub(crate) mail_to: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: String,
    /// Whether the file or the environment gave the level.
    #[serde(skip)]
    pub(crate) is_level_given: bool,
}

/// Defaults, then the file, then the environment. Errors name the file, the line and the nearest valid key.
pub(crate) fn load(path: Option<&Path>) -> Result<Config> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => String::new(),
    };
    let name = path.map_or("configuration".into(), |path| path.display().to_string());
    parse(&name, &text, &environment())
}

fn environment() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("WEIR__")).collect()
}

pub(crate) fn parse(name: &str, text: &str, environment: &[(String, String)]) -> Result<Config> {
    let mut merged: toml::Table = TEMPLATE.parse().context("the built-in configuration is TOML")?;
    let mut file: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        anyhow::anyhow!("{name}:{line}: {}", error.message())
    })?;
    let destinations = match file.remove("destination") {
        None => Vec::new(),
        Some(toml::Value::Array(tables)) => destination::parse(name, text, tables)?,
        Some(_) => bail!("{name}:{}: write [[destination]], there may be several", line_of(text, "destination")),
    };
    let event_sinks = match file.remove("event_sink") {
        None => Vec::new(),
        Some(toml::Value::Array(tables)) => event_sink::parse(name, text, tables)?,
        Some(_) => bail!("{name}:{}: write [[event_sink]], there may be several", line_of(text, "event_sink")),
    };
    let in_file = file.get("log").is_some_and(|log| log.get("level").is_some());
    let is_level_given =
        in_file || environment.iter().any(|(variable, _)| variable.eq_ignore_ascii_case("WEIR__LOG__LEVEL"));
    for (section, values) in file {
        let Some(known) = merged.get_mut(&section).and_then(toml::Value::as_table_mut) else {
            bail!("{}", unknown(name, text, &section, &section, TEMPLATE_SECTIONS))
        };
        let toml::Value::Table(values) = values else { bail!("{name}: {section} must be a section: [{section}]") };
        for (key, value) in values {
            let Some(old) = known.get_mut(&key) else {
                let keys: Vec<&str> = known.keys().map(String::as_str).collect();
                bail!("{}", unknown(name, text, &key, &format!("{section}.{key}"), &keys))
            };
            if std::mem::discriminant(old) != std::mem::discriminant(&value) {
                bail!("{name}:{}: {section}.{key} must be a {}", line_of(text, &key), old.type_str());
            }
            *old = value;
        }
    }
    for (variable, value) in environment {
        overlay(&mut merged, variable, value)?;
    }
    let mut config: Config = merged.try_into().context("configuration")?;
    config.destinations = destinations;
    config.event_sinks = event_sinks;
    config.log.is_level_given = is_level_given;
    check(&config)?;
    Ok(config)
}

const TEMPLATE_SECTIONS: &[&str] =
    &["server", "store", "fhir", "vaccines", "exchange", "alerts", "log", "destination", "event_sink"];

fn line_of(text: &str, key: &str) -> usize {
    let at = |line: &str| line.trim_start().trim_start_matches('[').trim_start().starts_with(key);
    text.lines().position(at).map_or(1, |line| line + 1)
}

fn unknown(name: &str, text: &str, key: &str, full: &str, known: &[&str]) -> String {
    let hint = fhir::nearest::hint(key, known.iter().copied());
    format!("{name}:{}: unknown key {full}{hint}", line_of(text, key))
}

fn overlay(merged: &mut toml::Table, variable: &str, value: &str) -> Result<()> {
    let path = variable.trim_start_matches("WEIR__").to_lowercase();
    let (section, key) = path.split_once("__").with_context(|| format!("{variable}: write WEIR__SECTION__KEY"))?;
    let old = merged.get_mut(section).and_then(|section| section.get_mut(key));
    let old = old.with_context(|| format!("{variable}: unknown key {section}.{key}"))?;
    let wrong = |what: &str| format!("{variable} must be {what}");
    *old = match old {
        toml::Value::Integer(_) => toml::Value::Integer(value.parse().with_context(|| wrong("a whole number"))?),
        toml::Value::Boolean(_) => toml::Value::Boolean(value.parse().with_context(|| wrong("true or false"))?),
        toml::Value::Array(_) => toml::Value::Array(
            value.split(',').filter(|item| !item.is_empty()).map(|item| item.trim().into()).collect(),
        ),
        _ => value.into(),
    };
    Ok(())
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// A slip in a level would otherwise be read as the name of a part of the program, and everything else would be silent.
fn check_level(directives: &str) -> Result<()> {
    for directive in directives.split(',').map(str::trim) {
        let (target, level) = directive.rsplit_once('=').map_or((None, directive), |(of, level)| (Some(of), level));
        if !LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known)) {
            let hint = fhir::nearest::hint(level, LEVELS);
            bail!(
                "log.level: {level:?} is no level{hint}\nhint: write {}, or such as info,store=debug",
                LEVELS.join(", ")
            );
        }
        if target.is_some_and(|target| target.trim().is_empty()) {
            bail!("log.level: {directive:?} names no part\nhint: write such as info,store=debug");
        }
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(directives) {
        bail!("log.level: {error}\nhint: write such as info,store=debug, without spaces");
    }
    Ok(())
}

fn check(config: &Config) -> Result<()> {
    config.validation()?;
    check_level(&config.log.level)?;
    if !config.event_sinks.is_empty() && !cfg!(feature = "nats") {
        bail!("event_sink: this weir was built without NATS\nhint: build with the default features");
    }
    if !matches!(config.log.format.as_str(), "text" | "json") {
        bail!("log.format must be text or json");
    }
    if config.server.tls_cert_file.as_os_str().is_empty() != config.server.tls_key_file.as_os_str().is_empty() {
        bail!("server.tls_cert_file and server.tls_key_file go together: set both or none");
    }
    Ok(())
}

impl Config {
    pub(crate) fn validation(&self) -> Result<engine::Validation> {
        match self.fhir.validation.as_str() {
            "off" => Ok(engine::Validation::Off),
            "structure" => Ok(engine::Validation::Structure),
            "full" => Ok(engine::Validation::Full),
            _ => bail!("fhir.validation must be off, structure or full"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse("weir.toml", text, &[]).unwrap_err())
    }

    #[test]
    fn the_template_is_the_defaults() {
        let config = parse("x", "", &[]).unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:8080");
        let keys = TEMPLATE.lines().filter(|line| line.contains(" = ")).count();
        assert!(keys <= 40, "{keys}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(
            error("[server]\nbody_bytes_max = 1\nlisen = \"x\"\n"),
            "weir.toml:3: unknown key server.lisen (did you mean listen?)"
        );
        assert_eq!(error("[sever]\n"), "weir.toml:1: unknown key sever (did you mean server?)");
        assert_eq!(error("[server]\nlisten = 8080\n"), "weir.toml:2: server.listen must be a string");
        assert!(error("[server\n").starts_with("weir.toml:1: "));
        assert_eq!(error("[fhir]\nvalidation = \"some\"\n"), "fhir.validation must be off, structure or full");
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        let refused = |level: &str| error(&format!("[log]\nlevel = \"{level}\"\n"));
        assert!(
            refused("wran").starts_with("log.level: \"wran\" is no level (did you mean warn?)\nhint: write error, ")
        );
        assert!(refused("info,store=debgu").contains("(did you mean debug?)"));
        for level in ["", "info,", "store", "=info", "info,api::request", "info, store=debug", "[x=info"] {
            assert!(refused(level).starts_with("log.level: "), "{level}");
        }
        for level in ["warn", "WARN", "off", "info,api::request=off", "info,store=debug"] {
            let config = parse("x", &format!("[log]\nlevel = \"{level}\"\n"), &[]).unwrap();
            assert!(config.log.is_level_given);
        }
        assert!(!parse("x", "[log]\nformat = \"json\"\n", &[]).unwrap().log.is_level_given);
    }

    #[test]
    fn the_environment_wins() {
        let set = |name: &str, value: &str| parse("x", "[store]\nqueue_max = 3\n", &[(name.into(), value.into())]);
        assert_eq!(set("WEIR__STORE__QUEUE_MAX", "5").unwrap().store.queue_max, 5);
        assert_eq!(set("WEIR__SERVER__CORS_ORIGINS", "a,b").unwrap().server.cors_origins, ["a", "b"]);
        assert!(set("WEIR__STORE__QUEUE_MAX", "x").is_err() && set("WEIR__STORE__NOPE", "x").is_err());
    }
}
