//! Backup of a running tenant, restore of a whole store, and giving space back.

use super::{Shared, schema};
use crate::StoreError;
use rusqlite::Connection;
use std::path::Path;

fn io(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io(format!("cannot {what} {}: {error}", path.display()))
}

impl Shared {
    /// Writes a consistent copy of the tenant's file to `to` (which must not exist) while others go on writing.
    /// What is not merged into the index yet is replayed from the log when the copy is opened.
    pub(crate) fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let parent = to.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(|error| io("create", parent, &error))?;
        if to.exists() {
            return Err(StoreError::Io(format!("{} exists already: name an empty directory", to.display())));
        }
        let target = to.to_str().ok_or(StoreError::Io("backup path is not valid UTF-8".into()))?;
        let connection = schema::open_reader(&self.path)?;
        connection.execute("VACUUM INTO ?1", [target])?;
        let copy = std::fs::File::open(to).map_err(|error| io("open", to, &error))?;
        copy.sync_all().map_err(|error| io("sync", to, &error))?;
        crate::format::sync_new_dir(parent)
    }
}

/// Rewrites the file without its free pages. Runs between commits; writers wait.
pub(super) fn vacuum(shared: &Shared) -> Result<(), StoreError> {
    let (answer, result) = std::sync::mpsc::sync_channel(1);
    let job = move |connection: &Connection| {
        let outcome = connection.execute_batch("VACUUM").and_then(|()| super::checkpoint::truncate(connection));
        drop(answer.send(outcome));
    };
    shared.inbox.send(super::Message::Run(Box::new(job))).map_err(|_| StoreError::Closed)?;
    result.recv().map_err(|_| StoreError::Closed)??;
    Ok(())
}

/// Copies a backup to a new data directory after checking that it is one.
pub(crate) fn restore(from: &Path, to: &Path) -> Result<Vec<String>, StoreError> {
    crate::format::check(from)?;
    let tenants = crate::tenant_names(from)?;
    if tenants.is_empty() {
        return Err(StoreError::Io(format!("{} holds no tenant: not a backup of weir", from.display())));
    }
    if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(StoreError::Io(format!("{} is not empty: restore into a new directory", to.display())));
    }
    for tenant in &tenants {
        let source = from.join("tenants").join(tenant).join("weir.db");
        let check = Connection::open_with_flags(&source, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let verdict: String = check.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Io(format!("backup of tenant {tenant} is damaged: take another one")));
        }
        let dir = to.join("tenants").join(tenant);
        std::fs::create_dir_all(&dir).map_err(|error| io("create", &dir, &error))?;
        let target = dir.join("weir.db");
        std::fs::copy(&source, &target).map_err(|error| io("write", &target, &error))?;
        let copy = std::fs::File::open(&target).map_err(|error| io("open", &target, &error))?;
        copy.sync_all().map_err(|error| io("sync", &target, &error))?;
        crate::format::sync_new_dir(&dir)?;
    }
    crate::format::write(to)?;
    Ok(tenants)
}
