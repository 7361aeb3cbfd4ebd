//! Each interaction: from the request's parts to a call of the engine and its answer.

use crate::error::Failure;
use crate::http::{Answer, Request};
use crate::negotiate::{Sent, content_type, expect_json};
use crate::query;
use crate::respond;
use crate::route::Interaction;
use crate::searchset::{self, Origin};
use crate::tracker::{Buckets, Tracker};
use crate::{capability, immunization};
use axum::http::{StatusCode, header};
use engine::{Engine, History, MetaChange, PAGE, PROFILES_UNCHECKED, Page, Patch, Precondition, Search};
use fhir::defs::TypeId;
use fhir::outcome::{Issue, to_json};
use fhir::temporal::PartialDateTime;
use store::HistoryScope;

/// Parameters about the answer's form rather than its content.
const OF_HTTP: [&str; 3] = ["_format", "_pretty", PAGE];

pub(crate) async fn run(
    tracker: &Tracker,
    buckets: &Buckets,
    request: &Request,
    interaction: Interaction,
    path: &str,
) -> Result<Answer, Failure> {
    use Interaction::*;
    let engine = &tracker.engine;
    match interaction {
        Capabilities => Ok(Answer::json(StatusCode::OK, capability::statement(&request.session.base))),
        SearchSystem => search(engine, request, None, None, path).await,
        SearchType(ty) => search(engine, request, Some(ty), None, path).await,
        SearchCompartment(owner, id, ty) => search(engine, request, ty, Some((owner, &id)), path).await,
        HistorySystem => history(engine, request, HistoryScope::System, path).await,
        HistoryType(ty) => history(engine, request, HistoryScope::Type(ty), path).await,
        HistoryInstance(ty, id) => history(engine, request, HistoryScope::Instance(ty, id), path).await,
        Bundle => {
            expect_json(&request.headers)?;
            let response = engine.bundle(&request.session, &request.body).await?;
            Ok(Answer::json(StatusCode::OK, response.json))
        }
        Create(ty) => create(engine, request, ty).await,
        Update(ty, id) => update(engine, request, ty, Some(&id)).await,
        UpdateConditional(ty) => update(engine, request, ty, None).await,
        Patch(ty, id) => patch(engine, request, ty, Some(&id)).await,
        PatchConditional(ty) => patch(engine, request, ty, None).await,
        Delete(ty, id) => delete(engine, request, ty, Some(&id)).await,
        DeleteConditional(ty) => delete(engine, request, ty, None).await,
        Read(ty, id) => read(engine, request, ty, &id).await,
        Vread(ty, id, version) => {
            let text = "a version is a number such as 3";
            let version = version.parse().map_err(|_| Failure::new(StatusCode::NOT_FOUND, "not-found", text))?;
            Ok(respond::resource(request, engine.vread(&request.session, ty, &id, version).await?))
        }
        EverythingType(ty) => everything(engine, request, ty, None, path).await,
        Everything(ty, id) => everything(engine, request, ty, Some(&id), path).await,
        ValidateType(ty) => validate(engine, request, ty, None).await,
        ValidateInstance(ty, id) => validate(engine, request, ty, Some(&id)).await,
        ImmunizationForecast => immunization_forecast(tracker, request).await,
        Match => {
            expect_json(&request.headers)?;
            immunization::find(engine, &tracker.registry, buckets, request).await
        }
        ImmunizationStatus(id) => {
            let pairs = operation_pairs(request)?;
            immunization::status(engine, &tracker.registry, request, &id, &pairs).await
        }
        Labels(ty) => Ok(Answer::json(StatusCode::OK, engine.labels(&request.session, ty).await?)),
        Meta(ty, id) => meta(engine, request, ty, &id, MetaChange::Read).await,
        MetaAdd(ty, id) => meta(engine, request, ty, &id, MetaChange::Add(&request.body)).await,
        MetaDelete(ty, id) => meta(engine, request, ty, &id, MetaChange::Delete(&request.body)).await,
    }
}

async fn read(engine: &Engine, request: &Request, ty: TypeId, id: &str) -> Result<Answer, Failure> {
    let shapes = request.pairs.iter().any(|(name, _)| matches!(name.as_str(), "_summary" | "_elements"));
    if !shapes {
        return Ok(respond::resource(request, engine.read(&request.session, ty, id).await?));
    }
    // `_summary` and `_elements` are a search's: it finds at most this one.
    let resource = engine.read(&request.session, ty, id).await?;
    let pairs: Vec<(String, String)> =
        request.pairs.iter().cloned().chain([("_id".to_owned(), id.to_owned())]).collect();
    let search = Search { ty: Some(ty), compartment: None, pairs: &pairs, lenient: false, cursor: None };
    let page = engine.search(&request.session, &search).await?;
    Ok(respond::resource(request, page.matches.into_iter().next().unwrap_or(resource)))
}

async fn create(engine: &Engine, request: &Request, ty: TypeId) -> Result<Answer, Failure> {
    expect_json(&request.headers)?;
    let header = request.headers.get("if-none-exist").and_then(|value| value.to_str().ok()).map(str::to_owned);
    // Some clients (fhirpy's get_or_create) put the criteria of If-None-Exist in the URL: ignored, they would make duplicates.
    let in_url = request.pairs.iter().any(|(name, _)| !OF_HTTP.contains(&name.as_str()));
    let criteria = header.or_else(|| in_url.then(|| request.query.clone()));
    let precondition = Precondition { criteria, ..Precondition::default() };
    let written = engine.create(&request.session, ty, &request.body, &precondition).await?;
    Ok(respond::written(request, written))
}

/// Conditional interactions take their criteria from the query string.
fn precondition(request: &Request, conditional: bool) -> Result<Precondition, Failure> {
    Ok(Precondition {
        if_match: respond::if_match(request)?,
        must_not_exist: request.header(header::IF_NONE_MATCH) == Some("*"),
        criteria: conditional.then(|| request.query.clone()),
    })
}

async fn update(engine: &Engine, request: &Request, ty: TypeId, id: Option<&str>) -> Result<Answer, Failure> {
    expect_json(&request.headers)?;
    let precondition = precondition(request, id.is_none())?;
    let written = engine.update(&request.session, ty, id, &request.body, &precondition).await?;
    Ok(respond::written(request, written))
}

async fn patch(engine: &Engine, request: &Request, ty: TypeId, id: Option<&str>) -> Result<Answer, Failure> {
    let patch = match content_type(&request.headers)? {
        Sent::JsonPatch => Patch::Json(&request.body),
        Sent::Json => Patch::FhirPath(&request.body),
        _ => {
            let text = "send application/json-patch+json, or Parameters as application/fhir+json for FHIRPath Patch";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
        }
    };
    let precondition = precondition(request, id.is_none())?;
    let written = engine.patch(&request.session, ty, id, patch, &precondition).await?;
    Ok(respond::written(request, written))
}

async fn delete(engine: &Engine, request: &Request, ty: TypeId, id: Option<&str>) -> Result<Answer, Failure> {
    let precondition = precondition(request, id.is_none())?;
    Ok(respond::deleted(engine.delete(&request.session, ty, id, &precondition).await?))
}

/// The pairs of the URL, followed by those of a `_search` body.
fn search_pairs(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = request.pairs.clone();
    if request.is_post && !request.body.is_empty() {
        if content_type(&request.headers)? != Sent::Form {
            let text = "send the search as application/x-www-form-urlencoded";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
        }
        let text = std::str::from_utf8(&request.body)
            .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "invalid", "the body is not UTF-8"))?;
        pairs.extend(query::pairs(text)?);
    }
    Ok(pairs)
}

fn cursor_of(pairs: &[(String, String)]) -> Option<String> {
    pairs.iter().rev().find(|(name, _)| name == PAGE).map(|(_, value)| value.clone())
}

async fn search(
    engine: &Engine,
    request: &Request,
    ty: Option<TypeId>,
    compartment: Option<(TypeId, &str)>,
    path: &str,
) -> Result<Answer, Failure> {
    let mut pairs = search_pairs(request)?;
    let cursor = cursor_of(&pairs);
    pairs.retain(|(name, _)| !OF_HTTP.contains(&name.as_str()));
    let lenient = request.headers.get_all("prefer").iter().any(|value| {
        value.to_str().is_ok_and(|text| text.split([',', ';']).any(|part| part.trim() == "handling=lenient"))
    });
    let search = Search { ty, compartment, pairs: &pairs, lenient, cursor: cursor.as_deref() };
    let page = engine.search(&request.session, &search).await?;
    Ok(bundle(request, path.strip_suffix("/_search").unwrap_or(path), &pairs, cursor.as_deref(), &page))
}

fn bundle(request: &Request, path: &str, pairs: &[(String, String)], cursor: Option<&str>, page: &Page) -> Answer {
    let path = path.strip_prefix("_search").unwrap_or(path);
    // The self link shows what was understood, which under lenient handling may be less than was asked.
    let pairs = page.query.as_ref().map_or(pairs, |query| &query.applied);
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Answer::json(StatusCode::OK, searchset::search(request, &Origin { path, pairs }, cursor, page))
}

async fn everything(
    engine: &Engine,
    request: &Request,
    ty: TypeId,
    id: Option<&str>,
    path: &str,
) -> Result<Answer, Failure> {
    let mut pairs = operation_pairs(request)?;
    let cursor = cursor_of(&pairs);
    pairs.retain(|(name, _)| !OF_HTTP.contains(&name.as_str()));
    let page = engine.everything(&request.session, ty, id, &pairs, cursor.as_deref()).await?;
    Ok(bundle(request, path, &pairs, cursor.as_deref(), &page))
}

/// The pairs of the URL, followed by those of a Parameters body.
fn operation_pairs(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = request.pairs.clone();
    if request.is_post && !request.body.is_empty() {
        expect_json(&request.headers)?;
        pairs.extend(parameters(&request.body)?);
    }
    Ok(pairs)
}

/// The primitive values of a Parameters resource as pairs.
fn parameters(body: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    let document = fhir::json::Document::parse(body, &fhir::json::Limits::default())
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "structure", error.to_string()))?;
    let root = document.root();
    let list = root.get("parameter").into_iter().flat_map(fhir::json::Node::each);
    Ok(list
        .filter_map(|parameter| {
            let name = parameter.str("name")?.into_owned();
            let (_, value) = parameter.members().find(|(member, _)| member.starts_with("value"))?;
            Some((name, value.as_str().map_or_else(|| value.raw().to_owned(), |text| text.into_owned())))
        })
        .collect())
}

async fn history(engine: &Engine, request: &Request, scope: HistoryScope, path: &str) -> Result<Answer, Failure> {
    let pairs = &request.pairs;
    let mut history = History { scope, since_us: None, at_us: None, cursor: cursor_of(pairs), count: None };
    for (name, value) in pairs {
        let date = |text: &str| {
            let text = text.replace(' ', "+");
            let wrong = format!("{name} is not a date or instant");
            PartialDateTime::parse(&text)
                .map(|date| date.range_us())
                .ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "invalid", wrong))
        };
        match name.as_str() {
            "_since" => history.since_us = Some(date(value)?.0),
            "_at" => {
                // Only the plain form: `_at` selects what was current at that time.
                history.at_us = Some(date(value.strip_prefix("eq").unwrap_or(value))?);
            }
            "_count" => {
                let wrong = "_count must be a whole number above 0";
                let count = value.parse().ok().filter(|count| *count > 0);
                history.count = Some(count.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "invalid", wrong))?);
            }
            name if OF_HTTP.contains(&name) => {}
            name => {
                let hint = fhir::nearest::hint(name, ["_since", "_at", "_count", "_format", "_pretty"]);
                let name: String = name.chars().take(64).collect();
                let text = format!("unknown history parameter {name}{hint}");
                return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", text));
            }
        }
    }
    let page = engine.history(&request.session, &history).await?;
    let shown = pairs.iter().filter(|(name, _)| !OF_HTTP.contains(&name.as_str()));
    let origin = Origin { path, pairs: shown.map(|(name, value)| (name.as_str(), value.as_str())).collect() };
    Ok(Answer::json(StatusCode::OK, searchset::history(request, &origin, history.cursor.as_deref(), &page)))
}

/// Without a body: what is stored under the id.
async fn validate(engine: &Engine, request: &Request, ty: TypeId, id: Option<&str>) -> Result<Answer, Failure> {
    let mut issues = match id.filter(|_| request.body.is_empty()) {
        Some(id) => engine.validate_stored(&request.session, ty, id).await?,
        None => {
            expect_json(&request.headers)?;
            engine.validate(&request.session, Some(ty), &request.body).await?
        }
    };
    if request.pairs.iter().any(|(name, _)| name == "profile") {
        issues.push(Issue::warning("not-supported", PROFILES_UNCHECKED));
    }
    Ok(Answer::json(StatusCode::OK, to_json(&issues)))
}

/// By the schedule that counts in the registry.
async fn immunization_forecast(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    expect_json(&request.headers)?;
    let definitions = tracker.registry.definitions();
    let forecast = || registry::immds::forecast(definitions.schedule(), &request.body);
    let answer = tracker.engine.operation(&request.session, registry::immds::FORECAST, forecast).await?;
    Ok(Answer::json(StatusCode::OK, answer))
}

async fn meta(
    engine: &Engine,
    request: &Request,
    ty: TypeId,
    id: &str,
    change: MetaChange<'_>,
) -> Result<Answer, Failure> {
    if request.is_post {
        expect_json(&request.headers)?;
    }
    Ok(Answer::json(StatusCode::OK, engine.meta(&request.session, ty, id, change).await?))
}
