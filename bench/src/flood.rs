//! A store with a long backlog: patients with ten changes each, written straight into the change log.

use crate::callers::at_once;
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use fhir::defs::r4;
use fhir::json::{Document, Limits};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Batch, Clock, CommitError, Op, Splice, Store, Tenant, TenantId, Write};

/// A patient and nine observations about it.
pub(crate) const CHANGES: u64 = 10;
const BATCH: u64 = 1_000;
const WORKERS: usize = 3;

/// What is in the log, in its order: some patients who are taken, the one in a hundred who is refused, all others. Patients come in
/// blocks, the changes of a block in rounds, so that those of one patient lie apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood {
    pub(crate) intents: u64,
    block: u64,
}

/// The start of the ids of patients whom the destination refuses.
pub(crate) const REFUSED: &str = "d";

impl Flood {
    pub(crate) fn new(intents: u64) -> Flood {
        Flood { intents, block: (intents / 10_000).clamp(1, 1_000) }
    }

    fn blocks_before_refused(self) -> u64 {
        2
    }

    fn refused_blocks(self) -> u64 {
        (self.intents / CHANGES / 100).div_ceil(self.block)
    }

    /// Patients whom the destination refuses.
    pub(crate) fn refused(self) -> u64 {
        self.refused_blocks() * self.block
    }

    /// Type, id and body of a change.
    fn change(self, at: u64) -> (&'static str, String, String) {
        let (block, within) = (at / (self.block * CHANGES), at % (self.block * CHANGES));
        let (round, patient) = (within / self.block, block * self.block + within % self.block);
        let first = self.blocks_before_refused();
        let start = if (first..first + self.refused_blocks()).contains(&block) { REFUSED } else { "p" };
        let about = format!("{start}{patient}");
        let day = 1 + patient % 28;
        if round == 0 {
            let rest = format!(
                r#""identifier":[{{"system":"urn:mrn","value":"{patient}"}}],"name":[{{"family":"F{}","given":["G{patient}"]}}],"gender":"female","birthDate":"1980-02-{day:02}"}}"#,
                patient % 5_000
            );
            return ("Patient", about, rest);
        }
        let rest = format!(
            r#""status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4"}}]}},"subject":{{"reference":"Patient/{about}"}},"effectiveDateTime":"2026-11-{day:02}T08:0{round}:00Z","valueQuantity":{{"value":{},"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}}}"#,
            60 + (patient + round) % 60
        );
        ("Observation", format!("{about}-{round}"), rest)
    }

    fn write(self, at: u64) -> Result<Write> {
        let (name, id, rest) = self.change(at);
        let start = format!(r#"{{"resourceType":"{name}","id":"{id}","#);
        // Right behind the id, before its comma.
        let splice = Splice::NoMeta(u32::try_from(start.len() - 1)?);
        let body = (start + &rest).into_bytes();
        let ty = r4().resource_by_name(name).context("a type of R4")?;
        let document = Document::parse(&body, &Limits::default())?;
        let entries = fhir::index::extract(r4(), ty, document.root());
        Ok(Write { ty, id, op: Op::Create, expected: 0, body, splice, entries })
    }
}

#[derive(Debug)]
struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "the one clock of this program's store")]
    fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Makes a store in `dir` with all of `flood`.
pub(crate) fn fill(binary: &Path, dir: &Path, flood: Flood) -> Result<()> {
    // It makes the key.
    Server::start(binary, dir)?.stop()?;
    let key = std::fs::read(dir.with_extension("key"))?;
    let options = store::Options {
        dir: dir.to_owned(),
        master_key: seal::MasterKey::parse(&key)?,
        clock: Arc::new(Wall),
        cache_bytes_max: 64 << 20,
        queue_max: 1_000,
    };
    let store = Store::open(options)?;
    let tenant = store.tenant(&TenantId("default".into()))?;
    let next = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(at_once(WORKERS, || work(tenant.clone(), flood, next.clone())))?;
    let stats = runtime.block_on(tenant.stats())?;
    ensure!(stats.last_seq >= flood.intents, "not all changes were written");
    store.close();
    Ok(())
}

async fn work(tenant: Tenant, flood: Flood, next: Arc<AtomicU64>) -> Result<()> {
    loop {
        let from = next.fetch_add(BATCH, Ordering::Relaxed);
        if from >= flood.intents {
            return Ok(());
        }
        let until = (from + BATCH).min(flood.intents);
        loop {
            let writes = (from..until).map(|at| flood.write(at)).collect::<Result<_>>()?;
            match tenant.commit(Batch { writes, ..Batch::default() }).await {
                Ok(_) => break,
                Err(CommitError::Busy) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => return Err(error.into()),
            }
        }
        if from > 0 && from.is_multiple_of(1_000_000) {
            eprintln!("  {from} changes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_patients_is_refused_and_each_has_ten_changes() {
        let flood = Flood::new(100_000);
        let changes: Vec<(&str, String, String)> = (0..flood.intents).map(|at| flood.change(at)).collect();
        let patients = changes.iter().filter(|(name, ..)| *name == "Patient").count();
        let refused = changes.iter().filter(|(name, id, _)| *name == "Patient" && id.starts_with(REFUSED)).count();
        assert_eq!((patients, refused, flood.refused()), (10_000, 100, 100));
        let about = |id: &str| changes.iter().filter(|(_, other, _)| other.split('-').next() == Some(id)).count();
        assert_eq!((about("p0"), about("d25"), about("p9999")), (10, 10, 10));
        assert!(flood.write(0).unwrap().entries.len() > 3);
    }
}
