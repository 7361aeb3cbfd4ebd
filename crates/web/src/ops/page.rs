//! The frame of the operator's pages.

use crate::layout::{self, CSS, JAVASCRIPT, Page};
use axum::response::Response;
use maud::{Markup, html};

const STYLE: &str = concat!(include_str!("../layout.css"), include_str!("ops.css"));
const SCRIPT: &str = include_str!("../live.js");

pub(super) async fn style() -> Response {
    layout::file(CSS, STYLE)
}

pub(super) async fn script() -> Response {
    layout::file(JAVASCRIPT, SCRIPT)
}

pub(super) fn page(title: &str, content: Markup) -> Response {
    let title = format!("{title} - weir operations");
    let page = Page {
        title: &title,
        header: html! { a href="/ops" { "weir operations" } (layout::bar("/ops")) },
        style: "/ops/style.css",
        script: "/ops/live.js",
        content,
        footer: html! {
            p { a href="/ops/api/destinations" { "The same numbers as JSON" } }
            p { a href="/metrics" { "Metrics for Prometheus" } }
        },
        forms: true,
    };
    axum::response::IntoResponse::into_response(page)
}

/// The button that stops and starts the updates, and what it says; `events` is where they come from.
pub(super) fn live(events: &str, now: &str) -> Markup {
    html! {
        div.live {
            button.secondary #updating type="button" data-events=(events) hidden { "Stop updating" }
            p.state.aside #state role="status" { "These are the numbers of " (now) ". Load the page again for new ones." }
        }
    }
}
