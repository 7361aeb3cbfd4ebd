//! Where the index keeps its segments: two tables of the same file, written by the writer thread between commits.

use super::codec::Codec;
use super::readers::Readers;
use super::{Message, writing};
use crate::StoreError;
use crate::index::{Keys, SegmentStorage};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Block rows written or removed per writer job, so that commits wait little.
const STEP: usize = 32;

pub(super) struct SegmentTables {
    pub(super) inbox: SyncSender<Message>,
    pub(super) readers: Arc<Readers>,
}

impl SegmentTables {
    /// Not the tenant's own reading: the index is flushed while the tenant closes.
    fn reading<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.readers.with(|connection| Ok(job(connection)?))
    }

    /// Drops the list of segments. The index then removes their blocks and has nothing.
    pub(super) fn forget(&self) -> Result<(), StoreError> {
        writing(&self.inbox, |connection| {
            connection.execute("DELETE FROM idx_state", [])?;
            Ok(())
        })
    }
}

impl SegmentStorage for SegmentTables {
    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading(|connection| {
            connection.query_row("SELECT value FROM idx_state WHERE name = 'manifest'", [], |row| row.get(0)).optional()
        })
    }

    fn segments(&self) -> Result<Vec<u64>, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare("SELECT DISTINCT seg FROM idx_block")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    fn read(&self, segment: u64, block: u32) -> Result<Vec<u8>, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached("SELECT data FROM idx_block WHERE seg = ?1 AND no = ?2")?;
            statement.query_row(params![segment, block], |row| row.get(0))
        })
    }

    fn write(&self, segment: u64, first_block: u32, blocks: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let mut no = first_block;
        let mut blocks = blocks.into_iter().peekable();
        while blocks.peek().is_some() {
            let step: Vec<Vec<u8>> = blocks.by_ref().take(STEP).collect();
            let first = no;
            no += step.len() as u32;
            writing(&self.inbox, move |connection| {
                let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO idx_block VALUES (?1, ?2, ?3)")?;
                for (at, block) in step.iter().enumerate() {
                    insert.execute(params![segment, first + at as u32, block])?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn publish(&self, manifest: Vec<u8>) -> Result<(), StoreError> {
        writing(&self.inbox, move |connection| {
            connection.execute("INSERT OR REPLACE INTO idx_state VALUES ('manifest', ?1)", [manifest])?;
            Ok(())
        })
    }

    fn remove(&self, segment: u64) -> Result<(), StoreError> {
        loop {
            let removed = writing(&self.inbox, move |connection| {
                let sql =
                    "DELETE FROM idx_block WHERE seg = ?1 AND no IN (SELECT no FROM idx_block WHERE seg = ?1 LIMIT ?2)";
                Ok(connection.prepare_cached(sql)?.execute(params![segment, STEP as i64 * 4])?)
            })?;
            if removed == 0 {
                return Ok(());
            }
        }
    }
}

pub(super) struct IndexKeys(pub(super) Arc<Codec>);

impl IndexKeys {
    fn aad(&self, context: &[u8]) -> Vec<u8> {
        [self.0.tenant.as_bytes(), b"\0index\0", context].concat()
    }
}

impl Keys for IndexKeys {
    fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.key.seal(&self.aad(context), plain))
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.key.open(&self.aad(context), sealed)?)
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        self.0.key.hash64(b'I', &[bytes])
    }
}
