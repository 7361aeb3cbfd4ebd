//! How the followers are doing, for metrics and pages.

use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One follower since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Events acknowledged.
    pub published: u64,
    /// Of these, events that were there already.
    pub repeats: u64,
    /// Rounds that failed.
    pub failed: u64,
    /// Number of the newest acknowledged event.
    pub newest_no: u64,
    /// Why the last round failed; nothing once one has succeeded.
    pub error: Option<String>,
}

/// The statuses of all followers by tenant and name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<(String, String), Status>>>);

impl Board {
    pub fn all(&self) -> Vec<((String, String), Status)> {
        self.0.lock().iter().map(|(key, status)| (key.clone(), status.clone())).collect()
    }

    pub(crate) fn change(&self, tenant: &str, name: &str, change: impl FnOnce(&mut Status)) {
        change(self.0.lock().entry((tenant.to_owned(), name.to_owned())).or_default());
    }
}
