//! `weir export`

use super::absolute;
use crate::config::Config;
use crate::task::Task;
use crate::task::export::Export;
use anyhow::{Context, Result};
use clap::Args;
use fhir::temporal::PartialDateTime;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A new or empty directory for one TYPE.ndjson each.
    to: PathBuf,
    /// Only these resource types.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only resources written at or after this date or instant. Deletions are not listed.
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    #[arg(long, default_value = "default")]
    tenant: String,
}

pub(crate) fn run(config: &Config, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let defs = fhir::defs::r4();
    for name in &arguments.types {
        let hint = fhir::nearest::hint(name, defs.resources().map(|ty| defs.ty(ty).name));
        anyhow::ensure!(defs.resource_by_name(name).is_some(), "unknown resource type {name}{hint}");
    }
    let instant = |text: &String| -> Result<i64> {
        let parsed = PartialDateTime::parse(text);
        Ok(parsed
            .with_context(|| format!("{text} is no date or instant\nhint: such as 2026-11-24T09:30:00Z"))?
            .range_us()
            .0)
    };
    let export = Export {
        to: absolute(&arguments.to)?,
        types: arguments.types.clone(),
        tenant: arguments.tenant.clone(),
        since_us: arguments.since.as_ref().map(instant).transpose()?,
    };
    Task::Export(export).perform(config, json)
}
