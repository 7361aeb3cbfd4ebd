//! All current resources as NDJSON.

use super::Done;
use anyhow::{Context, Result};
use fhir::index::is_golden_body;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use store::{Op, Store, Stored, Tenant, TenantId};

/// Changes read at once.
const STEP: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Export {
    /// A new or empty directory.
    pub(crate) to: PathBuf,
    /// Names of resource types; all when empty.
    pub(crate) types: Vec<String>,
    pub(crate) tenant: String,
    /// Only what was written at or after this time.
    pub(crate) since_us: Option<i64>,
}

impl Export {
    pub(crate) fn run(&self, store: &Store) -> Result<Done> {
        let to = &self.to;
        std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
        anyhow::ensure!(std::fs::read_dir(to)?.next().is_none(), "{} is not empty: name a new directory", to.display());
        let known = store.tenants()?.into_iter().any(|tenant| tenant.0 == self.tenant);
        anyhow::ensure!(known, "there is no tenant {}", self.tenant);
        let tenant = store.tenant(&TenantId(self.tenant.clone()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (resources, files) = runtime.block_on(self.write(&tenant))?;
        Ok(Done {
            json: vec![serde_json::json!({ "resources": resources, "files": files })],
            lines: vec![format!("{resources} resources in {files} files in {}", to.display())],
            success: true,
        })
    }

    /// Answers the numbers of resources and files.
    async fn write(&self, tenant: &Tenant) -> Result<(u64, usize)> {
        let mut files: HashMap<&'static str, BufWriter<File>> = HashMap::new();
        let mut written = 0_u64;
        let mut after = 0;
        loop {
            let changes = tenant.changes(after, STEP).await?;
            let Some(last) = changes.last() else { break };
            after = last.seq;
            for change in changes.iter().filter(|change| self.wants(change)) {
                // Only what is current now: an older version was replaced by one further on.
                let current = tenant.read(change.ty, &change.id).await?;
                // A golden record is made from the others where they are loaded, and loading it would be refused.
                if current.is_none_or(|current| current.seq != change.seq) || is_golden_body(&change.body) {
                    continue;
                }
                let file = match files.entry(fhir::defs::r4().ty(change.ty).name) {
                    std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        let name = format!("{}.ndjson", entry.key());
                        entry.insert(BufWriter::new(File::create(self.to.join(name))?))
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
        Ok((written, files.len()))
    }

    fn wants(&self, change: &Stored) -> bool {
        let name = fhir::defs::r4().ty(change.ty).name;
        change.op != Op::Delete
            && (self.types.is_empty() || self.types.iter().any(|ty| ty == name))
            && self.since_us.is_none_or(|since| change.at_us >= since)
    }
}
