//! `/tracker/review`: pairs of records that may be one person, one pair at a time.

use super::assign::assignment;
use super::compare::{Side, compare};
use super::refused::InPage;
use super::submitted::{Submitted, incomplete};
use super::{Shared, Tracker, link, page, person_link, say, value};
use crate::ops::origin;
use crate::words::{self, grouped};
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use engine::Session;
use maud::{Markup, html};
use registry::{PersonId, Review, ReviewsQuery};

/// Pairs that the arrows go through before the next ones are fetched.
const STEP: usize = 20;
/// The parameter for pairs that nobody in particular is to decide.
const NOBODY: &str = "nobody";
/// Doses of a record that are named.
const DOSES_MAX: usize = 12;

/// Where in the queue somebody is: the pair number `at` after the place `after`.
#[derive(Clone, Debug, Default)]
pub(super) struct At {
    after: String,
    at: usize,
    /// Only pairs that somebody is to decide; empty for nobody.
    of: Option<String>,
}

impl At {
    /// From the parameters of a page or the fields of a form.
    pub(super) fn read<'a>(given: impl Fn(&str) -> Option<&'a str>) -> Result<At, InPage> {
        let at = given("at").map_or(Ok(0), str::parse).ok().filter(|at| *at < STEP);
        let at = at.ok_or_else(|| InPage::invalid(format!("at: a number below {STEP}")))?;
        let of = if given(NOBODY).is_some() { Some("") } else { given("of") };
        Ok(At { after: given("after").unwrap_or_default().to_owned(), at, of: of.map(str::to_owned) })
    }

    /// The parameter that says whose pairs are shown.
    fn filter(&self) -> Option<(&str, &str)> {
        self.of.as_deref().map(|of| if of.is_empty() { (NOBODY, "1") } else { ("of", of) })
    }

    /// The beginning of somebody's pairs.
    pub(super) fn of(name: &str) -> At {
        At { of: Some(name.to_owned()), ..At::default() }
    }

    fn start(&self) -> At {
        At { of: self.of.clone(), ..At::default() }
    }

    pub(super) fn link(&self, more: &[(&str, &str)]) -> String {
        let at = self.at.to_string();
        let mut pairs = Vec::new();
        if !self.after.is_empty() {
            pairs.push(("after", self.after.as_str()));
        }
        if self.at > 0 {
            pairs.push(("at", at.as_str()));
        }
        pairs.extend(self.filter());
        pairs.extend(more);
        link("/tracker/review", &pairs)
    }
}

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["after", "at", "of", NOBODY, "done", "person"])?;
    let at = At::read(|name| value(&pairs, name))?;
    let query = ReviewsQuery { after: &at.after, limit: STEP, assigned: at.of.as_deref(), due_by: None };
    let page = tracker.registry.reviews(&tracker.engine, &session, &query).await?;
    let notice = notice(value(&pairs, "done"), value(&pairs, "person").and_then(PersonId::parse));
    let content = html! {
        h1 { "Are these the same person?" }
        (notice)
        p.lead { strong #waiting { (grouped(page.total as u64)) } @if page.total == 1 { " pair waits" } @else { " pairs wait" } " for a decision." }
        @if let Some(name) = &at.of {
            p #filter {
                @if name.is_empty() { "Only pairs that nobody in particular is to decide are shown. " }
                @else { "Only pairs that " (name) " is to decide are shown. " }
                a href="/tracker/review" { "Show all" }
            }
        }
        @match page.items.get(at.at) {
            Some(review) => {
                @let last = at.at + 1 >= page.items.len();
                @let next = match (last, &page.next) {
                    (false, _) => Some(At { at: at.at + 1, ..at.clone() }),
                    (true, Some(next)) => Some(At { after: next.clone(), ..at.start() }),
                    (true, None) => None,
                };
                @let back = match at.at {
                    0 if at.after.is_empty() => None,
                    0 => Some(at.start()),
                    n => Some(At { at: n - 1, ..at.clone() }),
                };
                (pair(&tracker, &session, review, &at, (back.as_ref(), next.as_ref())).await?)
            }
            None if page.total > 0 => {
                p { "You have seen the pairs from here to the end of the queue." }
                p { a href=(at.start().link(&[])) { "Begin again" } }
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
        Some("assign") => "Who decides about this pair is noted.",
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
            (assignment(tracker, review, at, tracker.registry.today()))
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
            (hidden(tracker, review, at))
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

/// What a form about a pair sends besides its own fields.
pub(super) fn hidden(tracker: &Tracker, review: &Review, at: &At) -> Markup {
    html! {
        (tracker.token_field())
        input type="hidden" name="one" value=(review.records[0]);
        input type="hidden" name="other" value=(review.records[1]);
        input type="hidden" name="after" value=(at.after);
        input type="hidden" name="at" value=(at.at);
        @if let Some((name, value)) = at.filter() { input type="hidden" name=(name) value=(value); }
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

pub(super) async fn decide(State(tracker): Shared, sent: Submitted) -> Result<Response, InPage> {
    let (session, one, other, why) = (&sent.session, sent.required("one")?, sent.required("other")?, sent.text("why"));
    let at = At::read(|name| sent.form.get(name))?;
    let (registry, engine) = (&tracker.registry, &tracker.engine);
    let gone = || InPage::not_found("one of the two records is not there any more: go on to the next pair");
    let first = registry.person_of(session, one)?.ok_or_else(gone)?;
    let second = registry.person_of(session, other)?.ok_or_else(gone)?;
    let (done, person) = match (sent.required("decision")?, first == second) {
        ("same", false) => {
            registry.merge(engine, session, first, second, why).await?;
            ("merge", Some(first))
        }
        ("same" | "dismiss", _) => {
            registry.dismiss(engine, session, one, other).await?;
            ("dismiss", None)
        }
        ("different", false) => {
            registry.keep_apart(engine, session, one, other, why).await?;
            ("apart", None)
        }
        ("different", true) => {
            (("part"), Some(registry.unmerge(engine, session, first, &[other.to_owned()], why).await?))
        }
        _ => return Err(incomplete()),
    };
    let person = person.map(|person| person.to_string());
    let mut more = vec![("done", done)];
    more.extend(person.as_deref().map(|person| ("person", person)));
    Ok(Redirect::to(&at.link(&more)).into_response())
}
