//! What a tenant's registry has in memory: the index of records, who belongs to whom, and the counts.

use crate::cell::Delta;
use crate::facts::Sex;
use crate::row::{Link, PersonId, Row};
use crate::summary::Marks;
use crate::tally::Tally;
use identity::{Bands, Candidate, Encoded, Index, Weights};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use vaccines::Date;
use vaccines::standing::Status;

/// A record by the id of its Patient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Its number in the index.
    pub(crate) number: u32,
    pub(crate) person: PersonId,
    pub(crate) link: Link,
    /// Its commit is on the way.
    pub(crate) is_pending: bool,
}

/// What lists and counts need of a person without reading the row.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) records: Box<[Box<str>]>,
    pub(crate) birth: Option<Date>,
    pub(crate) sex: Sex,
    pub(crate) region: Option<Arc<str>>,
    pub(crate) deceased: bool,
    /// By [`Live::programme`]; those in which there is something to say.
    pub(crate) standings: Box<[(u16, Status, Marks)]>,
    pub(crate) doses: u16,
    pub(crate) next: Option<Date>,
}

/// Pairs of Patient ids that wait for somebody's decision, found by either.
#[derive(Debug, Default)]
pub(crate) struct Reviews(BTreeSet<(Box<str>, Box<str>)>);

impl Reviews {
    pub(crate) fn put(&mut self, one: &str, other: &str) {
        self.0.insert((one.into(), other.into()));
        self.0.insert((other.into(), one.into()));
    }

    pub(crate) fn remove(&mut self, one: &str, other: &str) {
        self.0.remove(&(one.into(), other.into()));
        self.0.remove(&(other.into(), one.into()));
    }

    pub(crate) fn has(&self, one: &str, other: &str) -> bool {
        self.0.contains(&(one.into(), other.into()))
    }

    /// Those that `id` waits with.
    pub(crate) fn of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let from: (Box<str>, Box<str>) = (id.into(), "".into());
        self.0.range(from..).take_while(move |(one, _)| one.as_ref() == id).map(|(_, other)| other.as_ref())
    }

    /// Pairs, each once.
    pub(crate) fn len(&self) -> usize {
        self.0.len() / 2
    }
}

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) index: Index,
    pub(crate) records: HashMap<Box<str>, Known>,
    /// Patient ids by their number in the index.
    pub(crate) names: HashMap<u32, Box<str>>,
    /// Committed persons only; ordered, so that lists can be paged.
    pub(crate) persons: BTreeMap<PersonId, Person>,
    /// Persons by the day on which their summary must be made anew.
    pub(crate) due: BTreeMap<Date, HashSet<PersonId>>,
    pub(crate) tally: Tally,
    programmes: Vec<Box<str>>,
    regions: HashSet<Arc<str>>,
    /// Pairs of Patient ids that somebody said are not the same person, the smaller id first.
    pub(crate) apart: HashSet<(Box<str>, Box<str>)>,
    pub(crate) reviews: Reviews,
    pub(crate) weights: Weights,
    pub(crate) bands: Bands,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("records", &self.records.len())
            .field("persons", &self.persons.len())
            .finish_non_exhaustive()
    }
}

/// A pair in the order in which it is kept.
pub(crate) fn pair<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    if one <= other { (one, other) } else { (other, one) }
}

impl Live {
    pub(crate) fn insert(&mut self, id: &str, person: PersonId, link: Link, encoded: Encoded) {
        self.put(id, person, link, encoded, false);
    }

    fn put(&mut self, id: &str, person: PersonId, link: Link, encoded: Encoded, is_pending: bool) {
        let number = self.index.insert(encoded);
        self.names.insert(number, id.into());
        self.records.insert(id.into(), Known { number, person, link, is_pending });
    }

    /// A record whose commit is on the way.
    pub(crate) fn insert_pending(&mut self, id: &str, person: PersonId, link: Link, encoded: Encoded) {
        self.put(id, person, link, encoded, true);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(known) = self.records.remove(id) {
            self.index.remove(known.number);
            self.names.remove(&known.number);
        }
    }

    /// Candidates for a record, best first, without itself and those it is kept apart from.
    pub(crate) fn candidates(&self, id: &str, encoded: &Encoded) -> Vec<(Candidate, &str, Known)> {
        let found = self.index.matches(&self.weights, &self.bands, encoded).into_iter();
        let named = found.filter_map(|candidate| {
            let name = self.names.get(&candidate.record)?;
            Some((candidate, name.as_ref(), *self.records.get(name)?))
        });
        named.filter(|(_, name, _)| *name != id && !self.is_apart(id, name)).collect()
    }

    pub(crate) fn is_apart(&self, one: &str, other: &str) -> bool {
        if self.apart.is_empty() {
            return false;
        }
        let (one, other) = pair(one, other);
        self.apart.contains(&(one.into(), other.into()))
    }

    /// Everybody is to be assessed anew on `day`.
    pub(crate) fn due_all(&mut self, day: Date) {
        self.due.clear();
        for person in self.persons.values_mut() {
            person.next = Some(day);
        }
        self.due.insert(day, self.persons.keys().copied().collect());
    }

    /// All Patient ids of a committed person.
    pub(crate) fn records_of(&self, person: PersonId) -> Vec<&str> {
        self.persons.get(&person).into_iter().flat_map(|person| person.records.iter().map(AsRef::as_ref)).collect()
    }

    /// Makes a person as the row says; without records it is gone.
    pub(crate) fn put_person(&mut self, id: PersonId, row: &Row) {
        let old = self.persons.remove(&id);
        if let Some(day) = old.and_then(|person| person.next)
            && let Some(due) = self.due.get_mut(&day)
        {
            due.remove(&id);
            if due.is_empty() {
                self.due.remove(&day);
            }
        }
        if row.records.is_empty() {
            return;
        }
        if let Some(day) = row.next {
            self.due.entry(day).or_default().insert(id);
        }
        let facts = row.facts();
        let programmes = row.summary.programmes.iter();
        let person = Person {
            records: row.records.iter().map(|record| record.id.as_str().into()).collect(),
            birth: facts.birth,
            sex: facts.sex,
            region: facts.region.map(|region| self.shared(&region)),
            deceased: facts.deceased,
            standings: programmes.map(|(name, mark)| (self.number(name), mark.status, mark.marks)).collect(),
            doses: u16::try_from(row.summary.counted.len()).unwrap_or(u16::MAX),
            next: row.next,
        };
        self.persons.insert(id, person);
    }

    /// The number of a programme in [`Person::standings`].
    fn number(&mut self, programme: &str) -> u16 {
        if let Some(number) = self.programme(programme) {
            return number;
        }
        self.programmes.push(programme.into());
        u16::try_from(self.programmes.len() - 1).expect("definitions are few")
    }

    /// `None` when nobody has a standing in it.
    pub(crate) fn programme(&self, name: &str) -> Option<u16> {
        self.programmes.iter().position(|programme| programme.as_ref() == name).map(|at| at as u16)
    }

    fn shared(&mut self, region: &str) -> Arc<str> {
        if let Some(shared) = self.regions.get(region) {
            return shared.clone();
        }
        let shared: Arc<str> = region.into();
        self.regions.insert(shared.clone());
        shared
    }

    pub(crate) fn apply(&mut self, delta: &Delta) {
        self.tally.apply(delta);
    }
}

impl Person {
    /// Status and marks in a programme.
    pub(crate) fn standing(&self, programme: u16) -> (Status, Marks) {
        let found = self.standings.iter().find(|(number, ..)| *number == programme);
        found.map_or_else(Default::default, |(_, status, marks)| (*status, *marks))
    }
}
