//! `weir backup`, `weir restore`, `weir doctor`

use crate::config::Config;
use crate::wiring;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::ExitCode;
use store::Store;

pub(crate) fn backup(config: &Config, to: &Path, json: bool) -> Result<ExitCode> {
    let store = wiring::store(config)?;
    let tenants = store.backup(to)?;
    store.close();
    if json {
        println!("{}", serde_json::json!({ "backup": to, "tenants": tenants.len() }));
    } else {
        println!("{} tenant(s) copied to {}", tenants.len(), to.display());
        eprintln!("hint: the master key is not part of it: {}", config.store.master_key_file.display());
    }
    Ok(ExitCode::SUCCESS)
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
    let store = wiring::store(config)?;
    let mut problems = 0;
    for id in store.tenants()? {
        let tenant = store.tenant(&id).with_context(|| format!("tenant {}", id.0))?;
        let report = tenant.doctor(rebuild)?;
        problems += report.problems.len();
        if json {
            let line = serde_json::json!({ "tenant": id.0, "checked": report.checked, "problems": report.problems, "repaired": report.repaired });
            println!("{line}");
        } else {
            println!("tenant {}", id.0);
            report.checked.iter().for_each(|line| println!("  checked   {line}"));
            report.repaired.iter().for_each(|line| println!("  repaired  {line}"));
            report.problems.iter().for_each(|line| println!("  PROBLEM   {line}"));
        }
        if compact {
            let recoded = tenant.compact()?;
            eprintln!("tenant {}: {recoded} bodies re-encoded", id.0);
        }
    }
    store.close();
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
