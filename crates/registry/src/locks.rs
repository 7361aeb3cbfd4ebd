//! Who waits for whom: two writes about one person go one after the other, all others at the same time. There are locks by
//! person and by patient, and who builds on what another commit is about to write waits for the end of that commit.

use crate::row::PersonId;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

/// Persons share stripes: enough that two at the same time seldom do.
const STRIPES: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Locks(Vec<Arc<Mutex<()>>>);

pub(crate) type Held = Vec<OwnedMutexGuard<()>>;

impl Default for Locks {
    fn default() -> Locks {
        Locks((0..STRIPES).map(|_| Arc::default()).collect())
    }
}

pub(crate) fn of_person(person: PersonId) -> usize {
    stripe(person.hash())
}

/// Of a patient who is not known yet.
pub(crate) fn of_patient(id: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    stripe(hasher.finish())
}

fn stripe(hash: u64) -> usize {
    (hash % STRIPES as u64) as usize
}

impl Locks {
    /// Everybody's.
    pub(crate) async fn hold_all(&self) -> Held {
        self.hold((0..STRIPES).collect()).await
    }

    /// Those of some persons.
    pub(crate) async fn hold_persons(&self, persons: &[PersonId]) -> Held {
        self.hold(persons.iter().map(|person| of_person(*person)).collect()).await
    }

    /// All of `stripes`, always in one order: no two holders wait for each other.
    pub(crate) async fn hold(&self, mut stripes: Vec<usize>) -> Held {
        stripes.sort_unstable();
        stripes.dedup();
        let mut held = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            held.push(self.0[stripe].clone().lock_owned().await);
        }
        held
    }
}

/// Kept while a commit is on the way.
#[derive(Debug)]
pub(crate) struct OnTheWay(watch::Sender<()>);

/// The end of a commit, made or not.
#[derive(Clone, Debug)]
pub(crate) struct End(watch::Receiver<()>);

impl Default for OnTheWay {
    fn default() -> OnTheWay {
        OnTheWay(watch::Sender::new(()))
    }
}

impl OnTheWay {
    pub(crate) fn end(&self) -> End {
        End(self.0.subscribe())
    }
}

impl End {
    /// Nothing is ever sent: the channel closes when what is on the way is dropped.
    pub(crate) async fn reached(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}
