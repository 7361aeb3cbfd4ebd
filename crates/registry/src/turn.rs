//! What the day changes by itself, and the audit that counts everything again.

use crate::Registry;
use crate::cell::Delta;
use crate::derive::Work;
use crate::event;
use crate::pages::PersonPages;
use crate::row::PersonId;
use crate::summary::cells;
use crate::tally::Tally;
use engine::{Derived, Engine, Error, Session};
use futures_util::{StreamExt, stream};
use serde::Serialize;

/// Persons that are worked on at the same time: they share the store's fsyncs.
const AT_ONCE: usize = 64;

/// What a recount found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recount {
    pub persons: u64,
    /// Cells whose count was wrong, with what it was off by.
    pub differences: Vec<Difference>,
    /// They were put right.
    pub repaired: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub counter: &'static str,
    /// The values of its dimensions, joined by `|`.
    pub cell: String,
    /// What has to be added.
    pub missing: i64,
}

impl Registry {
    /// Assesses anew everybody whose day has come: of whom something is due, overdue, over. Answers how many there were.
    pub async fn turn(&self, engine: &Engine, session: &Session) -> Result<usize, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let today = self.today();
        let due: Vec<PersonId> = tenancy.live.read().due.range(..=today).flat_map(|(_, due)| due).copied().collect();
        let mut turned =
            stream::iter(due).map(|person| self.turn_one(engine, session, person)).buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some(result) = turned.next().await {
            result?;
            count += 1;
        }
        Ok(count)
    }

    async fn turn_one(&self, engine: &Engine, session: &Session, person: PersonId) -> Result<(), Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let held = tenancy.locks.hold_persons(&[person]).await;
        let feed = engine.feed(session).await?;
        let mut work = Work::new(self, &feed, tenancy.clone());
        // Its summary is stale by its own day; somebody may have been here meanwhile, then nothing changes.
        work.row(person, "day").await?;
        self.commit(engine, session, work, tenancy, held).await
    }

    /// The day on which [`Registry::turn`] has something to do again; `None` when time changes nobody.
    pub fn next_turn(&self, session: &Session) -> Result<Option<vaccines::Date>, Error> {
        Ok(self.tenancy(&session.tenant)?.live.read().due.keys().next().copied())
    }

    /// Counts everything again from the rows, compares and, with `repair`, puts right what is wrong. Nobody may write
    /// meanwhile who is counted: all locks are held.
    pub async fn recount(&self, engine: &Engine, session: &Session, repair: bool) -> Result<Recount, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let _held = tenancy.locks.hold_all().await;
        let feed = engine.feed(session).await?;
        let (mut right, mut recount) = (Tally::default(), Recount::default());
        let mut persons = PersonPages::new(&feed);
        while let Some(page) = persons.next().await? {
            for (_, row) in page {
                recount.persons += u64::from(!row.records.is_empty());
                let mut delta = Delta::default();
                delta.add(cells(&row), 1);
                right.apply(&delta);
            }
        }
        let difference = Tally::load(&feed).await?.difference(&right);
        recount.differences = differences(&difference);
        if repair && !recount.differences.is_empty() {
            let counters = event::counters(&difference);
            engine.commit_derived(session, Derived { counters, ..Derived::default() }).await?;
            tenancy.live.write().tally = right;
            recount.repaired = true;
        }
        Ok(recount)
    }
}

fn differences(delta: &Delta) -> Vec<Difference> {
    let difference = |(cell, missing): (&crate::cell::Cell, i64)| Difference {
        counter: cell.kind.counter(),
        cell: cell.values.join("|"),
        missing,
    };
    let mut all: Vec<Difference> = delta.changes().map(difference).collect();
    all.sort_by(|one, other| (one.counter, &one.cell).cmp(&(other.counter, &other.cell)));
    all
}
