//! The one door: every read and write of clinical data goes through [`Engine`] with a [`Session`].

mod api;
mod audit;
mod bundle;
mod conditional;
mod create;
mod delete;
mod derived;
mod edits;
mod error;
mod etag;
mod everything;
mod feed;
mod history;
mod include;
mod labels;
mod meta;
mod operation;
mod patch;
mod policy;
mod prepare;
mod read;
mod search;
mod subset;
mod terminology;
mod trail;
mod update;
mod validate;

pub use api::*;
pub use derived::{Boxed, Derived, DerivedResource, Deriver, Ticket};
pub use etag::{IfMatch, version_of};
pub use feed::{Feed, Followed, Keep};
pub use validate::PROFILES_UNCHECKED;

use fhir::defs::TypeId;
use std::sync::Arc;
use store::{Clock, Store};

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct Options {
    pub validation: Validation,
    pub transaction_entries_max: usize,
    pub page_default: u32,
    pub page_max: u32,
    /// Resources a page may carry by `_include` and `_revinclude`.
    pub includes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    Off,
    Structure,
    Full,
}

/// Fills a slice with random bytes: the system's generator in production, a seeded one in tests.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// A UUIDv7: ids sort by the time of their making (`now_us`, microseconds since 1970), and what comes together lies together
/// in the store.
pub fn new_uuid(now_us: i64, random: &Random) -> uuid::Uuid {
    let mut bytes = [0; 10];
    random(&mut bytes);
    let millis = u64::try_from(now_us / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// See the module documentation. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    deriver: Option<Arc<dyn Deriver>>,
}

struct Inner {
    store: Store,
    options: Options,
    clock: Arc<dyn Clock>,
    random: Random,
    policy: policy::Policy,
    known: policy::KnownTenants,
    locks: conditional::Locks,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            validation: Validation::Full,
            transaction_entries_max: 20_000,
            page_default: 20,
            page_max: 1_000,
            includes_max: 1_000,
        }
    }
}

impl Engine {
    pub fn new(store: Store, options: Options, clock: Arc<dyn Clock>, random: Random) -> Engine {
        let policy = policy::Policy::local_admin();
        Engine {
            deriver: None,
            inner: Arc::new(Inner {
                store,
                options,
                clock,
                random,
                policy,
                known: Default::default(),
                locks: Default::default(),
            }),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The engine's clock, in microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.inner.clock.now_us()
    }

    /// Fills `out` from the engine's random source.
    pub fn fill_random(&self, out: &mut [u8]) {
        (self.inner.random)(out);
    }

    /// A UUIDv7: ids of one type sort by the time of their creation.
    pub(crate) fn new_id(&self) -> String {
        new_uuid(self.now_us(), &self.inner.random).to_string()
    }

    /// Numbers about the tenant for the start page and `/metrics`: no clinical data, hence no audit record.
    pub async fn stats(&self, session: &Session) -> Result<store::Stats, Error> {
        Ok(self.tenant(session)?.stats().await?)
    }
}

/// The body of a patch request.
#[derive(Clone, Copy, Debug)]
pub enum Patch<'a> {
    Json(&'a [u8]),
    FhirPath(&'a [u8]),
}

/// Name of the parameter that carries [`Search::cursor`] in links: those of `api` and those inside Bundles.
pub const PAGE: &str = "_page";

/// A search as it arrives.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// `None`: all types, or those of `_type`.
    pub ty: Option<TypeId>,
    /// `(owner type, owner id)` of a compartment search.
    pub compartment: Option<(TypeId, &'a str)>,
    /// Decoded pairs in request order.
    pub pairs: &'a [(String, String)],
    pub lenient: bool,
    /// Opaque cursor from a page link.
    pub cursor: Option<&'a str>,
}

/// Which history. See `store::HistoryScope`.
#[derive(Clone, Debug)]
pub struct History {
    pub scope: store::HistoryScope,
    pub since_us: Option<i64>,
    pub at_us: Option<(i64, i64)>,
    pub cursor: Option<String>,
    pub count: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    pub versions: Vec<Resource>,
    pub total: Option<u64>,
    pub next: Option<String>,
}

/// The answer to a batch or transaction: a Bundle of type `batch-response` or `transaction-response`.
#[derive(Clone, Debug)]
pub struct BundleResponse {
    pub json: Vec<u8>,
}

/// What to do with a resource's meta.
#[derive(Clone, Copy, Debug)]
pub enum MetaChange<'a> {
    Read,
    /// Parameters resource with the meta to add.
    Add(&'a [u8]),
    /// Parameters resource with the meta to delete.
    Delete(&'a [u8]),
}
