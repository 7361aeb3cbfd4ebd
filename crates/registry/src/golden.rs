//! The golden Patient: what all records of a person together say. It exists from the second record on; the records
//! themselves are never rewritten.

use crate::row::{PersonId, Row};
use engine::{DerivedResource, Error, Feed};
use fhir::defs::{self, TypeId};
use fhir::index::GOLDEN;
use fhir::json;
use fhir::json::{Document, Limits, Value};
use std::collections::HashMap;
use store::Op;

/// Names, addresses and the like that a golden record carries of each kind.
const ITEMS_MAX: usize = 20;

pub(crate) fn patient_type() -> TypeId {
    defs::r4().resource_by_name("Patient").expect("R4 has Patient")
}

/// What becomes of the golden record when a person's row changes; `None` when there is none and was none.
pub(crate) async fn record(
    feed: &Feed,
    person: PersonId,
    old: &Row,
    new: &Row,
    bodies: &HashMap<&str, &[u8]>,
) -> Result<Option<DerivedResource>, Error> {
    let was_there = old.records.len() > 1;
    let body = if new.records.len() > 1 {
        Some(merged(feed, person, new, bodies).await?)
    } else {
        // Whoever holds a reference to it must find the person it became.
        new.merged_into.filter(|_| was_there).map(|into| replaced(person, into))
    };
    let (ty, id) = (patient_type(), person.to_string());
    Ok((was_there || body.is_some()).then_some(DerivedResource { ty, id, body }))
}

/// A golden record whose person was merged into another.
fn replaced(person: PersonId, into: PersonId) -> Vec<u8> {
    let mut golden = empty(person);
    golden.set("active", Value::Bool(false));
    golden.set("link", Value::Array(vec![link(&into.to_string(), "replaced-by")]));
    bytes(&golden)
}

fn empty(person: PersonId) -> Value {
    json!({
        "resourceType": "Patient", "id": (person.to_string()),
        "meta": {"tag": [{"system": (GOLDEN.0), "code": (GOLDEN.1)}]}
    })
}

fn link(id: &str, kind: &str) -> Value {
    json!({"other": {"reference": (format!("Patient/{id}"))}, "type": kind})
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

async fn merged(feed: &Feed, person: PersonId, row: &Row, bodies: &HashMap<&str, &[u8]>) -> Result<Vec<u8>, Error> {
    let believed = row.believed();
    let mut sources = Vec::with_capacity(believed.len());
    for record in believed {
        let stored;
        let body = match bodies.get(record.id.as_str()) {
            Some(body) => *body,
            None => {
                let current = feed.current(patient_type(), &record.id).await?;
                stored =
                    current.filter(|current| current.resource.op != Op::Delete).map(|current| current.resource.json);
                stored.as_deref().unwrap_or_default()
            }
        };
        let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
        if let Ok(document) = Document::parse(body, &limits) {
            sources.push(Value::from(document.root()));
        }
    }
    let mut golden = empty(person);
    golden.set("active", Value::Bool(true));
    for list in ["identifier", "name", "telecom"] {
        gather(&mut golden, list, &sources);
    }
    for member in ["gender", "birthDate", "deceasedBoolean", "deceasedDateTime"] {
        let known = sources.iter().find_map(|source| source.get(member));
        if let Some(value) = known.filter(|value| **value != Value::Bool(false)) {
            golden.set(member, value.clone());
        }
    }
    if golden.get("deceasedDateTime").is_some() && golden.get("deceasedBoolean").is_some() {
        remove(&mut golden, "deceasedBoolean");
    }
    gather(&mut golden, "address", &sources);
    let links = row.records.iter().map(|record| link(&record.id, "seealso"));
    golden.set("link", Value::Array(links.collect()));
    Ok(bytes(&golden))
}

/// The different items of a list of all sources, those of the record that is believed most first.
fn gather(golden: &mut Value, list: &str, sources: &[Value]) {
    let mut items: Vec<Value> = Vec::new();
    for item in sources.iter().flat_map(|source| source.list(list)) {
        if items.len() < ITEMS_MAX && !items.contains(item) {
            items.push(item.clone());
        }
    }
    if !items.is_empty() {
        golden.set(list, Value::Array(items));
    }
}

fn remove(value: &mut Value, member: &str) {
    if let Value::Object(members) = value {
        members.retain(|(name, _)| name != member);
    }
}
