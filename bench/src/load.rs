//! `weir load`: transactions and NDJSON into fresh stores, validation of structure.

use crate::options::Options;
use crate::report::{Report, Target};
use crate::stores::{self, Stores, disk_bytes};
use crate::synthea::ARCHIVE;
use anyhow::{Result, ensure};
use std::path::Path;

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let archive = options.data.join(ARCHIVE);
    one(options, stores, report, ("load: transactions", &archive, Target::AtLeast(8_000.0)))?;
    let file = stores.ndjson(1)?;
    one(options, stores, report, ("load: NDJSON", &file, Target::AtLeast(15_000.0)))
}

fn one(
    options: &Options,
    stores: &mut Stores,
    report: &mut Report,
    (name, file, target): (&str, &Path, Target),
) -> Result<()> {
    let dir = stores.fresh();
    let loaded = stores::load(&options.weir, &dir, file)?;
    ensure!(loaded.refused == 0, "{name}: {} resources were refused", loaded.refused);
    report.figure(name, loaded.resources as f64 / loaded.seconds, "resources/s", target);
    report.figure(&format!("{name}, peak RSS"), loaded.peak_mib, "MiB", Target::None);
    let disk = disk_bytes(&dir)? as f64 / loaded.resources as f64;
    report.figure(&format!("{name}, disk before compaction"), disk, "B/resource", Target::None);
    Ok(())
}
