//! Bundles of results and of versions.

use crate::http::Request;
use crate::query;
use engine::{HistoryPage, PAGE, Page, Resource};
use fhir::json::Writer;
use fhir::outcome::to_json;
use fhir::query::Summary;
use store::{Op, instant};

/// Where a bundle came from: path below the base and the parameters that count.
pub(crate) struct Origin<'a> {
    pub(crate) path: &'a str,
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
}

impl Origin<'_> {
    fn link(&self, json: &mut Writer, request: &Request, relation: &str, cursor: Option<&str>) {
        let pairs = self.pairs.iter().copied().chain(cursor.map(|cursor| (PAGE, cursor)));
        let text = query::to_string(pairs);
        let mark = if text.is_empty() { "" } else { "?" };
        let slash = if self.path.is_empty() { "" } else { "/" };
        let url = format!("{}{slash}{}{mark}{text}", request.session.base, self.path);
        json.object().member("relation").string(relation).member("url").string(&url).end_object();
    }
}

/// A Bundle of type `searchset`.
pub(crate) fn search(request: &Request, origin: &Origin<'_>, cursor: Option<&str>, page: &Page) -> Vec<u8> {
    let bytes: usize = page.matches.iter().chain(&page.includes).map(|resource| resource.json.len() + 160).sum();
    let mut json = Writer::with_capacity(bytes + 1_024);
    json.object().member("resourceType").string("Bundle").member("type").string("searchset");
    if let Some(total) = page.total {
        json.member("total").number(total);
    }
    json.member("link").array();
    origin.link(&mut json, request, "self", cursor);
    let counts_only = page.query.as_ref().is_some_and(|query| query.summary == Summary::Count);
    if !counts_only {
        origin.link(&mut json, request, "first", None);
        if let Some(previous) = &page.previous {
            origin.link(&mut json, request, "previous", Some(previous));
        }
        if let Some(next) = &page.next {
            origin.link(&mut json, request, "next", Some(next));
        }
    }
    json.end_array();
    if !(page.matches.is_empty() && page.includes.is_empty() && page.warnings.is_empty()) {
        json.member("entry").array();
        for (mode, resources) in [("match", &page.matches), ("include", &page.includes)] {
            for resource in resources {
                json.object();
                full_url(&mut json, request, resource);
                json.member("resource").raw(text(&resource.json));
                json.member("search").object().member("mode").string(mode).end_object().end_object();
            }
        }
        if !page.warnings.is_empty() {
            json.object().member("resource").raw(text(&to_json(&page.warnings)));
            json.member("search").object().member("mode").string("outcome").end_object().end_object();
        }
        json.end_array();
    }
    json.end_object();
    json.finish()
}

/// Bodies are UTF-8 by construction: they were parsed as such.
fn text(json: &[u8]) -> &str {
    std::str::from_utf8(json).unwrap_or("null")
}

fn full_url(json: &mut Writer, request: &Request, resource: &Resource) {
    let name = fhir::defs::r4().ty(resource.ty).name;
    json.member("fullUrl").string(&format!("{}/{name}/{}", request.session.base, resource.id));
}

/// A Bundle of type `history`.
pub(crate) fn history(request: &Request, origin: &Origin<'_>, cursor: Option<&str>, page: &HistoryPage) -> Vec<u8> {
    let mut json = Writer::new();
    json.object().member("resourceType").string("Bundle").member("type").string("history");
    if let Some(total) = page.total {
        json.member("total").number(total);
    }
    json.member("link").array();
    origin.link(&mut json, request, "self", cursor);
    if let Some(next) = &page.next {
        origin.link(&mut json, request, "next", Some(next));
    }
    json.end_array();
    if !page.versions.is_empty() {
        json.member("entry").array();
        for version in &page.versions {
            entry(&mut json, request, version);
        }
        json.end_array();
    }
    json.end_object();
    json.finish()
}

fn entry(json: &mut Writer, request: &Request, version: &Resource) {
    let name = fhir::defs::r4().ty(version.ty).name;
    json.object();
    full_url(json, request, version);
    if version.op != Op::Delete {
        json.member("resource").raw(text(&version.json));
    }
    let (method, url, status) = match version.op {
        Op::Create => ("POST", name.to_owned(), "201"),
        Op::Update => ("PUT", format!("{name}/{}", version.id), "200"),
        Op::Delete => ("DELETE", format!("{name}/{}", version.id), "204"),
    };
    json.member("request").object().member("method").string(method).member("url").string(&url).end_object();
    json.member("response").object().member("status").string(status);
    json.member("etag").string(&format!("W/\"{}\"", version.version));
    json.member("lastModified").string(&instant(version.last_updated_us)).end_object().end_object();
}
