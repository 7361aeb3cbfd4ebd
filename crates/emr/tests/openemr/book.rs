//! A change log and kept state in memory.

use delivery::{Book, Delivered, Intent, Remote, State};
use engine::{Error, Followed, Keep, Resource};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::Op;

#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryBook(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    log: Vec<Followed>,
    state: BTreeMap<(String, String), Vec<u8>>,
}

impl Inside {
    fn current(&self, ty: TypeId, id: &str) -> Option<&Followed> {
        self.log.iter().rev().find(|change| change.resource.ty == ty && change.resource.id == id)
    }
}

impl MemoryBook {
    /// Adds a version; `None` is a deletion.
    pub(crate) fn write(&self, key: &str, json: Option<String>, patient: Option<&str>) {
        let (name, id) = key.split_once('/').unwrap();
        let ty = r4().resource_by_name(name).unwrap();
        let mut inside = self.0.lock().unwrap();
        let version = inside.current(ty, id).map_or(0, |before| before.resource.version) + 1;
        let op = if json.is_none() { Op::Delete } else { Op::Create };
        let json = json.unwrap_or_default().into_bytes();
        let resource = Resource { ty, id: id.into(), version, last_updated_us: crate::house::now_us(), op, json };
        let seq = inside.log.len() as u64 + 1;
        inside.log.push(Followed { seq, resource, patient: patient.map(str::to_owned) });
    }

    /// Links a resource to a record that is there.
    pub(crate) fn link(&self, key: &str, id: &str) {
        let remote = Remote { id: id.to_owned(), more: Vec::new() };
        let row = serde_json::to_vec(&Delivered { remote, seq: u64::MAX, ..Delivered::default() }).unwrap();
        self.0.lock().unwrap().state.insert(("delivery/openemr/idmap".to_owned(), key.to_owned()), row);
    }

    /// Whether the newest version of everything is there, or has been given up.
    pub(crate) fn is_settled(&self) -> bool {
        let inside = self.0.lock().unwrap();
        let dead = inside.intents().filter(|intent| intent.state == State::Dead).map(|intent| intent.key);
        let dead: Vec<String> = dead.collect();
        inside.log.iter().all(|change| {
            let key = format!("{}/{}", r4().ty(change.resource.ty).name, change.resource.id);
            dead.contains(&key) || inside.delivered(&key).is_some_and(|there| there.seq >= change.seq)
        })
    }

    pub(crate) fn delivered(&self, key: &str) -> Option<Delivered> {
        self.0.lock().unwrap().delivered(key)
    }

    pub(crate) fn intent(&self, key: &str) -> Option<Intent> {
        self.0.lock().unwrap().intents().find(|intent| intent.key == key)
    }
}

impl Inside {
    fn delivered(&self, key: &str) -> Option<Delivered> {
        let row = self.state.iter().find(|((space, other), _)| space.ends_with("/idmap") && other == key);
        row.map(|(_, row)| serde_json::from_slice(row).unwrap())
    }

    fn intents(&self) -> impl Iterator<Item = Intent> {
        // Those behind or at a head that waits for long lie in the line of their group.
        let is_intent = |space: &str| space.ends_with("/intent") || space.ends_with("/line");
        let rows = self.state.iter().filter(move |((space, _), _)| is_intent(space));
        rows.map(|(_, row)| serde_json::from_slice(row).unwrap())
    }
}

impl Book for MemoryBook {
    async fn changes(&self, after: u64, limit: usize) -> Result<Vec<Followed>, Error> {
        Ok(self.0.lock().unwrap().log.iter().skip(after as usize).take(limit).cloned().collect())
    }

    async fn count_changes(&self, after: u64, span: u64, types: &[TypeId]) -> Result<(u64, u64), Error> {
        let inside = self.0.lock().unwrap();
        let looked_at = inside.log.iter().skip(after as usize).take(span as usize);
        let counted = looked_at.filter(|change| types.contains(&change.resource.ty)).count();
        Ok((counted as u64, (inside.log.len() as u64).min(after.saturating_add(span))))
    }

    async fn current(&self, ty: TypeId, id: &str) -> Result<Option<Followed>, Error> {
        Ok(self.0.lock().unwrap().current(ty, id).cloned())
    }

    async fn state(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.lock().unwrap().state.get(&(space.to_owned(), key.to_owned())).cloned())
    }

    async fn states(&self, space: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let inside = self.0.lock().unwrap();
        let rows = inside.state.iter().filter(|((of, key), _)| of == space && key.as_str() > after).take(limit);
        Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    async fn keep(&self, keep: Keep) -> Result<(), Error> {
        let mut inside = self.0.lock().unwrap();
        for change in keep.state {
            let key = (change.space, change.key);
            match change.value {
                Some(value) => drop(inside.state.insert(key, value)),
                None => drop(inside.state.remove(&key)),
            }
        }
        Ok(())
    }

    async fn report(&self, _system: &str, _value: &str, _task: &Value) -> Result<(), Error> {
        Ok(())
    }
}
