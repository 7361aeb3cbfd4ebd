//! What all pages share: the look, the frame, and what the browser is told about them.

use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

/// The style of every page, after the NHS service manual.
pub const STYLE: &str = include_str!("layout.css");

/// One page. Addresses are of this server: a page loads nothing from elsewhere.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    pub title: &'a str,
    /// In the bar at the top; the first entry leads home.
    pub header: Markup,
    pub style: &'a str,
    pub script: &'a str,
    pub content: Markup,
    pub footer: Markup,
    /// Whether it holds forms, which then go to this server only.
    pub forms: bool,
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        let forms = if self.forms { "'self'" } else { "'none'" };
        let policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
        );
        let mut response = self.markup().into_string().into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // With `no-referrer`, forms would come without their origin.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

impl Page<'_> {
    fn markup(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(self.style);
                    script src=(self.script) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header { div.wide { (self.header) } }
                    main.wide #main tabindex="-1" { (self.content) }
                    footer { div.wide { (self.footer) } }
                }
            }
        }
    }
}

/// The staff's way between the houses; `here` is the address that leads to this one.
pub fn bar(here: &str) -> Markup {
    let places = [
        ("/tracker", "Vaccinations"),
        ("/tracker/person", "Find a person"),
        ("/tracker/review", "Same person?"),
        ("/ops", "Deliveries"),
    ];
    html! {
        nav aria-label="Pages" { ul.places { @for (path, name) in &places {
            li { a href=(path) aria-current=[(*path == here).then_some("page")] { (name) } }
        } } }
    }
}

/// A style or script that is part of the binary.
pub fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

pub const CSS: &str = "text/css; charset=utf-8";
pub const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
