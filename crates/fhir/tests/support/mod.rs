//! Shared test data, and FHIR XML as FHIR JSON.

mod shared_data;
pub(crate) mod xml;

pub(crate) use shared_data::shared_data;

pub(crate) fn read_shared(path: &str) -> String {
    let path = shared_data().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
