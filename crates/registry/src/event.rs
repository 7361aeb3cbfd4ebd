//! What the registry tells those who follow: decisions about identity, and what became of persons' vaccination.

use crate::cell::Delta;
use crate::clinical::Dose;
use crate::row::{PersonId, Row};
use crate::summary::Marks;
use identity::Score;
use serde::Serialize;
use serde_json::{Value, json};
use store::Event;
use vaccines::standing::Status;

/// Topic of decisions about who is who.
pub const IDENTITY: &str = "identity";
/// Topic of doses and of statuses that changed.
pub const VACCINATION: &str = "vaccination";

pub(crate) fn event(topic: &str, payload: &impl Serialize) -> Event {
    Event { topic: topic.into(), payload: serde_json::to_vec(payload).expect("an event is plain data") }
}

/// A decision about records, with the score that led to it and the versions of what made it.
pub(crate) struct Decided<'a> {
    /// `new`, `link`, `review`, `move`, `remove`, `merge`, `unmerge`, `apart`, `assign`, `dismiss`.
    pub(crate) what: &'static str,
    pub(crate) person: PersonId,
    pub(crate) records: &'a [&'a str],
    /// Who decided: `matching`, or a user.
    pub(crate) by: &'a str,
    pub(crate) score: Option<&'a Score>,
    pub(crate) weights: &'a str,
    /// More that belongs to the kind.
    pub(crate) more: Value,
}

impl Decided<'_> {
    pub(crate) fn event(&self) -> Event {
        let mut payload = json!({
            "type": self.what, "person": self.person, "records": self.records, "by": self.by,
            "normaliser": identity::VERSION, "weights": self.weights,
        });
        if let Some(score) = self.score {
            payload["bits"] = json!(round(score.bits));
            payload["reasons"] = json!(reasons(score));
        }
        if let (Some(payload), Value::Object(more)) = (payload.as_object_mut(), &self.more) {
            payload.extend(more.clone());
        }
        event(IDENTITY, &payload)
    }
}

pub(crate) fn round(bits: f32) -> f64 {
    (f64::from(bits) * 100.0).round() / 100.0
}

/// Why a pair scores as it does, in words without a value of either.
pub(crate) fn reasons(score: &Score) -> Vec<String> {
    let levels = score.reasons().map(|(field, words)| format!("{}: {words}", field.code()));
    levels.chain(score.guards.reasons().map(|words| format!("question: {words}"))).collect()
}

/// A dose that came, changed or went.
#[derive(Serialize)]
struct DoseEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    person: PersonId,
    /// Of the person's row.
    version: u64,
    cause: &'a str,
    dose: &'a Dose,
    counted: bool,
    duplicate: bool,
}

/// A person's status in one programme or several.
#[derive(Serialize)]
struct StatusEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    person: PersonId,
    version: u64,
    cause: &'a str,
    programmes: Vec<ProgrammeChange<'a>>,
}

#[derive(Serialize)]
struct ProgrammeChange<'a> {
    programme: &'a str,
    status: &'static str,
    was: &'static str,
    marks: Vec<&'static str>,
    marks_were: Vec<&'static str>,
}

/// What became of a person's vaccination by one commit: doses that came, changed or went, and programmes whose status did.
/// Nothing when nothing did.
pub(crate) fn vaccination(person: PersonId, old: &Row, new: &Row, cause: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let tell = |what: &'static str, dose: &Dose| {
        let counted = new.summary.counted.contains(&dose.id);
        let duplicate = new.summary.duplicates.contains(&dose.id);
        event(VACCINATION, &DoseEvent { kind: what, person, version: new.version, cause, dose, counted, duplicate })
    };
    for dose in &new.doses {
        match old.doses.iter().find(|other| other.id == dose.id) {
            None => events.push(tell("dose-recorded", dose)),
            Some(other) if other != dose => events.push(tell("dose-changed", dose)),
            Some(_) => {}
        }
    }
    let gone = old.doses.iter().filter(|dose| !new.doses.iter().any(|other| other.id == dose.id));
    events.extend(gone.map(|dose| tell("dose-removed", dose)));
    let changed = changed(old, new);
    if !changed.is_empty() {
        let (kind, version) = ("status-changed", new.version);
        events.push(event(VACCINATION, &StatusEvent { kind, person, version, cause, programmes: changed }));
    }
    events
}

/// Programmes whose status or marks are others now.
fn changed<'a>(old: &'a Row, new: &'a Row) -> Vec<ProgrammeChange<'a>> {
    let of = |row: &Row, programme: &str| {
        let mark = row.summary.programmes.get(programme);
        mark.map_or((Status::Not, Marks::default()), |mark| (mark.status, mark.marks))
    };
    let mut names: Vec<&String> = old.summary.programmes.keys().chain(new.summary.programmes.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.into_iter().filter(|name| of(old, name) != of(new, name));
    names
        .map(|name| {
            let ((was, were), (is, are)) = (of(old, name), of(new, name));
            ProgrammeChange {
                programme: name,
                status: is.code(),
                was: was.code(),
                marks: are.names().collect(),
                marks_were: were.names().collect(),
            }
        })
        .collect()
}

/// The counters of a commit.
pub(crate) fn counters(delta: &Delta) -> Vec<store::CounterChange> {
    let change = |(cell, delta): (&crate::cell::Cell, i64)| store::CounterChange {
        name: cell.kind.counter().into(),
        key: cell.key(),
        delta,
    };
    delta.changes().map(change).collect()
}
