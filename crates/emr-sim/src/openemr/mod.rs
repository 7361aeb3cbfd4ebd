//! OpenEMR's FHIR API and the way to its other doors.

mod capability;
pub(crate) mod patient;
mod read;
mod references;
mod register;
mod search;
mod write;

use crate::http::{Reply, Request};
use crate::oauth::{self, scope};
use crate::options::Profile;
use crate::rest;
use crate::state::{Emr, State};

/// Types that OpenEMR serves by FHIR.
pub(crate) const TYPES: [&str; 20] = [
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "Location",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "Procedure",
    "ServiceRequest",
];

/// Types that the `openemr-writes` profile can create and update beyond the three that every OpenEMR can.
const MORE_WRITES: [&str; 9] = [
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "Location",
    "MedicationRequest",
    "Observation",
];

/// Whether FHIR create and update exist for a type.
fn writable(profile: Profile, resource_type: &str) -> bool {
    matches!(resource_type, "Patient" | "Practitioner" | "Organization")
        || profile.writes_more() && MORE_WRITES.contains(&resource_type)
}

pub(crate) fn answer(emr: &Emr, state: &mut State, request: &Request) -> Reply {
    let path: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["oauth2", "default", ..] => oauth::answer(emr, state, request),
        ["apis", "default", "api", rest @ ..] => rest::answer(emr, state, request, rest),
        ["apis", "default", "fhir", rest @ ..] => fhir(emr, state, request, rest),
        _ => Reply::error(404, "Not Found"),
    }
}

fn fhir(emr: &Emr, state: &mut State, request: &Request, path: &[&str]) -> Reply {
    let profile = emr.options.profile;
    match path {
        ["metadata"] => return Reply::fhir(200, &capability::statement(profile, request)),
        [".well-known", "smart-configuration"] => return Reply::json(200, &oauth::discovery(request)),
        _ => {}
    }
    let access = match oauth::authorize(emr, state, request) {
        Ok(access) => access,
        Err(reply) => return reply,
    };
    let Some(resource_type) = path.first().copied().filter(|name| TYPES.contains(name)) else {
        return Reply::error(404, "Not Found");
    };
    let now_us = emr.clock.wall_us();
    let allowed = |write| scope::fhir(&access, resource_type, write);
    let answered = match (request.method.as_str(), &path[1..]) {
        ("GET", []) => allowed(false).map(|()| search::search(emr, state, request, resource_type, &request.query)),
        ("POST", ["_search"]) => {
            allowed(false).map(|()| search::search(emr, state, request, resource_type, &request.form()))
        }
        ("GET", [id]) => allowed(false).map(|()| read::read(state, now_us, resource_type, id)),
        ("POST", []) if writable(profile, resource_type) => {
            allowed(true).map(|()| write::create(emr, state, request, resource_type))
        }
        ("PUT", [id]) if writable(profile, resource_type) => {
            allowed(true).map(|()| write::update(emr, state, request, resource_type, id))
        }
        _ => Ok(Reply::error(404, "Not Found")),
    };
    answered.unwrap_or_else(|refused| refused)
}
