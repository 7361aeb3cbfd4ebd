//! Who is to decide about a pair of `/tracker/review`, and until when.

use super::refused::InPage;
use super::review::{At, hidden};
use super::submitted::Submitted;
use super::{Shared, Tracker, say};
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use registry::{ASSIGNED_MAX, Date, Review};

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
                input #assigned name="assigned" type="text" maxlength=(ASSIGNED_MAX) autocomplete="off" value=[assigned];
                label for="due" { "By which day (may be left empty)" }
                input #due name="due" type="date" value=[&due];
                div.buttons { button.secondary #assign { "Save who decides" } }
            }
        }
    }
}

pub(super) async fn assign(State(tracker): Shared, sent: Submitted) -> Result<Response, InPage> {
    let (one, other) = (sent.required("one")?, sent.required("other")?);
    let given = |name: &str| Some(sent.text(name)).filter(|text| !text.is_empty());
    let assigned = given("assigned");
    if assigned.is_some_and(|name| name.chars().count() > ASSIGNED_MAX) {
        return Err(InPage::invalid(format!("who is to decide: at most {ASSIGNED_MAX} characters")));
    }
    let due = given("due").map(|text| text.parse::<Date>());
    let due = due.transpose().map_err(|_| InPage::invalid("by which day: a day such as 2026-12-24"))?;
    let at = At::read(|name| sent.form.get(name))?;
    tracker.registry.assign(&tracker.engine, &sent.session, [one, other], assigned, due).await?;
    Ok(Redirect::to(&at.link(&[("done", "assign")])).into_response())
}
