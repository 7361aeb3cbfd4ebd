//! Counters and events: what a commit adds up, and what it tells those who follow.

use super::Shared;
use crate::{CounterChange, Event, Happened, StoreError};
use rusqlite::{OptionalExtension, Transaction, params};

/// A change of a counter whose key is hidden and sealed already.
#[derive(Debug)]
pub(super) struct PreparedCounter {
    name: String,
    key: Vec<u8>,
    label: Vec<u8>,
    delta: i64,
}

#[derive(Debug)]
pub(super) struct PreparedEvent {
    topic: String,
    payload: Vec<u8>,
}

/// What a counter's key is bound to.
fn counter_place(name: &str) -> String {
    format!("counter {name}")
}

fn event_place(topic: &str) -> String {
    format!("event {topic}")
}

impl Shared {
    pub(super) fn prepare_counter(&self, change: CounterChange) -> Result<PreparedCounter, StoreError> {
        Ok(PreparedCounter {
            key: self.codec.hidden(&change.key),
            label: self.codec.seal(&counter_place(&change.name), change.key.as_bytes())?,
            name: change.name,
            delta: change.delta,
        })
    }

    pub(super) fn prepare_event(&self, event: Event) -> Result<PreparedEvent, StoreError> {
        let payload = self.codec.seal(&event_place(&event.topic), &event.payload)?;
        Ok(PreparedEvent { topic: event.topic, payload })
    }

    pub(crate) fn counter(&self, name: &str, key: &str) -> Result<i64, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT n FROM tallies WHERE name = ?1 AND key = ?2")?;
            let row = statement.query_row(params![name, self.codec.hidden(key)], |row| row.get(0));
            Ok(row.optional()?.unwrap_or(0))
        })
    }

    /// All keys of a counter that are not 0, in order.
    pub(crate) fn counters(&self, name: &str) -> Result<Vec<(String, i64)>, StoreError> {
        let rows: Vec<(Vec<u8>, i64)> = self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT label, n FROM tallies WHERE name = ?1")?;
            let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let open = |(label, n): (Vec<u8>, i64)| {
            let key = self.codec.open(&counter_place(name), &label)?;
            Ok((String::from_utf8_lossy(&key).into_owned(), n))
        };
        let mut counters = rows.into_iter().map(open).collect::<Result<Vec<_>, StoreError>>()?;
        counters.sort_unstable();
        Ok(counters)
    }

    /// Events of a topic after number `after`, in order.
    pub(crate) fn events(&self, topic: &str, after: u64, limit: usize) -> Result<Vec<Happened>, StoreError> {
        let rows: Vec<(u64, i64, Vec<u8>)> = self.reading(|connection| {
            let sql = "SELECT no, at_us, payload FROM events WHERE topic = ?1 AND no > ?2 ORDER BY no LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement
                .query_map(params![topic, after, limit as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let open = |(no, at_us, sealed): (u64, i64, Vec<u8>)| {
            Ok(Happened { no, at_us, payload: self.codec.open(&event_place(topic), &sealed)? })
        };
        rows.into_iter().map(open).collect()
    }

    /// Number of the newest event of any topic; 0 when there is none.
    pub(crate) fn last_event(&self) -> Result<u64, StoreError> {
        self.reading(|connection| {
            Ok(connection.query_row("SELECT coalesce(max(no), 0) FROM events", [], |row| row.get(0))?)
        })
    }
}

/// Adds to a counter; one that comes to 0 is gone.
pub(super) fn add(transaction: &Transaction<'_>, counter: &PreparedCounter) -> Result<(), StoreError> {
    let sql = "INSERT INTO tallies VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name, key) DO UPDATE SET n = n + excluded.n RETURNING n";
    let mut statement = transaction.prepare_cached(sql)?;
    let n: i64 =
        statement.query_row(params![counter.name, counter.key, counter.label, counter.delta], |row| row.get(0))?;
    if n == 0 {
        let sql = "DELETE FROM tallies WHERE name = ?1 AND key = ?2";
        transaction.prepare_cached(sql)?.execute(params![counter.name, counter.key])?;
    }
    Ok(())
}

pub(super) fn tell(transaction: &Transaction<'_>, event: &PreparedEvent, at_us: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO events (topic, at_us, payload) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![event.topic, at_us, event.payload])?;
    Ok(())
}
