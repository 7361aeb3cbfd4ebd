//! `/ops/{tenant}/{name}/intents/{no}`: one record on its way, or refused: what is stored, and a way to put it right.

use super::destination::{back, intent_path, what_happens};
use super::origin;
use super::refused::Refused;
use super::{Ops, Shared, card, find, page};
use crate::words;
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use delivery::{Intent, Problem, State as IntentState};
use engine::{Change, IfMatch, Precondition, Session};
use fhir::defs::{TypeId, r4};
use maud::{Markup, html};

type Place = Path<(String, String, String)>;

fn number(text: &str) -> Result<u64, Refused> {
    text.parse().map_err(|_| Refused::not_found("the number of a record has digits only"))
}

pub(super) fn problem(problem: &Problem) -> String {
    words::answer(problem.status, &problem.text)
}

pub(super) fn attempts(count: u32) -> String {
    match count {
        1 => "1 attempt".into(),
        count => format!("{count} attempts"),
    }
}

/// The resource that an intent is about.
fn resource_of(intent: &Intent) -> Result<(TypeId, &str), Refused> {
    let parts = intent.key.split_once('/').and_then(|(name, id)| Some((r4().resource_by_name(name)?, id)));
    parts.ok_or_else(|| Refused::not_found("this record is of an unknown type"))
}

/// What is stored now.
enum Stored {
    Version { version: u64, json: String },
    Deleted,
}

async fn read(ops: &Ops, session: &Session, tenant: &str, intent: &Intent) -> Result<Stored, Refused> {
    let (ty, id) = resource_of(intent)?;
    match ops.engine.read(&ops.session_for(session, tenant), ty, id).await {
        Ok(resource) => {
            let json = String::from_utf8_lossy(&fhir::json::pretty(&resource.json)).into_owned();
            Ok(Stored::Version { version: resource.version, json })
        }
        Err(error) if error.status == 410 => Ok(Stored::Deleted),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn show(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name, no)): Place,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    origin::parameters(query.as_deref(), &[])?;
    let intent = find(&ops.handle(&tenant, &name)?, number(&no)?).await?;
    let stored = read(&ops, &session, &tenant, &intent).await?;
    Ok(page(&ops, (&tenant, &name), &intent, &stored, &[]))
}

/// `errors`: why the form could not be stored.
fn page(ops: &Ops, (tenant, name): (&str, &str), intent: &Intent, stored: &Stored, errors: &[String]) -> Response {
    let path = card::path(tenant, name);
    let now_us = ops.engine.now_us();
    let is_dead = intent.state == IntentState::Dead;
    let content = html! {
        p { a href=(path) { "Back to " (name) } }
        @if !errors.is_empty() {
            div.errors role="alert" {
                h2 { "There is a problem" }
                ul { @for error in errors { li { a href="#json" { (error) } } } }
            }
        }
        h1 { (intent.key) }
        dl.facts {
            div { dt { "State" } dd { (what_happens(intent, now_us)) } }
            div { dt { "Number" } dd { (intent.no) } }
            div { dt { "First seen" } dd { (words::instant(intent.since_us, now_us)) } }
            div { dt { "Attempts" } dd { (intent.attempts) } }
            @if intent.group != intent.key {
                div { dt { "Goes in order with other records of" } dd { (intent.group) } }
            }
        }
        @if is_dead { (replay_form(ops, &path, intent)) }
        @match stored {
            Stored::Deleted => {
                h2 { "The record" }
                p { "It was deleted here: what is sent is the deletion." }
            }
            Stored::Version { version, json } if is_dead => (edit_form(ops, &path, intent, *version, json, errors)),
            Stored::Version { version, json } => {
                h2 { "The record as it is stored, version " (version) }
                pre tabindex="0" { code { (json) } }
            }
        }
        p.aside { "That you have looked at this record is noted in the audit trail." }
    };
    let title = if errors.is_empty() { intent.key.clone() } else { format!("Error: {}", intent.key) };
    page::page(&title, content)
}

fn replay_form(ops: &Ops, path: &str, intent: &Intent) -> Markup {
    html! {
        h2 { "Send it again as it is" }
        p { "This helps when the fault was at the destination, and has been put right there." }
        form method="post" action=(format!("{}/replay", intent_path(path, intent))) {
            (ops.token_field())
            button.secondary { "Send it again" }
        }
    }
}

fn edit_form(ops: &Ops, path: &str, intent: &Intent, version: u64, json: &str, errors: &[String]) -> Markup {
    html! {
        h2 { "Change it" }
        form method="post" action=(format!("{}/edit", intent_path(path, intent))) {
            (ops.token_field())
            input type="hidden" name="version" value=(version);
            label for="json" { "The record as JSON, version " (version) }
            p.aside #hint { "What you store is a new version here. It is sent by itself." }
            @if !errors.is_empty() { p.error #error { "Error: it was not stored. The reasons are at the top of the page." } }
            textarea #json name="json" rows="24" spellcheck="false" autocomplete="off" autocapitalize="off"
                aria-invalid=[(!errors.is_empty()).then_some("true")]
                aria-describedby=(if errors.is_empty() { "hint" } else { "hint error" }) {
                // The first line break after the tag is dropped by browsers.
                "\n" (json)
            }
            button { "Store and send" }
        }
    }
}

pub(super) async fn replay(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name, no)): Place,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    ops.form(&headers, &uri, &body)?;
    let count = ops.replay(&session, (&tenant, &name), Some(vec![number(&no)?])).await?;
    Ok(back(&tenant, &name, &format!("replay&count={count}")))
}

/// Stores what is in the form. A text that is refused is shown again, with the reasons.
pub(super) async fn edit(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name, no)): Place,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = ops.form(&headers, &uri, &body)?;
    let missing = || Refused::invalid("the form is not complete: load the page again");
    let (json, version) = (form.get("json").ok_or_else(missing)?, form.get("version").ok_or_else(missing)?);
    let version: u64 = version.parse().map_err(|_| missing())?;
    let intent = find(&ops.handle(&tenant, &name)?, number(&no)?).await?;
    let (ty, id) = resource_of(&intent)?;
    let precondition = Precondition { if_match: Some(IfMatch::Versions(vec![version])), ..Precondition::default() };
    let session = ops.session_for(&session, &tenant);
    let refused = match ops.engine.update(&session, ty, Some(id), json.as_bytes(), &precondition).await {
        Ok(written) if written.change != Change::Unchanged => return Ok(back(&tenant, &name, "edit")),
        Ok(_) => Refused::invalid("nothing was changed: change something, or send it again as it is"),
        Err(error) => error.into(),
    };
    let stored = Stored::Version { version, json: json.to_owned() };
    let page = page(&ops, (&tenant, &name), &intent, &stored, refused.texts());
    Ok((refused.status(), page).into_response())
}
