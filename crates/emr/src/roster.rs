//! Who watches and who follows the EMR of each destination, for those who show and steer it.

use crate::alerts::Witness;
use crate::openemr::Follower;
use std::sync::{Arc, PoisonError, RwLock};

/// What there is for one destination beside its delivery.
#[derive(Clone, Debug)]
pub struct Watched {
    pub tenant: String,
    pub name: String,
    pub witness: Witness,
    /// With two-way synchronisation.
    pub follower: Option<Arc<Follower>>,
}

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<RwLock<Vec<Watched>>>);

impl Roster {
    pub fn put(&self, watched: Watched) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(watched);
    }

    pub fn all(&self) -> Vec<Watched> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn get(&self, tenant: &str, name: &str) -> Option<Watched> {
        self.all().into_iter().find(|watched| watched.tenant == tenant && watched.name == name)
    }
}
