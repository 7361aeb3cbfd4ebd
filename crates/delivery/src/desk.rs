//! All running dispatchers, for those who show and steer them.

use crate::status::{Handle, Status};
use std::sync::{Arc, PoisonError, RwLock};

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Desk(Arc<RwLock<Vec<(String, Handle)>>>);

impl Desk {
    /// Puts a dispatcher of a tenant in place of an earlier one with the same name.
    pub fn put(&self, tenant: &str, handle: Handle) {
        let name = handle.status().name;
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(other, former)| other != tenant || former.status().name != name);
        all.push((tenant.to_owned(), handle));
    }

    /// Tenant and numbers of each destination.
    pub fn statuses(&self) -> Vec<(String, Status)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(tenant, handle)| (tenant.clone(), handle.status())).collect()
    }

    /// Asks all to finish what is in flight and to end.
    pub async fn stop(&self) {
        let all: Vec<Handle> = {
            let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
            all.iter().map(|(_, handle)| handle.clone()).collect()
        };
        for handle in all {
            handle.stop().await;
        }
    }

    pub fn get(&self, tenant: &str, name: &str) -> Option<Handle> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .find(|(other, handle)| other == tenant && handle.status().name == name)
            .map(|(_, handle)| handle.clone())
    }
}
