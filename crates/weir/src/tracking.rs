//! The vaccine tracker's part of the server: its definitions, the turn of the day, the nightly recount.

use crate::config::{Config, Vaccines};
use crate::wiring::{SystemClock, local_session};
use anyhow::{Context, Result};
use engine::{Engine, Session};
use jiff::tz::TimeZone;
use registry::{Census, Definitions, Registry};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::TenantId;
use vaccines::Schedule;
use vaccines::surveillance::Programme;

/// Between two looks at the clock and at the files.
const EVERY: Duration = Duration::from_secs(60);

/// A registry by the configuration. Wrong settings and files are errors.
pub(crate) fn registry(config: &Config) -> Result<Registry> {
    let zone = &config.vaccines.time_zone;
    let zone = TimeZone::get(zone).with_context(|| {
        format!("vaccines.time_zone: {zone:?} is no time zone\nhint: write such as America/New_York")
    })?;
    let definitions = definitions(&config.vaccines)?;
    let registry = Registry::new(definitions, zone, Arc::new(SystemClock), Arc::new(seal::system_random));
    registry.use_censuses(censuses(config)?).context("vaccines.census_files")?;
    Ok(registry)
}

fn censuses(config: &Config) -> Result<Vec<Census>> {
    let tenants = tenants(config);
    let read = |file: &PathBuf| -> Result<Census> {
        let census = Census::parse(&std::fs::read_to_string(file)?)?;
        if let Some(unknown) = census.tenants().iter().find(|name| !tenants.contains(&name.as_str())) {
            let hint = fhir::nearest::hint(unknown, tenants.iter().copied());
            anyhow::bail!("# tenants: there is no tenant {unknown}{hint}: tenants are {}", tenants.join(", "));
        }
        Ok(census)
    };
    let files = config.vaccines.census_files.iter();
    files.map(|file| read(file).with_context(|| format!("vaccines.census_files: {}", file.display()))).collect()
}

/// Names of all tenants.
pub(crate) fn tenants(config: &Config) -> Vec<&str> {
    std::iter::once("default").chain(config.store.tenants.iter().map(String::as_str)).collect()
}

fn definitions(vaccines: &Vaccines) -> Result<Definitions> {
    let mut schedules = Vec::new();
    for dir in &vaccines.schedule_dirs {
        schedules.push(Arc::new(schedule(dir).with_context(|| format!("vaccines.schedule_dirs: {}", dir.display()))?));
    }
    if schedules.is_empty() {
        schedules.push(Arc::new(Schedule::builtin()?));
    }
    let mut programmes = Programme::builtin()?;
    for file in &vaccines.programme_files {
        let read = || -> Result<Programme> { Ok(Programme::from_toml(&std::fs::read_to_string(file)?)?) };
        programmes.push(read().with_context(|| format!("vaccines.programme_files: {}", file.display()))?);
    }
    let definitions = Definitions::new(schedules, programmes).context("vaccines")?;
    Ok(definitions.with_verified_sources(vaccines.verified_sources.clone()))
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// A directory as CDC publishes it; its own name says the version.
fn schedule(dir: &Path) -> Result<Schedule> {
    let files = files_in(dir)?;
    let schedule = files.iter().find(|path| name_of(path).starts_with("ScheduleSupportingData"));
    let schedule =
        schedule.context("there is no ScheduleSupportingData.xml: name the directory with CDC's XML files")?;
    let antigens = files.iter().filter(|path| name_of(path).starts_with("AntigenSupportingData"));
    let antigens = antigens.map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?;
    let schedule = std::fs::read(schedule)?;
    let version = name_of(dir).trim_start_matches("supporting-data-");
    Ok(Schedule::load(version, &schedule, antigens.iter().map(Vec::as_slice))?)
}

/// When the files of the definitions were changed last.
fn changed_at(vaccines: &Vaccines) -> Option<SystemTime> {
    let of_dirs = vaccines.schedule_dirs.iter().flat_map(|dir| files_in(dir).unwrap_or_default());
    let all = of_dirs.chain(vaccines.programme_files.iter().chain(&vaccines.census_files).cloned());
    all.filter_map(|path| std::fs::metadata(path).ok()?.modified().ok()).max()
}

/// Reads what each tenant's registry keeps; answers a session for each.
pub(crate) async fn open(config: &Config, registry: &Registry, engine: &Engine) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for name in tenants(config) {
        let session = Session { tenant: TenantId(name.into()), ..local_session("registry") };
        let opened = registry.open(engine, &session).await;
        opened.map_err(|error| anyhow::anyhow!("the registry of tenant {name}: {error}"))?;
        sessions.push(session);
    }
    Ok(sessions)
}

/// Does what opening has left: see [`Registry::settle`].
pub(crate) async fn settle(registry: &Registry, engine: &Engine, sessions: &[Session]) -> Result<()> {
    for session in sessions {
        let settled = registry.settle(engine, session).await;
        settled.map_err(|error| anyhow::anyhow!("the registry of tenant {}: {error}", session.tenant.0))?;
    }
    Ok(())
}

/// Lets time do its part: what is due changes with the day, and each night everything is counted again. Ends with the runtime.
pub(crate) async fn run(config: Config, registry: Registry, engine: Engine, sessions: Vec<Session>) {
    let mut counted = registry.today();
    let mut files = changed_at(&config.vaccines);
    while let Err(error) = settle(&registry, &engine, &sessions).await {
        tracing::error!(error = format!("{error:#}"), "records of persons are not encoded anew yet");
        tokio::time::sleep(EVERY).await;
    }
    loop {
        let changed = changed_at(&config.vaccines);
        if changed != files {
            files = changed;
            redefine(&config, &registry);
            for session in &sessions {
                if let Err(error) = registry.build(&engine, session).await {
                    tracing::error!(store.tenant = session.tenant.0, error = %error, "the registry was not built anew");
                }
            }
        }
        let today = registry.today();
        for session in &sessions {
            turn(&registry, &engine, session).await;
            if today != counted {
                recount(&registry, &engine, session).await;
            }
        }
        counted = today;
        tokio::time::sleep(EVERY).await;
    }
}

fn redefine(config: &Config, registry: &Registry) {
    let taken = censuses(config).and_then(|tables| Ok(registry.use_censuses(tables)?));
    match taken {
        Ok(()) => tracing::info!("census tables were read again"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "census tables were not taken over"),
    }
    match definitions(&config.vaccines) {
        Ok(definitions) => {
            registry.redefine(definitions);
            tracing::info!("schedules and programmes were read again");
        }
        // The old ones stay in force: half a definition would change everybody's status.
        Err(error) => tracing::error!(error = format!("{error:#}"), "schedules and programmes were not taken over"),
    }
}

async fn turn(registry: &Registry, engine: &Engine, session: &Session) {
    match registry.turn(engine, session).await {
        Ok(0) => {}
        Ok(persons) => tracing::info!(store.tenant = session.tenant.0, persons, "assessed anew"),
        Err(error) => tracing::error!(store.tenant = session.tenant.0, error = %error, "the turn of the day failed"),
    }
}

async fn recount(registry: &Registry, engine: &Engine, session: &Session) {
    match registry.recount(engine, session, true).await {
        Ok(recount) if recount.differences.is_empty() => {
            tracing::info!(
                store.tenant = session.tenant.0,
                persons = recount.persons,
                "counted again: nothing differs"
            );
        }
        Ok(recount) => {
            let cells = recount.differences.len();
            tracing::error!(
                store.tenant = session.tenant.0,
                cells,
                "counted again: counts were wrong and are repaired"
            );
        }
        Err(error) => tracing::error!(store.tenant = session.tenant.0, error = %error, "the recount failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_census_that_changes_is_taken_over_and_a_damaged_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("census.csv");
        let write = |date: &str, table: &str| {
            std::fs::write(&file, format!("# id: a\n# title: A\n# date: {date}\n# tenants: north\n{table}")).unwrap();
        };
        write("2024-01-01", "region,persons\n021,7\n");
        let text =
            format!("[store]\ntenants = [\"north\"]\n[vaccines]\ncensus_files = [{:?}]\n", file.display().to_string());
        let config = crate::config::parse("weir.toml", &text, &[]).unwrap();
        let registry = registry(&config).unwrap();
        let date = |tenant: &str| {
            let census = registry.census(&TenantId(tenant.into()), registry.today());
            census.map(|census| census.about().date.clone())
        };
        assert_eq!((date("north").as_deref(), date("default")), (Some("2024-01-01"), None));
        write("2025-01-01", "region,persons\n021,8\n");
        redefine(&config, &registry);
        assert_eq!(date("north").as_deref(), Some("2025-01-01"));
        write("2026-01-01", "region,persons\n02139,8\n");
        redefine(&config, &registry);
        assert_eq!(date("north").as_deref(), Some("2025-01-01"), "the old one stays in force");
        let error = format!("{:#}", super::registry(&config).unwrap_err());
        assert!(error.contains("census.csv: line 6, column region: \"02139\" is no region"), "{error}");
        std::fs::write(&file, "# id: a\n# title: A\n# date: 2024-01-01\n# tenants: nort\npersons\n1\n").unwrap();
        let error = format!("{:#}", super::registry(&config).unwrap_err());
        assert!(error.contains("there is no tenant nort (did you mean north?)"), "{error}");
    }
}
