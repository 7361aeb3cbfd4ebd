//! Audit records: written in compressed, sealed blocks, read newest first.

use super::Shared;
use super::codec::Codec;
use crate::{AuditQuery, AuditRecord, Audited, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

/// Records in memory before the writer is asked to store them at once.
const BUFFERED_MAX: usize = 1_000;
/// Records kept in memory while the disk refuses them; past this the oldest are lost, and the log says how many.
const UNWRITTEN_MAX: usize = 100_000;

impl Shared {
    pub(crate) fn audit(&self, records: Vec<AuditRecord>) {
        let waiting = {
            let mut buffer = self.audit_buffer.lock();
            buffer.extend(records);
            buffer.len()
        };
        if waiting >= BUFFERED_MAX {
            // Any message wakes the writer, which takes the buffer along; when its inbox is full it is awake already.
            drop(self.inbox.try_send(super::Message::Run(Box::new(|_| ()))));
        }
    }

    /// Takes back records, older than all in memory, that could not be written.
    pub(super) fn audit_again(&self, mut records: Vec<AuditRecord>) {
        let mut buffer = self.audit_buffer.lock();
        records.append(&mut buffer);
        let lost = records.len().saturating_sub(UNWRITTEN_MAX);
        if lost > 0 {
            records.drain(..lost);
            tracing::error!(store.tenant = self.codec.tenant, lost, "audit records lost: the disk refuses them");
        }
        *buffer = records;
    }

    /// Puts what is in memory on disk, so that queries see it.
    fn audit_flush(&self) -> Result<(), StoreError> {
        if self.audit_buffer.lock().is_empty() { Ok(()) } else { self.writing(|_| Ok(())) }
    }

    pub(crate) fn audit_query(&self, query: &AuditQuery) -> Result<Vec<Audited>, StoreError> {
        self.audit_flush()?;
        self.reading(|connection| self::query(&self.codec, connection, query))
    }

    pub(crate) fn audit_get(&self, no: u64) -> Result<Option<Audited>, StoreError> {
        self.audit_flush()?;
        self.reading(|connection| get(&self.codec, connection, no))
    }

    pub(crate) fn audit_count(&self) -> Result<u64, StoreError> {
        self.audit_flush()?;
        self.reading(count)
    }
}

/// Appends one block. Numbers are dense, starting at 1.
pub(super) fn append(codec: &Codec, connection: &Connection, records: &[AuditRecord]) -> Result<(), StoreError> {
    let last: Option<(i64, i64)> = connection
        .prepare_cached("SELECT first, n FROM audit ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let first = last.map_or(1, |(first, n)| first + n);
    let from_us = records.iter().map(|record| record.at_us).min().unwrap_or(0);
    let to_us = records.iter().map(|record| record.at_us).max().unwrap_or(0);
    let block = codec.seal(&place(first), &pack(records))?;
    connection.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        first,
        records.len() as i64,
        from_us,
        to_us,
        block
    ])?;
    Ok(())
}

fn place(first: i64) -> String {
    format!("audit {first}")
}

/// Records that match, newest first, at most `query.limit`.
pub(super) fn query(codec: &Codec, connection: &Connection, query: &AuditQuery) -> Result<Vec<Audited>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT first, block FROM audit WHERE first < ?1 AND to_us >= ?2 AND from_us <= ?3 ORDER BY first DESC",
    )?;
    let before = query.before.map_or(i64::MAX, |no| i64::try_from(no).unwrap_or(i64::MAX));
    let mut rows =
        statement.query(params![before, query.from_us.unwrap_or(i64::MIN), query.to_us.unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    if query.limit == 0 {
        return Ok(found);
    }
    while let Some(row) = rows.next()? {
        let first: i64 = row.get(0)?;
        let records = open(codec, first, row.get_ref(1)?.as_blob().map_err(|_| damaged())?)?;
        for (at, record) in records.into_iter().enumerate().rev() {
            let no = first as u64 + at as u64;
            if query.before.is_none_or(|before| no < before) && matches(&record, query) {
                found.push(Audited { no, record });
                if found.len() >= query.limit {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// Blocks that do not open or do not hold as many records as they should, by their first number.
pub(super) fn damaged_blocks(codec: &Codec, connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare("SELECT first, n, block FROM audit ORDER BY first")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let (first, n): (i64, usize) = (row.get(0)?, row.get(1)?);
        let block = row.get_ref(2)?.as_blob().unwrap_or_default();
        if open(codec, first, block).map_or(true, |records| records.len() != n) {
            damaged.push(first);
        }
    }
    Ok(damaged)
}

pub(super) fn get(codec: &Codec, connection: &Connection, no: u64) -> Result<Option<Audited>, StoreError> {
    let row: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT first, block FROM audit WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?
        .query_row([no as i64], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, block)) = row else { return Ok(None) };
    let record = open(codec, first, &block)?.into_iter().nth((no - first as u64) as usize);
    Ok(record.map(|record| Audited { no, record }))
}

pub(super) fn count(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce((SELECT first + n - 1 FROM audit ORDER BY first DESC LIMIT 1), 0)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

fn matches(record: &AuditRecord, query: &AuditQuery) -> bool {
    query.from_us.is_none_or(|from| record.at_us >= from)
        && query.to_us.is_none_or(|to| record.at_us <= to)
        && query.who.as_ref().is_none_or(|who| *who == record.who)
        && query.interaction.as_ref().is_none_or(|interaction| *interaction == record.interaction)
        && query.patient.as_ref().is_none_or(|patient| record.patient.as_ref() == Some(patient))
        && query.entity.as_ref().is_none_or(|entity| {
            let rest = record.entity.strip_prefix(entity.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

fn open(codec: &Codec, first: i64, block: &[u8]) -> Result<Vec<AuditRecord>, StoreError> {
    unpack(&codec.open(&place(first), block)?).ok_or_else(damaged)
}

fn damaged() -> StoreError {
    StoreError::Unseal("audit block is damaged".into())
}

/// A record is its numbers and its length-prefixed texts; `None` is a length of `u32::MAX`.
fn pack(records: &[AuditRecord]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.len() * 120);
    for record in records {
        out.extend_from_slice(&record.at_us.to_le_bytes());
        out.push(record.outcome);
        out.extend_from_slice(&record.status.to_le_bytes());
        for text in [&record.interaction, &record.who, &record.request_id, &record.entity] {
            push_text(&mut out, Some(text));
        }
        push_text(&mut out, record.patient.as_ref());
        push_text(&mut out, record.query.as_ref());
    }
    out
}

fn push_text(out: &mut Vec<u8>, text: Option<&String>) {
    out.extend_from_slice(&text.map_or(u32::MAX, |text| text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.map_or(&[][..], |text| text.as_bytes()));
}

struct Unpacker<'a>(&'a [u8]);

impl Unpacker<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn text(&mut self) -> Option<Option<String>> {
        let len = u32::from_le_bytes(self.take()?);
        if len == u32::MAX {
            return Some(None);
        }
        let (head, rest) = self.0.split_at_checked(len as usize)?;
        self.0 = rest;
        Some(Some(String::from_utf8(head.to_vec()).ok()?))
    }
}

fn unpack(bytes: &[u8]) -> Option<Vec<AuditRecord>> {
    let mut from = Unpacker(bytes);
    let mut records = Vec::new();
    while !from.0.is_empty() {
        records.push(AuditRecord {
            at_us: i64::from_le_bytes(from.take()?),
            outcome: from.take::<1>()?[0],
            status: u16::from_le_bytes(from.take()?),
            interaction: from.text()??,
            who: from.text()??,
            request_id: from.text()??,
            entity: from.text()??,
            patient: from.text()?,
            query: from.text()?,
        });
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_damage_is_noticed() {
        let record = AuditRecord {
            at_us: -5,
            interaction: "read".into(),
            outcome: 4,
            status: 404,
            who: "admin".into(),
            request_id: "é".into(),
            entity: "Patient/1".into(),
            patient: Some("Patient/1".into()),
            query: None,
        };
        let records = vec![record.clone(), AuditRecord { query: Some(String::new()), patient: None, ..record }];
        let packed = pack(&records);
        assert_eq!(unpack(&packed).unwrap(), records);
        assert_eq!(unpack(&packed[..packed.len() - 1]), None);
    }
}
