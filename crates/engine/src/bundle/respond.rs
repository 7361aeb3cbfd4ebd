//! Answers of entries, and the Bundle made of them.

use crate::{BundleResponse, Error, HistoryPage, PAGE, Page, Resource, Written};
use fhir::defs;
use fhir::json::Writer;
use fhir::outcome;
use store::{Op, instant};

/// `Bundle.entry.response`, and the resource of a read.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) version: Option<u64>,
    pub(crate) last_updated_us: Option<i64>,
    pub(crate) outcome: Option<Vec<u8>>,
    pub(crate) resource: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    pub(crate) fn failed(error: &Error) -> Answer {
        Answer {
            status: error.status,
            version: error.version,
            outcome: Some(outcome::to_json(&error.issues)),
            ..Answer::default()
        }
    }

    pub(crate) fn read(resource: Resource) -> Answer {
        Answer {
            status: 200,
            version: Some(resource.version),
            last_updated_us: Some(resource.last_updated_us),
            resource: Some(resource.json),
            ..Answer::default()
        }
    }

    pub(crate) fn written(written: &Written, status: u16) -> Answer {
        match &written.resource {
            Some(resource) => Answer::version(resource, status),
            None => Answer::status(status),
        }
    }

    pub(crate) fn version(resource: &Resource, status: u16) -> Answer {
        let name = defs::r4().ty(resource.ty).name;
        let location = format!("{name}/{}/_history/{}", resource.id, resource.version);
        Answer {
            status,
            location: (resource.op != Op::Delete).then_some(location),
            version: Some(resource.version),
            last_updated_us: Some(resource.last_updated_us),
            ..Answer::default()
        }
    }
}

/// `kind` is `batch-response` or `transaction-response`; answers in the order of the request.
pub(crate) fn bundle(id: &str, kind: &str, answers: &[Answer]) -> BundleResponse {
    let mut json = Writer::with_capacity(64 + answers.len() * 200);
    json.object().member("resourceType").string("Bundle").member("id").string(id).member("type").string(kind);
    if !answers.is_empty() {
        json.member("entry").array();
        answers.iter().for_each(|answer| entry(&mut json, answer));
        json.end_array();
    }
    json.end_object();
    BundleResponse { json: json.finish() }
}

fn entry(json: &mut Writer, answer: &Answer) {
    json.object();
    if let Some(resource) = &answer.resource {
        json.member("resource").raw(&String::from_utf8_lossy(resource));
    }
    json.member("response").object().member("status").string(&status_line(answer.status));
    if let Some(location) = &answer.location {
        json.member("location").string(location);
    }
    if let Some(version) = answer.version {
        json.member("etag").string(&format!("W/\"{version}\""));
    }
    if let Some(at_us) = answer.last_updated_us {
        json.member("lastModified").string(&instant(at_us));
    }
    if let Some(outcome) = &answer.outcome {
        json.member("outcome").raw(&String::from_utf8_lossy(outcome));
    }
    json.end_object().end_object();
}

fn status_line(status: u16) -> String {
    let text = match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        503 => "Service Unavailable",
        _ => return status.to_string(),
    };
    format!("{status} {text}")
}

/// A searchset. `url` is the search as it was written.
pub(crate) fn searchset(base: &str, url: &str, page: &Page) -> Vec<u8> {
    let mut json = Writer::new();
    json.object().member("resourceType").string("Bundle").member("type").string("searchset");
    if let Some(total) = page.total {
        json.member("total").number(total);
    }
    links(&mut json, base, url, page.next.as_deref());
    let matches = page.matches.iter().map(|resource| (resource, "match"));
    let includes = page.includes.iter().map(|resource| (resource, "include"));
    if !page.matches.is_empty() || !page.warnings.is_empty() {
        json.member("entry").array();
        for (resource, mode) in matches.chain(includes) {
            let full_url = format!("{base}/{}/{}", defs::r4().ty(resource.ty).name, resource.id);
            json.object().member("fullUrl").string(&full_url);
            json.member("resource").raw(&String::from_utf8_lossy(&resource.json));
            json.member("search").object().member("mode").string(mode).end_object().end_object();
        }
        if !page.warnings.is_empty() {
            let warnings = outcome::to_json(&page.warnings);
            json.object().member("resource").raw(&String::from_utf8_lossy(&warnings));
            json.member("search").object().member("mode").string("outcome").end_object().end_object();
        }
        json.end_array();
    }
    json.end_object();
    json.finish()
}

pub(crate) fn history(base: &str, url: &str, page: &HistoryPage) -> Vec<u8> {
    let mut json = Writer::new();
    json.object().member("resourceType").string("Bundle").member("type").string("history");
    if let Some(total) = page.total {
        json.member("total").number(total);
    }
    links(&mut json, base, url, page.next.as_deref());
    if !page.versions.is_empty() {
        json.member("entry").array();
        for version in &page.versions {
            let path = format!("{}/{}", defs::r4().ty(version.ty).name, version.id);
            let (method, status) = match version.op {
                Op::Create => ("PUT", 201),
                Op::Update => ("PUT", 200),
                Op::Delete => ("DELETE", 204),
            };
            json.object().member("fullUrl").string(&format!("{base}/{path}"));
            if !version.json.is_empty() {
                json.member("resource").raw(&String::from_utf8_lossy(&version.json));
            }
            json.member("request").object().member("method").string(method).member("url").string(&path).end_object();
            json.member("response").object().member("status").string(&status_line(status));
            json.member("etag").string(&format!("W/\"{}\"", version.version));
            json.member("lastModified").string(&instant(version.last_updated_us)).end_object().end_object();
        }
        json.end_array();
    }
    json.end_object();
    json.finish()
}

fn links(json: &mut Writer, base: &str, url: &str, next: Option<&str>) {
    let url = if url.starts_with(base) { url.to_owned() } else { format!("{base}/{}", url.trim_start_matches('/')) };
    json.member("link").array();
    json.object().member("relation").string("self").member("url").string(&url).end_object();
    if let Some(next) = next {
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let kept = query.split('&').filter(|part| !part.is_empty() && part.split('=').next() != Some(PAGE));
        let query: Vec<&str> = kept.collect();
        let query = query.join("&");
        let and = if query.is_empty() { "" } else { "&" };
        let next = format!("{path}?{query}{and}{PAGE}={next}");
        json.object().member("relation").string("next").member("url").string(&next).end_object();
    }
    json.end_array();
}
