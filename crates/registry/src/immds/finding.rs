//! What Conditions, Observations and AllergyIntolerances mean to a schedule: only what holds on the day counts.

use crate::read::{Finding, findings};
use fhir::json::Node;
use vaccines::{Date, Observed, Schedule};

/// What a resource says about the person on the day; of an Immunization what its contained Observations (reactions) say.
pub(super) fn observed(schedule: &Schedule, resource: Node<'_>, today: Date) -> Vec<Observed> {
    findings(resource).iter().flat_map(|finding| of_finding(schedule, finding, today)).collect()
}

/// What a finding means to a schedule on the day.
fn of_finding(schedule: &Schedule, finding: &Finding, today: Date) -> Vec<Observed> {
    crate::programme::observed_by(schedule, &finding.codes, finding.date, finding.until, today)
}
