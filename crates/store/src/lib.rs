//! The only crate that touches a disk: versioned resources, indexes, search execution, change log, audit, claims,
//! counters, queues and blobs of each tenant.
//!
//! [`Store`] opens tenants, [`Tenant`] is everything one tenant has. See ARCHITECTURE.md for the way of a write.

mod api;
mod clock;
mod embedded;
mod format;
mod index;
mod json;
mod search;
mod tenant;

pub use api::*;
pub use clock::{Clock, ManualClock};
pub use json::instant;
pub use tenant::Tenant;

use embedded::Embedded;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

/// A data directory with its tenants. Cheap to clone; one process at a time.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    tenants: Mutex<BTreeMap<TenantId, Tenant>>,
    /// Held as long as the store is open: a second process is refused.
    lock: Arc<File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.options.dir.display())
    }
}

impl Store {
    pub fn open(options: Options) -> Result<Store, StoreError> {
        let dir = &options.dir;
        let io =
            |what: &str, error: std::io::Error| StoreError::Io(format!("cannot {what} {}: {error}", dir.display()));
        std::fs::create_dir_all(dir).map_err(|error| io("create", error))?;
        let lock = File::create(dir.join("LOCK")).map_err(|error| io("lock", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(dir.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(io("lock", error)),
        }
        if dir.join("FORMAT").exists() {
            format::take_over(dir)?;
        } else {
            format::write(dir)?;
        }
        Ok(Store { inner: Arc::new(Inner { options, tenants: Mutex::default(), lock: Arc::new(lock) }) })
    }

    /// Opens a tenant, creating it when it is not there.
    pub fn tenant(&self, id: &TenantId) -> Result<Tenant, StoreError> {
        let mut tenants = self.inner.tenants.lock();
        if let Some(tenant) = tenants.get(id) {
            return Ok(tenant.clone());
        }
        let valid =
            (1..=64).contains(&id.0.len()) && id.0.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !valid {
            return Err(StoreError::UnknownTenant);
        }
        let dir = self.inner.options.dir.join("tenants").join(&id.0);
        let tenant =
            Tenant { embedded: Arc::new(Embedded::open(&dir, id, &self.inner.options, self.inner.lock.clone())?) };
        tenants.insert(id.clone(), tenant.clone());
        Ok(tenant)
    }

    /// All tenants that exist, open or not.
    pub fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        Ok(tenant_names(&self.inner.options.dir)?.into_iter().map(TenantId).collect())
    }

    /// Finishes what is queued and writes everything out. Later calls answer [`StoreError::Closed`].
    pub fn close(&self) {
        for tenant in self.inner.tenants.lock().values() {
            tenant.embedded.close();
        }
    }

    /// Copies every tenant to the new directory `to`, consistently per tenant, while the store is in use.
    pub fn backup(&self, to: &Path) -> Result<Vec<TenantId>, StoreError> {
        let tenants = self.tenants()?;
        for id in &tenants {
            self.tenant(id)?.backup(&to.join("tenants").join(&id.0).join("weir.db"))?;
        }
        // Last: a backup that was cut short has no format and is not restored.
        format::write(to)?;
        Ok(tenants)
    }

    /// Makes a new data directory `to` from a backup; answers the tenants in it.
    pub fn restore(from: &Path, to: &Path) -> Result<Vec<String>, StoreError> {
        embedded::restore(from, to)
    }
}

fn tenant_names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let Ok(entries) = std::fs::read_dir(dir.join("tenants")) else { return Ok(Vec::new()) };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| dir.join("tenants").join(name).join("weir.db").exists())
        .collect();
    names.sort();
    Ok(names)
}
