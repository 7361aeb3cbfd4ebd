//! The keeper thread: moves the write-ahead log into the file, trains dictionaries, and lets the index tidy up.

use super::{Shared, schema, training};
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
        let mode = match bytes {
            WAL_BYTES_MAX.. => "TRUNCATE",
            WAL_BYTES_PASSIVE.. => "PASSIVE",
            _ => "",
        };
        if !mode.is_empty()
            && let Err(error) = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
        {
            tracing::warn!(store.tenant = shared.codec.tenant, error = %error, "checkpoint failed");
        }
        let result = training::train_due(shared).and_then(|()| shared.index().maintain(shared.now_us()));
        if let Err(error) = result {
            tracing::warn!(store.tenant = shared.codec.tenant, error = %error, "background work failed");
        }
    }
}
