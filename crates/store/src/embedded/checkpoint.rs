//! The keeper thread: moves the write-ahead log into the file, trains dictionaries, and lets the index tidy up.

use super::{Message, Shared, schema, training};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(200);
/// Past this the log is emptied whole, with the writer waiting: passive checkpoints alone never let it shrink under load.
const WAL_BYTES_MAX: u64 = 64 << 20;
const WAL_BYTES_PASSIVE: u64 = 1 << 20;

pub(super) fn run(shared: &Arc<Shared>) {
    let connection = match schema::open_checkpointer(&shared.path) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(store.tenant = shared.codec.tenant, error = %error, "keeper cannot open the file");
            return;
        }
    };
    let wal = PathBuf::from(format!("{}-wal", shared.path.display()));
    while !shared.closing.load(Ordering::Acquire) {
        std::thread::park_timeout(PAUSE);
        let bytes = std::fs::metadata(&wal).map_or(0, |metadata| metadata.len());
        match bytes {
            WAL_BYTES_MAX.. => shared.empty_wal(),
            WAL_BYTES_PASSIVE.. => {
                if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                    tracing::warn!(store.tenant = shared.codec.tenant, error = %error, "checkpoint failed");
                }
            }
            _ => {}
        }
        let result = training::train_due(shared).and_then(|()| shared.index().maintain(shared.now_us()));
        let closing = shared.closing.load(Ordering::Acquire);
        if let Err(error) = result
            && !closing
        {
            tracing::warn!(store.tenant = shared.codec.tenant, error = %error, "background work failed");
        }
    }
}

impl Shared {
    /// Empties the write-ahead log on the writer's own connection, so that the two never fight for the lock.
    pub(super) fn empty_wal(&self) {
        let checkpoint = |connection: &Connection| {
            if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
                tracing::warn!(error = %error, "write-ahead log not emptied");
            }
        };
        // A closed inbox means that the writer has ended, and with it the log.
        drop(self.inbox.send(Message::Run(Box::new(checkpoint))));
    }
}
