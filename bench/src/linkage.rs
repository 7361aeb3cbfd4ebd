//! Matching through the store: the tokens of a million records are read from a store as at a start, then records arrive, are
//! matched and inserted, and their tokens are durable before the next are taken. No Patient is written, and nothing counted:
//! `tracker` measures that.

use crate::callers::at_once;
use crate::report::{Report, Target};
use anyhow::{Result, ensure};
use identity::{Bands, Encoded, Index, Weights};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use store::{Batch, ManualClock, StateChange, Store, Tenant, TenantId};

/// Records of one commit, and callers.
const BATCH: usize = 100;
const CALLERS: usize = 2;
const PAGE: usize = 1_000;
const SPACE: &str = "record";

fn open(dir: &Path) -> Result<(Store, Tenant)> {
    let options = store::Options {
        dir: dir.to_owned(),
        master_key: seal::MasterKey::parse(&[7; 32])?,
        clock: Arc::new(ManualClock::new(0)),
        cache_bytes_max: 64 << 20,
        queue_max: 4_096,
    };
    let store = Store::open(options)?;
    let tenant = store.tenant(&TenantId("default".into()))?;
    Ok((store, tenant))
}

/// A record's row, under a key that grows with the time as ids of Patients do.
fn row(number: usize, encoded: Vec<u8>) -> StateChange {
    StateChange { space: SPACE.into(), key: format!("019ac000-0000-7000-8000-{number:012}"), value: Some(encoded) }
}

/// What arrives, and what is there already.
struct Stand {
    tenant: Tenant,
    /// Held from match to insert: of two that come at the same time, the second must find the first.
    index: Mutex<Index>,
    arriving: Vec<Encoded>,
    next: AtomicUsize,
    /// Number of the first row that is free.
    free: usize,
}

impl Stand {
    /// Takes records until none is left; answers how many had a candidate.
    async fn take(&self) -> Result<usize> {
        let (weights, bands, mut matched) = (Weights::default(), Bands::default(), 0);
        loop {
            let at = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(records) = self.arriving.get(at..).filter(|records| !records.is_empty()) else {
                return Ok(matched);
            };
            let records = &records[..records.len().min(BATCH)];
            {
                let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
                for record in records {
                    matched += usize::from(!index.matches(&weights, &bands, record).is_empty());
                    index.insert(record.clone());
                }
            }
            let rows = records.iter().enumerate();
            let state = rows.map(|(place, record)| row(self.free + at + place, record.to_bytes())).collect();
            self.tenant.commit(Batch { state, ..Batch::default() }).await?;
        }
    }
}

pub(crate) async fn run(
    dir: &Path,
    stored: Vec<Vec<u8>>,
    arriving: Vec<Encoded>,
    target: Target,
    report: &mut Report,
) -> Result<()> {
    let (free, count) = (stored.len(), arriving.len());
    let (store, tenant) = open(dir)?;
    let mut rows = stored.into_iter().enumerate().map(|(number, encoded)| row(number, encoded)).peekable();
    while rows.peek().is_some() {
        tenant.commit(Batch { state: rows.by_ref().take(PAGE).collect(), ..Batch::default() }).await?;
    }
    let mut figure = |name: &str, value: f64, unit, target| {
        report.figure(&format!("a million, through the store: {name}"), value, unit, target);
    };
    let (started, mut index, mut after) = (Instant::now(), Index::default(), String::new());
    loop {
        let page = tenant.states(SPACE, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        last.clone_into(&mut after);
        for (_, encoded) in &page {
            index.insert(Encoded::from_bytes(encoded)?);
        }
    }
    ensure!(index.len() == free, "{free} records were stored, {} are there", index.len());
    figure("read from it at a start", free as f64 / started.elapsed().as_secs_f64(), "/s", Target::None);
    let next = AtomicUsize::new(0);
    let stand = Arc::new(Stand { tenant, index: Mutex::new(index), arriving, next, free });
    let ran = at_once(CALLERS, || {
        let stand = stand.clone();
        async move { stand.take().await }
    })
    .await?;
    let matched: usize = ran.answers.iter().sum();
    figure("matched, inserted and durable", count as f64 / ran.seconds, "/s", Target::None);
    figure("the same for each core that worked", count as f64 / ran.cpu_seconds, "/s", target);
    figure("records with a candidate", 100.0 * matched as f64 / count as f64, "%", Target::None);
    store.close();
    Ok(())
}
