//! Reader connections: opened when they are needed, kept for the next.

use super::schema;
use crate::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::path::PathBuf;

/// Idle connections kept open.
const IDLE_MAX: usize = 16;

/// The reader connections of one file.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Readers {
        Readers { path, idle: Mutex::default() }
    }

    /// Runs `job` with a connection of its own.
    pub(super) fn with<T>(&self, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let result = job(&connection);
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        result
    }

    pub(super) fn close_idle(&self) {
        self.idle.lock().clear();
    }
}
