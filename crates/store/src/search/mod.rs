//! Search execution. This file is the contract the embedded engine is written against; the executor itself follows.

use crate::embedded::Shared;
use crate::{SearchPage, SearchRequest, StoreError};
use fhir::defs::TypeId;
use fhir::query::Filter;

/// `shared` answers bodies (`stored_many`), time to seq (`seq_at`), the visible seq (`last_seq`) and the clock (`now_us`).
pub(crate) fn search(_shared: &Shared, _request: &SearchRequest<'_>) -> Result<SearchPage, StoreError> {
    Err(StoreError::Limit("search follows"))
}

pub(crate) fn count(_shared: &Shared, _types: &[TypeId], _filter: &Filter) -> Result<u64, StoreError> {
    Err(StoreError::Limit("search follows"))
}

pub(crate) fn explain(_shared: &Shared, _types: &[TypeId], _filter: &Filter) -> Result<String, StoreError> {
    Err(StoreError::Limit("search follows"))
}
