//! Durable state in memory: what is kept is kept, what a killed process had not finished writing is not there.

use delivery::Book;
use engine::{Error, Followed, Keep, Resource};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{ClaimChange, Clock, Op};

#[derive(Clone)]
pub(crate) struct MemoryBook {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
    /// Writes of this node hang while it is cut off.
    pub(crate) cut_off: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Default)]
struct Inner {
    log: Vec<Followed>,
    current: HashMap<(TypeId, String), usize>,
    state: BTreeMap<(String, String), Vec<u8>>,
    claims: HashMap<String, (String, i64)>,
    tasks: HashMap<String, Value>,
    /// Intents that are on disk only, and the most there were.
    shelved: usize,
    shelved_max: usize,
    random: u64,
}

fn conflict() -> Error {
    Error { status: 409, issues: Vec::new(), version: None }
}

impl MemoryBook {
    pub(crate) fn new(clock: Arc<dyn Clock>, seed: u64) -> MemoryBook {
        let inner = Inner { random: seed, ..Inner::default() };
        MemoryBook { inner: Arc::new(Mutex::new(inner)), clock, cut_off: Arc::default() }
    }

    /// The same disk as another node sees it.
    pub(crate) fn of_other_node(&self, clock: Arc<dyn Clock>) -> MemoryBook {
        MemoryBook { inner: self.inner.clone(), clock, cut_off: Arc::default() }
    }

    pub(crate) fn write(&self, name: &str, id: &str, op: Op, json: String, patient: Option<String>) -> u64 {
        let mut inner = self.inner.lock().unwrap();
        let ty = r4().resource_by_name(name).unwrap();
        let seq = inner.log.len() as u64 + 1;
        let before = inner.current.get(&(ty, id.to_owned())).map_or(0, |at| inner.log[*at].resource.version);
        let json = if op == Op::Delete { Vec::new() } else { json.into_bytes() };
        let last_updated_us = self.clock.now_us();
        let resource = Resource { ty, id: id.into(), version: before + 1, last_updated_us, op, json };
        inner.log.push(Followed { seq, resource, patient });
        let at = inner.log.len() - 1;
        inner.current.insert((ty, id.to_owned()), at);
        seq
    }

    /// The newest version of each resource.
    pub(crate) fn newest(&self) -> Vec<Followed> {
        let inner = self.inner.lock().unwrap();
        inner.current.values().map(|at| inner.log[*at].clone()).collect()
    }

    pub(crate) fn tasks(&self) -> usize {
        self.inner.lock().unwrap().tasks.len()
    }

    pub(crate) fn rows(&self, part: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.state.keys().filter(|(space, _)| space.ends_with(part)).count()
    }

    pub(crate) fn shelved_max(&self) -> usize {
        self.inner.lock().unwrap().shelved_max
    }

    async fn disk(&self) {
        while self.cut_off.load(std::sync::atomic::Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let wait = {
            let mut inner = self.inner.lock().unwrap();
            inner.random = inner.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            inner.random >> 48
        };
        tokio::time::sleep(Duration::from_micros(200 + wait % 8_000)).await;
    }
}

impl Book for MemoryBook {
    async fn changes(&self, after: u64, limit: usize) -> Result<Vec<Followed>, Error> {
        let inner = self.inner.lock().unwrap();
        Ok(inner.log.iter().skip(after as usize).take(limit).cloned().collect())
    }

    async fn count_changes(&self, after: u64, span: u64, types: &[TypeId]) -> Result<(u64, u64), Error> {
        let inner = self.inner.lock().unwrap();
        let looked_at = inner.log.iter().skip(after as usize).take(span as usize);
        let counted = looked_at.filter(|change| types.contains(&change.resource.ty)).count();
        Ok((counted as u64, (inner.log.len() as u64).min(after.saturating_add(span))))
    }

    async fn current(&self, ty: TypeId, id: &str) -> Result<Option<Followed>, Error> {
        let inner = self.inner.lock().unwrap();
        Ok(inner.current.get(&(ty, id.to_owned())).map(|at| inner.log[*at].clone()))
    }

    async fn state(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.inner.lock().unwrap().state.get(&(space.to_owned(), key.to_owned())).cloned())
    }

    async fn states(&self, space: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let inner = self.inner.lock().unwrap();
        let from = (space.to_owned(), after.to_owned());
        let rows = inner.state.range(from.clone()..).filter(|(key, _)| **key != from);
        let rows = rows.take_while(|((other, _), _)| other == space).take(limit);
        Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    async fn keep(&self, keep: Keep) -> Result<(), Error> {
        // Killed before: nothing is written. Killed after: it is, and nobody was told.
        self.disk().await;
        {
            let mut inner = self.inner.lock().unwrap();
            let now = self.clock.now_us();
            for claim in &keep.claims {
                let ClaimChange::Take { key, owner, .. } = claim else { continue };
                if inner.claims.get(key).is_some_and(|(other, until)| other != owner && *until > now) {
                    return Err(conflict());
                }
            }
            for claim in keep.claims {
                if let ClaimChange::Take { key, owner, expires_us } = claim {
                    inner.claims.insert(key, (owner, expires_us.unwrap_or(i64::MAX)));
                }
            }
            for change in keep.state {
                let is_line = change.space.ends_with("/line");
                let place = (change.space, change.key);
                let before = match change.value {
                    Some(value) => {
                        inner.shelved += usize::from(is_line);
                        inner.state.insert(place, value)
                    }
                    None => inner.state.remove(&place),
                };
                inner.shelved -= usize::from(is_line && before.is_some());
            }
            inner.shelved_max = inner.shelved_max.max(inner.shelved);
        }
        self.disk().await;
        Ok(())
    }

    async fn report(&self, _system: &str, value: &str, task: &Value) -> Result<(), Error> {
        self.disk().await;
        self.inner.lock().unwrap().tasks.insert(value.to_owned(), task.clone());
        Ok(())
    }
}
