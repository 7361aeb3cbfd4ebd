//! An EMR in memory whose writes may get lost, and which cannot always delete.

use delivery::{Async, Calls, Destination, Found, Item, Outcome, Problem, Remote};
use emr::sync::Reader;
use fhir::json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of the next write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// It arrives and nobody is told.
    Unanswered,
    Lost,
}

/// What the EMR does when we delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Removes,
    /// It marks the record.
    Cancels,
    /// It has no way to.
    Refuses,
}

#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) records: BTreeMap<String, Value>,
    pub(crate) created: usize,
    pub(crate) writes: usize,
    pub(crate) fate: Fate,
    pub(crate) removal: Removal,
}

impl Inside {
    /// The record with our identifier. What was taken back is not what is looked for.
    fn find(&self, item: &Item) -> Option<String> {
        let value = item.identifier.value.as_str();
        let is_ours = |record: &Value| record.list("identifier").iter().any(|one| one.str("value") == Some(value));
        let is_valid = |record: &Value| self.removal != Removal::Cancels || record.get("active").is_none();
        let mut found = self.records.iter().filter(|(_, record)| is_ours(record) && is_valid(record));
        found.next().map(|(id, _)| id.clone())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Site(pub(crate) Arc<Mutex<Inside>>);

impl Site {
    fn take(&self, item: &Item) -> Outcome {
        let mut inside = self.0.lock().unwrap();
        let inside = &mut *inside;
        if inside.fate == Fate::Lost {
            return Outcome::Unknown(Problem::new(0, "lost"));
        }
        let id = match &item.remote {
            Some(remote) => remote.id.clone(),
            None if item.body.is_none() => match inside.find(item) {
                Some(id) => id,
                None => return Outcome::Done(Remote::default()),
            },
            None => {
                inside.created += 1;
                format!("e{}", inside.created)
            }
        };
        match &item.body {
            Some(_) if item.remote.is_some() && !inside.records.contains_key(&id) => {
                return Outcome::Gone(Problem::new(404, "gone"));
            }
            Some(body) => {
                let mut body = body.clone();
                let mut identifiers = body.list("identifier").to_vec();
                let ours = format!(r#"{{"system":"urn:weir","value":"{}"}}"#, item.identifier.value);
                identifiers.push(Value::parse(&ours).unwrap());
                body.set("identifier", identifiers);
                body.set("id", id.as_str());
                inside.records.insert(id.clone(), body);
            }
            None => match inside.removal {
                Removal::Refuses => return Outcome::Refused(Problem::new(0, "it has to be done on its screens")),
                Removal::Removes => drop(inside.records.remove(&id)),
                Removal::Cancels => {
                    if let Some(record) = inside.records.get_mut(&id) {
                        record.set("active", false);
                    }
                }
            },
        }
        inside.writes += 1;
        match inside.fate {
            Fate::Answered => Outcome::Done(Remote { id, more: Vec::new() }),
            _ => Outcome::Unknown(Problem::new(0, "no answer")),
        }
    }
}

impl Destination for Site {
    fn deliver<'a>(&'a self, item: &'a Item, _: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move { self.take(item) })
    }

    fn probe<'a>(&'a self, item: &'a Item, _: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move {
            let inside = self.0.lock().unwrap();
            let found = inside.find(item);
            found.map_or(Found::No, |id| Found::Yes(Remote { id, more: Vec::new() }))
        })
    }

    fn quiesce(&self) -> Duration {
        Duration::ZERO
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}

impl Reader for Site {
    fn read<'a>(&'a self, _: &'a str, remote: &'a Remote, _: &'a Calls) -> Async<'a, Result<Option<Value>, Outcome>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().records.get(&remote.id).cloned()) })
    }
}
