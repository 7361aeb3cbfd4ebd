//! `weir tracker`

use super::absolute;
use crate::config::Config;
use crate::task::Task;
use crate::task::tracker::Tracker;
use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Write events, persons, standings and counted doses as gzipped NDJSON for Spark and its like.
    ///
    /// Events and doses are in a partition for each day. _counters.json has the counts as weir keeps them, _manifest.json says as of
    /// when all of it holds. There are no names in it, but it is about persons all the same. Also while the server runs: writes
    /// about persons wait until the rows are read.
    Export {
        /// A new or empty directory. It is there when it is whole.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Only events after this number, such as the last_event of an earlier export. The other tables are always whole.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        since_no: u64,
    },
}

pub(crate) fn run(config: &Config, action: &Action, json: bool) -> Result<ExitCode> {
    let Action::Export { to, tenant, since_no } = action;
    let tracker = Tracker { to: absolute(to)?, tenant: tenant.clone(), since_no: *since_no };
    Task::Tracker(tracker).perform(config, json)
}
