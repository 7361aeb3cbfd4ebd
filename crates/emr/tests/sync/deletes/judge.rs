//! What must hold in the end.

use super::{History, without_ours};
use crate::history::differences_of;
use crate::site::{Fate, Removal};
use emr::sync::Tombstone;
use fhir::defs::r4;
use fhir::json::Value;
use std::collections::BTreeSet;

impl History<'_> {
    fn writes(&self) -> (usize, usize) {
        (self.wrote, self.site.0.lock().unwrap().writes)
    }

    async fn settle(&mut self) {
        for _ in 0..5 {
            self.pull(true).await;
            self.push(Fate::Answered).await;
        }
    }

    /// Texts of the Tasks of this history.
    async fn tasks(&self) -> Vec<String> {
        let changes = self.house.feed.changes(self.begun, 1_000_000).await.unwrap();
        let tasks = changes.iter().filter(|change| r4().ty(change.resource.ty).name == "Task");
        tasks.map(|task| String::from_utf8(task.resource.json.to_vec()).unwrap()).collect()
    }

    pub(super) async fn judge(&mut self) {
        self.settle().await;
        let quiet = self.writes();
        self.settle().await;
        assert_eq!(self.writes(), quiet, "it is not quiet");
        assert!(self.wrote <= self.people[1], "{} writes here after {} changes there", self.wrote, self.people[1]);
        let allowed = self.people[0] + self.repeated + self.links;
        assert!(quiet.1 <= allowed, "{} writes there after {allowed} changes here", quiet.1);
        let tasks = self.tasks().await;
        let told = |key: &str, what: &str| {
            tasks.iter().any(|task| task.contains(&format!("\"{key}\"")) && task.contains(what))
        };
        let records = self.site.0.lock().unwrap().records.clone();
        let mut linked = BTreeSet::new();
        for key in &self.keys {
            let handled = self.handled.get(key).copied();
            assert!(self.current(key).await.is_none_or(|now| handled >= Some(now.seq)), "{key} is never delivered");
            let there = self.delivered(key).await.filter(|there| !there.deleted);
            let record = there.as_ref().and_then(|there| records.get(&there.remote.id));
            if let (Some(there), Some(_)) = (&there, record) {
                assert!(linked.insert(there.remote.id.clone()), "{key} shares its record");
            }
            let whole = told(key, "\"Patient\"") || self.refused.contains(key);
            match (self.here(key).await, record) {
                (Some(ours), Some(theirs)) => {
                    for path in differences_of(self.ty, &ours, &without_ours(theirs)) {
                        assert!(whole || told(key, &path), "{path} of {key} differs and nobody was told");
                    }
                }
                (Some(ours), None) => {
                    let is_tombstone = ours.get("active") == Some(&Value::Bool(false));
                    assert!(self.tombstone == Tombstone::Keep || is_tombstone || whole, "{key} is nowhere there");
                }
                (None, Some(theirs)) => {
                    let is_cancelled = theirs.get("active") == Some(&Value::Bool(false));
                    assert!(whole || is_cancelled, "{key} was deleted, and is there");
                }
                (None, None) => {}
            }
        }
        for place in records.keys() {
            let was_cancelled = self.site.0.lock().unwrap().removal == Removal::Cancels;
            let is_refused = self.local(place).await.is_some_and(|key| self.refused.contains(&key));
            let is_asked = self.asked.contains(place) || is_refused;
            assert!(linked.contains(place) || is_asked || was_cancelled, "{place} is nowhere here");
        }
    }
}
