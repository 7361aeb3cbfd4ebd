//! Reading versions, the change feed, and what the index lacks after a start.

use super::Shared;
use super::codec::{Place, id_from_disk, id_to_disk, op_from_disk, splice_from_disk};
use super::writer::Applied;
use crate::{Op, Seq, StoreError, Stored};
use fhir::defs::TypeId;
use fhir::json::{Document, Limits};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The columns [`Shared::stored`] reads, in its order.
pub(super) const COLUMNS: &str =
    "log.seq, log.ty, log.id, log.ver, log.op, log.at_us, log.splice, log.dict, log.body, log.prev";

/// Rows indexed per step of a replay.
const REPLAY_STEP: usize = 2_000;

impl Shared {
    /// A row of [`COLUMNS`], its body opened.
    pub(super) fn stored(&self, row: &Row<'_>) -> Result<Stored, StoreError> {
        let ty_disk: i64 = row.get(1)?;
        let version: u64 = row.get(3)?;
        let blob = |at| {
            row.get_ref(at)
                .map_err(StoreError::from)?
                .as_blob()
                .map_err(|_| StoreError::Unseal("column is damaged".into()))
        };
        let id = blob(2)?;
        let (seq, op, splice) = (row.get(0)?, row.get(4)?, row.get(6)?);
        let place = Place { ty: ty_disk, id, version, op, splice };
        let body = self.codec.decode(seq, &place, row.get(7)?, blob(8)?)?;
        Ok(Stored {
            seq,
            ty: self.codec.numbers.ty(ty_disk)?,
            id: id_from_disk(id),
            version,
            at_us: row.get(5)?,
            op: op_from_disk(op),
            body,
            splice: splice_from_disk(splice),
        })
    }

    pub(super) fn one(
        &self,
        connection: &Connection,
        sql: &str,
        args: impl rusqlite::Params,
    ) -> Result<Option<Stored>, StoreError> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(args)?;
        rows.next()?.map(|row| self.stored(row)).transpose()
    }

    pub(super) fn many(
        &self,
        connection: &Connection,
        sql: &str,
        args: impl rusqlite::Params,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(args)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(self.stored(row)?);
        }
        Ok(found)
    }

    pub(crate) fn read(&self, ty: TypeId, id: &str) -> Result<Option<Stored>, StoreError> {
        const SQL: &str = "SELECT log.seq, log.ty, log.id, log.ver, log.op, log.at_us, log.splice, log.dict, log.body, log.prev \
             FROM res JOIN log ON log.seq = res.seq WHERE res.ty = ?1 AND res.id = ?2";
        let args = params![self.codec.numbers.disk(ty), id_to_disk(id)];
        self.reading(|connection| self.one(connection, SQL, args))
    }

    /// Walks the chain of versions from the newest: a resource seldom has many.
    pub(crate) fn read_version(&self, ty: TypeId, id: &str, version: u64) -> Result<Option<Stored>, StoreError> {
        self.reading(|connection| {
            let current: Option<(i64, u64)> = connection
                .prepare_cached("SELECT seq, ver FROM res WHERE ty = ?1 AND id = ?2")?
                .query_row(params![self.codec.numbers.disk(ty), id_to_disk(id)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((mut seq, mut at)) = current else { return Ok(None) };
            let mut previous = connection.prepare_cached("SELECT prev FROM log WHERE seq = ?1")?;
            while at > version && seq > 0 {
                seq = previous.query_row([seq], |row| row.get(0))?;
                at -= 1;
            }
            if at != version { Ok(None) } else { self.by_seq(connection, seq as u64) }
        })
    }

    pub(crate) fn by_seq(&self, connection: &Connection, seq: Seq) -> Result<Option<Stored>, StoreError> {
        self.one(connection, &format!("SELECT {COLUMNS} FROM log WHERE seq = ?1"), [seq])
    }

    /// The change feed: versions in commit order after `after`.
    pub(crate) fn changes(&self, after: Seq, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM log WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3");
        let visible = self.last_seq();
        self.reading(|connection| self.many(connection, &sql, params![after, visible, limit as i64]))
    }

    pub(crate) fn count_changes(&self, after: Seq, span: u64, types: &[TypeId]) -> Result<(u64, Seq), StoreError> {
        let until = self.last_seq().min(after.saturating_add(span));
        self.reading(|connection| {
            let sql = "SELECT count(*) FROM log WHERE ty = ?1 AND seq > ?2 AND seq <= ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let sum = types.iter().try_fold(0, |sum, ty| {
                let count: u64 =
                    statement.query_row(params![self.codec.numbers.disk(*ty), after, until], |row| row.get(0))?;
                Ok::<_, StoreError>(sum + count)
            })?;
            Ok((sum, until))
        })
    }

    /// Change number of the last version at or before a time; times never run backwards in the log.
    pub(crate) fn seq_at(&self, at_us: i64) -> Result<Seq, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT at_us FROM log WHERE seq = ?1")?;
            let (mut low, mut high) = (0, self.last_seq());
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                let at: i64 = statement.query_row([middle], |row| row.get(0))?;
                if at <= at_us { low = middle } else { high = middle - 1 }
            }
            Ok(low)
        })
    }
}

/// Feeds the index every version after the last one it has on disk.
pub(super) fn replay(shared: &Shared, connection: &Connection) -> Result<(), StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut after = shared.index().applied();
    loop {
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![after, REPLAY_STEP as i64])?;
        let mut applied = Vec::new();
        while let Some(row) = rows.next()? {
            applied.push(indexed(shared.stored(row)?, row.get(9)?)?);
        }
        let Some(last) = applied.last() else { return Ok(()) };
        after = last.seq;
        shared.index().insert(&applied);
        // A long replay must not gather in memory.
        if shared.index().is_overloaded() {
            shared.index().maintain(shared.now_us())?;
        }
    }
}

/// What the writer would have told the index about this version.
pub(super) fn indexed(stored: Stored, prev: Seq) -> Result<Applied, StoreError> {
    let entries = if stored.op == Op::Delete {
        Vec::new()
    } else {
        let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
        let document = Document::parse(&stored.body, &limits)
            .map_err(|_| StoreError::Unseal(format!("body of change {} is not JSON", stored.seq)))?;
        fhir::index::extract(fhir::defs::r4(), stored.ty, document.root())
    };
    Ok(Applied { seq: stored.seq, ty: stored.ty, id: stored.id, op: stored.op, prev, at_us: stored.at_us, entries })
}
