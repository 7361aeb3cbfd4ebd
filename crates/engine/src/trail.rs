//! weir's own audit trail as AuditEvent resources with the ids `weir-<no>`.
//!
//! A search of AuditEvent with no other parameters than `date`, `entity`, `agent`, `patient`, `action`, `subtype`, `_count`,
//! `_sort=-date` shows the trail first, newest first, and then the AuditEvents that clients have stored; it has no total. Any other
//! parameter can only be met by stored AuditEvents, and the search is then an ordinary one. `AuditEvent/weir-<no>` reads one record.

use crate::{Engine, Error, Page, Resource, Search, Session, subset};
use fhir::defs::{self, TypeId};
use fhir::json;
use fhir::json::Value;
use fhir::query::{Query, Summary};
use fhir::temporal::PartialDateTime;
use store::{AuditQuery, AuditRecord, Audited, Op, Tenant, instant};

pub(crate) const ID_PREFIX: &str = "weir-";

/// Records read at once where `action` has to be looked at one by one.
const BLOCK: usize = 500;

/// Number of the record behind an id of the trail.
pub(crate) fn number(ty: TypeId, id: &str) -> Option<u64> {
    let no = id.strip_prefix(ID_PREFIX)?.parse().ok()?;
    (defs::r4().ty(ty).name == "AuditEvent").then_some(no)
}

/// Which part of the trail a search asks for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    query: AuditQuery,
    /// `C`, `R`, `U`, `D`, `E`.
    action: Option<String>,
    /// Cursor in the stored AuditEvents: the trail is over. The empty string is their first page.
    stored: Option<String>,
    /// No record can match.
    nothing: bool,
}

/// `None` when the search is not about the trail.
pub(crate) fn asked(search: &Search<'_>) -> Result<Option<Asked>, Error> {
    if search.ty.is_none_or(|ty| defs::r4().ty(ty).name != "AuditEvent") {
        return Ok(None);
    }
    let mut asked = Asked::default();
    if let Some((owner, id)) = search.compartment {
        let owner = crate::audit::entity(owner, id);
        if !owner.starts_with("Patient/") {
            return Ok(None);
        }
        asked.query.patient = Some(owner);
    }
    for (name, value) in search.pairs {
        if !asked.take(name, value) {
            return Ok(None);
        }
    }
    match search.cursor.map(|cursor| cursor.split_at_checked(1)) {
        None => {}
        Some(Some(("t", no))) => asked.query.before = Some(no.parse().map_err(|_| store::StoreError::InvalidCursor)?),
        Some(Some(("s", cursor))) => asked.stored = Some(cursor.to_owned()),
        Some(_) => return Err(store::StoreError::InvalidCursor.into()),
    }
    Ok(Some(asked))
}

impl Asked {
    /// `false` when only stored AuditEvents can have this parameter.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "date" => return self.date(value),
            "entity" => return set(&mut self.query.entity, value),
            "agent" => return set(&mut self.query.who, value),
            "patient" => {
                let patient = if value.contains('/') { value.to_owned() } else { format!("Patient/{value}") };
                return set(&mut self.query.patient, &patient);
            }
            "action" => return set(&mut self.action, value),
            "subtype" => {
                let code = match value.rsplit_once('|') {
                    Some((system, code)) => {
                        self.nothing |= system != "http://hl7.org/fhir/restful-interaction";
                        code
                    }
                    None => value,
                };
                return set(&mut self.query.interaction, code);
            }
            "_sort" => return value == "-date",
            "_count" | "_total" | "_totalMethod" | "_format" | "_pretty" | "_summary" | "_elements" => {}
            _ => return false,
        }
        true
    }

    fn date(&mut self, value: &str) -> bool {
        let (comparator, text) = match value.get(..2) {
            Some(two) if two.bytes().all(|byte| byte.is_ascii_alphabetic()) => (two, &value[2..]),
            _ => ("eq", value),
        };
        let Some((start, end)) = PartialDateTime::parse(text).map(|date| date.range_us()) else { return false };
        let (from, to) = match comparator {
            "eq" => (Some(start), Some(end)),
            "ge" => (Some(start), None),
            "gt" | "sa" => (Some(end + 1), None),
            "le" => (None, Some(end)),
            "lt" | "eb" => (None, Some(start - 1)),
            _ => return false,
        };
        self.query.from_us = self.query.from_us.max(from);
        self.query.to_us = match (self.query.to_us, to) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        true
    }
}

/// The same parameter twice, or with several values, is left to the stored search.
fn set(place: &mut Option<String>, value: &str) -> bool {
    let free = place.is_none() && !value.is_empty() && !value.contains(',');
    *place = Some(value.to_owned());
    free
}

impl Engine {
    pub(crate) async fn read_trail(&self, tenant: &Tenant, ty: TypeId, no: u64) -> Result<Resource, Error> {
        let audited = tenant.audit_get(no).await?.ok_or_else(|| Error::not_found("AuditEvent"))?;
        Ok(resource(ty, &audited))
    }

    /// A page of the trail; when the trail ends, `next` leads to the stored AuditEvents.
    pub(crate) async fn search_trail(
        &self,
        session: &Session,
        tenant: &Tenant,
        search: &Search<'_>,
        query: Query,
        asked: &Asked,
    ) -> Result<Page, Error> {
        let Some(ty) = search.ty else { return Ok(Page::default()) };
        if asked.stored.is_none() && query.summary != Summary::Count && !asked.nothing {
            let limit = self.page_size(query.count).max(1);
            let (records, more) = trail(tenant, asked, limit).await?;
            if !records.is_empty() {
                let next = match (more, records.last()) {
                    (true, Some(last)) => format!("t{}", last.no),
                    _ => "s".to_owned(),
                };
                let matches = records.iter().map(|audited| resource(ty, audited)).collect();
                let mut page = Page { matches, next: Some(next), warnings: query.warnings.clone(), ..Page::default() };
                subset::apply(&query, &mut page)?;
                page.query = Some(query);
                return Ok(page);
            }
        }
        let cursor = asked.stored.as_deref().filter(|cursor| !cursor.is_empty());
        let mut page = self.search_stored(session, tenant, search, query, cursor).await?;
        page.next = page.next.map(|cursor| format!("s{cursor}"));
        page.previous = page.previous.map(|cursor| format!("s{cursor}"));
        page.total = None;
        Ok(page)
    }
}

/// At most `limit` records, and whether there are more.
async fn trail(tenant: &Tenant, asked: &Asked, limit: usize) -> Result<(Vec<Audited>, bool), Error> {
    let mut query = asked.query.clone();
    query.limit = if asked.action.is_some() { BLOCK } else { limit + 1 };
    let mut found = Vec::new();
    loop {
        let block = tenant.audit_query(&query).await?;
        query.before = block.last().map(|audited| audited.no);
        let is_last = block.len() < query.limit;
        found.extend(block.into_iter().filter(|audited| {
            asked.action.as_deref().is_none_or(|wanted| wanted == action(&audited.record.interaction))
        }));
        if found.len() > limit || is_last {
            let more = found.len() > limit;
            found.truncate(limit);
            return Ok((found, more));
        }
    }
}

fn action(interaction: &str) -> &'static str {
    match interaction {
        "create" => "C",
        "update" | "patch" | "$meta-add" | "$meta-delete" => "U",
        "delete" => "D",
        "batch" | "transaction" | "search-type" | "search-system" | "search-compartment" => "E",
        other if other.starts_with('$') => "E",
        _ => "R",
    }
}

fn resource(ty: TypeId, audited: &Audited) -> Resource {
    let id = format!("{ID_PREFIX}{}", audited.no);
    let at_us = audited.record.at_us;
    let mut json = Vec::new();
    to_fhir(&id, &audited.record).write(&mut json);
    Resource { ty, id, version: 1, last_updated_us: at_us, op: Op::Create, json }
}

fn to_fhir(id: &str, record: &AuditRecord) -> Value {
    let at = instant(record.at_us);
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": id,
        "meta": { "versionId": "1", "lastUpdated": at.as_str() },
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
            "display": "RESTful Operation"
        },
        "subtype": [{ "system": "http://hl7.org/fhir/restful-interaction", "code": record.interaction.as_str() }],
        "action": action(&record.interaction),
        "recorded": at.as_str(),
        "outcome": record.outcome.to_string(),
        "outcomeDesc": format!("HTTP status {}", record.status),
        "agent": [{ "who": { "identifier": { "value": record.who.as_str() } }, "requestor": true }],
        "source": { "observer": { "display": "weir" } }
    });
    let mut detail = Vec::new();
    if !record.request_id.is_empty() {
        detail.push(json!({ "type": "request-id", "valueString": record.request_id.as_str() }));
    }
    if let Some(names) = &record.query {
        detail.push(json!({ "type": "search-parameters", "valueString": names.as_str() }));
    }
    let mut entities = Vec::new();
    let mut touched = Value::Object(Vec::new());
    if record.entity.contains('/') {
        touched.set("what", json!({ "reference": record.entity.as_str() }));
    } else if !record.entity.is_empty() {
        touched.set("what", json!({ "type": record.entity.as_str() }));
    }
    if !detail.is_empty() {
        touched.set("detail", detail);
    }
    if touched != Value::Object(Vec::new()) {
        entities.push(touched);
    }
    if let Some(patient) = record.patient.as_ref().filter(|patient| **patient != record.entity) {
        entities.push(json!({
            "what": { "reference": patient.as_str() },
            "role": {
                "system": "http://terminology.hl7.org/CodeSystem/object-role",
                "code": "1",
                "display": "Patient"
            }
        }));
    }
    if !entities.is_empty() {
        event.set("entity", entities);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_for(pairs: &[(&str, &str)], cursor: Option<&str>) -> Option<Asked> {
        let ty = defs::r4().resource_by_name("AuditEvent");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        asked(&Search { ty, compartment: None, pairs: &pairs, lenient: false, cursor }).unwrap()
    }

    #[test]
    fn parameters_of_the_trail_are_understood_and_others_leave_it_out() {
        let asked =
            asked_for(&[("date", "ge2026-01-01"), ("date", "lt2026-02-01"), ("patient", "p1")], Some("t17")).unwrap();
        assert_eq!(asked.query.patient.as_deref(), Some("Patient/p1"));
        assert_eq!(asked.query.before, Some(17));
        assert_eq!(asked.query.from_us.map(instant).unwrap(), "2026-01-01T00:00:00.000000Z");
        assert_eq!(asked.query.to_us.map(instant).unwrap(), "2026-01-31T23:59:59.999999Z");
        assert!(asked_for(&[("site", "x")], None).is_none());
        assert!(asked_for(&[("action", "C,R")], None).is_none());
        assert!(asked_for(&[("subtype", "urn:other|read")], None).unwrap().nothing);
    }

    #[test]
    fn a_record_becomes_an_audit_event() {
        let record = AuditRecord {
            at_us: 0,
            interaction: "search-type".into(),
            outcome: 0,
            status: 200,
            who: "admin".into(),
            request_id: "r1".into(),
            entity: "Observation".into(),
            patient: Some("Patient/p".into()),
            query: Some("code".into()),
        };
        let text = to_fhir("weir-1", &record).to_string();
        for part in [
            r#""action":"E""#,
            r#""who":{"identifier":{"value":"admin"}}"#,
            r#""what":{"type":"Observation"}"#,
            r#""what":{"reference":"Patient/p"}"#,
            r#"{"type":"search-parameters","valueString":"code"}"#,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
