//! Scopes: which exist, and what they allow.

use super::{Access, Role};
use crate::http::Reply;
use crate::options::Profile;

/// Scopes that are not made of a context, a type and a permission.
pub(super) const NAMED: [&str; 9] = [
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "online_access",
    "offline_access",
    "api:oemr",
    "api:fhir",
];

/// Words of the REST API that `user/WORD.write` exists for.
const REST_WRITES: [&str; 14] = [
    "patient",
    "appointment",
    "encounter",
    "vital",
    "document",
    "message",
    "medical_problem",
    "allergy",
    "medication",
    "prescription",
    "soap_note",
    "transaction",
    "practitioner",
    "facility",
];
/// Words of the REST API that can only be read.
const REST_READS: [&str; 4] = ["immunization", "insurance_company", "procedure", "list"];
/// FHIR types that OpenEMR lets users write.
const FHIR_WRITES: [&str; 3] = ["Patient", "Practitioner", "Organization"];

/// Context, type and permission of `user/Patient.write`.
fn parts(scope: &str) -> Option<(&str, &str, &str)> {
    let (context, rest) = scope.split_once('/')?;
    let (kind, permission) = rest.split_once('.')?;
    Some((context, kind, permission))
}

fn reads(permission: &str) -> bool {
    permission == "read" || permission == "*" || is_v2(permission) && permission.contains(['r', 's'])
}

fn writes(permission: &str) -> bool {
    permission == "write" || permission == "*" || is_v2(permission) && permission.contains(['c', 'u', 'd'])
}

/// Whether this is `cruds` or a part of it in that order.
fn is_v2(permission: &str) -> bool {
    let mut rest = "cruds".chars();
    !permission.is_empty() && permission.chars().all(|letter| rest.any(|other| other == letter))
}

/// Whether the EMR knows a scope. One unknown scope fails a whole registration.
pub(super) fn exists(profile: Profile, scope: &str) -> bool {
    if NAMED.contains(&scope) || scope == "site:default" {
        return true;
    }
    let Some((context, kind, permission)) = parts(scope) else { return false };
    if !reads(permission) && !writes(permission) {
        return false;
    }
    let fhir_type = kind == "*" || kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.is_ascii();
    let more = profile.writes_more() || profile == Profile::FhirR4;
    match context {
        "system" if profile == Profile::FhirR4 => fhir_type,
        // There is no system write.
        "system" | "patient" => fhir_type && !writes(permission),
        "user" if fhir_type => !writes(permission) || more || FHIR_WRITES.contains(&kind),
        "user" => REST_WRITES.contains(&kind) || REST_READS.contains(&kind) && !writes(permission),
        _ => false,
    }
}

/// Whether `access` may read or write a FHIR type.
pub(crate) fn fhir(access: &Access, resource_type: &str, write: bool) -> Result<(), Reply> {
    let Access::Granted { role, scopes } = access else { return Ok(()) };
    let context = match role {
        Role::System => "system",
        Role::Users => "user",
    };
    let allowed = scopes.iter().filter_map(|scope| parts(scope)).any(|(given, kind, permission)| {
        given == context
            && (kind == resource_type || kind == "*")
            && if write { writes(permission) } else { reads(permission) }
    });
    let door = *role == Role::System || scopes.iter().any(|scope| scope == "api:fhir");
    if allowed && door { Ok(()) } else { Err(Reply::error(403, "insufficient scope for the requested resource")) }
}

/// Whether `access` may read or write a word of the REST API.
pub(crate) fn rest(access: &Access, word: &str, write: bool) -> Result<(), Reply> {
    let Access::Granted { role, scopes } = access else { return Ok(()) };
    let allowed = scopes.iter().filter_map(|scope| parts(scope)).any(|(given, kind, permission)| {
        given == "user" && kind == word && if write { writes(permission) } else { reads(permission) }
    });
    let door = *role == Role::Users && scopes.iter().any(|scope| scope == "api:oemr");
    if allowed && door { Ok(()) } else { Err(Reply::error(403, "insufficient permissions for the requested resource")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_exist_as_openemr_has_them() {
        for scope in
            ["openid", "system/Patient.read", "system/Patient.rs", "user/Patient.write", "user/appointment.write"]
        {
            assert!(exists(Profile::OpenEmr8, scope), "{scope}");
        }
        for scope in
            ["system/Patient.write", "user/immunization.write", "user/Immunization.write", "x", "user/Patient.sr"]
        {
            assert!(!exists(Profile::OpenEmr8, scope), "{scope}");
        }
        assert!(exists(Profile::OpenEmrWrites, "user/Immunization.write"));
        assert!(exists(Profile::FhirR4, "system/Patient.cruds"));
    }

    #[test]
    fn a_system_token_never_writes_and_never_meets_the_rest_api() {
        let scopes =
            ["system/Patient.read", "user/appointment.write", "api:oemr", "api:fhir"].map(str::to_owned).to_vec();
        let access = Access::Granted { role: Role::System, scopes };
        assert!(fhir(&access, "Patient", false).is_ok());
        assert!(fhir(&access, "Patient", true).is_err());
        assert!(fhir(&access, "Encounter", false).is_err());
        assert!(rest(&access, "appointment", true).is_err());
    }
}
