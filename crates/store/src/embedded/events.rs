//! Events: what a commit tells those who follow.

use super::Shared;
use crate::{Event, Happened, StoreError};
use rusqlite::{Transaction, params};

#[derive(Debug)]
pub(super) struct PreparedEvent {
    topic: String,
    payload: Vec<u8>,
}

fn event_place(topic: &str) -> String {
    format!("event {topic}")
}

impl Shared {
    pub(super) fn prepare_event(&self, event: Event) -> Result<PreparedEvent, StoreError> {
        let place = event_place(&event.topic);
        let payload = self.codec.seal_small(&place, &place, &event.payload)?;
        Ok(PreparedEvent { topic: event.topic, payload })
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

pub(super) fn tell(transaction: &Transaction<'_>, event: &PreparedEvent, at_us: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO events (topic, at_us, payload) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![event.topic, at_us, event.payload])?;
    Ok(())
}
