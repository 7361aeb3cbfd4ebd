//! Records encoded anew: when another version of weir finds them, and when the tenant's key of tokens is changed.
//!
//! A step takes some records, holds their persons, and makes their tokens from their Patients. Others read and write
//! meanwhile. What a step has done is kept: a process that ends goes on where it was when the registry is opened again.

use crate::patient::Demographics;
use crate::ring::{self, Numbers, Ring, Shadow, TokenKey};
use crate::row::PersonId;
use crate::tenancy::{Tenancy, record_bytes};
use crate::{Registry, event};
use engine::{Derived, Engine, Error, Feed, Keep, Session};
use identity::Encoded;
use serde_json::json;
use std::sync::Arc;
use store::{AuditRecord, StateChange};

/// Records of a step: few enough that a write about one of them waits some milliseconds only.
const STEP: usize = 128;
/// Rows of a key that is gone that are deleted at a time.
const SWEEP: usize = 1_000;

/// A key of tokens that came into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Its number.
    pub key: u32,
    /// Records that are under it.
    pub records: usize,
}

/// Why records are encoded, and by what.
enum Under {
    /// The key in force: another normaliser has made their tokens.
    Current(Arc<TokenKey>),
    /// The one that comes.
    Next(Arc<TokenKey>),
}

impl Under {
    fn key(&self) -> &TokenKey {
        let (Under::Current(key) | Under::Next(key)) = self;
        key
    }

    fn wants(&self, live: &crate::live::Live, id: &str) -> bool {
        match self {
            Under::Current(_) => live.stale.contains(id),
            Under::Next(_) => live.shadow.as_ref().is_some_and(|shadow| !shadow.has(id)),
        }
    }
}

impl Registry {
    /// Does what was left undone when the registry was opened: records that another version has encoded are encoded anew,
    /// what the log has beyond them is built, a change of the key is finished, and what other weights put in question is asked. Until the first is done Patients cannot be written (503).
    /// Answers how many records were encoded anew.
    pub async fn settle(&self, engine: &Engine, session: &Session) -> Result<usize, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let mut numbers = tenancy.numbers.lock().await;
        let records = self.encode_stale(engine, session, &tenancy).await?;
        if records > 0 {
            self.build(engine, session).await?;
        }
        self.finish(engine, session, &tenancy, &mut numbers).await?;
        let feed = engine.feed(session).await?;
        self.ask(engine, session, &feed, &tenancy).await?;
        Ok(records)
    }

    /// Changes the tenant's key of tokens: makes another, encodes all records under it and forgets the old one. Who is
    /// whose record stays as it is. One that was begun and not finished is finished.
    pub async fn rotate_key(&self, engine: &Engine, session: &Session) -> Result<Rotated, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let Ok(mut numbers) = tenancy.numbers.try_lock() else {
            let text = "the records of this tenant are being encoded already: repeat when that is done";
            return Err(Error::new(409, "conflict", text));
        };
        tenancy.live.read().comparable()?;
        if numbers.next.is_none() {
            self.finish(engine, session, &tenancy, &mut numbers).await?;
            self.begin(engine, session, &tenancy, &mut numbers).await?;
        }
        let rotated = self.finish(engine, session, &tenancy, &mut numbers).await?;
        rotated.ok_or_else(|| Error::new(500, "exception", "the key was not changed: repeat"))
    }

    async fn encode_stale(&self, engine: &Engine, session: &Session, tenancy: &Tenancy) -> Result<usize, Error> {
        let (mut stale, key) = {
            let live = tenancy.live.read();
            (live.stale.iter().cloned().collect::<Vec<_>>(), live.ring.current.clone())
        };
        if stale.is_empty() {
            return Ok(0);
        }
        tracing::info!(
            store.tenant = session.tenant.0,
            records = stale.len(),
            normaliser = identity::VERSION,
            "records of persons are encoded anew"
        );
        stale.sort_unstable();
        let feed = engine.feed(session).await?;
        let under = Under::Current(key);
        while tenancy.live.read().comparable().is_err() {
            for ids in stale.chunks(STEP) {
                self.step(engine, session, tenancy, &feed, ids, &under).await?;
            }
        }
        let payload = json!({
            "type": "encoded-anew", "records": stale.len(), "by": session.who.id, "normaliser": identity::VERSION,
        });
        let derived = Derived {
            events: vec![event::event(event::IDENTITY, &payload)],
            audit: vec![audit(engine, session, "registry-records")],
            ..Derived::default()
        };
        engine.commit_derived(session, derived).await?;
        Ok(stale.len())
    }

    /// The next key is there; from now on records that are written are encoded under both.
    async fn begin(
        &self,
        engine: &Engine,
        session: &Session,
        tenancy: &Tenancy,
        numbers: &mut Numbers,
    ) -> Result<(), Error> {
        let number = numbers.current + 1;
        let (key, row) = TokenKey::made(number, self);
        let begun = Numbers { next: Some(number), ..*numbers };
        // Commits that are under way have encoded their records under one key only: they end first, or see that it is another.
        let _held = tenancy.locks.hold_all().await;
        let derived = Derived {
            state: vec![row, begun.row()],
            audit: vec![audit(engine, session, "registry-key")],
            ..Derived::default()
        };
        engine.commit_derived(session, derived).await?;
        *numbers = begun;
        let live = &mut *tenancy.live.write();
        live.put_ring(Ring { current: live.ring.current.clone(), next: Some(key) });
        live.shadow = Some(Shadow::default());
        Ok(())
    }

    /// Finishes a change of the key, if one was begun, and deletes what is left of the old one.
    async fn finish(
        &self,
        engine: &Engine,
        session: &Session,
        tenancy: &Tenancy,
        numbers: &mut Numbers,
    ) -> Result<Option<Rotated>, Error> {
        let feed = engine.feed(session).await?;
        let mut rotated = None;
        let next = tenancy.live.read().ring.next.clone();
        if let (Some(number), Some(key)) = (numbers.next, next) {
            let under = Under::Next(key);
            while rotated.is_none() {
                let missing = tenancy.live.read().missing();
                for ids in missing.chunks(STEP) {
                    self.step(engine, session, tenancy, &feed, ids, &under).await?;
                }
                rotated = self.switch(engine, session, tenancy, numbers, number).await?;
            }
        }
        if let Some(gone) = numbers.gone {
            sweep(&feed, &ring::space(gone)).await?;
            let swept = Numbers { gone: None, ..*numbers };
            feed.keep(Keep { state: vec![swept.row()], ..Keep::default() }).await?;
            *numbers = swept;
        }
        Ok(rotated)
    }

    /// Puts the next key in force; `None` when some records are not under it yet.
    async fn switch(
        &self,
        engine: &Engine,
        session: &Session,
        tenancy: &Tenancy,
        numbers: &mut Numbers,
        number: u32,
    ) -> Result<Option<Rotated>, Error> {
        let _held = tenancy.locks.hold_all().await;
        if !tenancy.live.read().missing().is_empty() {
            return Ok(None);
        }
        let records = tenancy.live.read().shadow.as_ref().map_or(0, |shadow| shadow.numbers.len());
        let payload = json!({
            "type": "key-rotated", "key": number, "records": records, "by": session.who.id, "normaliser": identity::VERSION,
        });
        let after = Numbers { current: number, next: None, gone: Some(numbers.current) };
        let derived = Derived {
            state: vec![after.row(), ring::key_row(numbers.current, None)],
            events: vec![event::event(event::IDENTITY, &payload)],
            audit: vec![audit(engine, session, "registry-key")],
            ..Derived::default()
        };
        engine.commit_derived(session, derived).await?;
        *numbers = after;
        let old = tenancy.live.write().switch();
        drop(old);
        Ok(Some(Rotated { key: number, records }))
    }

    /// Encodes some records. Those that were written meanwhile are passed by.
    async fn step(
        &self,
        engine: &Engine,
        session: &Session,
        tenancy: &Tenancy,
        feed: &Feed,
        ids: &[Box<str>],
        under: &Under,
    ) -> Result<(), Error> {
        let persons: Vec<PersonId> = {
            let live = tenancy.live.read();
            ids.iter().filter_map(|id| Some(live.records.get(id)?.person)).collect()
        };
        let held = tenancy.locks.hold_persons(&persons).await;
        let (mut state, mut learned) = (Vec::new(), Vec::new());
        for id in ids {
            let known = {
                let live = tenancy.live.read();
                live.records.get(id).copied().filter(|_| !live.pending.contains_key(id) && under.wants(&live, id))
            };
            // One that has gone to another person meanwhile is for the next round.
            let Some(known) = known.filter(|known| persons.contains(&known.person)) else {
                continue;
            };
            let encoded = encoded(feed, id, under.key()).await?;
            let value = Some(record_bytes(known.person, known.link, &encoded));
            state.push(StateChange { space: under.key().space.clone(), key: id.to_string(), value });
            learned.push((id, encoded));
        }
        engine.commit_derived(session, Derived { state, ..Derived::default() }).await?;
        let live = &mut *tenancy.live.write();
        for (id, encoded) in learned {
            match (under, &mut live.shadow) {
                (Under::Current(_), _) => {
                    let ring = live.ring.clone();
                    live.relearn(id, ring::Encodings { ring, current: encoded, next: None });
                    live.stale.remove(id);
                }
                (Under::Next(_), Some(shadow)) => shadow.put(id, encoded),
                (Under::Next(_), None) => {}
            }
        }
        drop(held);
        Ok(())
    }
}

/// The tokens of a Patient as it is now.
async fn encoded(feed: &Feed, id: &str, key: &TokenKey) -> Result<Encoded, Error> {
    let demographics = Demographics::current(feed, id).await?.unwrap_or_else(|| {
        tracing::warn!("a record has no Patient: it matches nobody");
        Demographics::default()
    });
    Ok(demographics.encode(&key.keys))
}

async fn sweep(feed: &Feed, space: &str) -> Result<(), Error> {
    loop {
        let page = feed.states(space, "", SWEEP).await?;
        if page.is_empty() {
            return Ok(());
        }
        let change = |(key, _)| StateChange { space: space.to_owned(), key, value: None };
        feed.keep(Keep { state: page.into_iter().map(change).collect(), ..Keep::default() }).await?;
    }
}

fn audit(engine: &Engine, session: &Session, what: &str) -> AuditRecord {
    engine.audit_record(session, "update", what.to_owned(), None, 200)
}
