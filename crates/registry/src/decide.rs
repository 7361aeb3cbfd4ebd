//! What people decide about persons: merge, unmerge, keep apart.

use crate::Registry;
use crate::derive::{Own, Work};
use crate::event::Decided;
use crate::locks::Held;
use crate::row::{Link, PersonId};
use crate::tenancy::Tenancy;
use engine::{Engine, Error, Feed, Session};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Characters of a reason that are kept.
const WHY_MAX: usize = 500;

pub(crate) fn gone(what: &str) -> Error {
    Error::new(404, "not-found", format!("{what}: look it up again"))
}

impl Registry {
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

    async fn held(&self, session: &Session, persons: &[PersonId]) -> Result<(Arc<Tenancy>, Held), Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let held = tenancy.locks.hold_persons(persons).await;
        Ok((tenancy, held))
    }

    #[expect(clippy::too_many_arguments, reason = "what an event and an audit record say")]
    pub(crate) fn note(
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
