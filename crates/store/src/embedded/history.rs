//! History of one resource, one type or everything, newest first.

use super::Shared;
use super::codec::id_to_disk;
use super::read::COLUMNS;
use crate::{HistoryPage, HistoryRequest, HistoryScope, Seq, StoreError, Stored};
use rusqlite::{Connection, OptionalExtension, params};

impl Shared {
    /// The cursor is the change number of the last version shown, which stays right while others write.
    pub(crate) fn history(&self, request: &HistoryRequest) -> Result<HistoryPage, StoreError> {
        let before = match &request.cursor {
            Some(cursor) => {
                let seq = cursor.parse::<Seq>().ok().filter(|seq| i64::try_from(*seq).is_ok());
                seq.ok_or(StoreError::InvalidCursor)?
            }
            None => self.last_seq() + 1,
        };
        let since = request.since_us.map_or(Ok(0), |at| self.seq_at(at.saturating_sub(1)))?;
        self.reading(|connection| {
            let mut versions = Vec::new();
            let mut cursor = before;
            // A page of nothing has no last version to go on from: `limit` 0 asks for the total only.
            while request.limit > 0 && versions.len() <= request.limit {
                let step = self.step(connection, &request.scope, cursor, since, request.limit + 1)?;
                let Some(last) = step.last() else { break };
                cursor = last.seq;
                for version in step {
                    if self.is_at(connection, &version, request.at_us)? {
                        versions.push(version);
                    }
                }
            }
            let next = (versions.len() > request.limit).then(|| versions[request.limit - 1].seq.to_string());
            versions.truncate(request.limit);
            Ok(HistoryPage { versions, total: self.history_total(connection, request, since)?, next })
        })
    }

    fn step(
        &self,
        connection: &Connection,
        scope: &HistoryScope,
        before: Seq,
        since: Seq,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let limit = limit as i64;
        match scope {
            HistoryScope::System => {
                let sql = format!("SELECT {COLUMNS} FROM log WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC LIMIT ?3");
                self.many(connection, &sql, params![before, since, limit])
            }
            HistoryScope::Type(ty) => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM log WHERE ty = ?4 AND seq < ?1 AND seq > ?2 ORDER BY seq DESC LIMIT ?3"
                );
                self.many(connection, &sql, params![before, since, limit, self.codec.numbers.disk(*ty)])
            }
            HistoryScope::Instance(ty, id) => {
                let mut versions = Vec::new();
                let mut at: Option<Seq> = connection
                    .prepare_cached("SELECT seq FROM res WHERE ty = ?1 AND id = ?2")?
                    .query_row(params![self.codec.numbers.disk(*ty), id_to_disk(id)], |row| row.get(0))
                    .optional()?;
                let mut previous = connection.prepare_cached("SELECT prev FROM log WHERE seq = ?1")?;
                while let Some(seq) = at.filter(|seq| *seq > since && (versions.len() as i64) < limit) {
                    if seq < before {
                        versions.extend(self.by_seq(connection, seq)?);
                    }
                    at = Some(previous.query_row([seq], |row| row.get(0))?);
                }
                Ok(versions)
            }
        }
    }

    /// Whether the version was current at some time in the range: it came before its end, and its successor after its start.
    fn is_at(&self, connection: &Connection, version: &Stored, range: Option<(i64, i64)>) -> Result<bool, StoreError> {
        let Some((start, end)) = range else { return Ok(true) };
        if version.at_us > end {
            return Ok(false);
        }
        let mut successor: Option<Stored> = None;
        let mut newer = self.read_current(connection, version)?;
        while let Some(stored) = newer.filter(|stored| stored.seq > version.seq) {
            let previous: Seq = connection
                .prepare_cached("SELECT prev FROM log WHERE seq = ?1")?
                .query_row([stored.seq], |row| row.get(0))?;
            newer = self.by_seq(connection, previous)?;
            successor = Some(stored);
        }
        Ok(successor.is_none_or(|successor| successor.at_us > start))
    }

    fn read_current(&self, connection: &Connection, version: &Stored) -> Result<Option<Stored>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM res JOIN log ON log.seq = res.seq WHERE res.ty = ?1 AND res.id = ?2");
        self.one(connection, &sql, params![self.codec.numbers.disk(version.ty), id_to_disk(&version.id)])
    }

    /// Known without counting bodies, except with `_at`.
    fn history_total(
        &self,
        connection: &Connection,
        request: &HistoryRequest,
        since: Seq,
    ) -> Result<Option<u64>, StoreError> {
        if request.at_us.is_some() {
            return Ok(None);
        }
        Ok(match &request.scope {
            HistoryScope::System => Some(self.last_seq().saturating_sub(since)),
            HistoryScope::Type(ty) => Some(
                connection
                    .prepare_cached("SELECT count(*) FROM log WHERE ty = ?1 AND seq > ?2")?
                    .query_row(params![self.codec.numbers.disk(*ty), since], |row| row.get(0))?,
            ),
            HistoryScope::Instance(ty, id) if since == 0 => connection
                .prepare_cached("SELECT ver FROM res WHERE ty = ?1 AND id = ?2")?
                .query_row(params![self.codec.numbers.disk(*ty), id_to_disk(id)], |row| row.get(0))
                .optional()?,
            HistoryScope::Instance(..) => None,
        })
    }
}
