//! How far a pull is: everything that must survive a restart.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far the pull of one OpenEMR is: small, and kept together with the marks and touched patients of the same step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The sweep that is running, or the last one.
    pub sweeps: u32,
    /// Per type the second, by the EMR's clock, up to which changes are known.
    #[serde(default)]
    pub(super) since_s: BTreeMap<String, i64>,
    #[serde(default)]
    pub(super) round: Option<Place>,
    #[serde(default)]
    pub(super) sweep: Option<Place>,
}

impl Cursor {
    /// Whether a round, a look for changes, is under way.
    pub fn in_round(&self) -> bool {
        self.round.is_some()
    }

    /// Whether a sweep, a look at everything, is under way.
    pub fn in_sweep(&self) -> bool {
        self.sweep.is_some()
    }
}

/// What the next request is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    /// A window of time of a type.
    Window { ty: String, window: Window },
    /// A type of the patient after this one; in a round, of the touched one.
    Patient { ty: String, after: String },
    /// Records of a type that the sweep has not met: the one after this.
    Missing { ty: String, after: String },
}

/// Seconds since 1970 by the EMR's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    /// `None`: from the beginning.
    pub(super) from_s: Option<i64>,
    /// `None`: to the end, whatever comes meanwhile.
    pub(super) to_s: Option<i64>,
    /// Where windows with an end stop and the last one, without, begins.
    pub(super) last_s: i64,
    /// How long the next one is.
    pub(super) width_s: i64,
    /// The page inside it.
    pub(super) offset: usize,
    /// Records in it so far.
    pub(super) count: usize,
    /// The newest change seen of the type.
    pub(super) newest_s: Option<i64>,
}
