//! The frame of the tracker's pages.

use crate::layout::{self, CSS, JAVASCRIPT, Page};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

const STYLE: &str = concat!(include_str!("../layout.css"), include_str!("../ops/ops.css"), include_str!("tracker.css"));
const SCRIPT: &str = concat!(include_str!("../live.js"), include_str!("keys.js"));

pub(super) async fn style() -> Response {
    layout::file(CSS, STYLE)
}

pub(super) async fn script() -> Response {
    layout::file(JAVASCRIPT, SCRIPT)
}

/// `here`: the entry of the bar that leads to this page.
pub(super) fn page(here: &str, title: &str, content: Markup) -> Response {
    let title = format!("{title} - weir vaccine tracker");
    let page = Page {
        title: &title,
        header: html! { a href="/tracker" { "weir vaccine tracker" } (layout::bar(here)) },
        style: "/tracker/style.css",
        script: "/tracker/script.js",
        content,
        footer: html! {
            p { "Names are shown to staff only. That you have looked at somebody is noted in the audit trail." }
        },
        forms: true,
    };
    page.into_response()
}

/// Why a form could not be taken, with links to its fields: `(id of the field, what is wrong)`.
pub(super) fn errors(errors: &[(&str, String)]) -> Markup {
    html! {
        @if !errors.is_empty() {
            div.errors role="alert" {
                h2 { "There is a problem" }
                ul { @for (field, text) in errors { li { a href=(format!("#{field}")) { (text) } } } }
            }
        }
    }
}

/// Why one field could not be taken.
pub(super) fn error(errors: &[(&str, String)], field: &str) -> Markup {
    html! {
        @for (_, text) in errors.iter().filter(|(other, _)| *other == field) {
            p.error id=(format!("{field}-error")) { "Error: " (text) }
        }
    }
}
