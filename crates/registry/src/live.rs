//! What a tenant's registry has in memory: the index of records, who belongs to whom, and the counts.

use crate::cell::Delta;
use crate::facts::Sex;
use crate::locks::End;
use crate::ring::{Encodings, Ring, Shadow};
use crate::row::{Link, PersonId, Row};
use crate::summary::Marks;
use crate::tally::Tally;
use engine::Error;
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
pub(crate) struct Live {
    /// The keys that records here are encoded under.
    pub(crate) ring: Arc<Ring>,
    pub(crate) index: Index,
    /// While the key is changed: the same records under the next one, as far as they are encoded.
    pub(crate) shadow: Option<Shadow>,
    /// Records that another version of the normaliser has encoded. They stand in the index without a token, and nothing is
    /// matched until they are encoded anew.
    pub(crate) stale: HashSet<Box<str>>,
    pub(crate) records: HashMap<Box<str>, Known>,
    /// Patients who are not there (yet) and of whom doses or findings may be kept.
    pub(crate) orphaned: HashSet<Box<str>>,
    /// Records whose commit is on the way, with its end.
    pub(crate) pending: HashMap<Box<str>, End>,
    /// Persons that are not committed yet, with the end of the commit that makes them.
    pub(crate) making: HashMap<PersonId, End>,
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
    pub(crate) fn new(ring: Arc<Ring>) -> Live {
        Live {
            ring,
            index: Index::default(),
            shadow: None,
            stale: HashSet::new(),
            records: HashMap::new(),
            orphaned: HashSet::new(),
            pending: HashMap::new(),
            making: HashMap::new(),
            names: HashMap::new(),
            persons: BTreeMap::new(),
            due: BTreeMap::new(),
            tally: Tally::default(),
            programmes: Vec::new(),
            regions: HashSet::new(),
            apart: HashSet::new(),
            reviews: Reviews::default(),
            weights: Weights::default(),
            bands: Bands::default(),
        }
    }

    /// Refuses (503) while some records cannot be compared with others.
    pub(crate) fn comparable(&self) -> Result<(), Error> {
        if self.stale.is_empty() {
            return Ok(());
        }
        let text = "the records of persons are being encoded anew by this version of weir: repeat in a minute";
        Err(Error::new(503, "transient", text))
    }

    pub(crate) fn insert(&mut self, id: &str, person: PersonId, link: Link, encoded: Encoded) {
        let number = self.index.insert(encoded);
        self.names.insert(number, id.into());
        self.records.insert(id.into(), Known { number, person, link });
    }

    /// A record whose commit is on the way until `end`.
    pub(crate) fn insert_pending(&mut self, id: &str, person: PersonId, link: Link, encoded: Encoded, end: End) {
        self.insert(id, person, link, encoded);
        if link == Link::Own {
            self.making.insert(person, end.clone());
        }
        self.pending.insert(id.into(), end);
    }

    /// The commit of a record is made.
    pub(crate) fn arrived(&mut self, id: &str) {
        self.pending.remove(id);
        if let Some(known) = self.records.get(id) {
            self.making.remove(&known.person);
        }
    }

    /// Whether a person is there or on the way.
    pub(crate) fn is_coming(&self, person: PersonId) -> bool {
        self.persons.contains_key(&person) || self.making.contains_key(&person)
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(known) = self.records.remove(id) {
            self.index.remove(known.number);
            self.names.remove(&known.number);
            self.stale.remove(id);
            if self.pending.remove(id).is_some() && known.link == Link::Own {
                self.making.remove(&known.person);
            }
            if let Some(shadow) = &mut self.shadow {
                shadow.remove(id);
            }
        }
    }

    /// Takes out a record that was never committed.
    pub(crate) fn remove_pending(&mut self, id: &str) {
        if self.pending.contains_key(id) {
            self.remove(id);
        }
    }

    /// Gives a record other tokens.
    pub(crate) fn relearn(&mut self, id: &str, encodings: Encodings) {
        let Some(known) = self.records.get(id).copied() else { return };
        if self.index.get(known.number) != Some(&encodings.current) {
            self.remove(id);
            self.insert(id, known.person, known.link, encodings.current);
        }
        if let (Some(shadow), Some(next)) = (&mut self.shadow, encodings.next) {
            shadow.put(id, next);
        }
    }

    /// The tokens of a record under all keys it is encoded under.
    pub(crate) fn encodings(&self, id: &str) -> Option<Encodings> {
        let current = self.index.get(self.records.get(id)?.number)?.clone();
        let next = self.shadow.as_ref().and_then(|shadow| shadow.get(id)).cloned();
        Some(Encodings { ring: self.ring.clone(), current, next })
    }

    /// The keys are others. Records whose commit is on the way are forgotten: who waits with one sees that and places it again.
    /// The caller holds all locks, so that nobody does more than wait.
    pub(crate) fn put_ring(&mut self, ring: Ring) {
        let pending: Vec<Box<str>> = self.pending.keys().cloned().collect();
        pending.iter().for_each(|id| self.remove(id));
        self.ring = Arc::new(ring);
    }

    /// Records that the next key's index lacks, in the order of the one in force: of equal candidates the first one wins.
    pub(crate) fn missing(&self) -> Vec<Box<str>> {
        let Some(shadow) = &self.shadow else { return Vec::new() };
        let committed = self.records.iter().filter(|(id, _)| !self.pending.contains_key(*id));
        let mut missing: Vec<(u32, &Box<str>)> =
            committed.filter(|(id, _)| !shadow.has(id)).map(|(id, known)| (known.number, id)).collect();
        missing.sort_unstable();
        missing.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// The next key is in force, under which all records are. Answers the old index, whose memory is given back where nobody
    /// waits for it.
    pub(crate) fn switch(&mut self) -> Option<Index> {
        let (shadow, next) = (self.shadow.take()?, self.ring.next.clone()?);
        self.put_ring(Ring { current: next, next: None });
        self.records.retain(|id, known| match shadow.numbers.get(id) {
            Some(number) => {
                known.number = *number;
                true
            }
            None => false,
        });
        self.names = shadow.numbers.into_iter().map(|(id, number)| (number, id)).collect();
        Some(std::mem::replace(&mut self.index, shadow.index))
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
