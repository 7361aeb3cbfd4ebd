//! Changing a resource by a list of operations: JSON Patch (RFC 6902) and FHIRPath Patch.
//!
//! A patch is applied as a whole or not at all: the resource that is given stays as it is.

mod fhirpath;
mod json;
mod pointer;
mod way;

pub use fhirpath::fhirpath_patch;
pub use json::json_patch;

/// Why a patch cannot be applied. Messages name the operation, the pointer or path, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch as a whole has the wrong shape.
    #[error("{0}")]
    Shape(&'static str),
    /// An operation has the wrong shape. `index` counts operations from 0.
    #[error("operation {index}: {problem}")]
    Operation { index: usize, problem: &'static str },
    /// The place an operation names does not exist or does not fit.
    #[error("operation {index}: {problem} at {place}")]
    Place { index: usize, place: String, problem: &'static str },
    /// A `test` operation that does not hold.
    #[error("operation {index}: the value at {pointer} is another")]
    TestFailed { index: usize, pointer: String },
    /// A path that cannot be evaluated.
    #[error("operation {index}: path: {source}")]
    Path { index: usize, source: crate::fhirpath::Error },
    #[error("the patch makes the resource too large")]
    TooLarge,
}

/// Most operations in one patch.
const OPERATIONS_MAX: usize = 1_000;
