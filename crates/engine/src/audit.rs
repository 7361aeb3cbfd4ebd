//! Every access leaves an audit record: writes in the commit that makes them, everything else by [`Engine::note`].
//!
//! A record says who touched what and how it ended; it never holds a value from a resource or from a search parameter.

use crate::{Change, Engine, Error, Session, Written};
use fhir::defs::{self, TypeId};
use fhir::index::{Entry, Value};
use store::{AuditRecord, Tenant};

/// Longest list of search parameter names that is kept.
const QUERY_BYTES_MAX: usize = 256;

/// One interaction on its way to becoming an audit record.
#[derive(Debug)]
pub(crate) struct Access<'a> {
    pub(crate) session: &'a Session,
    /// The FHIR interaction code: `read`, `search-type`, …
    pub(crate) interaction: &'static str,
    /// `Type/id`, `Type/id/_history/n`, `Type` or empty.
    pub(crate) entity: String,
    pub(crate) patient: Option<String>,
    pub(crate) query: Option<String>,
}

impl<'a> Access<'a> {
    pub(crate) fn new(session: &'a Session, interaction: &'static str, entity: String) -> Access<'a> {
        Access { session, interaction, entity, patient: None, query: None }
    }

    pub(crate) fn with_query(mut self, pairs: &[(String, String)]) -> Access<'a> {
        self.query = names(pairs);
        self
    }

    pub(crate) fn with_criteria(mut self, criteria: Option<&str>) -> Access<'a> {
        self.query = criteria.and_then(|criteria| names(&crate::conditional::pairs(criteria).ok()?));
        self
    }

    /// Names the resource and the patient behind it.
    pub(crate) fn touches(&mut self, ty: TypeId, id: &str, patient: Option<String>) {
        self.entity = entity(ty, id);
        self.patient = patient;
    }

    pub(crate) fn record(&self, at_us: i64, status: u16) -> AuditRecord {
        AuditRecord {
            at_us,
            interaction: self.interaction.to_owned(),
            outcome: match status {
                0..400 => 0,
                400..500 => 4,
                _ => 8,
            },
            status,
            who: self.session.who.id.clone(),
            request_id: self.session.request_id.clone(),
            entity: self.entity.clone(),
            patient: self.patient.clone(),
            query: self.query.clone(),
        }
    }
}

impl Engine {
    /// An audit record of an access that a part of the house makes by itself: a person's status, a merge. `entity` and
    /// `patient` as in [`AuditRecord`].
    pub fn audit_record(
        &self,
        session: &Session,
        interaction: &'static str,
        entity: String,
        patient: Option<String>,
        status: u16,
    ) -> AuditRecord {
        Access { patient, ..Access::new(session, interaction, entity) }.record(self.now_us(), status)
    }

    /// Records accesses that commit nothing.
    pub async fn note_access(&self, session: &Session, records: Vec<AuditRecord>) -> Result<(), Error> {
        self.tenant(session)?.audit(records).await;
        Ok(())
    }

    pub(crate) fn record(&self, access: &Access<'_>, status: u16) -> AuditRecord {
        access.record(self.now_us(), status)
    }

    /// Records an access that commits nothing.
    pub(crate) async fn note(&self, tenant: &Tenant, access: &Access<'_>, status: u16) {
        tenant.audit(vec![self.record(access, status)]).await;
    }

    pub(crate) async fn note_result<T>(&self, tenant: &Tenant, access: &Access<'_>, result: &Result<T, Error>) {
        self.note(tenant, access, result.as_ref().map_or_else(|error| error.status, |_| 200)).await;
    }

    /// Records a write that came to nothing; one that changed something has its record in its commit.
    pub(crate) async fn note_write(&self, tenant: &Tenant, access: &Access<'_>, result: &Result<Written, Error>) {
        match result {
            Ok(Written { change: Change::Created | Change::Updated | Change::Deleted, resource: Some(_) }) => {}
            _ => self.note_result(tenant, access, result).await,
        }
    }
}

pub(crate) fn entity(ty: TypeId, id: &str) -> String {
    format!("{}/{id}", defs::r4().ty(ty).name)
}

/// Parameter names without their values: `code&date`.
fn names(pairs: &[(String, String)]) -> Option<String> {
    let mut out = String::new();
    for (name, _) in pairs {
        if out.len() + name.len() >= QUERY_BYTES_MAX {
            break;
        }
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
    }
    (!out.is_empty()).then_some(out)
}

/// `Patient/id` when the resource is a patient or lies in a patient's compartment.
pub(crate) fn patient_of(ty: TypeId, id: &str, entries: &[Entry]) -> Option<String> {
    let defs = defs::r4();
    let patient = defs.resource_by_name("Patient")?;
    if ty == patient {
        return Some(format!("Patient/{id}"));
    }
    let (_, params) = defs.compartment(patient)?.members.iter().find(|(member, _)| *member == ty)?;
    entries.iter().find_map(|entry| match &entry.value {
        Value::Reference { ty, id } if *ty == patient && params.contains(&entry.param) => Some(format!("Patient/{id}")),
        _ => None,
    })
}

/// The same for a stored body, without parsing it: a reference to a patient directly under `subject` or `patient`.
pub(crate) fn patient_in(ty: TypeId, id: &str, body: &[u8]) -> Option<String> {
    if defs::r4().ty(ty).name == "Patient" {
        return Some(format!("Patient/{id}"));
    }
    let body = std::str::from_utf8(body).ok()?;
    ["\"subject\":{\"reference\":\"Patient/", "\"patient\":{\"reference\":\"Patient/"].iter().find_map(|place| {
        let (_, rest) = body.split_once(place)?;
        let end = rest.find(['"', '/'])?;
        Some(format!("Patient/{}", &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_of_parameters_carry_no_values_and_are_bounded() {
        let pair = |name: &str| (name.to_owned(), "Secret".to_owned());
        assert_eq!(names(&[pair("name"), pair("birthdate")]).unwrap(), "name&birthdate");
        assert_eq!(names(&[]), None);
        let many: Vec<_> = (0..500).map(|_| pair("identifier")).collect();
        assert!(names(&many).unwrap().len() < 256);
    }
}
