//! What people decide about persons: merge, unmerge, keep apart; and the queue of pairs that wait for it.

use crate::Registry;
use crate::derive::{Own, Work};
use crate::event::Decided;
use crate::live::pair;
use crate::locks::Held;
use crate::row::{Link, PersonId};
use crate::tenancy::{REVIEWS, Tenancy, pair_key};
use engine::{Engine, Error, Feed, Session};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Characters of a reason that are kept.
const WHY_MAX: usize = 500;

/// Two records that may be one person, or are linked and no longer alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Ids of the two Patients.
    pub records: [String; 2],
    /// `duplicate` or `drifted`.
    pub kind: String,
    /// log2 of how much likelier the pair is one person than two.
    pub bits: f64,
    pub reasons: Vec<String>,
    /// When it came up, in microseconds since 1970.
    pub at_us: i64,
}

/// A page of the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reviews {
    /// All that wait.
    pub total: usize,
    pub items: Vec<Review>,
    /// Where the next page begins.
    pub next: Option<String>,
}

fn gone(what: &str) -> Error {
    Error::new(404, "not-found", format!("{what}: look it up again"))
}

impl Registry {
    /// Pairs that wait for a decision, after the place `after`.
    pub async fn reviews(
        &self,
        engine: &Engine,
        session: &Session,
        after: &str,
        limit: usize,
    ) -> Result<Reviews, Error> {
        let (tenancy, feed) = (self.tenancy(&session.tenant)?, engine.feed(session).await?);
        let page = feed.states(REVIEWS, after, limit).await?;
        let next = (page.len() == limit).then(|| page.last().map(|(key, _)| key.clone())).flatten();
        let mut reviews = Reviews { total: tenancy.live.read().reviews.len(), items: Vec::new(), next };
        for (_, bytes) in page {
            let item = serde_json::from_slice(&bytes).map_err(|error| crate::broken("a review", &error))?;
            reviews.items.push(item);
        }
        Ok(reviews)
    }

    /// Makes all records of `from` records of `into`, whatever matching says of them.
    pub async fn merge(
        &self,
        engine: &Engine,
        session: &Session,
        into: PersonId,
        from: PersonId,
        why: &str,
    ) -> Result<(), Error> {
        if into == from {
            return Err(Error::new(400, "invalid", "a person cannot be merged with itself: name two persons"));
        }
        let (tenancy, held) = self.held(session, &[into, from]).await?;
        let feed = engine.feed(session).await?;
        let mut work = Work::new(self, &feed, tenancy.clone());
        let (records, others) = {
            let live = tenancy.live.read();
            let of = |person| live.records_of(person).into_iter().map(str::to_owned).collect::<Vec<_>>();
            (of(from), of(into))
        };
        if records.is_empty() || others.is_empty() {
            return Err(gone("one of the two persons is not there"));
        }
        for record in &records {
            work.move_record(record, from, into, Link::Manual, "merge").await?;
            rewrite(&tenancy, &mut work, record, into, Link::Manual)?;
            for other in &others {
                work.settle(record, other);
                work.keep_apart(record, other, None);
            }
        }
        self.note(engine, session, &mut work, "merge", into, &records, json!({"from": from, "why": short(why)}));
        self.commit(engine, session, work, tenancy, held).await
    }

    /// Takes records out of a person: back to the person they were before, or to one of their own. They are kept apart from
    /// the records that stay. Answers the person they belong to now; the last one if there are several.
    pub async fn unmerge(
        &self,
        engine: &Engine,
        session: &Session,
        person: PersonId,
        records: &[String],
        why: &str,
    ) -> Result<PersonId, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let feed = engine.feed(session).await?;
        let fresh = self.new_person();
        // Who they were is in the row, which is read under its lock; their locks are taken with it.
        let planned = self.parted(&feed, person, records, fresh).await?;
        let mut persons: Vec<PersonId> = planned.values().map(|(to, _)| *to).collect();
        persons.push(person);
        let held = self.held(session, &persons).await?.1;
        if self.parted(&feed, person, records, fresh).await? != planned {
            return Err(Error::new(
                409,
                "conflict",
                "the person was changed at the same time: look again, then repeat",
            ));
        }
        let mut work = Work::new(self, &feed, tenancy.clone());
        let staying: Vec<String> = {
            let live = tenancy.live.read();
            let all = live.records_of(person).into_iter();
            all.filter(|id| !planned.contains_key(*id)).map(str::to_owned).collect()
        };
        if staying.is_empty() {
            return Err(Error::new(400, "invalid", "at least one record must stay with the person: leave one out"));
        }
        let mut to = fresh;
        for (record, (target, link)) in &planned {
            work.move_record(record, person, *target, *link, "unmerge").await?;
            rewrite(&tenancy, &mut work, record, *target, *link)?;
            let note = json!({"by": session.who.id, "why": short(why), "at_us": self.now_us()});
            for other in &staying {
                work.settle(record, other);
                work.keep_apart(record, other, Some(note.to_string().into_bytes()));
            }
            to = *target;
        }
        let moved: Vec<String> = planned.into_keys().collect();
        self.note(engine, session, &mut work, "unmerge", to, &moved, json!({"from": person, "why": short(why)}));
        self.commit(engine, session, work, tenancy, held).await?;
        Ok(to)
    }

    /// Where each record goes when it is taken out of a person.
    async fn parted(
        &self,
        feed: &Feed,
        person: PersonId,
        records: &[String],
        fresh: PersonId,
    ) -> Result<HashMap<String, (PersonId, Link)>, Error> {
        let bytes = feed.state(crate::row::PERSONS, &person.to_string()).await?;
        let row = crate::row::Row::parse(&bytes.ok_or_else(|| gone("there is no such person"))?)?;
        let mut planned = HashMap::new();
        for id in records {
            let record = row.record(id).ok_or_else(|| gone("one of the records does not belong to the person"))?;
            let before = record.before.last().copied().unwrap_or((fresh, Link::Own));
            planned.insert(id.clone(), before);
        }
        Ok(planned)
    }

    /// Says that two records are of two persons. Matching never links them, whatever becomes of them; records that are
    /// linked already are parted by [`Registry::unmerge`].
    pub async fn keep_apart(
        &self,
        engine: &Engine,
        session: &Session,
        one: &str,
        other: &str,
        why: &str,
    ) -> Result<(), Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let persons = {
            let live = tenancy.live.read();
            [one, other].map(|id| live.records.get(id).map(|known| known.person))
        };
        let [Some(first), Some(second)] = persons else { return Err(gone("one of the two records is not there")) };
        if first == second {
            let text = "the two records are linked: unmerge one of them, which keeps them apart";
            return Err(Error::new(409, "conflict", text));
        }
        let held = self.held(session, &[first, second]).await?.1;
        let feed = engine.feed(session).await?;
        let mut work = Work::new(self, &feed, tenancy.clone());
        let note = json!({"by": session.who.id, "why": short(why), "at_us": self.now_us()});
        work.keep_apart(one, other, Some(note.to_string().into_bytes()));
        work.settle(one, other);
        let records = [one.to_owned(), other.to_owned()];
        self.note(engine, session, &mut work, "apart", first, &records, json!({"other": second, "why": short(why)}));
        self.commit(engine, session, work, tenancy, held).await
    }

    /// Takes a pair out of the queue without changing anything: what is linked stays linked.
    pub async fn dismiss(&self, engine: &Engine, session: &Session, one: &str, other: &str) -> Result<(), Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let (first, second) = pair(one, other);
        let feed = engine.feed(session).await?;
        if feed.state(REVIEWS, &pair_key(first, second)).await?.is_none() {
            return Err(gone("the pair does not wait for a decision"));
        }
        let mut work = Work::new(self, &feed, tenancy.clone());
        work.settle(first, second);
        self.commit(engine, session, work, tenancy, Held::new()).await
    }

    async fn held(&self, session: &Session, persons: &[PersonId]) -> Result<(Arc<Tenancy>, Held), Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let held = tenancy.locks.hold_persons(persons).await;
        Ok((tenancy, held))
    }

    #[expect(clippy::too_many_arguments, reason = "what an event and an audit record say")]
    fn note(
        &self,
        engine: &Engine,
        session: &Session,
        work: &mut Work<'_>,
        what: &'static str,
        person: PersonId,
        records: &[String],
        more: serde_json::Value,
    ) {
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let (by, score, weights) = (session.who.id.as_str(), None, "");
        work.tell(&Decided { what, person, records: &records, by, score, weights, more });
        let entity = format!("Patient/{person}");
        work.audit(engine.audit_record(session, "update", entity.clone(), Some(entity), 200));
    }

    pub(crate) async fn commit(
        &self,
        engine: &Engine,
        session: &Session,
        work: Work<'_>,
        tenancy: Arc<Tenancy>,
        held: Held,
    ) -> Result<(), Error> {
        let (mut derived, learned) = work.finish(&HashMap::new()).await?;
        derived.ticket = Some(Box::new(Own { tenancy, learned, held }));
        engine.commit_derived(session, derived).await
    }
}

/// The stored record with another person.
fn rewrite(tenancy: &Tenancy, work: &mut Work<'_>, record: &str, person: PersonId, link: Link) -> Result<(), Error> {
    let encoded = {
        let live = tenancy.live.read();
        live.comparable()?;
        live.encodings(record)
    };
    if let Some(encoded) = encoded {
        work.keep_record(record, person, link, &encoded);
    }
    Ok(())
}

fn short(why: &str) -> &str {
    why.char_indices().nth(WHY_MAX).map_or(why, |(end, _)| &why[..end])
}
