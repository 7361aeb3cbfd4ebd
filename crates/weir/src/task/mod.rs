//! What is done to a whole store: by the command itself, or by the server that holds the store open.

pub(crate) mod export;
pub(crate) mod identity;
pub(crate) mod network;
pub(crate) mod tracker;

use crate::client::Client;
use crate::config::Config;
use crate::{control, tracking, wiring};
use anyhow::{Context, Result, anyhow, bail};
use engine::Engine;
use registry::Registry;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{Store, StoreError};

/// Paths are absolute: the server may have another working directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Backup { to: PathBuf },
    Export(export::Export),
    Tracker(tracker::Tracker),
    Network(network::Network),
    Identity(identity::Identity),
    Doctor { rebuild: bool, compact: bool },
}

/// What a task answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// For `--json`, one line each.
    pub(crate) json: Vec<serde_json::Value>,
    /// For people.
    pub(crate) lines: Vec<String>,
    pub(crate) success: bool,
}

impl Task {
    /// `online`: others read and write meanwhile. `parts` answers what some tasks need beside the store.
    pub(crate) fn run(
        &self,
        store: &Store,
        parts: impl FnOnce() -> Result<(Engine, Registry)>,
        online: bool,
    ) -> Result<Done> {
        match self {
            Task::Tracker(tracker) => {
                let (engine, registry) = parts()?;
                tracker.run(&engine, &registry)
            }
            Task::Network(network) => {
                let (engine, registry) = parts()?;
                network.run(&engine, &registry)
            }
            Task::Identity(identity) => {
                let (engine, registry) = parts()?;
                identity.run(&engine, &registry)
            }
            Task::Backup { to } => backup(store, to),
            Task::Export(export) => export.run(store),
            Task::Doctor { rebuild: true, .. } if online => {
                bail!("the index cannot be rebuilt while the server runs\nhint: stop the server first")
            }
            Task::Doctor { rebuild, compact } => doctor(store, *rebuild, *compact),
        }
    }

    /// Opens the store, or asks the server that has it open.
    pub(crate) fn perform(&self, config: &Config, json: bool) -> Result<ExitCode> {
        let done = match wiring::store(config) {
            Ok(store) => {
                let done = self.run(&store, || parts(config, &store), false);
                store.close();
                done?
            }
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::InUse(_))) => self.ask(&config.store.dir)?,
            Err(error) => return Err(error),
        };
        match json {
            true => done.json.iter().for_each(|line| println!("{line}")),
            false => done.lines.iter().for_each(|line| println!("{line}")),
        }
        Ok(if done.success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn ask(&self, data_dir: &Path) -> Result<Done> {
        let client = Client::local(data_dir)?;
        let body = serde_json::to_vec(self)?;
        let answer = wait(client.send(reqwest::Method::POST, control::TASK_PATH, &body));
        let answer = answer.context("the running server could not do it")?;
        serde_json::from_slice(&answer).context("the running server is another version of weir")
    }
}

/// Waits for a task's work; it is done on a thread that may wait.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// The engine's errors are no `std::error::Error`.
fn told<T>(result: Result<T, engine::Error>) -> Result<T> {
    result.map_err(|error| anyhow!("{error}"))
}

/// The parts over a store that nobody else has open.
fn parts(config: &Config, store: &Store) -> Result<(Engine, Registry)> {
    let (engine, registry) = wiring::engine(config, store.clone())?;
    wait(async {
        let sessions = tracking::open(config, &registry, &engine).await?;
        tracking::settle(&registry, &engine, &sessions).await
    })?;
    Ok((engine, registry))
}

fn backup(store: &Store, to: &Path) -> Result<Done> {
    let tenants = store.backup(to)?;
    Ok(Done {
        json: vec![serde_json::json!({ "backup": to, "tenants": tenants.len() })],
        lines: vec![format!("{} tenant(s) copied to {}", tenants.len(), to.display())],
        success: true,
    })
}

fn doctor(store: &Store, rebuild: bool, compact: bool) -> Result<Done> {
    let mut done = Done { json: Vec::new(), lines: Vec::new(), success: true };
    for id in store.tenants()? {
        let tenant = store.tenant(&id).with_context(|| format!("tenant {}", id.0))?;
        let report = tenant.doctor(rebuild)?;
        let recoded = if compact { Some(tenant.compact()?) } else { None };
        done.success &= report.problems.is_empty();
        done.lines.push(format!("tenant {}", id.0));
        done.lines.extend(report.checked.iter().map(|line| format!("  checked   {line}")));
        done.lines.extend(report.repaired.iter().map(|line| format!("  repaired  {line}")));
        done.lines.extend(report.problems.iter().map(|line| format!("  PROBLEM   {line}")));
        done.lines.extend(recoded.map(|bodies| format!("  compacted {bodies} bodies re-encoded")));
        done.json.push(serde_json::json!({
            "tenant": id.0, "checked": report.checked, "problems": report.problems, "repaired": report.repaired,
            "recoded": recoded,
        }));
    }
    Ok(done)
}
