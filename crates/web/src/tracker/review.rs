//! `/tracker/review`: pairs of records that may be one person, one pair at a time.

use super::compare::{Side, compare};
use super::refused::InPage;
use super::{Shared, Tracker, link, page, person_link, say, value};
use crate::ops::origin::{self, Form};
use crate::words::{self, grouped};
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use engine::Session;
use maud::{Markup, html};
use registry::{PersonId, Review};

/// Pairs that the arrows go through before the next ones are fetched.
const STEP: usize = 20;
/// Doses of a record that are named.
const DOSES_MAX: usize = 12;

/// Where in the queue somebody is: the pair number `at` after the place `after`.
#[derive(Clone, Debug, Default)]
struct At {
    after: String,
    at: usize,
}

impl At {
    fn read(after: Option<&str>, at: Option<&str>) -> Result<At, InPage> {
        let at = at.map_or(Ok(0), str::parse).ok().filter(|at| *at < STEP);
        let at = at.ok_or_else(|| InPage::invalid(format!("at: a number below {STEP}")))?;
        Ok(At { after: after.unwrap_or_default().to_owned(), at })
    }

    fn link(&self, more: &[(&str, &str)]) -> String {
        let at = self.at.to_string();
        let mut pairs = Vec::new();
        if !self.after.is_empty() {
            pairs.push(("after", self.after.as_str()));
        }
        if self.at > 0 {
            pairs.push(("at", at.as_str()));
        }
        pairs.extend(more);
        link("/tracker/review", &pairs)
    }
}

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["after", "at", "done", "person"])?;
    let at = At::read(value(&pairs, "after"), value(&pairs, "at"))?;
    let page = tracker.registry.reviews(&tracker.engine, &session, &at.after, STEP).await?;
    let notice = notice(value(&pairs, "done"), value(&pairs, "person").and_then(PersonId::parse));
    let content = html! {
        h1 { "Are these the same person?" }
        (notice)
        p.lead { strong #waiting { (grouped(page.total as u64)) } @if page.total == 1 { " pair waits" } @else { " pairs wait" } " for a decision." }
        @match page.items.get(at.at) {
            Some(review) => {
                @let last = at.at + 1 >= page.items.len();
                @let next = match (last, &page.next) {
                    (false, _) => Some(At { at: at.at + 1, ..at.clone() }),
                    (true, Some(next)) => Some(At { after: next.clone(), at: 0 }),
                    (true, None) => None,
                };
                @let back = match at.at {
                    0 if at.after.is_empty() => None,
                    0 => Some(At::default()),
                    n => Some(At { at: n - 1, ..at.clone() }),
                };
                (pair(&tracker, &session, review, &at, (back.as_ref(), next.as_ref())).await?)
            }
            None if page.total > 0 => {
                p { "You have seen the pairs from here to the end of the queue." }
                p { a href="/tracker/review" { "Begin again" } }
            }
            None => p { "Nothing is to be decided. Pairs come here when two records are alike, but not enough to link them without a person who looks." },
        }
    };
    Ok(page::page("/tracker/review", "Same person?", content))
}

fn notice(done: Option<&str>, person: Option<PersonId>) -> Markup {
    let text = match done {
        Some("merge") => "They are one person now.",
        Some("apart") => "They stay two people, and matching will not link them.",
        Some("part") => "They are two people now, and matching will not link them again.",
        Some("dismiss") => "The pair was taken off the list. Nothing else was changed.",
        _ => return html! {},
    };
    html! { div.notice role="status" { p {
        (text)
        @if let Some(person) = person { " " a href=(person_link(&person.to_string())) {
            @if done == Some("merge") { "Look at the person, or undo it there" } @else { "Look at the person" }
        } }
    } } }
}

async fn pair(
    tracker: &Tracker,
    session: &Session,
    review: &Review,
    at: &At,
    (back, next): (Option<&At>, Option<&At>),
) -> Result<Markup, InPage> {
    let sides = [tracker.side(session, &review.records[0]).await?, tracker.side(session, &review.records[1]).await?];
    let linked = sides[0].person.is_some() && sides[0].person == sides[1].person;
    let now_us = tracker.engine.now_us();
    Ok(html! {
        section #pair {
            @if linked { p { strong { "These two are linked now. " } "Since they were, one of them was changed, and they are no longer alike." } }
            (compare(&sides, now_us))
            (why(review, now_us))
            (decision(tracker, review, at, linked))
            p.pager {
                @if let Some(back) = back { a #back href=(back.link(&[])) { "Back one pair" } " " }
                @if let Some(next) = next { a #skip href=(next.link(&[])) { "Skip this pair" } }
                @else { "This is the last pair." }
            }
            (keys())
        }
    })
}

/// Why weir asks, and how alike the two are.
fn why(review: &Review, now_us: i64) -> Markup {
    let times = 2_f64.powf(review.bits.abs().min(60.0));
    let times = if times >= 1e9 { "more than a billion".to_owned() } else { grouped(times.round() as u64) };
    let than = if review.bits >= 0.0 { "one person than two" } else { "two people than one" };
    html! {
        h2 { "Why weir asks" }
        ul { @for reason in &review.reasons { li { (say::likeness(reason)) } } }
        p.aside {
            "Score: " (format!("{:.1}", review.bits)) ". Taken by themselves, two such records are " (times) " times likelier to be of "
            (than) ". Waiting since " (words::moment(review.at_us, now_us)) "."
        }
    }
}

fn decision(tracker: &Tracker, review: &Review, at: &At, linked: bool) -> Markup {
    html! {
        form.decide method="post" action="/tracker/review/decide" {
            (tracker.token_field())
            input type="hidden" name="one" value=(review.records[0]);
            input type="hidden" name="other" value=(review.records[1]);
            input type="hidden" name="after" value=(at.after);
            input type="hidden" name="at" value=(at.at);
            label for="why" { "Why (may be left empty; others will read it)" }
            input #why name="why" type="text" maxlength="500" autocomplete="off";
            div.buttons {
                button #same name="decision" value="same" { (if linked { "Same person: leave them linked" } else { "Same person: link them" }) }
                button.secondary #different name="decision" value="different" { (if linked { "Not the same: part them" } else { "Not the same: keep them apart" }) }
                button.secondary #dismiss name="decision" value="dismiss" { "Take it off the list undecided" }
            }
        }
    }
}

fn keys() -> Markup {
    html! {
        details #keys hidden {
            summary { "Keys" }
            dl.facts {
                div { dt { kbd { "m" } } dd { "Same person" } }
                div { dt { kbd { "n" } } dd { "Not the same" } }
                div { dt { kbd { "s" } " or " kbd { "→" } } dd { "Skip this pair" } }
                div { dt { kbd { "←" } } dd { "Back one pair" } }
            }
            p { "They do nothing while you type in the box. Linking can be undone on the page of the person." }
            button.secondary.small #keys-off type="button" aria-pressed="false" { "Turn the keys off" }
        }
    }
}

impl Tracker {
    async fn side(&self, session: &Session, id: &str) -> Result<Side, InPage> {
        let person = self.registry.person_of(session, id)?;
        let mut doses = Vec::new();
        if let Some(person) = person {
            let whole = self.registry.whole(&self.engine, session, &person.to_string(), None).await?;
            let own = whole.doses.iter().filter(|dose| dose.record == id);
            doses.extend(own.take(DOSES_MAX).map(|dose| {
                let day = dose.date.as_deref().map_or_else(|| "No day".to_owned(), say::day);
                format!("{day} {}", dose.vaccine.as_deref().unwrap_or("vaccine not known"))
            }));
        }
        let sheet = self.sheet(session, id).await?;
        Ok(Side { id: id.to_owned(), sheet, person: person.map(|person| person.to_string()), doses })
    }
}

pub(super) async fn decide(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, InPage> {
    let form = Form::read(&headers, &uri, &body, &tracker.token)?;
    let missing = || InPage::invalid("the form is not complete: load the page again");
    let field = |name: &str| form.get(name).ok_or_else(missing);
    let (one, other, why) = (field("one")?, field("other")?, form.get("why").unwrap_or_default().trim());
    let at = At::read(form.get("after"), form.get("at"))?;
    let (registry, engine) = (&tracker.registry, &tracker.engine);
    let gone = || InPage::not_found("one of the two records is not there any more: go on to the next pair");
    let first = registry.person_of(&session, one)?.ok_or_else(gone)?;
    let second = registry.person_of(&session, other)?.ok_or_else(gone)?;
    let (done, person) = match (field("decision")?, first == second) {
        ("same", false) => {
            registry.merge(engine, &session, first, second, why).await?;
            ("merge", Some(first))
        }
        ("same" | "dismiss", _) => {
            registry.dismiss(engine, &session, one, other).await?;
            ("dismiss", None)
        }
        ("different", false) => {
            registry.keep_apart(engine, &session, one, other, why).await?;
            ("apart", None)
        }
        ("different", true) => {
            (("part"), Some(registry.unmerge(engine, &session, first, &[other.to_owned()], why).await?))
        }
        _ => return Err(missing()),
    };
    let person = person.map(|person| person.to_string());
    let mut more = vec![("done", done)];
    more.extend(person.as_deref().map(|person| ("person", person)));
    Ok(Redirect::to(&at.link(&more)).into_response())
}
