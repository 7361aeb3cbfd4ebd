//! The keys of tokens: the one in force and, while a tenant changes it, the one that comes.
//!
//! A key has a number. Records under key 1 are kept in the space `record`, those under key 2 in `record-2`, and so on. While
//! the key is changed a record has a row under both. Matching asks one of them at a time, of which all rows are there:
//! names are counted and decisions made as if nothing went on.

use crate::Registry;
use crate::patient::Demographics;
use engine::{Error, Feed, Keep};
use identity::{Encoded, Index, Keys};
use seal::DataKey;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use store::StateChange;

/// Where keys are kept, and what else a tenant has one of.
pub(crate) const REGISTRY: &str = "registry";
const NUMBERS: &str = "keys";
const KEY_BYTES: usize = 32;

/// Which keys there are. Without a row: key 1 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    pub(crate) current: u32,
    /// The one that comes: records are being encoded under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u32>,
    /// One that is no more, whose records are still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone: Option<u32>,
}

impl Numbers {
    pub(crate) fn row(&self) -> StateChange {
        let value = serde_json::to_vec(self).expect("numbers are plain data");
        StateChange { space: REGISTRY.into(), key: NUMBERS.into(), value: Some(value) }
    }
}

/// The space of the records under a key.
pub(crate) fn space(number: u32) -> String {
    if number == 1 { "record".into() } else { format!("record-{number}") }
}

/// The row of a key; without bytes it is deleted.
pub(crate) fn key_row(number: u32, bytes: Option<&[u8; KEY_BYTES]>) -> StateChange {
    StateChange { space: REGISTRY.into(), key: format!("key-{number}"), value: bytes.map(|bytes| bytes.to_vec()) }
}

#[derive(Debug)]
pub(crate) struct TokenKey {
    pub(crate) space: String,
    pub(crate) keys: Keys,
}

impl TokenKey {
    pub(crate) fn new(number: u32, bytes: &[u8; KEY_BYTES]) -> Arc<TokenKey> {
        let keys = Keys::new(DataKey::generate(&|out| out.copy_from_slice(bytes)));
        Arc::new(TokenKey { space: space(number), keys })
    }

    /// A new key and its row.
    pub(crate) fn made(number: u32, registry: &Registry) -> (Arc<TokenKey>, StateChange) {
        let mut bytes = [0; KEY_BYTES];
        registry.fill_random(&mut bytes);
        (TokenKey::new(number, &bytes), key_row(number, Some(&bytes)))
    }

    async fn load(feed: &Feed, number: u32) -> Result<Option<Arc<TokenKey>>, Error> {
        let bytes = feed.state(REGISTRY, &format!("key-{number}")).await?;
        let read = |bytes: Vec<u8>| match <&[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(TokenKey::new(number, bytes)),
            Err(_) => Err(crate::broken("the key of tokens", &"it has another length")),
        };
        bytes.map(read).transpose()
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) current: Arc<TokenKey>,
    pub(crate) next: Option<Arc<TokenKey>>,
}

/// A record under every key of a ring.
#[derive(Clone, Debug)]
pub(crate) struct Encodings {
    pub(crate) ring: Arc<Ring>,
    pub(crate) current: Encoded,
    pub(crate) next: Option<Encoded>,
}

impl Ring {
    /// The tenant's keys, other ones than those that seal its data, and sealed by them. The first one is made when there is
    /// none.
    pub(crate) async fn load(registry: &Registry, feed: &Feed) -> Result<(Arc<Ring>, Numbers), Error> {
        let numbers = match feed.state(REGISTRY, NUMBERS).await? {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| crate::broken("the numbers of keys", &error))?
            }
            None => Numbers { current: 1, next: None, gone: None },
        };
        let lost = |number: u32| crate::broken("the key of tokens", &format!("key {number} is not there"));
        let current = match TokenKey::load(feed, numbers.current).await? {
            Some(key) => key,
            None if numbers.current == 1 && feed.states(&space(1), "", 1).await?.is_empty() => {
                let (key, row) = TokenKey::made(1, registry);
                feed.keep(Keep { state: vec![row], ..Keep::default() }).await?;
                key
            }
            None => return Err(lost(numbers.current)),
        };
        let next = match numbers.next {
            Some(number) => Some(TokenKey::load(feed, number).await?.ok_or_else(|| lost(number))?),
            None => None,
        };
        Ok((Arc::new(Ring { current, next }), numbers))
    }

    pub(crate) fn encode(self: &Arc<Ring>, demographics: &Demographics) -> Encodings {
        let next = self.next.as_ref().map(|next| demographics.encode(&next.keys));
        Encodings { ring: self.clone(), current: demographics.encode(&self.current.keys), next }
    }
}

/// Records under the key that comes.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    pub(crate) index: Index,
    pub(crate) numbers: HashMap<Box<str>, u32>,
}

impl Shadow {
    pub(crate) fn has(&self, id: &str) -> bool {
        self.numbers.contains_key(id)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Encoded> {
        self.index.get(*self.numbers.get(id)?)
    }

    pub(crate) fn put(&mut self, id: &str, encoded: Encoded) {
        self.remove(id);
        let number = self.index.insert(encoded);
        self.numbers.insert(id.into(), number);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(number) = self.numbers.remove(id) {
            self.index.remove(number);
        }
    }
}
