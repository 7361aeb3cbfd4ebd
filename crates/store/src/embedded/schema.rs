//! The tables of one tenant's file, and how a connection to it is opened.

use crate::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::Path;
use std::time::Duration;

/// Format of the directory and its files. A build writes exactly one.
///
/// 2: bodies are bound to what was done and to where version and time are put in, too. Files of format 1 become files of format 2 when
/// they are opened; their bodies stay as they are until `weir doctor --compact`.
///
/// 3: keys of counters are sealed, and there are events. No weir had written a counter before.
///
/// 4: counters are changes and blocks instead of a row each ([`super::tally`]), and are taken over when the file is opened. Small
/// values have dictionaries ([`super::small`]).
pub(crate) const FORMAT: u32 = 4;
/// The oldest format that is opened.
pub(crate) const FORMAT_OLDEST: u32 = 1;

/// `log` is the truth: every version of every resource, in commit order. Everything else can be derived from it or is
/// state of its own (claims, counters, queues, events, kept state, blobs, audit).
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS types (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS dicts (n INTEGER PRIMARY KEY, ty INTEGER NOT NULL, at_us INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS small_dicts (kind TEXT PRIMARY KEY, at_us INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY, ty INTEGER NOT NULL, id BLOB NOT NULL, ver INTEGER NOT NULL, op INTEGER NOT NULL,
    at_us INTEGER NOT NULL, prev INTEGER NOT NULL, splice INTEGER NOT NULL, dict INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS log_ty ON log (ty);
CREATE TABLE IF NOT EXISTS res (
    ty INTEGER NOT NULL, id BLOB NOT NULL, seq INTEGER NOT NULL, ver INTEGER NOT NULL, PRIMARY KEY (ty, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    first INTEGER PRIMARY KEY, n INTEGER NOT NULL, from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, block BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, owner BLOB NOT NULL, expires_us INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tally_log (no INTEGER PRIMARY KEY, changes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tally_block (gen INTEGER NOT NULL, name TEXT NOT NULL, no INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (gen, name, no)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (no INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, at_us INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_topic ON events (topic, no);
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, grp BLOB NOT NULL, not_before_us INTEGER NOT NULL,
    leased_until_us INTEGER NOT NULL DEFAULT 0, consumer TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS queue_due ON queue (queue, not_before_us, id);
CREATE INDEX IF NOT EXISTS queue_group ON queue (queue, grp, id);
CREATE TABLE IF NOT EXISTS state (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (key BLOB PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS idx_block (seg INTEGER NOT NULL, no INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (seg, no)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idx_state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
";

/// Notes the format in a new file, takes an older file over, and refuses a newer one: it may have been moved here alone.
pub(super) fn check_format(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?1)", [FORMAT])?;
    let found = connection.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0))?;
    crate::format::accept(found)?;
    if found < FORMAT {
        let transaction = connection.unchecked_transaction()?;
        if found == 1 {
            transaction.execute(
                "INSERT INTO meta SELECT 'format_1_until', coalesce(max(seq), 0) FROM log WHERE true ON CONFLICT DO NOTHING",
                [],
            )?;
        }
        transaction.execute("DROP TABLE IF EXISTS counters", [])?;
        transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'format'", [FORMAT])?;
        transaction.commit()?;
    }
    Ok(())
}

/// The last change whose body may be bound as in format 1; 0 when none is.
pub(super) fn format_1_until(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT value FROM meta WHERE name = 'format_1_until'";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// How long a connection waits for the lock of another one of this process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One process owns the file, so that SQLite needs neither shared memory nor file locks for each read (`unix-excl`).
fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags_and_vfs(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX, c"unix-excl")?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Otherwise SQLite prepares a range anew for each new bound, to see whether another plan fits it better: none does.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;")?;
    Ok(connection)
}

pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384; PRAGMA secure_delete = OFF;",
    )?;
    // In one transaction: each table by itself would wait for the disk.
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.commit()?;
    Ok(connection)
}

pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    Ok(open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// A second writing connection, used only to move the write-ahead log into the file.
pub(crate) fn open_checkpointer(path: &Path) -> Result<Connection, StoreError> {
    Ok(open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        // Neither SQL nor bound values are part of these messages, so that no PHI is.
        match error {
            rusqlite::Error::SqliteFailure(code, _) => StoreError::Io(format!("sqlite {:?}", code.code)),
            other => StoreError::Io(format!("sqlite: {}", kind_of(&other))),
        }
    }
}

fn kind_of(error: &rusqlite::Error) -> &'static str {
    match error {
        rusqlite::Error::QueryReturnedNoRows => "no row where one must be",
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => {
            "column of another type"
        }
        _ => "statement failed",
    }
}
