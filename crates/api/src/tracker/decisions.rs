//! What people decide about who is who.

use super::fields::{Fields, Problems};
use super::params::Params;
use super::patients::person;
use super::{Tracker, body, json};
use crate::error::Failure;
use crate::http::{Answer, Request};
use axum::http::StatusCode;
use registry::{ASSIGNED_MAX, PersonId, ReviewsQuery};
use serde_json::json as value;

const WHY_MAX: usize = 500;
/// Records of one person that are taken out at once.
const RECORDS_MAX: usize = 100;
const LIMIT_MAX: usize = 200;

/// Reads the body; every decision but a dismissal has a reason.
fn read<T>(request: &Request, known: &[&str], read: impl FnOnce(&Fields<'_, '_>) -> Option<T>) -> Result<T, Failure> {
    Params::new(&request.pairs, &[])?;
    let (document, problems) = (body(request)?, Problems::default());
    let found = Fields::new(document.root(), "", known, &problems).and_then(|fields| read(&fields));
    problems.into_result()?;
    found.ok_or_else(|| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "required", "the body is not complete"))
}

async fn answer(tracker: &Tracker, request: &Request, id: PersonId) -> Result<Answer, Failure> {
    let whole = tracker.registry.whole(&tracker.engine, &request.session, &id.to_string(), None).await?;
    Ok(json(
        StatusCode::OK,
        &value!({ "id": whole.id, "version": whole.version, "records": whole.records, "programmes": whole.programmes }),
    ))
}

pub(super) async fn merge(tracker: &Tracker, request: &Request, id: &str) -> Result<Answer, Failure> {
    let both = |fields: &Fields<'_, '_>| {
        let (from, why) = (fields.required("from", 72), fields.required("why", WHY_MAX));
        Some((from?, why?))
    };
    let (from, why) = read(request, &["from", "why"], both)?;
    let session = &request.session;
    let (into, from) = (person(tracker, session, id)?, person(tracker, session, &from)?);
    tracker.registry.merge(&tracker.engine, session, into, from, &why).await?;
    answer(tracker, request, into).await
}

pub(super) async fn unmerge(tracker: &Tracker, request: &Request, id: &str) -> Result<Answer, Failure> {
    let both = |fields: &Fields<'_, '_>| {
        let (records, why) = (fields.ids("records", RECORDS_MAX), fields.required("why", WHY_MAX));
        if records.is_empty() && fields.has("records") {
            fields.wrong("records", "must name at least one record");
        }
        Some((records, why?))
    };
    let (records, why) = read(request, &["records", "why"], both)?;
    let from = person(tracker, &request.session, id)?;
    let to = tracker.registry.unmerge(&tracker.engine, &request.session, from, &records, &why).await?;
    answer(tracker, request, to).await
}

/// The two records of a pair.
fn pair(fields: &Fields<'_, '_>) -> Option<[String; 2]> {
    let records = <[String; 2]>::try_from(fields.ids("records", 2)).ok().filter(|[one, other]| one != other);
    if records.is_none() && fields.has("records") {
        fields.wrong("records", "must be two ids of Patients");
    }
    records
}

pub(super) async fn apart(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let both = |fields: &Fields<'_, '_>| {
        let (records, why) = (pair(fields), fields.required("why", WHY_MAX));
        Some((records?, why?))
    };
    let ([one, other], why) = read(request, &["records", "why"], both)?;
    tracker.registry.keep_apart(&tracker.engine, &request.session, &one, &other, &why).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn dismiss(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let [one, other] = read(request, &["records"], pair)?;
    tracker.registry.dismiss(&tracker.engine, &request.session, &one, &other).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// Who is to decide about a pair, and until when. A member that is left out is taken away.
pub(super) async fn assign(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let all =
        |fields: &Fields<'_, '_>| Some((pair(fields)?, fields.text("assigned", ASSIGNED_MAX), fields.date("due")));
    let (records, assigned, due) = read(request, &["records", "assigned", "due"], all)?;
    let [one, other] = &records;
    let assigned = assigned.as_deref();
    let review = tracker.registry.assign(&tracker.engine, &request.session, [one, other], assigned, due).await?;
    Ok(json(StatusCode::OK, &review))
}

pub(super) async fn reviews(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &["after", "limit", "assigned", "due_by"])?;
    let query = ReviewsQuery {
        after: params.get("after").unwrap_or_default(),
        limit: params.count("limit", 50, LIMIT_MAX)?,
        assigned: params.get("assigned"),
        due_by: params.date("due_by")?,
    };
    let reviews = tracker.registry.reviews(&tracker.engine, &request.session, &query).await?;
    Ok(json(StatusCode::OK, &reviews))
}
