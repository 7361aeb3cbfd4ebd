//! The keeper thread: moves the write-ahead log into the file, trains dictionaries, folds counters, and lets the index tidy up.

use super::{Message, Shared, schema, training};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(200);
/// Past this the log is emptied whole, with the writer waiting: passive checkpoints alone never let it shrink under load.
/// While a long read (a backup) holds on to it that cannot be done, and the log grows until the read ends.
const WAL_BYTES_MAX: u64 = 64 << 20;
const WAL_BYTES_PASSIVE: u64 = 1 << 20;
/// How long the writer, and every commit behind it, waits for readers to let go of the log.
const READERS_WAIT: Duration = Duration::from_millis(20);
/// Pauses before the next try when they did not.
const PAUSES_AFTER_BUSY: u32 = 10;

pub(super) fn run(shared: &Arc<Shared>) {
    let connection = match schema::open_checkpointer(&shared.path) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(store.tenant = shared.codec.tenant, error = %error, "keeper cannot open the file");
            return;
        }
    };
    let wal = PathBuf::from(format!("{}-wal", shared.path.display()));
    let mut pauses = 0_u32;
    while !shared.closing.load(Ordering::Acquire) {
        std::thread::park_timeout(PAUSE);
        pauses = pauses.saturating_sub(1);
        let bytes = std::fs::metadata(&wal).map_or(0, |metadata| metadata.len());
        // First without the writer, so that little is left to do while it waits.
        if bytes >= WAL_BYTES_PASSIVE
            && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        {
            tracing::warn!(store.tenant = shared.codec.tenant, error = %error, "checkpoint failed");
        }
        if bytes >= WAL_BYTES_MAX && pauses == 0 && !shared.empty_wal() {
            pauses = PAUSES_AFTER_BUSY;
        }
        // One that fails, on a damaged row, keeps none of the others from going on.
        for result in [training::train_due(shared), shared.fold_due(), shared.index().maintain(shared.now_us())] {
            let closing = shared.closing.load(Ordering::Acquire);
            if let Err(error) = result
                && !closing
            {
                tracing::warn!(store.tenant = shared.codec.tenant, error = %error, "background work failed");
            }
        }
    }
}

impl Shared {
    /// Empties the write-ahead log on the writer's own connection, so that the two never fight for the lock, and waits
    /// for it. `false` when a reader held on to the log, or the writer has ended and the log with it.
    pub(super) fn empty_wal(&self) -> bool {
        let (answer, result) = sync_channel(1);
        let job = move |connection: &Connection| {
            let emptied = truncate(connection).unwrap_or_else(|error| {
                tracing::warn!(error = %error, "write-ahead log not emptied");
                false
            });
            let _ = answer.send(emptied);
        };
        drop(self.inbox.send(Message::Run(Box::new(job))));
        result.recv().unwrap_or(false)
    }
}

/// Moves the whole log into the file and cuts it to nothing; `false` when a reader is in the way for too long.
pub(super) fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(READERS_WAIT)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(schema::BUSY_TIMEOUT)?;
    Ok(!busy?)
}
