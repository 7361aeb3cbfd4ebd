//! How the parts are put together: clock, keys, store, engine, API.

use crate::config::Config;
use crate::tracking;
use anyhow::{Context, Result};
use engine::Engine;
use registry::Registry;
use seal::{MasterKey, Secret};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Clock, Store, TenantId};

/// The one place that reads the wall clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "the home of the wall clock")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

pub(crate) fn log(config: &Config) {
    // Checked with the configuration.
    let mut filter = tracing_subscriber::EnvFilter::new(&config.log.level);
    if filter.max_level_hint() > Some(tracing::level_filters::LevelFilter::INFO) {
        // Below that it shows what it sends and gets.
        filter = filter.add_directive("async_nats=info".parse().expect("a directive"));
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    // A second initialisation, as tests do it, changes nothing.
    let outcome = if config.log.format == "json" { builder.json().try_init() } else { builder.try_init() };
    drop(outcome);
}

/// Reads the master key, or makes one on the first start and says loudly that it must be backed up.
pub(crate) fn master_key(path: &Path, data_dir: &Path) -> Result<MasterKey> {
    match std::fs::read(path) {
        Ok(text) => MasterKey::parse(&text).with_context(|| format!("master key {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if data_dir.join("tenants").exists() {
                anyhow::bail!(
                    "master key {} is missing, but {} holds data that only it opens\nhint: put the key file back",
                    path.display(),
                    data_dir.display()
                );
            }
            let key = MasterKey::generate(&seal::system_random);
            write_secret(path, key.to_hex().as_bytes())?;
            eprintln!("warning: made a new master key: {}", path.display());
            eprintln!("hint: back it up apart from the data: without it nothing in {} can be read", data_dir.display());
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read master key {}", path.display())),
    }
}

fn write_secret(path: &Path, text: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(())
}

pub(crate) fn store(config: &Config) -> Result<Store> {
    let options = store::Options {
        dir: config.store.dir.clone(),
        master_key: master_key(&config.store.master_key_file, &config.store.dir)?,
        clock: Arc::new(SystemClock),
        cache_bytes_max: config.store.cache_bytes_max,
        queue_max: config.store.queue_max,
    };
    let store = Store::open(options)?;
    for name in ["default"].into_iter().chain(config.store.tenants.iter().map(String::as_str)) {
        store.tenant(&TenantId(name.into())).with_context(|| format!("tenant {name}"))?;
    }
    Ok(store)
}

/// The engine, and the registry that is told of all its commits. [`tracking::open`] must follow before anything is written.
pub(crate) fn engine(config: &Config, store: Store) -> Result<(Engine, Registry)> {
    let options = engine::Options {
        validation: config.validation()?,
        transaction_entries_max: config.fhir.transaction_entries_max,
        page_default: config.fhir.page_default,
        page_max: config.fhir.page_max,
        includes_max: config.fhir.includes_max,
    };
    let registry = tracking::registry(config)?;
    let engine = Engine::new(store, options, Arc::new(SystemClock), Arc::new(seal::system_random));
    Ok((engine.with_deriver(Arc::new(registry.clone())), registry))
}

/// The administrator at this machine's console.
pub(crate) fn local_session(request_id: &str) -> engine::Session {
    engine::Session {
        tenant: TenantId("default".into()),
        who: engine::Principal { id: "admin".into(), role: engine::Role::Admin },
        request_id: request_id.into(),
        base: "http://localhost/fhir".into(),
    }
}

/// The secret in a file, without the white space around it.
pub(crate) fn secret(path: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

pub(crate) fn api_config(config: &Config) -> Result<api::Config> {
    let server = &config.server;
    let token = match server.token_file.as_os_str().is_empty() {
        true => None,
        false => {
            let path = &server.token_file;
            let token = secret(path)?;
            anyhow::ensure!(
                token.expose().len() >= 16,
                "the token in {} is shorter than 16 characters",
                path.display()
            );
            Some(token)
        }
    };
    Ok(api::Config {
        body_bytes_max: server.body_bytes_max,
        in_flight_max: server.in_flight_max,
        request_timeout: Duration::from_secs(server.request_timeout_s),
        header_timeout: Duration::from_secs(server.header_timeout_s),
        shutdown_timeout: Duration::from_secs(server.shutdown_timeout_s),
        cors_origins: server.cors_origins.clone(),
        bearer_token: token,
        base_url: Some(server.base_url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty()),
        default_tenant: "default".into(),
        other_tenants: config.store.tenants.clone(),
        ..api::Config::default()
    })
}
