//! Create, update and delete, with the conditions that FHIR knows.

use super::{outcome, search, shown};
use crate::http::{Reply, Request};
use crate::records::New;
use crate::state::{Emr, State};
use serde_json::Value;

/// The body without what the server itself sets.
fn parsed(request: &Request, resource_type: &str) -> Result<Value, Reply> {
    let mut input = request.json();
    if input["resourceType"] != resource_type {
        return Err(outcome(400, "invalid", "the body is not of the type that the path names"));
    }
    if let Some(meta) = input["meta"].as_object_mut() {
        meta.remove("versionId");
        meta.remove("lastUpdated");
    }
    Ok(input)
}

pub(super) fn create(emr: &Emr, state: &mut State, request: &Request, resource_type: &str) -> Reply {
    let input = match parsed(request, resource_type) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    if let Some(condition) = request.header("if-none-exist") {
        match search::condition(state, resource_type, condition).as_deref() {
            None => return outcome(400, "invalid", "If-None-Exist has no parameter or one that is not known"),
            Some([]) => {}
            Some([one]) => return shown(200, one),
            Some(_) => return outcome(412, "multiple-matches", "If-None-Exist fits more than one resource"),
        }
    }
    add(emr, state, request, resource_type, None, input)
}

/// `PUT /Type?identifier=...`
pub(super) fn conditional_update(emr: &Emr, state: &mut State, request: &Request, resource_type: &str) -> Reply {
    let input = match parsed(request, resource_type) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
    let id = match search::condition(state, resource_type, &query).as_deref() {
        None => return outcome(400, "invalid", "a conditional update needs parameters that are known"),
        Some([]) => None,
        Some([one]) => Some(one.id.clone()),
        Some(_) => return outcome(412, "multiple-matches", "the condition fits more than one resource"),
    };
    match id {
        Some(id) => replace(emr, state, request, resource_type, &id, input),
        None => add(emr, state, request, resource_type, None, input),
    }
}

pub(super) fn update(emr: &Emr, state: &mut State, request: &Request, resource_type: &str, id: &str) -> Reply {
    let input = match parsed(request, resource_type) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    if input["id"] != id {
        return outcome(400, "invalid", "the body's id is not the path's");
    }
    if state.records.get(resource_type, id).is_some() {
        replace(emr, state, request, resource_type, id, input)
    } else {
        add(emr, state, request, resource_type, Some(id.to_owned()), input)
    }
}

fn add(
    emr: &Emr,
    state: &mut State,
    request: &Request,
    resource_type: &str,
    id: Option<String>,
    mut body: Value,
) -> Reply {
    if request.header("if-match").is_some() {
        return outcome(412, "conflict", "there is no version to match");
    }
    if let Some(members) = body.as_object_mut() {
        members.remove("id");
    }
    let new = New { id, body, ..New::default() };
    let record = state.records.add(resource_type, new, emr.clock.wall_us(), &mut state.random);
    let location = format!("{}/fhir/{resource_type}/{}/_history/1", request.origin(), record.id);
    shown(201, record).header("location", location).committed(&record.id)
}

fn replace(emr: &Emr, state: &mut State, request: &Request, resource_type: &str, id: &str, mut body: Value) -> Reply {
    let version = state.records.get(resource_type, id).map_or(0, |record| record.version);
    if request.header("if-match").is_some_and(|tag| tag != format!("W/\"{version}\"")) {
        return outcome(412, "conflict", "the version is not the current one");
    }
    if let Some(members) = body.as_object_mut() {
        members.remove("id");
    }
    let changed = state.records.change(resource_type, id, emr.clock.wall_us(), |record| {
        record.body = body;
    });
    changed.map_or_else(|| outcome(404, "not-found", "no such resource"), |record| shown(200, record).committed(id))
}

pub(super) fn delete(state: &mut State, resource_type: &str, id: &str) -> Reply {
    let reply = Reply::empty(204);
    if state.records.remove(resource_type, id) { reply.committed(id) } else { reply }
}
