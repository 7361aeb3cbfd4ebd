//! Compression dictionaries: trained from a type's own bodies once there are enough of them.

use super::codec::{Dictionary, Place, id_to_disk, op_to_disk, splice_to_disk};
use super::read::COLUMNS;
use super::{Shared, small};
use crate::StoreError;
use rusqlite::params;
use std::sync::atomic::Ordering;

/// Bodies that make a useful sample.
const SAMPLES_MIN: u64 = 400;
const SAMPLES_MAX: i64 = 2_000;
const DICTIONARY_BYTES_MAX: usize = 32 << 10;
/// Rows re-encoded per writer job, so that commits wait little.
const RECODE_STEP: i64 = 200;

/// Trains the first dictionary of each type and each kind of small values that has none and of which there are enough.
pub(super) fn train_due(shared: &Shared) -> Result<(), StoreError> {
    // The keeper and a compaction may come here at once, and would give two dictionaries one number.
    let _training = shared.training.lock();
    for (ty, count) in shared.index().counts() {
        let disk = shared.codec.numbers.disk(ty);
        if count >= SAMPLES_MIN && shared.codec.newest_dictionary(disk) == 0 {
            train(shared, disk)?;
        }
    }
    small::train_due(shared)
}

fn train(shared: &Shared, ty: i64) -> Result<(), StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM log WHERE ty = ?1 AND op < 2 ORDER BY seq DESC LIMIT ?2");
    let samples = shared.reading(|connection| shared.many(connection, &sql, params![ty, SAMPLES_MAX]))?;
    let samples: Vec<Vec<u8>> = samples.into_iter().map(|stored| stored.body).collect();
    // Too uniform or too small samples cannot be trained from; the type then goes on without.
    let bytes = zstd::dict::from_samples(&samples, DICTIONARY_BYTES_MAX).unwrap_or_default();
    let at_us = shared.now_us();
    let n: i64 = shared.reading(|connection| {
        Ok(connection.query_row("SELECT coalesce(max(n), 0) + 1 FROM dicts", [], |row| row.get(0))?)
    })?;
    let sealed = shared.codec.seal(&format!("dict {n}"), &bytes)?;
    shared.writing(move |connection| {
        connection.execute("INSERT INTO dicts VALUES (?1, ?2, ?3, ?4)", params![n, ty, at_us, sealed])?;
        Ok(())
    })?;
    shared.codec.add_dictionary(ty, Dictionary::new(n, &bytes));
    Ok(())
}

/// Re-encodes every body that was written before its type had its newest dictionary, or as in format 1. Answers how many.
pub(super) fn recode(shared: &std::sync::Arc<Shared>) -> Result<u64, StoreError> {
    train_due(shared)?;
    let until = shared.codec.format_1_until.load(Ordering::Relaxed);
    // Also those of which everything is deleted by now: their history is read, too.
    let types: Vec<i64> = shared.reading(|connection| {
        let mut select = connection.prepare("SELECT DISTINCT ty FROM log")?;
        Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    })?;
    let mut recoded = 0;
    for ty in types {
        let newest = shared.codec.newest_dictionary(ty);
        let mut after = 0_u64;
        loop {
            let owner = shared.clone();
            let (last, count) = shared.writing(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM log WHERE ty = ?1 AND seq > ?2 AND (dict <> ?3 OR seq <= ?5) AND op < 2 ORDER BY seq LIMIT ?4"
                );
                let rows = owner.many(connection, &sql, params![ty, after, newest, RECODE_STEP, until])?;
                let mut update = connection.prepare_cached("UPDATE log SET dict = ?2, body = ?3 WHERE seq = ?1")?;
                for stored in &rows {
                    let id = id_to_disk(&stored.id);
                    let (op, splice) = (op_to_disk(stored.op), splice_to_disk(stored.splice));
                    let place = Place { ty, id: &id, version: stored.version, op, splice };
                    let (dict, body) = owner.codec.encode(&place, &stored.body)?;
                    update.execute(params![stored.seq, dict, body])?;
                }
                Ok((rows.last().map(|stored| stored.seq), rows.len() as u64))
            })?;
            recoded += count;
            match last {
                Some(seq) => after = seq,
                None => break,
            }
        }
    }
    if until > 0 {
        shared.writing(|connection| {
            connection.execute("DELETE FROM meta WHERE name = 'format_1_until'", [])?;
            Ok(())
        })?;
        shared.codec.format_1_until.store(0, Ordering::Relaxed);
    }
    Ok(recoded)
}

impl Shared {
    /// Re-encodes old bodies, folds counters, merges the index into one segment, and gives free pages back to the file system.
    pub(crate) fn compact(self: &std::sync::Arc<Self>) -> Result<u64, StoreError> {
        let recoded = recode(self)?;
        self.fold()?;
        self.index().flush()?;
        self.index().merge_all(self.now_us())?;
        super::backup::vacuum(self)?;
        Ok(recoded)
    }
}
