//! `/patients`: lists of persons, one with all that is known, and new ones.

use super::params::{Params, wrong};
use super::phi::{self, document, without_nulls};
use super::{Tracker, body, fields, json};
use crate::error::Failure;
use crate::http::{Answer, Request};
use axum::http::{StatusCode, header};
use engine::{Precondition, Search, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::{Document, Limits};
use registry::{Link, Listed, MARKS, PersonId, PersonsQuery, Programme, Whole};
use serde_json::{Value, json as value};
use std::collections::HashMap;

const LIMIT_MAX: usize = 200;
const LIMIT_DEFAULT: usize = 20;
const FILTERS: [&str; 10] =
    ["programme", "status", "mark", "region", "sex", "born_from", "born_until", "linked", "after", "limit"];

pub(super) fn patient_type() -> TypeId {
    r4().resource_by_name("Patient").expect("R4 has Patient")
}

/// Refuses a programme that is not there, with the nearest one.
pub(super) fn known_programme(tracker: &Tracker, id: &str) -> Result<(), Failure> {
    let all = tracker.registry.definitions().list();
    if all.iter().any(|one| one.id == id) {
        return Ok(());
    }
    let hint = fhir::nearest::hint(id, all.iter().map(|one| one.id.as_str()));
    Err(wrong("programme", &format!("there is none of this id{hint}: GET /programmes lists them")))
}

pub(super) async fn list(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &FILTERS)?;
    let programme = params.owned("programme");
    if let Some(programme) = &programme {
        known_programme(tracker, programme)?;
    }
    let after = params
        .get("after")
        .map(|text| PersonId::parse(text).ok_or_else(|| wrong("after", "must be the `next` of the page before")));
    let query = PersonsQuery {
        programme,
        status: params.code("status", &["not", "partial", "full"])?,
        mark: params.code("mark", &MARKS)?,
        region: params.owned("region"),
        sex: params.code("sex", &["female", "male", "unknown"])?,
        born_from: params.date("born_from")?,
        born_until: params.date("born_until")?,
        linked: params.flag("linked")?.unwrap_or(false),
        after: after.transpose()?,
        limit: params.count("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
    };
    let persons = tracker.registry.persons(&request.session, &query)?;
    let names = names(tracker, &request.session, &persons.items).await?;
    let item = |listed: &Listed| {
        let mut item = serde_json::to_value(listed).unwrap_or_default();
        let (given, family) = names.get(shown(listed)).cloned().unwrap_or_default();
        item["given"] = given.into();
        item["family"] = family.into();
        without_nulls(item)
    };
    let items: Vec<Value> = persons.items.iter().map(item).collect();
    Ok(json(StatusCode::OK, &without_nulls(value!({ "total": persons.total, "items": items, "next": persons.next }))))
}

/// The record whose name a list shows.
fn shown(listed: &Listed) -> &str {
    listed.records.first().map_or("", String::as_str)
}

/// Given and family name.
type Names = (Option<String>, Option<String>);

/// Names by the id of the record, read in one search that the audit sees.
async fn names(tracker: &Tracker, session: &Session, items: &[Listed]) -> Result<HashMap<String, Names>, Failure> {
    let ids: Vec<&str> = items.iter().map(shown).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let pairs = [("_id".to_owned(), ids.join(",")), ("_count".to_owned(), LIMIT_MAX.to_string())];
    let search = Search { ty: Some(patient_type()), compartment: None, pairs: &pairs, lenient: false, cursor: None };
    let page = tracker.engine.search(session, &search).await?;
    let names = page.matches.into_iter().filter_map(|resource| {
        let document = Document::parse(&resource.json, &Limits::default()).ok()?;
        Some((resource.id, phi::names(document.root())))
    });
    Ok(names.collect())
}

/// The golden Patient of a person, or its only one.
pub(super) async fn demographics(tracker: &Tracker, session: &Session, whole: &Whole) -> Result<Value, Failure> {
    let mut ids: Vec<String> = whole.records.iter().map(|record| record.id.clone()).collect();
    if ids.len() > 1 {
        ids.insert(0, whole.id.to_string());
    }
    for id in ids {
        match tracker.engine.read(session, patient_type(), &id).await {
            Ok(resource) => {
                let document = Document::parse(&resource.json, &Limits::default()).map_err(engine::Error::from)?;
                return Ok(phi::of(document.root()));
            }
            // Deleted at the same moment: another one may be there.
            Err(error) if matches!(error.status, 404 | 410) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(value!({}))
}

pub(super) async fn one(tracker: &Tracker, request: &Request, id: &str) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &["as_of"])?;
    let as_of = params.date("as_of")?;
    let whole = tracker.registry.whole(&tracker.engine, &request.session, id, as_of).await?;
    let mut answer = serde_json::to_value(&whole).unwrap_or_default();
    answer["phi"] = demographics(tracker, &request.session, &whole).await?;
    Ok(json(StatusCode::OK, &without_nulls(answer)))
}

pub(super) async fn status(tracker: &Tracker, request: &Request, id: &str) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &["programme", "as_of"])?;
    let wanted = params.get("programme");
    if let Some(wanted) = wanted {
        known_programme(tracker, wanted)?;
    }
    let whole = tracker.registry.whole(&tracker.engine, &request.session, id, params.date("as_of")?).await?;
    let programmes: Vec<&Programme> =
        whole.programmes.iter().filter(|one| wanted.is_none_or(|wanted| one.programme == wanted)).collect();
    let answer = value!({ "id": whole.id, "as_of": whole.as_of, "version": whole.version, "schedule": whole.schedule,
        "programmes": programmes });
    Ok(json(StatusCode::OK, &answer))
}

pub(super) async fn create(tracker: &Tracker, request: &Request, prefix: &str) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    let phi = phi::only(&body(request)?, tracker.registry.today())?;
    let session = &request.session;
    let _held = tracker.lock(session, &[&phi.key()]).await;
    let patient = document(&phi.patient());
    // What is too little to be asked for is enough to be kept.
    let matches = tracker.registry.find(session, patient.root()).unwrap_or_default();
    let none = Precondition::default();
    let written = tracker.engine.create(session, patient_type(), patient.as_bytes(), &none).await?;
    let id = written.resource.map(|resource| resource.id).unwrap_or_default();
    let whole = tracker.registry.whole(&tracker.engine, session, &id, None).await?;
    let best = matches.iter().find(|one| one.person == whole.id);
    let link = whole.records.iter().find(|record| record.id == id).map(|record| record.link);
    let answer = value!({
        "id": whole.id, "patient": id, "recognised": link.is_some_and(|link| link != Link::Own),
        "grade": best.map(|one| one.grade.code()), "score": best.map(|one| one.score),
        "records": whole.records, "programmes": whole.programmes,
    });
    let answer = json(StatusCode::CREATED, &without_nulls(answer));
    Ok(answer.with(header::LOCATION, &format!("{prefix}/patients/{}", whole.id)))
}

/// The person that an id in a path means.
pub(super) fn person(tracker: &Tracker, session: &Session, id: &str) -> Result<PersonId, Failure> {
    let missing =
        || Failure::new(StatusCode::NOT_FOUND, "not-found", "no person or Patient with this id: search in /patients");
    tracker.registry.person_of(session, id)?.filter(|_| fields::is_id(id)).ok_or_else(missing)
}
