//! One destination in numbers. What moves has a key, by which the page's script finds its place.

use super::chart;
use super::history::Sample;
use crate::words::{self, Held};
use delivery::Status;
use maud::{Markup, html};

/// The moving parts of a card by the last part of their key. `samples` are those of the chart.
pub(super) fn parts(status: &Status, samples: &[Sample]) -> Vec<(&'static str, Markup)> {
    let as_of = status.as_of_us;
    let oldest = match status.oldest_since_us {
        Some(since_us) if status.depth > 0 => words::span((as_of - since_us) as f64 / 1e6),
        _ => "-".to_owned(),
    };
    let text = |text: String| html! { (text) };
    vec![
        ("state", state(status)),
        ("depth", text(words::grouped(status.depth))),
        ("eta", text(words::eta(status.depth, Held::new(status.paused, status.breaker), status.eta_s, as_of))),
        ("rate", text(words::rate(status.rate_per_s))),
        ("allowed", text(words::rate(status.allowed_per_s))),
        ("oldest", text(oldest)),
        ("hours", text(hours(status))),
        ("health", text(health(status))),
        ("work", text(work(status))),
        ("delivered", text(words::grouped(status.delivered))),
        ("failed", text(words::grouped(status.failed))),
        ("dead", text(words::grouped(status.dead as u64))),
        ("problem", text(last_problem(status))),
        ("chart", chart::chart(samples)),
        ("rows", chart::rows(samples)),
    ]
}

/// Key of a moving part.
pub(super) fn key(tenant: &str, name: &str, part: &str) -> String {
    format!("{tenant}/{name}/{part}")
}

pub(super) fn path(tenant: &str, name: &str) -> String {
    format!("/ops/{tenant}/{name}")
}

/// What the destination does now, as a word and a sentence.
fn state(status: &Status) -> Markup {
    let changes = status.window_changes_us.map(|at_us| words::moment(at_us, status.as_of_us));
    let (class, mark, word, sentence) = match status {
        Status { running: false, .. } => {
            ("bad", "✕", "Does not run", "These are its last numbers. The server's log says why it ended.".to_owned())
        }
        Status { paused: true, .. } => {
            ("warn", "❚❚", "Paused", "Nothing is sent until somebody resumes it.".to_owned())
        }
        Status { open: false, .. } => {
            let opens = changes.map_or("It has no hours in which it may be sent to.".to_owned(), |at| {
                format!("Outside its hours. They begin {at}.")
            });
            ("calm", "○", "Closed", opens)
        }
        Status { breaker: "open", .. } => {
            ("bad", "✕", "Held back", "It fails. One request is tried from time to time.".to_owned())
        }
        Status { breaker: "half-open", .. } => {
            ("warn", "!", "Trying", "It failed. One request is on its way to see whether it is well again.".to_owned())
        }
        Status { factor, .. } if *factor < 0.99 => {
            let share = factor * 100.0;
            let text = format!("It is slow or refuses: weir goes at {share:.0} of 100 of the allowed rate.");
            ("warn", "!", "Slowed down", text)
        }
        Status { depth: 0, dead: 0, .. } => ("good", "✓", "Up to date", "Everything has been delivered.".to_owned()),
        Status { depth: 0, .. } => {
            ("warn", "!", "Needs you", "Some records were refused for good. All others have been delivered.".to_owned())
        }
        _ => {
            let until = changes.map_or(String::new(), |at| format!(" Its hours end {at}."));
            ("good", "→", "Sending", format!("Records are on their way.{until}"))
        }
    };
    html! { strong.tag.(class) { span aria-hidden="true" { (mark) } " " (word) } " " (sentence) }
}

fn hours(status: &Status) -> String {
    let changes = status.window_changes_us.map(|at_us| words::moment(at_us, status.as_of_us));
    match (status.open, changes) {
        (true, None) => "always open".into(),
        (true, Some(at)) => format!("open until {at}"),
        (false, Some(at)) => format!("closed until {at}"),
        (false, None) => "closed, and no hours are to come".into(),
    }
}

fn health(status: &Status) -> String {
    match status.breaker {
        "open" => "fails: only a trial request goes out now and then".into(),
        "half-open" => "failed: a trial request is on its way".into(),
        _ if status.factor < 0.99 => format!("slow: {:.0} of 100 of the allowed rate", status.factor * 100.0),
        _ => "well".into(),
    }
}

fn work(status: &Status) -> String {
    let Status { in_flight, retrying, probing, .. } = status;
    format!("{in_flight} on their way, {retrying} to be tried again, {probing} to be looked up there")
}

fn last_problem(status: &Status) -> String {
    match &status.last_problem {
        None => "none since the server started".into(),
        Some((at_us, problem)) => {
            let answer = words::answer(problem.status, &problem.text);
            format!("{answer} ({})", words::instant(*at_us, status.as_of_us))
        }
    }
}

/// The card without its heading.
pub(super) fn card(tenant: &str, status: &Status, samples: &[Sample]) -> Markup {
    let parts = parts(status, samples);
    let part = |name: &str| parts.iter().find(|(other, _)| *other == name).map(|(_, markup)| markup);
    let key = |name: &str| key(tenant, &status.name, name);
    let numbers = [
        ("depth", "waiting"),
        ("rate", "calls a second now"),
        ("allowed", "calls a second allowed"),
        ("dead", "refused for good"),
    ];
    let facts = [
        ("eta", "When all is delivered"),
        ("oldest", "Oldest has waited"),
        ("work", "In work"),
        ("hours", "Hours"),
        ("health", "Health of the destination"),
        ("delivered", "Delivered since the start"),
        ("failed", "Attempts that failed, and are tried again"),
        ("problem", "Last error"),
    ];
    html! {
        div data-destination=(format!("{tenant}/{}", status.name)) {
            p.now data-live=(key("state")) { (part("state").unwrap_or(&html! {})) }
            dl.numbers { @for (name, label) in &numbers {
                div { dt { (label) } dd data-live=(key(name)) { (part(name).unwrap_or(&html! {})) } }
            } }
            dl.facts { @for (name, label) in &facts {
                div { dt { (label) } dd data-live=(key(name)) { (part(name).unwrap_or(&html! {})) } }
            } }
            div.trend {
                div data-live=(key("chart")) { (part("chart").unwrap_or(&html! {})) }
                details {
                    summary { "The numbers of the chart" }
                    table {
                        caption { "The last 15 minutes of " (status.name) ", newest first." }
                        thead { tr {
                            th scope="col" { "Time" }
                            th.count scope="col" { "Waiting" }
                            th.count scope="col" { "Calls a second" }
                            th.count scope="col" { "Allowed" }
                        } }
                        tbody data-live=(key("rows")) { (part("rows").unwrap_or(&html! {})) }
                    }
                }
            }
        }
    }
}
