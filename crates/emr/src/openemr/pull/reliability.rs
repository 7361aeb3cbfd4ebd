//! Whether `_lastUpdated` of a type follows its edits.

/// By which requests the records of a type are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// `_lastUpdated` is the time of the last change: changes are found by it, and everything by windows of it.
    Time,
    /// It is the time of creation, or a clinical date, or missing: changes are found patient by patient.
    Patient,
}

/// Types whose time is one of creation or a clinical date, and Observation, part of which is.
const BY_PATIENT: [&str; 8] = [
    "CarePlan",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Goal",
    "Observation",
    "Provenance",
    "ServiceRequest",
];

/// How a type is best reached.
pub fn reach(name: &str) -> Reach {
    if BY_PATIENT.contains(&name) { Reach::Patient } else { Reach::Time }
}
