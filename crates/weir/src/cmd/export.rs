//! `weir export`

use crate::config::Config;
use crate::wiring;
use anyhow::{Context, Result};
use clap::Args;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use store::{Op, TenantId};

/// Changes read at once.
const STEP: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A new or empty directory for one TYPE.ndjson each.
    to: PathBuf,
    /// Only these resource types.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    #[arg(long, default_value = "default")]
    tenant: String,
}

pub(crate) fn run(config: &Config, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let to = &arguments.to;
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    anyhow::ensure!(std::fs::read_dir(to)?.next().is_none(), "{} is not empty: name a new directory", to.display());
    let defs = fhir::defs::r4();
    for name in &arguments.types {
        let hint = fhir::nearest::hint(name, defs.resources().map(|ty| defs.ty(ty).name));
        anyhow::ensure!(defs.resource_by_name(name).is_some(), "unknown resource type {name}{hint}");
    }
    let store = wiring::store(config)?;
    let tenant = store.tenant(&TenantId(arguments.tenant.clone()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut files: HashMap<&'static str, BufWriter<File>> = HashMap::new();
    let mut written = 0_u64;
    let mut after = 0;
    loop {
        let changes = runtime.block_on(tenant.changes(after, STEP))?;
        let Some(last) = changes.last() else { break };
        after = last.seq;
        for change in changes {
            let name = defs.ty(change.ty).name;
            let wanted = arguments.types.is_empty() || arguments.types.iter().any(|ty| ty == name);
            if !wanted || change.op == Op::Delete {
                continue;
            }
            // Only what is current now: an older version was replaced by one further on.
            let current = runtime.block_on(tenant.read(change.ty, &change.id))?;
            if current.is_none_or(|current| current.seq != change.seq) {
                continue;
            }
            let file = match files.entry(name) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(BufWriter::new(File::create(to.join(format!("{name}.ndjson")))?))
                }
            };
            file.write_all(&change.json())?;
            file.write_all(b"\n")?;
            written += 1;
        }
    }
    for file in files.values_mut() {
        file.flush()?;
    }
    store.close();
    if json {
        println!("{}", serde_json::json!({ "resources": written, "files": files.len() }));
    } else {
        println!("{written} resources in {} files in {}", files.len(), to.display());
    }
    Ok(ExitCode::SUCCESS)
}
