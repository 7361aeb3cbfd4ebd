//! The embedded engine: one SQLite file per tenant, used log-first.

mod audit;
mod backup;
mod checkpoint;
mod codec;
mod commit;
mod doctor;
mod events;
mod history;
mod kv;
mod read;
mod readers;
mod schema;
mod segments;
mod small;
mod tally;
mod training;
mod writer;

pub(crate) use backup::restore;
pub(crate) use schema::{FORMAT, FORMAT_OLDEST};
pub(crate) use writer::Applied;

use crate::index::Index;
use crate::{AuditRecord, Clock, Stats, StoreError, TenantId};
use codec::{Codec, Dictionary, TypeNumbers};
use parking_lot::Mutex;
use readers::Readers;
use rusqlite::{Connection, OptionalExtension};
use seal::{DataKey, MasterKey, WrappedKey};
use segments::{IndexKeys, SegmentTables};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use writer::Message;

/// Everything the threads of one tenant share.
pub(crate) struct Shared {
    path: PathBuf,
    codec: Arc<Codec>,
    clock: Arc<dyn Clock>,
    /// Set once the tenant is open; the index stores its segments through the writer, which needs the rest of this.
    index: OnceLock<Index>,
    last_seq: AtomicU64,
    last_at_us: AtomicI64,
    audit_buffer: Mutex<Vec<AuditRecord>>,
    /// One trains dictionaries at a time, one folds counters.
    training: Mutex<()>,
    folding: Mutex<()>,
    readers: Arc<Readers>,
    inbox: SyncSender<Message>,
    closing: AtomicBool,
}

/// One open tenant. Dropping it closes it.
pub(crate) struct Embedded {
    pub(crate) shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// The directory stays locked as long as anybody has one of its tenants, even when the store itself is gone.
    _lock: Arc<File>,
}

impl Shared {
    pub(crate) fn index(&self) -> &Index {
        self.index.get().expect("a tenant has its index before anybody can use it")
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Acquire)
    }

    fn last_at_us(&self) -> i64 {
        self.last_at_us.load(Ordering::Relaxed)
    }

    pub(crate) fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Called by the writer after the fsync: first the index learns it, then everybody may see it.
    fn committed(&self, seq: u64, applied: Vec<Applied>) {
        if let Some(last) = applied.last() {
            self.last_at_us.store(last.at_us, Ordering::Relaxed);
            self.index().insert(&applied);
            self.last_seq.store(seq, Ordering::Release);
        }
    }

    /// Runs `job` with a reader connection.
    pub(crate) fn reading<T>(&self, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        self.readers.with(job)
    }

    /// Runs `job` on the writer's connection, between commits, in a transaction of its own; waits for it.
    pub(crate) fn writing<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        writing(&self.inbox, job)
    }

    pub(crate) fn stats(&self) -> Result<Stats, StoreError> {
        let bytes = |suffix: &str| {
            std::fs::metadata(format!("{}{suffix}", self.path.display())).map_or(0, |metadata| metadata.len())
        };
        Ok(Stats {
            counts: self.index().counts(),
            last_seq: self.last_seq(),
            disk_bytes: bytes("") + bytes("-wal"),
            pending: self.index().pending(),
            segments: self.index().segments(),
        })
    }
}

fn writing<T: Send + 'static>(
    inbox: &SyncSender<Message>,
    job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, result) = sync_channel(1);
    let run = move |connection: &Connection| {
        let begun = rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate);
        let outcome = begun.map_err(StoreError::from).and_then(|transaction| {
            let value = job(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        drop(answer.send(outcome));
    };
    inbox.send(Message::Run(Box::new(run))).map_err(|_| StoreError::Closed)?;
    result.recv().map_err(|_| StoreError::Closed)?
}

impl Embedded {
    /// Opens the tenant's file in `dir`, creating both when they are not there, and replays what the index lacks.
    pub(crate) fn open(
        dir: &Path,
        tenant: &TenantId,
        options: &crate::Options,
        lock: Arc<File>,
    ) -> Result<Embedded, StoreError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| StoreError::Io(format!("cannot create {}: {error}", dir.display())))?;
        let path = dir.join("weir.db");
        let is_new = !path.exists();
        let connection = schema::open_writer(&path)?;
        schema::check_format(&connection)?;
        if is_new {
            crate::format::sync_new_dir(dir)?;
        }
        let key = data_key(&connection, &options.master_key)?;
        let defs = fhir::defs::r4();
        let codec = Codec::new(tenant.0.clone(), key, type_numbers(&connection, defs)?);
        codec.format_1_until.store(schema::format_1_until(&connection)?, Ordering::Relaxed);
        load_dictionaries(&connection, &codec)?;
        small::load(&connection, &codec)?;
        tally::take_over(&codec, &connection)?;
        let last: Option<(u64, i64)> = connection
            .query_row("SELECT seq, at_us FROM log ORDER BY seq DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (last_seq, last_at_us) = last.unwrap_or((0, i64::MIN));
        let (inbox, outbox) = sync_channel(options.queue_max.max(1));
        let readers = Arc::new(Readers::new(path.clone()));
        let shared = Arc::new(Shared {
            path,
            codec: Arc::new(codec),
            clock: options.clock.clone(),
            index: OnceLock::new(),
            last_seq: AtomicU64::new(last_seq),
            last_at_us: AtomicI64::new(last_at_us),
            audit_buffer: Mutex::default(),
            training: Mutex::default(),
            folding: Mutex::default(),
            readers: readers.clone(),
            inbox: inbox.clone(),
            closing: AtomicBool::new(false),
        });
        let writer = {
            let shared = shared.clone();
            spawn("weir-writer", move || writer::run(&shared, connection, &outbox))?
        };
        // From here on a failure drops this, which ends the writer.
        let embedded = Embedded {
            shared: shared.clone(),
            writer: Mutex::new(Some(writer)),
            keeper: Mutex::default(),
            _lock: lock,
        };
        let storage = Arc::new(SegmentTables { inbox, readers });
        drop(shared.index.set(open_index(&shared, storage, options.cache_bytes_max)?));
        shared.reading(|connection| read::replay(&shared, connection))?;
        let keeper = spawn("weir-keeper", move || checkpoint::run(&shared))?;
        *embedded.keeper.lock() = Some(keeper);
        Ok(embedded)
    }

    /// Finishes what is queued, writes the index out, and ends the threads. Later calls answer [`StoreError::Closed`].
    pub(crate) fn close(&self) {
        if self.shared.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        // First, so that no checkpoint of its own is in the way of the last one.
        join(&mut self.keeper.lock());
        // There is none when the tenant could not be opened.
        if let Some(Err(error)) = self.shared.index.get().map(Index::flush) {
            tracing::warn!(store.tenant = self.shared.codec.tenant, error = %error, "index not flushed at close");
        }
        // The file alone holds everything then, and the next start has no log to read through.
        self.shared.empty_wal();
        drop(self.shared.inbox.send(Message::Close));
        join(&mut self.writer.lock());
        self.shared.readers.close_idle();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

/// The index of the tenant. It can be derived from the log, so that a damaged one is made again instead of keeping the
/// tenant closed; a wrong key was noticed before, at the data key.
fn open_index(shared: &Shared, storage: Arc<SegmentTables>, cache_bytes_max: usize) -> Result<Index, StoreError> {
    let fingerprint = fhir::defs::r4().fingerprint;
    let open = || Index::open(storage.clone(), Arc::new(IndexKeys(shared.codec.clone())), fingerprint, cache_bytes_max);
    match open() {
        Err(StoreError::Unseal(error)) => {
            tracing::warn!(store.tenant = shared.codec.tenant, error, "index is damaged: made again from the log");
            storage.forget()?;
            open()
        }
        other => other,
    }
}

fn join(thread: &mut Option<JoinHandle<()>>) {
    if let Some(thread) = thread.take() {
        thread.thread().unpark();
        drop(thread.join());
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map_err(|error| StoreError::Io(format!("cannot start a thread: {error}")))
}

/// The tenant's data key; made on first use.
fn data_key(connection: &Connection, master: &MasterKey) -> Result<DataKey, StoreError> {
    let get = |name: &str| -> Result<Option<Vec<u8>>, StoreError> {
        Ok(connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?)
    };
    if let (Some(master_id), Some(sealed)) = (get("master_id")?, get("data_key")?) {
        let master_id = String::from_utf8_lossy(&master_id).into_owned();
        return Ok(master.unwrap(&WrappedKey { master_id, sealed })?);
    }
    let key = DataKey::generate(&seal::system_random);
    let wrapped = master.wrap(&key, &seal::system_random);
    connection.execute(
        "INSERT INTO meta VALUES ('master_id', ?1), ('data_key', ?2)",
        rusqlite::params![wrapped.master_id.as_bytes(), wrapped.sealed],
    )?;
    Ok(key)
}

fn type_numbers(connection: &Connection, defs: &fhir::defs::Definitions) -> Result<TypeNumbers, StoreError> {
    // In one transaction: each row by itself would wait for the disk.
    let transaction = connection.unchecked_transaction()?;
    let mut insert = transaction.prepare("INSERT OR IGNORE INTO types (name) VALUES (?1)")?;
    for ty in defs.resources() {
        insert.execute([defs.ty(ty).name])?;
    }
    drop(insert);
    transaction.commit()?;
    let mut select = connection.prepare("SELECT n, name FROM types")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?;
    Ok(TypeNumbers::new(defs, &rows))
}

fn load_dictionaries(connection: &Connection, codec: &Codec) -> Result<(), StoreError> {
    let mut select = connection.prepare("SELECT n, ty, body FROM dicts ORDER BY n")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (n, ty, body): (i64, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        codec.add_dictionary(ty, Dictionary::new(n, &codec.open(&format!("dict {n}"), &body)?));
    }
    Ok(())
}
