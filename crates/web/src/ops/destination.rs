//! `/ops/{tenant}/{name}`: one destination, what waits there and what it has refused, and the switches.

use super::origin::{self, Form};
use super::refused::Refused;
use super::{Ops, Shared, card, list, page};
use crate::words;
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use delivery::{Handle, Intent, State as IntentState, Status};
use engine::Session;
use maud::{Markup, html};

/// Rows of the two lists.
const DEAD_MAX: usize = 100;
const IN_WORK_MAX: usize = 25;
/// Intents that are not refused.
const IN_WORK: [IntentState; 4] = [IntentState::InFlight, IntentState::Probe, IntentState::Retry, IntentState::Pending];

pub(super) type Name = Path<(String, String)>;

pub(super) async fn show(
    State(ops): Shared,
    Path((tenant, name)): Name,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let done = origin::parameters(query.as_deref(), &["done", "count"])?;
    let handle = ops.handle(&tenant, &name)?;
    let (status, now_us) = (handle.status(), ops.engine.now_us());
    let path = card::path(&tenant, &name);
    let mut events = String::from("/ops/events?");
    events.push_str(
        &form_urlencoded::Serializer::new(String::new())
            .append_pair("tenant", &tenant)
            .append_pair("destination", &name)
            .finish(),
    );
    let content = html! {
        p { a href="/ops" { "All destinations" } }
        h1 { (name) }
        (notice(&done))
        (ops.alerts(&tenant, &name))
        p.aside { "Kind: " (status.kind) ". Tenant: " (tenant) "." }
        (page::live(&events, &words::instant(now_us, now_us)))
        (card::card(&tenant, &status, &ops.samples(&tenant, &status, now_us)))
        (ops.synchronisation(&tenant, &name, &path, now_us))
        (switch(&ops, &path, &status))
        @if status.running {
            (refused(&ops, &path, &handle, &status, now_us).await?)
            (in_work(&path, &handle, &status, now_us).await?)
        }
    };
    Ok(page::page(&name, content))
}

/// What has just been done, told once after the form.
fn notice(done: &[(&str, String)]) -> Markup {
    let of = |wanted: &str| done.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let count = of("count").and_then(|count| count.parse().ok()).unwrap_or(0);
    let text = match of("done") {
        Some("pause") => "Paused. What is on its way still arrives; nothing else is sent until you resume.".to_owned(),
        Some("resume") => "Resumed. Records are sent again.".to_owned(),
        Some("replay") if count == 1 => "1 record will be sent again.".to_owned(),
        Some("replay") => format!("{} records will be sent again.", words::grouped(count)),
        Some("round") => "It looks for changes now.".to_owned(),
        Some("sweep") => "It looks at everything now: that may take hours.".to_owned(),
        Some("edit") => "The new version is stored and will be sent.".to_owned(),
        _ => return html! {},
    };
    html! { div.notice role="status" { p { (text) } } }
}

fn switch(ops: &Ops, path: &str, status: &Status) -> Markup {
    html! {
        h2 { "Pause or resume" }
        @if status.paused {
            p { "It is paused, also after a restart of the server." }
            form method="post" action=(format!("{path}/resume")) { (ops.token_field()) button { "Resume" } }
        } @else {
            p { "While it is paused nothing is lost: records wait here in their order, also after a restart of the server." }
            form method="post" action=(format!("{path}/pause")) { (ops.token_field()) button.warning { "Pause" } }
        }
    }
}

async fn refused(ops: &Ops, path: &str, handle: &Handle, status: &Status, now_us: i64) -> Result<Markup, Refused> {
    let dead = list(handle, Some(IntentState::Dead), DEAD_MAX).await?;
    Ok(html! {
        h2 #refused { "Refused for good" }
        @if dead.is_empty() {
            p { "Nothing was refused." }
        } @else {
            p {
                "The destination will not take these as they are. Each one holds back later records of the same patient, \
                 and nothing else. A new version of a record is sent by itself."
            }
            form method="post" action=(format!("{path}/replay")) {
                (ops.token_field())
                button.secondary { "Send all of them again" }
            }
            table.stack role="table" {
                caption { (shown(dead.len(), status.dead as u64)) " As of " (words::instant(now_us, now_us)) "." }
                (head(&["Number", "Record", "What happened", "What you can do"]))
                tbody role="rowgroup" { @for intent in &dead { tr role="row" {
                    td role="cell" { (label("Number")) (intent.no) }
                    td role="cell" { (label("Record")) (record(path, intent)) }
                    td role="cell" { (label("What happened")) (what_happened(intent, now_us)) }
                    td role="cell" {
                        p { a href=(intent_path(path, intent)) { "Look at it or change it" span.hidden { " " (intent.key) } } }
                        form method="post" action=(format!("{}/replay", intent_path(path, intent))) {
                            (ops.token_field())
                            button.secondary.small { "Send again" span.hidden { " " (intent.key) } }
                        }
                    }
                } } }
            }
        }
    })
}

async fn in_work(path: &str, handle: &Handle, status: &Status, now_us: i64) -> Result<Markup, Refused> {
    let mut intents = Vec::new();
    for state in IN_WORK {
        intents.extend(list(handle, Some(state), IN_WORK_MAX).await?);
    }
    intents.sort_unstable_by_key(|intent| intent.no);
    intents.truncate(IN_WORK_MAX);
    Ok(html! {
        h2 #waiting { "Waiting and in work" }
        @if intents.is_empty() {
            p { "Nothing waits." }
        } @else {
            table.stack role="table" {
                caption { (shown(intents.len(), status.depth)) " Oldest first, as of " (words::instant(now_us, now_us)) "." }
                (head(&["Number", "Record", "What happens", "Waiting for"]))
                tbody role="rowgroup" { @for intent in &intents { tr role="row" {
                    td role="cell" { (label("Number")) (intent.no) }
                    td role="cell" { (label("Record")) (record(path, intent)) }
                    td role="cell" { (label("What happens")) (what_happens(intent, now_us)) }
                    td role="cell" { (label("Waiting for")) (words::span((now_us - intent.since_us) as f64 / 1e6)) }
                } } }
            }
        }
    })
}

fn shown(here: usize, all: u64) -> String {
    match all {
        all if all <= here as u64 => String::new(),
        all => format!("The first {here} of {}.", words::grouped(all)),
    }
}

/// Roles are named because small screens show the rows as blocks, and browsers would then forget that this is a table.
pub(super) fn head(names: &[&str]) -> Markup {
    html! { thead role="rowgroup" { tr role="row" { @for name in names {
        th role="columnheader" scope="col" { (name) }
    } } } }
}

pub(super) fn label(name: &str) -> Markup {
    html! { span.label aria-hidden="true" { (name) ": " } }
}

pub(super) fn intent_path(path: &str, intent: &Intent) -> String {
    format!("{path}/intents/{}", intent.no)
}

fn record(path: &str, intent: &Intent) -> Markup {
    html! { a href=(intent_path(path, intent)) { (intent.key) } }
}

fn what_happened(intent: &Intent, now_us: i64) -> Markup {
    html! {
        @if let Some(problem) = &intent.problem { "Its answer: " (super::intent::problem(problem)) ". " }
        (super::intent::attempts(intent.attempts)) ", first seen " (words::instant(intent.since_us, now_us)) "."
    }
}

pub(super) fn what_happens(intent: &Intent, now_us: i64) -> Markup {
    let later = |text: &str| match intent.not_before_us > now_us {
        true => format!("{text} at {}", words::instant(intent.not_before_us, now_us)),
        false => text.to_owned(),
    };
    let text = match intent.state {
        IntentState::Pending => "Waits for its turn".to_owned(),
        IntentState::InFlight => "On its way".to_owned(),
        IntentState::Retry => later("Tried again"),
        IntentState::Probe => later("Perhaps it arrived: looked up there"),
        IntentState::Dead => "Refused for good".to_owned(),
    };
    html! {
        (text) "."
        @if let Some(problem) = &intent.problem { " " (super::intent::attempts(intent.attempts)) ". Last answer: " (super::intent::problem(problem)) "." }
    }
}

impl Ops {
    pub(super) fn token_field(&self) -> Markup {
        html! { input type="hidden" name="token" value=(self.token); }
    }

    /// The form of a request to this server.
    pub(super) fn form(&self, headers: &HeaderMap, uri: &Uri, body: &[u8]) -> Result<Form, Refused> {
        Form::read(headers, uri, body, &self.token)
    }
}

pub(super) fn back(tenant: &str, name: &str, done: &str) -> Response {
    Redirect::to(&format!("{}?done={done}", card::path(tenant, name))).into_response()
}

/// Pauses, or lets it go on.
pub(super) async fn pause<const PAUSED: bool>(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name)): Name,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    ops.form(&headers, &uri, &body)?;
    ops.pause(&session, (&tenant, &name), PAUSED).await?;
    Ok(back(&tenant, &name, if PAUSED { "pause" } else { "resume" }))
}

pub(super) async fn replay(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name)): Name,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    ops.form(&headers, &uri, &body)?;
    let count = ops.replay(&session, (&tenant, &name), None).await?;
    Ok(back(&tenant, &name, &format!("replay&count={count}")))
}
