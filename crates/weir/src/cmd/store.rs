//! `weir backup`, `weir restore`, `weir doctor`

use super::absolute;
use crate::config::Config;
use crate::task::Task;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use store::Store;

pub(crate) fn backup(config: &Config, to: &Path, json: bool) -> Result<ExitCode> {
    let code = Task::Backup { to: absolute(to)? }.perform(config, json)?;
    eprintln!("hint: the master key is not part of it: {}", config.store.master_key_file.display());
    Ok(code)
}

pub(crate) fn restore(from: &Path, to: &Path, json: bool) -> Result<ExitCode> {
    let tenants = Store::restore(from, to)?;
    if json {
        println!("{}", serde_json::json!({ "restored": to, "tenants": tenants }));
    } else {
        println!("restored {} to {}", tenants.join(", "), to.display());
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn doctor(config: &Config, rebuild: bool, compact: bool, json: bool) -> Result<ExitCode> {
    Task::Doctor { rebuild, compact }.perform(config, json)
}
