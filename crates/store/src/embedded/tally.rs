//! Counters: what commits add up.
//!
//! A commit appends its changes to `tally_log`, in one row. When many have come together they are folded into `tally_block`:
//! sorted, compressed runs of counters, of which each fold writes a new generation. A table with a row for each counter would
//! cost a commit a page of the file for each counter it changes, since nothing brings those together that change together.
//! What a counter is now is what the blocks of the present generation say, and the changes since.

use super::Shared;
use super::codec::Codec;
use crate::{CounterChange, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Rows of changes that make a fold worth its while: so many, and as a part of the counters there are, which it writes anew.
const FOLD_ROWS_MIN: u64 = 16_384;
const FOLD_ROWS_SHARE: u64 = 8;
/// Bytes of a block before it is compressed.
const BLOCK_BYTES: usize = 64 << 10;
/// Blocks that are written or removed by one job of the writer, so that commits wait little.
const STEP: usize = 32;
/// Rows of changes that are removed by one job.
const STEP_ROWS: usize = 2_048;

/// Counters of an older file that become one row.
const TAKE_OVER: usize = 500;

/// What the rows of `tally_log` are bound to, and their kind among small values.
pub(super) const LOG_PLACE: &str = "counters";
/// In `meta`: the present generation, the number of its counters, and the last change that is folded into it.
const GENERATION: &str = "tally_generation";
const COUNTERS: &str = "tally_counters";
const FOLDED: &str = "tally_folded";

/// SQL of what is sealed here and what it is bound to.
pub(super) const SEALED: [&str; 2] = [
    "SELECT 'counters', changes FROM tally_log",
    "SELECT 'counters ' || gen || ' ' || no || ' ' || name, data FROM tally_block",
];

/// What a block is bound to; as in [`SEALED`].
fn block_place(generation: u64, no: u64, name: &str) -> String {
    format!("counters {generation} {no} {name}")
}

/// Appends a counter or a change of one: two lengths, two texts, a number.
fn push(out: &mut Vec<u8>, name: &str, key: &str, n: i64) {
    for text in [name, key] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&n.to_le_bytes());
}

/// Takes what was pushed first.
fn pop<'a>(bytes: &mut &'a [u8]) -> Option<(&'a str, &'a str, i64)> {
    let mut take = |len: usize| {
        let (taken, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        Some(taken)
    };
    let name = u32::from_le_bytes(take(4)?.try_into().ok()?) as usize;
    let key = u32::from_le_bytes(take(4)?.try_into().ok()?) as usize;
    let (name, key) = (std::str::from_utf8(take(name)?).ok()?, std::str::from_utf8(take(key)?).ok()?);
    Some((name, key, i64::from_le_bytes(take(8)?.try_into().ok()?)))
}

/// Calls `each` with everything that was pushed.
fn each(mut bytes: &[u8], mut each: impl FnMut(&str, &str, i64) -> Result<(), StoreError>) -> Result<(), StoreError> {
    while !bytes.is_empty() {
        let (name, key, n) = pop(&mut bytes).ok_or(StoreError::Unseal("a counter is damaged".into()))?;
        each(name, key, n)?;
    }
    Ok(())
}

impl Codec {
    /// The changes of a commit as one row; `None` when there are none.
    pub(super) fn seal_counters(&self, changes: &[CounterChange]) -> Result<Option<Vec<u8>>, StoreError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let mut plain = Vec::new();
        changes.iter().for_each(|change| push(&mut plain, &change.name, &change.key, change.delta));
        self.seal_small(LOG_PLACE, LOG_PLACE, &plain).map(Some)
    }
}

/// Appends the changes of a commit.
pub(super) fn append(connection: &Connection, changes: &[u8]) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT INTO tally_log (changes) VALUES (?1)")?.execute([changes])?;
    Ok(())
}

fn meta(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Calls `found` with all counters in order of name and key, those that are 0 left out. Answers the last change that they
/// contain. `connection` must stay at one state of the file.
fn walk(
    codec: &Codec,
    connection: &Connection,
    mut found: impl FnMut(&str, &str, i64) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let (generation, mut last) = (meta(connection, GENERATION)?, meta(connection, FOLDED)?);
    let mut changes: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut statement = connection.prepare_cached("SELECT no, changes FROM tally_log WHERE no > ?1 ORDER BY no")?;
    let mut rows = statement.query([last])?;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        each(&codec.open(LOG_PLACE, row.get_ref(1)?.as_blob().unwrap_or_default())?, |of, key, delta| {
            *changes.entry((of.to_owned(), key.to_owned())).or_default() += delta;
            Ok(())
        })?;
    }
    let mut changes = changes.into_iter().peekable();
    let mut found = |name: &str, key: &str, n: i64| if n == 0 { Ok(()) } else { found(name, key, n) };
    let sql = "SELECT name, no, data FROM tally_block WHERE gen = ?1 ORDER BY name, no";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([generation])?;
    while let Some(row) = rows.next()? {
        let place = block_place(generation, row.get(1)?, row.get_ref(0)?.as_str().unwrap_or_default());
        each(&codec.open(&place, row.get_ref(2)?.as_blob().unwrap_or_default())?, |name, key, mut n| {
            while let Some(((of, at), _)) = changes.peek() {
                let order = (of.as_str(), at.as_str()).cmp(&(name, key));
                let Some(((of, at), delta)) = changes.next_if(|_| order != Ordering::Greater) else { break };
                if order == Ordering::Equal {
                    n += delta;
                } else {
                    found(&of, &at, delta)?;
                }
            }
            found(name, key, n)
        })?;
    }
    changes.try_for_each(|((name, key), delta)| found(&name, &key, delta))?;
    Ok(last)
}

impl Shared {
    /// Calls `found` with name, key and count of all counters that are not 0, in order.
    pub(crate) fn counters(&self, mut found: impl FnMut(&str, &str, i64)) -> Result<(), StoreError> {
        self.reading(|connection| {
            let transaction = connection.unchecked_transaction()?;
            walk(&self.codec, &transaction, |name, key, n| {
                found(name, key, n);
                Ok(())
            })?;
            Ok(())
        })
    }

    /// Folds the changes when there are enough of them.
    pub(super) fn fold_due(&self) -> Result<(), StoreError> {
        let (rows, counters) = self.reading(|connection| {
            // Numbers have no gaps, so that no row is looked at.
            let sql = "SELECT coalesce(max(no), 0) FROM tally_log";
            let last: u64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok((last - meta(connection, FOLDED)?, meta(connection, COUNTERS)?))
        })?;
        if rows >= FOLD_ROWS_MIN.max(counters / FOLD_ROWS_SHARE) { self.fold() } else { Ok(()) }
    }

    /// Writes a new generation of blocks, which takes the place of the old one and of the changes in one commit.
    pub(super) fn fold(&self) -> Result<(), StoreError> {
        // The keeper and a compaction may come here at once.
        let _folding = self.folding.lock();
        let present = self.reading(|connection| meta(connection, GENERATION))?;
        // Of a fold that did not come to its end.
        self.remove_generations_but(present)?;
        let generation = present + 1;
        let mut blocks = Blocks::new(self, generation);
        let folded = self.reading(|connection| {
            let transaction = connection.unchecked_transaction()?;
            walk(&self.codec, &transaction, |name, key, n| blocks.push(name, key, n))
        })?;
        blocks.close()?;
        blocks.write()?;
        let counters = blocks.counters;
        self.writing(move |connection| {
            let mut set = connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
            for (name, value) in [(GENERATION, generation), (COUNTERS, counters), (FOLDED, folded)] {
                set.execute(params![name, value])?;
            }
            Ok(())
        })?;
        self.remove_generations_but(generation)?;
        // The last one stays, so that numbers go on from it.
        let sql = "DELETE FROM tally_log WHERE no IN (SELECT no FROM tally_log WHERE no < ?1 LIMIT ?2)";
        self.remove(sql, folded, STEP_ROWS)
    }

    fn remove_generations_but(&self, generation: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM tally_block WHERE (gen, name, no) IN (SELECT gen, name, no FROM tally_block WHERE gen <> ?1 LIMIT ?2)";
        self.remove(sql, generation, STEP)
    }

    /// Runs a statement that removes at most `step` rows until it finds none.
    fn remove(&self, sql: &'static str, which: u64, step: usize) -> Result<(), StoreError> {
        let step = step as i64;
        while self.writing(move |connection| Ok(connection.prepare_cached(sql)?.execute(params![which, step])?))? > 0 {}
        Ok(())
    }
}

/// A generation in the making.
struct Blocks<'a> {
    shared: &'a Shared,
    generation: u64,
    /// The block that is filled, its counter's name and its number.
    block: Vec<u8>,
    name: String,
    no: u64,
    /// Sealed and not written yet.
    ready: Vec<(String, u64, Vec<u8>)>,
    counters: u64,
}

impl Blocks<'_> {
    fn new(shared: &Shared, generation: u64) -> Blocks<'_> {
        Blocks { shared, generation, block: Vec::new(), name: String::new(), no: 0, ready: Vec::new(), counters: 0 }
    }

    fn push(&mut self, name: &str, key: &str, n: i64) -> Result<(), StoreError> {
        if self.name != name || self.block.len() >= BLOCK_BYTES {
            self.close()?;
        }
        if self.name != name {
            (self.name, self.no) = (name.to_owned(), 0);
        }
        push(&mut self.block, name, key, n);
        self.counters += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let place = block_place(self.generation, self.no, &self.name);
        self.ready.push((self.name.clone(), self.no, self.shared.codec.seal(&place, &self.block)?));
        self.block.clear();
        self.no += 1;
        if self.ready.len() >= STEP { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let (generation, ready) = (self.generation, std::mem::take(&mut self.ready));
        self.shared.writing(move |connection| {
            let mut insert = connection.prepare_cached("INSERT INTO tally_block VALUES (?1, ?2, ?3, ?4)")?;
            for (name, no, data) in ready {
                insert.execute(params![generation, name, no, data])?;
            }
            Ok(())
        })
    }
}

/// Takes the counters of a file of format 3 over, which had a row for each.
pub(super) fn take_over(codec: &Codec, connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'tallies'";
    if connection.query_row(sql, [], |row| row.get::<_, u64>(0))? == 0 {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare("SELECT name, label, n FROM tallies")?;
    let mut rows = statement.query([])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let key = codec.open(&format!("counter {name}"), row.get_ref(1)?.as_blob().unwrap_or_default())?;
        changes.push(CounterChange { key: String::from_utf8_lossy(&key).into_owned(), delta: row.get(2)?, name });
    }
    for changes in changes.chunks(TAKE_OVER) {
        codec.seal_counters(changes)?.map_or(Ok(()), |changes| append(&transaction, &changes))?;
    }
    drop(rows);
    drop(statement);
    transaction.execute_batch("DROP TABLE tallies")?;
    transaction.commit()?;
    Ok(())
}
