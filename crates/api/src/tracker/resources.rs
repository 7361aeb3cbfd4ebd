//! Providers, clinics and vaccine products: small objects over Practitioner or Organization, Location and Medication.

use super::fields::{Fields, Problems, is_id, refused};
use super::params::Params;
use super::{Tracker, body, json, shapes};
use crate::error::Failure;
use crate::http::{Answer, Request};
use crate::respond::if_match;
use axum::http::{StatusCode, header};
use engine::{Change, Error, IfMatch, Precondition, Resource, Search, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::{Document, Limits, Value};
use serde_json::json as value;

const LIMIT_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Provider,
    Clinic,
    Product,
}

impl Kind {
    /// `vaccine-products` and, for reading and changing, `vaccines`.
    pub(super) fn of_root(root: &str) -> Option<Kind> {
        match root {
            "providers" => Some(Kind::Provider),
            "clinics" => Some(Kind::Clinic),
            "vaccine-products" | "vaccines" => Some(Kind::Product),
            _ => None,
        }
    }

    fn root(self) -> &'static str {
        match self {
            Kind::Provider => "providers",
            Kind::Clinic => "clinics",
            Kind::Product => "vaccine-products",
        }
    }

    /// The first is what is made unless the object says otherwise.
    pub(super) fn types(self) -> &'static [&'static str] {
        match self {
            Kind::Provider => &["Practitioner", "Organization"],
            Kind::Clinic => &["Location"],
            Kind::Product => &["Medication"],
        }
    }
}

fn type_of(name: &str) -> TypeId {
    r4().resource_by_name(name).expect("a type of R4")
}

fn parsed(resource: &Resource) -> Result<Value, Error> {
    Ok(Value::from(Document::parse(&resource.json, &Limits::default())?.root()))
}

fn answer(status: StatusCode, kind: Kind, resource: &Resource) -> Result<Answer, Failure> {
    let shape = shapes::shown(kind, &parsed(resource)?);
    Ok(json(status, &shape).versioned(resource.version, resource.last_updated_us))
}

pub(super) async fn list(tracker: &Tracker, request: &Request, kind: Kind) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &["after", "limit"])?;
    let limit = params.count("limit", 50, LIMIT_MAX)?;
    let pairs = [("_type".to_owned(), kind.types().join(",")), ("_count".to_owned(), limit.to_string())];
    let (ty, pairs) = match kind.types() {
        [only] => (Some(type_of(only)), &pairs[1..]),
        _ => (None, &pairs[..]),
    };
    let search = Search { ty, compartment: None, pairs, lenient: false, cursor: params.get("after") };
    let page = tracker.engine.search(&request.session, &search).await?;
    let mut items = Vec::new();
    for resource in &page.matches {
        items.push(shapes::shown(kind, &parsed(resource)?));
    }
    let answer = value!({ "total": page.total, "items": items, "next": page.next });
    Ok(json(StatusCode::OK, &super::phi::without_nulls(answer)))
}

/// The resource of an id, whichever of the kind's types it has.
async fn find(tracker: &Tracker, session: &Session, kind: Kind, id: &str) -> Result<Option<Resource>, Error> {
    for name in kind.types().iter().filter(|_| is_id(id)) {
        match tracker.engine.read(session, type_of(name), id).await {
            Ok(resource) => return Ok(Some(resource)),
            Err(error) if matches!(error.status, 404 | 410) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn missing(kind: Kind) -> Failure {
    let text = format!("nothing of this id: GET /{} lists what there is", kind.root());
    Failure::new(StatusCode::NOT_FOUND, "not-found", text)
}

pub(super) async fn get(tracker: &Tracker, request: &Request, kind: Kind, id: &str) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    let resource = find(tracker, &request.session, kind, id).await?.ok_or_else(|| missing(kind))?;
    answer(StatusCode::OK, kind, &resource)
}

/// What the body makes of `before`: the type's name and the resource.
fn shaped(
    tracker: &Tracker,
    request: &Request,
    kind: Kind,
    before: Option<Value>,
) -> Result<(&'static str, Value), Failure> {
    let (document, problems) = (body(request)?, Problems::default());
    let made = Fields::new(document.root(), "", shapes::members(kind), &problems)
        .map(|fields| shapes::made(tracker, kind, &fields, before));
    problems.into_result()?;
    Ok(made.ok_or_else(|| refused("body", "is not complete"))?)
}

pub(super) async fn make(tracker: &Tracker, request: &Request, kind: Kind, prefix: &str) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    let (name, resource) = shaped(tracker, request, kind, None)?;
    let body = resource.to_string();
    let none = Precondition::default();
    let written = tracker.engine.create(&request.session, type_of(name), body.as_bytes(), &none).await?;
    let resource = written.resource.ok_or_else(|| missing(kind))?;
    let location = format!("{prefix}/{}/{}", kind.root(), resource.id);
    Ok(answer(StatusCode::CREATED, kind, &resource)?.with(header::LOCATION, &location))
}

/// Changes what the small object shows and keeps the rest of the resource.
pub(super) async fn put(tracker: &Tracker, request: &Request, kind: Kind, id: &str) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    if !is_id(id) {
        return Err(refused("id", "must be 1 to 64 of A-Z a-z 0-9 - .").into());
    }
    if kind == Kind::Product && (id == "import" || id.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(refused("id", "reads as a CVX code, or is a path of its own: choose another").into());
    }
    let before = find(tracker, &request.session, kind, id).await?;
    let stored = before.as_ref().map(parsed).transpose()?;
    let had = stored.as_ref().and_then(|stored| stored.str("resourceType")).map(str::to_owned);
    let (name, mut resource) = shaped(tracker, request, kind, stored)?;
    if had.is_some_and(|had| had != name) {
        return Err(refused("kind", "cannot be changed: make another provider").into());
    }
    resource.set("id", id);
    // Whoever changed it since it was read above must not be undone.
    let current = before.as_ref().and_then(|before| IfMatch::parse(&format!("W/\"{}\"", before.version)));
    let precondition = Precondition {
        must_not_exist: before.is_none(),
        if_match: if_match(request)?.or(current),
        ..Precondition::default()
    };
    let body = resource.to_string();
    let written =
        tracker.engine.update(&request.session, type_of(name), Some(id), body.as_bytes(), &precondition).await?;
    let status = if written.change == Change::Created { StatusCode::CREATED } else { StatusCode::OK };
    let resource = written.resource.ok_or_else(|| missing(kind))?;
    answer(status, kind, &resource)
}

pub(super) async fn delete(tracker: &Tracker, request: &Request, kind: Kind, id: &str) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    let resource = find(tracker, &request.session, kind, id).await?.ok_or_else(|| missing(kind))?;
    let precondition = Precondition { if_match: if_match(request)?, ..Precondition::default() };
    tracker.engine.delete(&request.session, resource.ty, Some(id), &precondition).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
