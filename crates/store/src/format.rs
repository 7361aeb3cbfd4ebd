//! The format number of a data directory or backup, and names that survive a power cut.

use crate::StoreError;
use crate::embedded::{FORMAT, FORMAT_OLDEST};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The format of `dir`, if this build opens it.
pub(crate) fn check(dir: &Path) -> Result<u32, StoreError> {
    let path = dir.join("FORMAT");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| StoreError::Io(format!("cannot read {}: {error}", path.display())))?;
    let found = text.trim().parse().unwrap_or(0);
    accept(found)?;
    Ok(found)
}

/// Opens `dir` for this build: from then on no older one does.
pub(crate) fn take_over(dir: &Path) -> Result<(), StoreError> {
    if check(dir)? < FORMAT { write(dir) } else { Ok(()) }
}

/// Whether this build opens format `found`.
pub(crate) fn accept(found: u32) -> Result<(), StoreError> {
    if (FORMAT_OLDEST..=FORMAT).contains(&found) {
        return Ok(());
    }
    let hint =
        if found > FORMAT { "use the newer weir that wrote it" } else { "export with the older weir and load here" };
    Err(StoreError::Format { found, needed: FORMAT, hint })
}

/// Marks `dir` with the format of this build. The file is there whole or not at all: an empty one after a power cut
/// would keep the store from opening.
pub(crate) fn write(dir: &Path) -> Result<(), StoreError> {
    let draft = dir.join("FORMAT.new");
    let write = || {
        let mut file = File::create(&draft)?;
        writeln!(file, "{FORMAT}")?;
        file.sync_all()?;
        std::fs::rename(&draft, dir.join("FORMAT"))?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| StoreError::Io(format!("cannot write to {}: {error}", dir.display())))
}

/// Makes a tenant's new directory durable: the names in it, its own in `tenants`, and that one in the data directory.
pub(crate) fn sync_new_dir(dir: &Path) -> Result<(), StoreError> {
    for dir in dir.ancestors().take(3).filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir)
            .and_then(|file| file.sync_all())
            .map_err(|error| StoreError::Io(format!("cannot sync {}: {error}", dir.display())))?;
    }
    Ok(())
}
