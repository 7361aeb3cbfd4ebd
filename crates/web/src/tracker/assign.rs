//! Who is to decide about a pair of `/tracker/review`, and until when.

use super::refused::InPage;
use super::review::{At, hidden};
use super::{Shared, Tracker, say};
use crate::ops::origin::Form;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use engine::Session;
use maud::{Markup, html};
use registry::{Date, Review};

/// Characters of a name.
const NAME_MAX: usize = 100;

pub(super) fn assignment(tracker: &Tracker, review: &Review, at: &At, today: Date) -> Markup {
    let assigned = review.assigned.as_deref();
    let due = review.due.map(|due| due.to_string());
    html! {
        h2 { "Who decides" }
        p #assignment {
            @match assigned {
                Some(name) => { (name) " is to decide" }
                None => "Nobody in particular is to decide"
            }
            @if let Some(text) = &due { " by " (say::day(text)) }
            "."
            @if review.due.is_some_and(|due| due < today) { " " strong { "That day has passed." } }
            " " a href=(At::of(assigned.unwrap_or_default()).link(&[])) {
                @match assigned { Some(name) => { "Only pairs of " (name) } None => "Only pairs of nobody" }
            }
        }
        details {
            summary { "Change who decides" }
            form.decide method="post" action="/tracker/review/assign" {
                (hidden(tracker, review, at))
                label for="assigned" { "Who is to decide (empty: nobody in particular)" }
                input #assigned name="assigned" type="text" maxlength=(NAME_MAX) autocomplete="off" value=[assigned];
                label for="due" { "By which day (may be left empty)" }
                input #due name="due" type="date" value=[&due];
                div.buttons { button.secondary #assign { "Save who decides" } }
            }
        }
    }
}

pub(super) async fn assign(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, InPage> {
    let form = Form::read(&headers, &uri, &body, &tracker.token)?;
    let missing = || InPage::invalid("the form is not complete: load the page again");
    let (one, other) = (form.get("one").ok_or_else(missing)?, form.get("other").ok_or_else(missing)?);
    let given = |name: &str| form.get(name).map(str::trim).filter(|text| !text.is_empty());
    let assigned = given("assigned");
    if assigned.is_some_and(|name| name.chars().count() > NAME_MAX) {
        return Err(InPage::invalid(format!("who is to decide: at most {NAME_MAX} characters")));
    }
    let due = given("due").map(|text| text.parse::<Date>());
    let due = due.transpose().map_err(|_| InPage::invalid("by which day: a day such as 2026-12-24"))?;
    let at = At::read(|name| form.get(name))?;
    tracker.registry.assign(&tracker.engine, &session, [one, other], assigned, due).await?;
    Ok(Redirect::to(&at.link(&[("done", "assign")])).into_response())
}
