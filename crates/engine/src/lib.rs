//! The one door: every read and write of clinical data goes through [`Engine`] with a [`Session`].

mod api;

pub use api::*;

use fhir::defs::TypeId;
use fhir::outcome::Issue;
use std::sync::Arc;

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

/// See the module documentation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    _inner: Arc<Options>,
}

/// The body of a patch request.
#[derive(Clone, Copy, Debug)]
pub enum Patch<'a> {
    Json(&'a [u8]),
    FhirPath(&'a [u8]),
}

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

macro_rules! pending {
    () => {
        unreachable!("filled in by the engine work")
    };
}

impl Engine {
    pub async fn read(&self, _session: &Session, _ty: TypeId, _id: &str) -> Result<Resource, Error> {
        pending!()
    }

    pub async fn vread(&self, _session: &Session, _ty: TypeId, _id: &str, _version: u64) -> Result<Resource, Error> {
        pending!()
    }

    /// `body`: JSON from outside. Answers 201-like [`Change::Created`] or [`Change::Existed`] (If-None-Exist).
    pub async fn create(
        &self,
        _session: &Session,
        _ty: TypeId,
        _body: &[u8],
        _precondition: &Precondition,
    ) -> Result<Written, Error> {
        pending!()
    }

    /// `id` is `None` for a conditional update.
    pub async fn update(
        &self,
        _session: &Session,
        _ty: TypeId,
        _id: Option<&str>,
        _body: &[u8],
        _precondition: &Precondition,
    ) -> Result<Written, Error> {
        pending!()
    }

    pub async fn patch(
        &self,
        _session: &Session,
        _ty: TypeId,
        _id: Option<&str>,
        _patch: Patch<'_>,
        _precondition: &Precondition,
    ) -> Result<Written, Error> {
        pending!()
    }

    /// Idempotent. A conditional delete (`id` `None`) of several matches deletes all of them.
    pub async fn delete(
        &self,
        _session: &Session,
        _ty: TypeId,
        _id: Option<&str>,
        _precondition: &Precondition,
    ) -> Result<Written, Error> {
        pending!()
    }

    pub async fn search(&self, _session: &Session, _search: &Search<'_>) -> Result<Page, Error> {
        pending!()
    }

    pub async fn history(&self, _session: &Session, _history: &History) -> Result<HistoryPage, Error> {
        pending!()
    }

    /// A Bundle of type `batch` or `transaction`.
    pub async fn bundle(&self, _session: &Session, _body: &[u8]) -> Result<BundleResponse, Error> {
        pending!()
    }

    /// Patient or Encounter `$everything`: `_since`, `_type`, `_count`, `start`, `end` in `pairs`.
    pub async fn everything(
        &self,
        _session: &Session,
        _ty: TypeId,
        _id: Option<&str>,
        _pairs: &[(String, String)],
        _cursor: Option<&str>,
    ) -> Result<Page, Error> {
        pending!()
    }

    /// `$validate`: never an error for an invalid resource; the issues say it.
    pub async fn validate(&self, _session: &Session, _ty: Option<TypeId>, _body: &[u8]) -> Result<Vec<Issue>, Error> {
        pending!()
    }

    /// `$meta`, `$meta-add`, `$meta-delete` on an instance; answers Parameters with the meta.
    pub async fn meta(
        &self,
        _session: &Session,
        _ty: TypeId,
        _id: &str,
        _change: MetaChange<'_>,
    ) -> Result<Vec<u8>, Error> {
        pending!()
    }

    /// For the start page and `/metrics`.
    pub async fn stats(&self, _session: &Session) -> Result<store::Stats, Error> {
        pending!()
    }
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
