//! What synchronisation tells of itself.

use crate::sync::Applied;
use serde::{Deserialize, Serialize};

/// What became of the records of a run, or of a manual synchronisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Records that were read and new or changed.
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    /// Known here as they are there.
    pub unchanged: u64,
    /// Gone there; see `tombstone`.
    pub removed: u64,
    /// Elements changed on both sides; a Task asks.
    pub conflicts: u64,
    /// Perhaps one that is here already; a Task asks.
    pub unsure: u64,
    /// Not valid here; a Task says so.
    pub refused: u64,
    /// To be looked at again: perhaps a creation of ours that is on its way.
    pub postponed: u64,
}

impl Report {
    pub(super) fn count(&mut self, applied: &Applied) {
        match applied {
            Applied::Echo => self.unchanged += 1,
            Applied::Created(_) => self.created += 1,
            Applied::Merged { wrote, conflicts } => {
                self.updated += u64::from(*wrote);
                self.unchanged += u64::from(!wrote);
                self.conflicts += *conflicts as u64;
            }
            Applied::Waits(_) => self.postponed += 1,
            Applied::Unsure => self.unsure += 1,
            Applied::Gone => self.removed += 1,
            Applied::Refused => self.refused += 1,
        }
    }

    /// By name, for pages and metrics.
    pub fn numbers(&self) -> [(&'static str, u64); 9] {
        [
            ("read", self.read),
            ("created", self.created),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("removed", self.removed),
            ("conflicts", self.conflicts),
            ("unsure", self.unsure),
            ("refused", self.refused),
            ("postponed", self.postponed),
        ]
    }
}

/// A round or sweep that is over. Times in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub started_us: i64,
    pub ended_us: i64,
    /// Why it did not come to its end, without content. The next one goes on where it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(flatten)]
    pub report: Report,
}

/// What synchronisation does now and has done last.
#[derive(Clone, Debug, Default, Serialize)]
pub struct State {
    /// `round` or `sweep`, and since when.
    pub under_way: Option<&'static str>,
    pub since_us: Option<i64>,
    pub last_round: Option<Run>,
    pub last_sweep: Option<Run>,
    /// When the next round is due.
    pub next_round_us: Option<i64>,
    pub next_sweep_us: Option<i64>,
    /// Since the process has started.
    pub runs: u64,
    pub runs_failed: u64,
    pub total: Report,
    pub alerts: Vec<&'static str>,
}

impl Report {
    pub(super) fn add(&mut self, other: &Report) {
        self.read += other.read;
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.conflicts += other.conflicts;
        self.unsure += other.unsure;
        self.refused += other.refused;
        self.postponed += other.postponed;
    }
}
