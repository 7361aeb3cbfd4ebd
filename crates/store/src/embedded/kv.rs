//! State beside the log: claims, queues, kept state, blobs.

use super::{Shared, tally};
use crate::{Leased, StoreError};
use rusqlite::{OptionalExtension, params};

/// What a kept value is bound to.
pub(super) fn state_place(space: &str, key: &str) -> String {
    format!("state {space}\0{key}")
}

impl Shared {
    /// The present owner of a claim.
    pub(crate) fn claim(&self, key: &str) -> Result<Option<String>, StoreError> {
        let now = self.now_us();
        let row: Option<Vec<u8>> = self.reading(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT substr(owner, 17) FROM claims WHERE key = ?1 AND (expires_us IS NULL OR expires_us > ?2)",
            )?;
            Ok(statement.query_row(params![self.codec.hidden(key), now], |row| row.get(0)).optional()?)
        })?;
        let owner = row.map(|sealed| self.codec.open("claim", &sealed)).transpose()?;
        Ok(owner.map(|owner| String::from_utf8_lossy(&owner).into_owned()))
    }

    fn message_place(queue: &str) -> String {
        format!("queue {queue}")
    }

    pub(super) fn seal_message(&self, queue: &str, group: &str, payload: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut plain = (group.len() as u32).to_le_bytes().to_vec();
        plain.extend_from_slice(group.as_bytes());
        plain.extend_from_slice(payload);
        self.codec.seal(&Self::message_place(queue), &plain)
    }

    fn open_message(&self, queue: &str, sealed: &[u8]) -> Result<(String, Vec<u8>), StoreError> {
        let damaged = || StoreError::Unseal("queue message is damaged".into());
        let plain = self.codec.open(&Self::message_place(queue), sealed)?;
        let (len, rest) = plain.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (group, payload) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(damaged)?;
        Ok((String::from_utf8_lossy(group).into_owned(), payload.to_vec()))
    }

    /// Leases due messages in order: only the oldest of each group, and none of a group that has one under lease.
    pub(crate) fn queue_lease(
        &self,
        queue: &str,
        consumer: &str,
        limit: usize,
        lease_us: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        let now = self.now_us();
        let (name, consumer) = (queue.to_owned(), consumer.to_owned());
        let rows: Vec<(u64, u32, Vec<u8>)> = self.writing(move |connection| {
            let mut due = connection.prepare_cached(
                "SELECT id, attempts, payload FROM queue AS q
                 WHERE queue = ?1 AND not_before_us <= ?2 AND leased_until_us <= ?2
                   AND NOT EXISTS (SELECT 1 FROM queue AS older WHERE older.queue = ?1 AND older.grp = q.grp AND older.id < q.id)
                 ORDER BY not_before_us, id LIMIT ?3",
            )?;
            let rows = due.query_map(params![name, now, limit as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let rows: Vec<(u64, u32, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
            let mut take = connection.prepare_cached(
                "UPDATE queue SET leased_until_us = ?2, consumer = ?3, attempts = attempts + 1 WHERE id = ?1",
            )?;
            for (id, ..) in &rows {
                take.execute(params![id, now + lease_us, consumer])?;
            }
            Ok(rows)
        })?;
        rows.into_iter()
            .map(|(id, attempts, sealed)| {
                let (group, payload) = self.open_message(queue, &sealed)?;
                Ok(Leased { id, group, attempts: attempts + 1, payload })
            })
            .collect()
    }

    /// Removes messages that are done. Unknown ids are ignored: acknowledging twice is no error.
    pub(crate) fn queue_ack(&self, ids: Vec<u64>) -> Result<(), StoreError> {
        self.writing(move |connection| {
            let mut delete = connection.prepare_cached("DELETE FROM queue WHERE id = ?1")?;
            for id in ids {
                delete.execute([id])?;
            }
            Ok(())
        })
    }

    /// Gives a message back, not to be leased before a time.
    pub(crate) fn queue_release(&self, id: u64, not_before_us: i64) -> Result<(), StoreError> {
        self.writing(move |connection| {
            let sql = "UPDATE queue SET leased_until_us = 0, consumer = '', not_before_us = ?2 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![id, not_before_us])?;
            Ok(())
        })
    }

    pub(crate) fn queue_depth(&self, queue: &str) -> Result<u64, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM queue WHERE queue = ?1")?;
            Ok(statement.query_row([queue], |row| row.get(0))?)
        })
    }

    pub(crate) fn state(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed: Option<Vec<u8>> = self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT value FROM state WHERE space = ?1 AND key = ?2")?;
            Ok(statement.query_row([space, key], |row| row.get(0)).optional()?)
        })?;
        sealed.map(|sealed| self.codec.open(&state_place(space, key), &sealed)).transpose()
    }

    /// Kept values of a space whose keys come after `after`, in the order of their keys.
    pub(crate) fn states(&self, space: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> = self.reading(|connection| {
            let sql = "SELECT key, value FROM state WHERE space = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let rows =
                statement.query_map(params![space, after, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let open = |(key, sealed): (String, Vec<u8>)| {
            let value = self.codec.open(&state_place(space, &key), &sealed)?;
            Ok((key, value))
        };
        rows.into_iter().map(open).collect()
    }

    /// Stores bytes under a key made from them; the same bytes are stored once.
    pub(crate) fn blob_put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let hashes = [self.codec.key.hash64(0xB1, &[bytes]), self.codec.key.hash64(0xB2, &[bytes])];
        let key = hashes.map(|hash| format!("{hash:016x}")).concat();
        let (row, body) = (key.clone().into_bytes(), self.codec.seal(&format!("blob {key}"), bytes)?);
        self.writing(move |connection| {
            connection.prepare_cached("INSERT OR IGNORE INTO blobs VALUES (?1, ?2)")?.execute(params![row, body])?;
            Ok(())
        })?;
        Ok(key)
    }

    /// How many claims, queue messages, kept values, blobs, counters and events there are, and what does not open of them.
    pub(super) fn check_side_state(&self) -> Result<(u64, Vec<String>), StoreError> {
        self.reading(|connection| {
            let (mut checked, mut damaged) = (0, Vec::new());
            // The name of a row is what its sealed text is bound to.
            let [changes, blocks] = tally::SEALED;
            for (what, sql) in [
                ("claim", "SELECT 'claim', substr(owner, 17) FROM claims"),
                ("queue message", "SELECT 'queue ' || queue, payload FROM queue ORDER BY id"),
                ("kept value", "SELECT 'state ' || space || char(0) || key, value FROM state"),
                ("blob", "SELECT 'blob ' || CAST(key AS TEXT), body FROM blobs"),
                ("counter change", changes),
                ("counter block", blocks),
                ("event", "SELECT 'event ' || topic, payload FROM events"),
            ] {
                let mut statement = connection.prepare(sql)?;
                let mut rows = statement.query([])?;
                let mut wrong = 0_u64;
                while let Some(row) = rows.next()? {
                    let place: String = row.get(0)?;
                    checked += 1;
                    let sealed = row.get_ref(1)?.as_blob().unwrap_or_default();
                    wrong += u64::from(self.codec.open(&place, sealed).is_err());
                }
                damaged.extend((wrong > 0).then(|| format!("{wrong} of the {what}s do not open")));
            }
            Ok((checked, damaged))
        })
    }

    pub(crate) fn blob_get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed: Option<Vec<u8>> = self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT body FROM blobs WHERE key = ?1")?;
            Ok(statement.query_row([key.as_bytes()], |row| row.get(0)).optional()?)
        })?;
        sealed.map(|sealed| self.codec.open(&format!("blob {key}"), &sealed)).transpose()
    }
}
