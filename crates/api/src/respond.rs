//! Answers that carry one resource: preconditions, ETag, Location, Prefer.

use crate::error::Failure;
use crate::http::{Answer, Request, parse_http_date};
use axum::http::{StatusCode, header};
use engine::{Change, IfMatch, Resource, Written, version_of};
use fhir::outcome::{Issue, to_json};

/// A resource that was read, or 304 when the client has it already.
pub(crate) fn resource(request: &Request, resource: Resource) -> Answer {
    let known = request
        .header(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "*" || version_of(tag) == Some(resource.version)));
    let unchanged = request
        .header(header::IF_MODIFIED_SINCE)
        .filter(|_| !request.headers.contains_key(header::IF_NONE_MATCH))
        .and_then(parse_http_date)
        .is_some_and(|since| resource.last_updated_us.div_euclid(1_000_000) <= since);
    let answer = if known || unchanged {
        Answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        Answer::json(StatusCode::OK, resource.json)
    };
    answer.versioned(resource.version, resource.last_updated_us)
}

/// `If-Match`, when there is one.
pub(crate) fn if_match(request: &Request) -> Result<Option<IfMatch>, Failure> {
    let Some(tag) = request.header(header::IF_MATCH) else { return Ok(None) };
    let text = "If-Match must be a version such as W/\"3\", or * for any";
    IfMatch::parse(tag).map(Some).ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "invalid", text))
}

/// What `Prefer: return=` asks for.
enum Return {
    Minimal,
    Representation,
    Outcome,
}

fn preferred(request: &Request) -> Return {
    let prefer = request.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let wish = prefer.flat_map(|value| value.split([',', ';'])).find_map(|part| part.trim().strip_prefix("return="));
    match wish {
        Some("minimal") => Return::Minimal,
        Some("OperationOutcome") => Return::Outcome,
        _ => Return::Representation,
    }
}

/// The answer to a create, update or patch.
pub(crate) fn written(request: &Request, written: Written) -> Answer {
    let Some(resource) = written.resource else { return Answer::empty(StatusCode::NO_CONTENT) };
    let status = if written.change == Change::Created { StatusCode::CREATED } else { StatusCode::OK };
    let name = fhir::defs::r4().ty(resource.ty).name;
    let location = format!("{}/{name}/{}/_history/{}", request.session.base, resource.id, resource.version);
    let (version, at_us) = (resource.version, resource.last_updated_us);
    let body = match preferred(request) {
        Return::Minimal => Vec::new(),
        Return::Representation => resource.json,
        Return::Outcome => to_json(&[Issue::information("informational", said(written.change))]),
    };
    Answer::json(status, body).versioned(version, at_us).with(header::LOCATION, &location)
}

fn said(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Unchanged => "nothing changed: no new version was made",
        Change::Existed => "a match existed: nothing was created",
        Change::Deleted => "deleted",
    }
}

/// 204 with the version that says it is deleted.
pub(crate) fn deleted(written: Written) -> Answer {
    let answer = Answer::empty(StatusCode::NO_CONTENT);
    match written.resource {
        Some(resource) => answer.with(header::ETAG, &format!("W/\"{}\"", resource.version)),
        None => answer,
    }
}
