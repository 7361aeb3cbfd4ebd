//! From changes to what the commit writes: rows, counts, events, golden records; and what memory learns once it is durable.

use super::change::{Change, Clinical, Item, Patient};
use super::place::{Pending, Placed, Review};
use crate::cell::Delta;
use crate::event::{self, Decided, round};
use crate::live::pair;
use crate::locks::Held;
use crate::ring::Encodings;
use crate::row::{Link, ORPHANS, PERSONS, PersonId, Record, Row};
use crate::summary::cells;
use crate::tenancy::{APART, REVIEWS, Tenancy, pair_key, record_bytes};
use crate::{Registry, golden, queue};
use engine::{Derived, Error, Feed, Ticket};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::{AuditRecord, Committed, StateChange};
use vaccines::Date;

/// Doses and findings of one unknown patient that are read at a time.
const ORPHANS_STEP: usize = 500;

/// A person's row before and after.
#[derive(Default)]
struct Changing {
    old: Row,
    new: Row,
    /// What changed it, for the events: `Immunization/1`, `Patient/1`, `merge`, `day`.
    cause: String,
    /// The summary must be made anew.
    is_stale: bool,
}

/// What a commit of the registry writes, in the making. The caller holds the locks of all persons it touches.
pub(crate) struct Work<'a> {
    registry: &'a Registry,
    feed: &'a Feed,
    tenancy: Arc<Tenancy>,
    today: Date,
    rows: BTreeMap<PersonId, Changing>,
    derived: Derived,
    /// Records with a new person or link.
    linked: HashMap<String, (PersonId, Link)>,
    removed: Vec<String>,
    reviews: Vec<(String, String, bool)>,
    apart: Vec<(String, String, bool)>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(registry: &'a Registry, feed: &'a Feed, tenancy: Arc<Tenancy>) -> Work<'a> {
        Work {
            registry,
            feed,
            tenancy,
            today: registry.today(),
            rows: BTreeMap::new(),
            derived: Derived::default(),
            linked: HashMap::new(),
            removed: Vec::new(),
            reviews: Vec::new(),
            apart: Vec::new(),
        }
    }

    /// A person's row, to be changed.
    pub(crate) async fn row(&mut self, person: PersonId, cause: &str) -> Result<&mut Row, Error> {
        if !self.rows.contains_key(&person) {
            // Who is on the way has no row yet.
            let is_coming = self.tenancy.live.read().making.contains_key(&person);
            let bytes = if is_coming { None } else { self.feed.state(PERSONS, &person.to_string()).await? };
            let old = bytes.map(|bytes| Row::parse(&bytes)).transpose()?.unwrap_or_default();
            let is_stale = old.is_stale(&self.registry.definitions(), self.today);
            let changing = Changing { new: old.clone(), old, cause: cause.to_owned(), is_stale };
            self.rows.insert(person, changing);
        }
        Ok(&mut self.rows.get_mut(&person).expect("it was put there").new)
    }

    /// The summary of a person is to be made anew.
    pub(crate) fn stale(&mut self, person: PersonId) {
        if let Some(changing) = self.rows.get_mut(&person) {
            changing.is_stale = true;
        }
    }

    pub(crate) fn keep(&mut self, space: &str, key: String, value: Option<Vec<u8>>) {
        self.derived.state.push(StateChange { space: space.into(), key, value });
    }

    /// Keeps a record under every key that it is encoded under.
    pub(crate) fn keep_record(&mut self, id: &str, person: PersonId, link: Link, encoded: &Encodings) {
        let Encodings { ring, current, next } = encoded;
        self.keep(&ring.current.space, id.to_owned(), Some(record_bytes(person, link, current)));
        if let (Some(key), Some(next)) = (&ring.next, next) {
            self.keep(&key.space, id.to_owned(), Some(record_bytes(person, link, next)));
        }
    }

    fn remove_record(&mut self, id: &str) {
        let ring = self.tenancy.live.read().ring.clone();
        for key in std::iter::once(&ring.current).chain(&ring.next) {
            self.keep(&key.space, id.to_owned(), None);
        }
        self.removed.push(id.to_owned());
    }

    pub(crate) fn tell(&mut self, decided: &Decided<'_>) {
        self.derived.events.push(decided.event());
    }

    pub(crate) fn audit(&mut self, record: AuditRecord) {
        self.derived.audit.push(record);
    }

    pub(super) async fn change(&mut self, pending: &Pending, change: &Change<'_>) -> Result<(), Error> {
        match change {
            Change::Clinical(clinical) => self.clinical(pending, clinical).await,
            Change::Patient { id, new } => {
                // A commit writes a Patient once.
                let Some(placed) = pending.placed.iter().find(|placed| placed.id == *id) else { return Ok(()) };
                match (new, placed.to) {
                    (Some(patient), Some(to)) => self.written(pending, placed, patient, to).await,
                    _ => self.deleted(placed).await,
                }
            }
        }
    }

    async fn written(
        &mut self,
        pending: &Pending,
        placed: &Placed,
        patient: &Patient<'_>,
        to: PersonId,
    ) -> Result<(), Error> {
        let cause = format!("Patient/{}", placed.id);
        if let Some(from) = placed.from.filter(|from| *from != to) {
            self.move_record(&placed.id, from, to, placed.link, &cause).await?;
        }
        let at_us = self.registry.now_us();
        let definitions = self.registry.definitions();
        let verified = patient.source.as_deref().is_some_and(|source| definitions.is_verified(source));
        let row = self.row(to, &cause).await?;
        let old = row.record(&placed.id);
        let before = old.map(|old| old.before.clone()).unwrap_or_default();
        let (id, link, facts) = (placed.id.clone(), placed.link, patient.facts.clone());
        let record = Record { id, link, at_us, verified, facts, before };
        let changed =
            old.is_none_or(|old| (&old.facts, old.verified) != (&record.facts, verified)) || row.records.len() > 1;
        row.put_record(record);
        if changed {
            self.stale(to);
        }
        if pending.is_new(&placed.id) && self.tenancy.live.read().orphaned.contains(placed.id.as_str()) {
            self.adopt(&placed.id, to, &cause).await?;
        }
        // While the key is changed a record may have no row yet under the next one.
        if placed.encoding_changed || placed.from != placed.to || patient.encoded.next.is_some() {
            self.keep_record(&placed.id, to, placed.link, &patient.encoded);
        }
        self.decided(placed, to);
        for review in &placed.reviews {
            self.review(to, &placed.id, review).await?;
        }
        Ok(())
    }

    fn decided(&mut self, placed: &Placed, to: PersonId) {
        let what = match (placed.from, placed.link) {
            (None, Link::Own) => "new",
            (None, _) => "link",
            (Some(from), _) if from != to => "move",
            _ => return,
        };
        let records: Vec<&str> = std::iter::once(placed.id.as_str()).chain(placed.with.as_deref()).collect();
        let weights = self.tenancy.live.read().weights.version.clone();
        let more = placed.from.map_or(json!({}), |from| json!({"from": from}));
        let score = placed.score.as_ref();
        self.tell(&Decided { what, person: to, records: &records, by: "matching", score, weights: &weights, more });
    }

    /// Takes a record with all that is about it from one person to another, which remembers where it was.
    pub(crate) async fn move_record(
        &mut self,
        id: &str,
        from: PersonId,
        to: PersonId,
        link: Link,
        cause: &str,
    ) -> Result<(), Error> {
        let (record, doses, findings) = self.row(from, cause).await?.take(id);
        self.stale(from);
        let row = self.row(to, cause).await?;
        if let Some(mut record) = record {
            match record.before.last() {
                Some((last, _)) if *last == to => drop(record.before.pop()),
                _ => record.before.push((from, record.link)),
            }
            row.put_record(Record { link, ..record });
        }
        doses.into_iter().for_each(|dose| row.put_dose(dose));
        findings.into_iter().for_each(|finding| row.put_finding(finding));
        self.stale(to);
        let row = self.row(from, cause).await?;
        if row.records.is_empty() {
            row.merged_into = Some(to);
        }
        self.linked.insert(id.to_owned(), (to, link));
        Ok(())
    }

    async fn deleted(&mut self, placed: &Placed) -> Result<(), Error> {
        let Some(from) = placed.from else { return Ok(()) };
        let cause = format!("Patient/{}", placed.id);
        let (_, doses, findings) = self.row(from, &cause).await?.take(&placed.id);
        self.stale(from);
        let items = doses.into_iter().map(Item::Dose).chain(findings.into_iter().map(Item::Finding));
        let mut by_resource: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        items.for_each(|item| by_resource.entry(item.of()).or_default().push(item));
        by_resource.values().for_each(|items| self.orphan(items));
        self.remove_record(&placed.id);
        let others: Vec<String> = self.tenancy.live.read().reviews.of(&placed.id).map(str::to_owned).collect();
        others.iter().for_each(|other| self.settle(&placed.id, other));
        let weights = self.tenancy.live.read().weights.version.clone();
        let records = [placed.id.as_str()];
        let (by, score, more) = ("matching", None, json!({}));
        self.tell(&Decided { what: "remove", person: from, records: &records, by, score, weights: &weights, more });
        Ok(())
    }

    async fn clinical(&mut self, pending: &Pending, clinical: &Clinical) -> Result<(), Error> {
        if let Some(was) = &clinical.was {
            match pending.about.get(was).copied().flatten() {
                None => self.keep(ORPHANS, orphan_key(was, &clinical.of), None),
                Some(person) => {
                    self.row(person, &clinical.of).await?.forget(&clinical.of);
                    self.stale(person);
                }
            }
        }
        let Some(first) = clinical.new.first() else { return Ok(()) };
        match pending.about.get(first.record()).copied().flatten() {
            None => self.orphan(&clinical.new),
            Some(person) => {
                let row = self.row(person, &clinical.of).await?;
                clinical.new.iter().for_each(|item| put(row, item));
                self.stale(person);
            }
        }
        Ok(())
    }

    /// Keeps what one resource says about a patient who is not there.
    fn orphan(&mut self, items: &[Item]) {
        let Some(first) = items.first() else { return };
        let key = orphan_key(first.record(), &first.of());
        // Before it is there: who looks for it holds the patient's lock, as this commit does.
        self.tenancy.live.write().orphaned.insert(first.record().into());
        self.keep(ORPHANS, key, Some(serde_json::to_vec(items).expect("items are plain data")));
    }

    /// Gives a new record what was there before it.
    async fn adopt(&mut self, id: &str, person: PersonId, cause: &str) -> Result<(), Error> {
        let prefix = format!("{id}/");
        let mut after = prefix.clone();
        loop {
            let page = self.feed.states(ORPHANS, &after, ORPHANS_STEP).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            last.clone_into(&mut after);
            for (key, bytes) in page {
                if !key.starts_with(&prefix) {
                    return Ok(());
                }
                // The same commit may have written it already.
                let items: Vec<Item> =
                    serde_json::from_slice(&bytes).map_err(|error| crate::broken("an orphan", &error))?;
                let row = self.row(person, cause).await?;
                let of = items.first().map(Item::of).unwrap_or_default();
                if !row.says(&of) {
                    items.iter().for_each(|item| put(row, item));
                }
                self.stale(person);
                self.keep(ORPHANS, key, None);
            }
        }
    }

    /// Puts a pair into the queue. One that waits already keeps its place, who is to decide, and until when.
    pub(crate) async fn review(&mut self, person: PersonId, id: &str, review: &Review) -> Result<(), Error> {
        let (one, other) = pair(id, &review.other);
        let (is_apart, waits, weights) = {
            let live = self.tenancy.live.read();
            (live.is_apart(one, other), live.reviews.has(one, other), live.weights.version.clone())
        };
        if is_apart {
            return Ok(());
        }
        let key = pair_key(one, other);
        let before = if waits { self.feed.state(REVIEWS, &key).await? } else { None };
        let before = before.map(|bytes| queue::Review::parse(&bytes)).transpose()?;
        let row = queue::Review {
            records: [one.to_owned(), other.to_owned()],
            kind: review.kind.to_owned(),
            bits: round(review.score.bits),
            reasons: event::reasons(&review.score),
            at_us: before.as_ref().map_or_else(|| self.registry.now_us(), |before| before.at_us),
            assigned: before.as_ref().and_then(|before| before.assigned.clone()),
            due: before.as_ref().and_then(|before| before.due),
        };
        self.keep(REVIEWS, key, Some(row.to_bytes()));
        if !waits {
            let (by, score, more) = ("matching", Some(&review.score), json!({"kind": review.kind}));
            let (records, weights) = (&[one, other], weights.as_str());
            self.tell(&Decided { what: "review", person, records, by, score, weights, more });
            self.reviews.push((one.to_owned(), other.to_owned(), true));
        }
        Ok(())
    }

    /// Keeps two records apart, or lets them be one person again.
    pub(crate) fn keep_apart(&mut self, one: &str, other: &str, note: Option<Vec<u8>>) {
        let is_apart = note.is_some();
        if is_apart || self.tenancy.live.read().is_apart(one, other) {
            self.keep(APART, pair_key(one, other), note);
            self.apart.push((one.to_owned(), other.to_owned(), is_apart));
        }
    }

    /// Takes a pair out of the review queue, if it is there.
    pub(crate) fn settle(&mut self, one: &str, other: &str) {
        if self.tenancy.live.read().reviews.has(one, other) {
            self.keep(REVIEWS, pair_key(one, other), None);
            self.reviews.push((one.to_owned(), other.to_owned(), false));
        }
    }

    /// Everything that is to be written, and what memory learns when it is. `bodies`: of the Patients in this commit.
    pub(crate) async fn finish(mut self, bodies: &HashMap<&str, &[u8]>) -> Result<(Derived, Learned), Error> {
        let definitions = self.registry.definitions();
        let mut delta = Delta::default();
        let mut rows = Vec::new();
        for (person, mut changing) in std::mem::take(&mut self.rows) {
            let (old, new) = (&changing.old, &mut changing.new);
            if new.records.is_empty() {
                new.summary = crate::summary::Summary::default();
                new.next = None;
            } else if changing.is_stale {
                new.merged_into = None;
                definitions.summarise(new, self.today);
            }
            if new == old && !bodies_touch(new, bodies) {
                continue;
            }
            new.version = old.version + 1;
            delta.add(cells(old), -1);
            delta.add(cells(new), 1);
            self.derived.events.extend(event::vaccination(person, old, new, &changing.cause));
            let is_nothing = new.records.is_empty() && new.merged_into.is_none();
            self.keep(PERSONS, person.to_string(), (!is_nothing).then(|| new.to_bytes()));
            let golden = golden::record(self.feed, person, old, new, bodies).await?;
            self.derived.resources.extend(golden);
            rows.push((person, changing.new));
        }
        self.derived.counters = event::counters(&delta);
        let learned = Learned {
            rows,
            delta,
            linked: self.linked,
            removed: self.removed,
            reviews: self.reviews,
            apart: self.apart,
        };
        Ok((self.derived, learned))
    }
}

/// Whether a Patient of a person with several records is written: then the golden record may change.
fn bodies_touch(row: &Row, bodies: &HashMap<&str, &[u8]>) -> bool {
    row.records.len() > 1 && row.records.iter().any(|record| bodies.contains_key(record.id.as_str()))
}

fn orphan_key(patient: &str, of: &str) -> String {
    format!("{patient}/{of}")
}

fn put(row: &mut Row, item: &Item) {
    match item {
        Item::Dose(dose) => row.put_dose(dose.clone()),
        Item::Finding(finding) => row.put_finding(finding.clone()),
    }
}

/// What memory learns by a commit.
pub(crate) struct Learned {
    rows: Vec<(PersonId, Row)>,
    delta: Delta,
    linked: HashMap<String, (PersonId, Link)>,
    removed: Vec<String>,
    reviews: Vec<(String, String, bool)>,
    apart: Vec<(String, String, bool)>,
}

impl Learned {
    /// `inserted`: records that were on the way.
    pub(crate) fn apply(self, tenancy: &Tenancy, encoded: Vec<(String, Encodings)>, inserted: &[String]) {
        let live = &mut *tenancy.live.write();
        for id in inserted {
            live.arrived(id);
            live.orphaned.remove(id.as_str());
        }
        for (id, encoded) in encoded {
            live.relearn(&id, encoded);
        }
        for (id, (person, link)) in self.linked {
            if let Some(known) = live.records.get_mut(id.as_str()) {
                (known.person, known.link) = (person, link);
            }
        }
        self.removed.iter().for_each(|id| live.remove(id));
        for (person, row) in &self.rows {
            live.put_person(*person, row);
        }
        for (one, other, waits) in &self.reviews {
            if *waits { live.reviews.put(one, other) } else { live.reviews.remove(one, other) }
        }
        for (one, other, apart) in &self.apart {
            let (one, other) = pair(one, other);
            let pair = (one.into(), other.into());
            if *apart {
                live.apart.insert(pair)
            } else {
                live.apart.remove(&pair)
            };
        }
        live.apply(&self.delta);
        tenancy.changes.send_modify(|count| *count += 1);
    }
}

/// What the registry writes of its own accord: nothing was noted in memory before.
pub(crate) struct Own {
    pub(crate) tenancy: Arc<Tenancy>,
    pub(crate) learned: Learned,
    pub(crate) held: Held,
}

impl Ticket for Own {
    fn committed(self: Box<Self>, _: &Committed) {
        let Own { tenancy, learned, held } = *self;
        learned.apply(&tenancy, Vec::new(), &[]);
        drop(held);
    }
}

/// Holds what a commit has noted until it is made or fails.
pub(super) struct Applied {
    learned: Learned,
    pending: Pending,
    encoded: Vec<(String, Encodings)>,
}

impl Applied {
    pub(super) fn of_commit(learned: Learned, pending: Pending, encoded: Vec<(String, Encodings)>) -> Applied {
        Applied { learned, pending, encoded }
    }
}

impl Ticket for Applied {
    fn committed(mut self: Box<Self>, _: &Committed) {
        let inserted = self.pending.done();
        let tenancy = self.pending.tenancy().clone();
        let Applied { learned, pending, encoded } = *self;
        learned.apply(&tenancy, encoded, &inserted);
        drop(pending);
    }
}
