//! Whose record a Patient is: found among those in memory, and noted there at once, so that the next one finds it too.
//!
//! Who is placed with a person that another commit makes waits for that commit. Nobody waits for himself by way of others:
//! a commit of one Patient either makes a person, and waits for nobody, or joins one, and nobody waits for it; commits of
//! several place theirs one after the other, so that the later waits for the earlier.

use super::change::{Change, Patient};
use crate::live::{Known, Live};
use crate::locks::{self, End, Held, OnTheWay};
use crate::ring::Ring;
use crate::row::{Link, PersonId};
use crate::tenancy::Tenancy;
use engine::Error;
use identity::{Bands, Decision, Score, agrees};
use std::collections::HashMap;
use std::sync::Arc;

/// Times a plan is made again: others have failed whose persons it joined, or people have merged and parted persons.
const ATTEMPTS_MAX: usize = 32;
/// Pairs that one record brings to the review queue at most, the best of each other person.
const REVIEWS_MAX: usize = 3;

/// A pair that somebody must decide.
pub(crate) struct Review {
    pub(crate) other: String,
    pub(crate) score: Score,
    /// `duplicate`: perhaps one person; `drifted`: linked, and no longer alike.
    pub(crate) kind: &'static str,
}

/// Where a Patient of the commit belongs.
pub(super) struct Placed {
    pub(super) id: String,
    /// Its person before the commit.
    pub(super) from: Option<PersonId>,
    /// `None`: it is deleted.
    pub(super) to: Option<PersonId>,
    pub(super) link: Link,
    /// What linked it, when matching did.
    pub(super) score: Option<Score>,
    /// The other record of that pair.
    pub(super) with: Option<String>,
    pub(super) reviews: Vec<Review>,
    /// Its tokens are other ones than before.
    pub(super) encoding_changed: bool,
}

/// What is noted in memory before the commit. Dropped without [`Pending::done`], it was never there.
pub(super) struct Pending {
    tenancy: Arc<Tenancy>,
    /// Records that were inserted.
    inserted: Vec<String>,
    pub(super) placed: Vec<Placed>,
    /// Patients that the commit's other resources are about, with their person as it was planned.
    pub(super) about: HashMap<String, Option<PersonId>>,
    /// Persons that this commit makes.
    made: Vec<PersonId>,
    held: Held,
    /// Who waits for this commit goes on when this is dropped: after everything is kept or undone.
    on_the_way: OnTheWay,
    /// The keys that placed Patients are encoded under.
    ring: Option<Arc<Ring>>,
    is_done: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_done && !self.inserted.is_empty() {
            let mut live = self.tenancy.live.write();
            self.inserted.iter().for_each(|id| live.remove_pending(id));
        }
        // The locks go after this.
    }
}

/// Waits for the ends of commits that write the same Patients, or those that this one is about. Nothing of this commit is
/// noted yet: nobody waits for it.
async fn others(tenancy: &Tenancy, changes: &[Change<'_>]) {
    let ends: Vec<End> = {
        let live = tenancy.live.read();
        let written = changes.iter().filter_map(|change| match change {
            Change::Patient { id, .. } => Some(*id),
            Change::Clinical(_) => None,
        });
        let touched = written.chain(changes.iter().flat_map(Change::is_about));
        touched.filter_map(|id| live.pending.get(id).cloned()).collect()
    };
    for end in ends {
        end.reached().await;
    }
}

impl Pending {
    /// Places the records of a commit and waits for their persons. `new_person` makes ids.
    pub(super) async fn plan(
        tenancy: &Arc<Tenancy>,
        changes: &mut [Change<'_>],
        new_person: impl Fn() -> PersonId,
    ) -> Result<Pending, Error> {
        for _ in 0..ATTEMPTS_MAX {
            others(tenancy, changes).await;
            if let Some(mut pending) = Pending::place(tenancy, changes, &new_person).await {
                pending.hold().await;
                if pending.holds() {
                    return Ok(pending);
                }
            }
            changes.iter_mut().try_for_each(|change| change.encode(tenancy))?;
        }
        Err(Error::new(503, "transient", "too many writes about the same person at the same time: repeat in a second"))
    }

    /// Places the Patients of a commit. `None`: others are writing one of its Patients at this moment, or the keys were changed.
    async fn place(
        tenancy: &Arc<Tenancy>,
        changes: &[Change<'_>],
        new_person: &impl Fn() -> PersonId,
    ) -> Option<Pending> {
        let patients = changes.iter().filter(|change| matches!(change, Change::Patient { .. })).count();
        let _one_of_several = if patients > 1 { Some(tenancy.placing_several.lock().await) } else { None };
        let mut pending = Pending {
            tenancy: tenancy.clone(),
            inserted: Vec::new(),
            placed: Vec::new(),
            about: HashMap::new(),
            made: Vec::new(),
            held: Held::new(),
            on_the_way: OnTheWay::default(),
            ring: None,
            is_done: false,
        };
        for change in changes {
            if let Change::Patient { id, new } = change {
                pending.place_one(id, new.as_deref(), new_person)?;
            }
        }
        let live = tenancy.live.read();
        for id in changes.iter().flat_map(Change::is_about) {
            if live.pending.contains_key(id) && !pending.is_new(id) {
                drop(live);
                return None;
            }
            let person = pending.person_of(&live, id);
            pending.about.entry(id.to_owned()).or_insert(person);
        }
        drop(live);
        Some(pending)
    }

    /// The person of a patient once this commit is made.
    fn person_of(&self, live: &Live, id: &str) -> Option<PersonId> {
        let placed = self.placed.iter().rev().find(|placed| placed.id == id);
        placed.map_or_else(|| live.records.get(id).map(|known| known.person), |placed| placed.to)
    }

    fn place_one(&mut self, id: &str, new: Option<&Patient<'_>>, new_person: &impl Fn() -> PersonId) -> Option<()> {
        // One after the other: of two that come at the same time, the second must find the first. Others read meanwhile.
        let tenancy = self.tenancy.clone();
        let _placing = tenancy.placing.lock();
        let live = tenancy.live.read();
        if let Some(patient) = new {
            self.ring = Some(patient.encoded.ring.clone());
            if !Arc::ptr_eq(&patient.encoded.ring, &live.ring) {
                return None;
            }
        }
        if live.pending.contains_key(id) {
            return None;
        }
        let known = live.records.get(id).copied();
        let placed = match (known, new) {
            (None, None) => return Some(()),
            (Some(known), None) => Placed { to: None, ..staying(id, known) },
            (Some(known), Some(patient)) => again(&live, id, known, patient),
            (None, Some(patient)) => {
                let mut placed = fresh(&live, id, patient);
                drop(live);
                let person = placed.to.unwrap_or_else(|| {
                    let person = new_person();
                    self.made.push(person);
                    person
                });
                placed.to = Some(person);
                tenancy.live.write().insert_pending(
                    id,
                    person,
                    placed.link,
                    patient.encoded.current.clone(),
                    self.on_the_way.end(),
                );
                self.inserted.push(id.to_owned());
                placed
            }
        };
        self.placed.push(placed);
        Some(())
    }

    /// Waits until nobody else works on the persons and patients that this commit touches.
    async fn hold(&mut self) {
        // Who joins a person on the way must not come before it, even where its commit has no lock yet.
        for end in self.makers() {
            end.reached().await;
        }
        let persons = self.placed.iter().flat_map(|placed| placed.from.into_iter().chain(placed.to));
        let persons = persons.chain(self.about.values().copied().flatten());
        // Whose Patient comes or is missed: doses that arrive before it must not pass it by.
        let unknown = self.about.iter().filter(|(_, person)| person.is_none()).map(|(id, _)| id.as_str());
        let coming = self.placed.iter().filter(|placed| placed.from.is_none() || placed.to.is_none());
        let patients = unknown.chain(coming.map(|placed| placed.id.as_str()));
        let stripes = persons.map(locks::of_person).chain(patients.map(locks::of_patient)).collect();
        self.held = self.tenancy.locks.hold(stripes).await;
    }

    /// The ends of the commits that make persons which records of this one join.
    fn makers(&self) -> Vec<End> {
        let live = self.tenancy.live.read();
        let joined = self.placed.iter().filter_map(|placed| placed.to).filter(|person| !self.made.contains(person));
        joined.filter_map(|person| live.making.get(&person).cloned()).collect()
    }

    /// Whether all is as it was when it was planned: others may have been faster, or have failed.
    fn holds(&self) -> bool {
        let live = self.tenancy.live.read();
        if self.ring.as_ref().is_some_and(|ring| !Arc::ptr_eq(ring, &live.ring)) {
            return false;
        }
        let is_there = |person: PersonId| self.made.contains(&person) || live.persons.contains_key(&person);
        let placed = self.placed.iter().all(|placed| {
            let now = live.records.get(placed.id.as_str());
            let as_planned = match placed.from {
                Some(from) => now.is_some_and(|known| known.person == from),
                None => now.is_some_and(|known| Some(known.person) == placed.to),
            };
            let with = placed
                .with
                .as_deref()
                .is_none_or(|with| live.records.get(with).is_some_and(|known| Some(known.person) == placed.to));
            as_planned && with && placed.from.is_none_or(is_there) && placed.to.is_none_or(is_there)
        });
        placed
            && self.about.iter().all(|(id, person)| self.person_of(&live, id) == *person && person.is_none_or(is_there))
    }

    pub(super) fn tenancy(&self) -> &Arc<Tenancy> {
        &self.tenancy
    }

    pub(super) fn is_new(&self, id: &str) -> bool {
        self.inserted.iter().any(|inserted| inserted == id)
    }

    /// Keeps what was noted; answers the records that are committed now.
    pub(super) fn done(&mut self) -> Vec<String> {
        self.is_done = true;
        std::mem::take(&mut self.inserted)
    }
}

fn staying(id: &str, known: Known) -> Placed {
    Placed {
        id: id.to_owned(),
        from: Some(known.person),
        to: Some(known.person),
        link: known.link,
        score: None,
        with: None,
        reviews: Vec::new(),
        encoding_changed: false,
    }
}

/// A record that was not there.
fn fresh(live: &Live, id: &str, patient: &Patient<'_>) -> Placed {
    let chosen = choose(live, id, patient, None);
    Placed {
        id: id.to_owned(),
        from: None,
        to: chosen.person,
        link: if chosen.person.is_some() { Link::Auto } else { Link::Own },
        score: chosen.score,
        with: chosen.with,
        reviews: chosen.reviews,
        encoding_changed: true,
    }
}

/// A record that is written again. It stays with its person, unless it is the only record of one and matches another: what
/// is linked is never parted by matching, only questioned.
fn again(live: &Live, id: &str, known: Known, patient: &Patient<'_>) -> Placed {
    if live.index.get(known.number) == Some(&patient.encoded.current) {
        return staying(id, known);
    }
    let mut placed = Placed { encoding_changed: true, ..staying(id, known) };
    let others: Vec<&str> = live.records_of(known.person).into_iter().filter(|other| *other != id).collect();
    let chosen = choose(live, id, patient, Some(known.person));
    placed.reviews = chosen.reviews;
    if others.is_empty() {
        if known.link != Link::Manual && chosen.person.is_some() {
            (placed.to, placed.link) = (chosen.person, Link::Auto);
            (placed.score, placed.with) = (chosen.score, chosen.with);
        }
        return placed;
    }
    if let (Some(with), Some(score)) = (chosen.with, chosen.score) {
        placed.reviews.push(Review { other: with, score, kind: "duplicate" });
    }
    if known.link == Link::Auto {
        let scored = others.iter().filter_map(|other| {
            let number = live.records.get(*other)?.number;
            Some((*other, live.index.score(&live.weights, &patient.encoded.current, number)?))
        });
        if let Some((other, score)) = drift(&live.bands, live.index.len(), scored) {
            placed.reviews.push(Review { other: other.to_owned(), score, kind: "drifted" });
        }
    }
    placed
}

/// Of a record's scores with the others of its person the best one, if not even that would be asked about.
pub(crate) fn drift<T>(bands: &Bands, size: usize, scored: impl Iterator<Item = (T, Score)>) -> Option<(T, Score)> {
    let best = scored.max_by(|(_, one), (_, other)| one.bits.total_cmp(&other.bits));
    best.filter(|(_, score)| bands.decide(score, size) == Decision::New)
}

#[derive(Default)]
struct Chosen {
    person: Option<PersonId>,
    score: Option<Score>,
    with: Option<String>,
    reviews: Vec<Review>,
}

/// The best person whose records all take the new one, and the pairs that remain to be decided.
fn choose(live: &Live, id: &str, patient: &Patient<'_>, own: Option<PersonId>) -> Chosen {
    let mut chosen = Chosen::default();
    let mut seen = Vec::new();
    for (candidate, name, known) in live.candidates(id, &patient.encoded.current) {
        // A person that was on the way and does not come: the record is about to be placed again.
        let is_lost = live.pending.contains_key(name) && !live.is_coming(known.person);
        if is_lost || Some(known.person) == own || seen.contains(&known.person) {
            continue;
        }
        seen.push(known.person);
        let decision = live.bands.decide(&candidate.score, live.index.len());
        if chosen.person.is_none() && decision == Decision::Auto && takes(live, id, patient, known.person) {
            chosen.person = Some(known.person);
            (chosen.score, chosen.with) = (Some(candidate.score), Some(name.to_owned()));
        } else if chosen.reviews.len() < REVIEWS_MAX {
            chosen.reviews.push(Review { other: name.to_owned(), score: candidate.score, kind: "duplicate" });
        }
    }
    chosen
}

/// Whether no record of a person speaks against a new one.
fn takes(live: &Live, id: &str, patient: &Patient<'_>, person: PersonId) -> bool {
    live.records_of(person).into_iter().all(|other| {
        let number = live.records.get(other).map(|known| known.number);
        let score = number.and_then(|number| live.index.score(&live.weights, &patient.encoded.current, number));
        !live.is_apart(id, other) && score.is_none_or(|score| agrees(&score))
    })
}

#[cfg(test)]
mod tests;
