//! What a server costs that has nothing to do: time to ready, resident memory, disk after compaction.

use crate::options::Options;
use crate::report::{Report, Target};
use crate::server::{Server, weir};
use crate::stores::{Stores, disk_bytes};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// After this long without requests a server counts as idle.
const SETTLE: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let empty = stores.fresh();
    // The first start makes keys and schema; the second is what an operator waits for.
    start(options, &empty, "idle, new store", report)?;
    start(options, &empty, "idle, empty store", report)?;
    let large = stores.large()?;
    start(options, &large.dir, &format!("idle, {} resources", large.resources), report)?;
    let started = Instant::now();
    let doctor = weir(&options.weir, &large.dir)
        .args(["doctor", "--compact"])
        .stdout(Stdio::null())
        .status()
        .context("doctor")?;
    ensure!(doctor.success(), "weir doctor --compact failed");
    report.figure("idle: weir doctor --compact took", started.elapsed().as_secs_f64(), "s", Target::None);
    let disk = disk_bytes(&large.dir)? as f64 / large.resources as f64;
    report.figure("idle: disk after compaction", disk, "B/resource", Target::AtMost(512.0));
    start(options, &large.dir, &format!("idle, {} resources, compacted", large.resources), report)
}

fn start(options: &Options, dir: &Path, name: &str, report: &mut Report) -> Result<()> {
    let server = Server::start(&options.weir, dir)?;
    std::thread::sleep(SETTLE);
    report.figure(&format!("{name}: time to ready"), server.ready.as_secs_f64(), "s", Target::AtMost(0.5));
    report.figure(&format!("{name}: RSS"), server.rss_mib()?, "MiB", Target::AtMost(60.0));
    server.stop()
}
