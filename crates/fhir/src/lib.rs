//! What FHIR R4 knows, without I/O: documents, definitions, paths, search parameters, validation, patches, outcomes.

pub mod decimal;
pub mod defs;
pub mod fhirpath;
pub mod index;
pub mod json;
pub mod nearest;
pub mod outcome;
pub mod patch;
mod path;
pub mod query;
pub mod temporal;
pub mod validate;
