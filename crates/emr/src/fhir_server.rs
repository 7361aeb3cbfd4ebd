//! Any FHIR R4 server as a destination.

use crate::http::{Answer, Http};
use crate::outcome::{of_failure, of_lost};
use crate::sync::Reader;
use delivery::{Async, Calls, Destination, Found, Identifier, Item, Outcome, Problem, Remote};
use fhir::json;
use fhir::json::{Document, Limits, Value};
use reqwest::Method;
use std::time::Duration;

/// How a resource is written so that a repetition does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `PUT /Type/{our id}`: the server takes our ids.
    Put,
    /// `POST` with `If-None-Exist` on our identifier, then `PUT /Type/{its id}`.
    Conditional,
    /// `POST` and `PUT /Type/{its id}`, for a server without conditional creates: looked for by our identifier when in doubt.
    Search,
}

#[derive(Debug)]
pub struct FhirServer {
    http: Http,
    mode: Mode,
    quiesce: Duration,
}

impl FhirServer {
    /// `quiesce`: how long a request of a broken connection may still take effect there.
    pub fn new(http: Http, mode: Mode, quiesce: Duration) -> FhirServer {
        FhirServer { http, mode, quiesce }
    }

    async fn write(&self, item: &Item, body: &Value, calls: &Calls) -> Outcome {
        let mut body = body.clone();
        let name = &item.name;
        let has_identifier = has_identifier(name);
        if has_identifier {
            add_identifier(name, &mut body, &item.identifier);
        }
        let (method, path, id) = match (&item.remote, self.mode) {
            (Some(remote), _) => (Method::PUT, format!("/{name}/{}", remote.id), Some(remote.id.clone())),
            (None, Mode::Put) => {
                let (_, id) = item.key.split_once('/').unwrap_or_default();
                (Method::PUT, format!("/{name}/{id}"), Some(id.to_owned()))
            }
            (None, _) => (Method::POST, format!("/{name}"), None),
        };
        if let Some(id) = &id {
            body.set("id", id.as_str());
        }
        let is_create = method == Method::POST;
        let mut request = self.http.request(method, &path, Some(body.to_string().into_bytes()));
        if is_create && self.mode == Mode::Conditional && has_identifier {
            request = request.header("If-None-Exist", criteria(&item.identifier));
        }
        match self.http.send(calls, request).await {
            Err(lost) => of_lost(lost),
            Ok(answer) => match answer.status {
                200 | 201 | 204 => match id.or_else(|| created_id(&answer, name)) {
                    Some(id) => Outcome::Done(Remote { id, more: Vec::new() }),
                    // Written, but where? It is looked for by its identifier.
                    None => Outcome::Unknown(Problem::new(answer.status, "the answer does not say its id")),
                },
                404 | 410 if item.remote.is_some() => Outcome::Gone(Problem::new(answer.status, "not there any more")),
                _ => of_failure(&answer),
            },
        }
    }

    async fn delete(&self, item: &Item, calls: &Calls) -> Outcome {
        let remote = match (&item.remote, self.mode) {
            (Some(remote), _) => remote.id.clone(),
            (None, Mode::Put) => item.key.split_once('/').unwrap_or_default().1.to_owned(),
            // Perhaps written once: looked for first.
            (None, _) => match self.find(item, calls).await {
                Found::Yes(remote) => remote.id,
                Found::No => return Outcome::Done(Remote::default()),
                Found::Unknown(problem) => return Outcome::Retry { problem, after: None },
            },
        };
        let request = self.http.request(Method::DELETE, &format!("/{}/{remote}", item.name), None);
        match self.http.send(calls, request).await {
            Err(lost) => of_lost(lost),
            Ok(answer) => match answer.status {
                200 | 202 | 204 | 404 | 410 => Outcome::Done(Remote { id: remote, more: Vec::new() }),
                _ => of_failure(&answer),
            },
        }
    }

    async fn find(&self, item: &Item, calls: &Calls) -> Found {
        let path = format!("/{}", item.name);
        let query = [("identifier", format!("{}|{}", item.identifier.system, item.identifier.value))];
        let request = self.http.request(Method::GET, &path, None).query(&query);
        match self.http.send(calls, request).await {
            Err(lost) => Found::Unknown(problem_of(of_lost(lost))),
            Ok(answer) if answer.status == 200 => {
                found_id(&answer.body, &item.name).map_or(Found::No, |id| Found::Yes(Remote { id, more: Vec::new() }))
            }
            Ok(answer) => Found::Unknown(Problem::new(answer.status, "it could not be looked for")),
        }
    }
}

impl Destination for FhirServer {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            match &item.body {
                Some(body) => self.write(item, body, calls).await,
                None => self.delete(item, calls).await,
            }
        })
    }

    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move {
            match self.mode {
                // A deletion is looked for, not repeated.
                Mode::Put if item.body.is_none() => {
                    let id = item.key.split_once('/').unwrap_or_default().1.to_owned();
                    Found::Yes(Remote { id, more: Vec::new() })
                }
                _ if item.body.is_none() => self.find(item, calls).await,
                // Both may be repeated as they are.
                Mode::Put => Found::No,
                Mode::Conditional if has_identifier(&item.name) => Found::No,
                _ => self.find(item, calls).await,
            }
        })
    }

    fn quiesce(&self) -> Duration {
        self.quiesce
    }

    fn probes(&self) -> u32 {
        match self.mode {
            Mode::Put | Mode::Conditional => 1,
            Mode::Search => 2,
        }
    }

    fn kind(&self) -> &'static str {
        "fhir"
    }
}

impl Reader for FhirServer {
    fn read<'a>(
        &'a self,
        name: &'a str,
        remote: &'a Remote,
        calls: &'a Calls,
    ) -> Async<'a, Result<Option<Value>, Outcome>> {
        Box::pin(async move {
            let request = self.http.request(Method::GET, &format!("/{name}/{}", remote.id), None);
            let answer = self
                .http
                .send(calls, request)
                .await
                .map_err(|lost| Outcome::Retry { problem: problem_of(of_lost(lost)), after: None })?;
            let unreadable = || Outcome::Refused(Problem::new(answer.status, "its record there cannot be read"));
            match answer.status {
                200 => {
                    let text = std::str::from_utf8(&answer.body).map_err(|_| unreadable())?;
                    Value::parse(text).map(Some).map_err(|_| unreadable())
                }
                404 | 410 => Ok(None),
                // Reading may be repeated, whatever has become of it.
                _ => Err(match of_failure(&answer) {
                    Outcome::Unknown(problem) => Outcome::Retry { problem, after: answer.retry_after },
                    outcome => outcome,
                }),
            }
        })
    }
}

fn problem_of(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Retry { problem, .. } | Outcome::Unknown(problem) => problem,
        _ => Problem::default(),
    }
}

/// How many identifiers the type may have; 0 when it has none.
fn identifiers_max(name: &str) -> u32 {
    let defs = fhir::defs::r4();
    let property = defs.resource_by_name(name).and_then(|ty| defs.ty(ty).property("identifier"));
    property.map_or(0, |property| property.element.max.into())
}

fn has_identifier(name: &str) -> bool {
    identifiers_max(name) > 0
}

/// Adds our identifier unless it is there.
pub(crate) fn add_identifier(name: &str, body: &mut Value, identifier: &Identifier) {
    let ours = json!({ "system": identifier.system.as_str(), "value": identifier.value.as_str() });
    match body.get_mut("identifier") {
        Some(Value::Array(items)) => {
            if !items.contains(&ours) {
                items.push(ours);
            }
        }
        // Bundle, Composition and a few others have one identifier at most, and it is somebody else's.
        Some(_) => {}
        None if identifiers_max(name) == 1 => body.set("identifier", ours),
        None => body.set("identifier", Value::Array(vec![ours])),
    }
}

fn criteria(identifier: &Identifier) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'/' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    format!("identifier={}%7C{}", escape(&identifier.system), escape(&identifier.value))
}

/// The id in `Location`, or in the body.
fn created_id(answer: &Answer, name: &str) -> Option<String> {
    let location = answer.headers.get("Location").and_then(|value| value.to_str().ok());
    let from_location = location.and_then(|location| {
        let (_, rest) = location.rsplit_once(&format!("{name}/"))?;
        rest.split(['/', '?']).next()
    });
    let from_body = || {
        let document = Document::parse(&answer.body, &Limits::default()).ok()?;
        let root = document.root();
        (root.str("resourceType")? == name).then(|| root.str("id").map(|id| id.into_owned()))?
    };
    from_location.map(str::to_owned).or_else(from_body).filter(|id| fhir::index::is_id(id))
}

/// The id of the first match of a search.
fn found_id(body: &[u8], name: &str) -> Option<String> {
    let document = Document::parse(body, &Limits::default()).ok()?;
    let resources = document.root().get("entry").into_iter().flat_map(|entry| entry.each());
    resources.filter_map(|entry| entry.get("resource")).find_map(|resource| {
        (resource.str("resourceType")? == name).then(|| resource.str("id").map(|id| id.into_owned()))?
    })
}
