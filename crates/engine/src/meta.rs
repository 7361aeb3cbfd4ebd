//! `$meta`, `$meta-add` and `$meta-delete` on an instance.

use crate::audit::{self, Access};
use crate::prepare::BodyId;
use crate::update::ATTEMPTS_MAX;
use crate::{Engine, Error, MetaChange, Session, prepare};
use fhir::defs::TypeId;
use fhir::json;
use fhir::json::{Document, Limits, Value};
use store::{Op, Stored, Tenant};

/// Parts of a meta that clients own, and what makes two items the same.
const LISTS: [&str; 3] = ["profile", "security", "tag"];

impl Engine {
    /// Answers Parameters with the meta after the change.
    pub async fn meta(
        &self,
        session: &Session,
        ty: TypeId,
        id: &str,
        change: MetaChange<'_>,
    ) -> Result<Vec<u8>, Error> {
        let interaction = match change {
            MetaChange::Read => "$meta",
            MetaChange::Add(_) => "$meta-add",
            MetaChange::Delete(_) => "$meta-delete",
        };
        let mut access = Access::new(session, interaction, audit::entity(ty, id));
        let tenant = self.admit(&access, Some(ty)).await?;
        let (result, in_batch) = match self.meta_in(&tenant, &mut access, ty, id, change).await {
            Ok((meta, written)) => (Ok(meta), written),
            Err(error) => (Err(error), false),
        };
        if !in_batch {
            self.note_result(&tenant, &access, &result).await;
        }
        result
    }

    /// The answer, and whether a version was written.
    async fn meta_in(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        id: &str,
        change: MetaChange<'_>,
    ) -> Result<(Vec<u8>, bool), Error> {
        let (asked, add) = match change {
            MetaChange::Read => {
                let stored = self.read_live(tenant, ty, id).await?;
                access.patient = audit::patient_in(ty, id, &stored.body);
                return Ok((answer_of(&parse(&stored.json())?), false));
            }
            MetaChange::Add(body) => (asked_meta(body)?, true),
            MetaChange::Delete(body) => (asked_meta(body)?, false),
        };
        prepare::check_client_id(ty, id)?;
        let mut attempt = 1;
        loop {
            let stored = self.read_live(tenant, ty, id).await?;
            let resource = changed(&stored, &asked, add)?;
            let mut body = Vec::new();
            resource.write(&mut body);
            let prepared = self.prepare(access.session, ty, id, BodyId::MustMatch, &body)?;
            access.patient = prepared.patient.clone();
            if prepared.body == stored.body {
                return Ok((answer_of(&resource), false));
            }
            match self.commit_one(tenant, access, prepared, stored.version, Op::Update).await {
                Ok(written) => {
                    let json = written.resource.map(|resource| resource.json).unwrap_or_default();
                    return Ok((answer_of(&parse(&json)?), true));
                }
                Err(error) if error.status == 409 && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn parse(json: &[u8]) -> Result<Value, Error> {
    Ok(Value::from(Document::parse(json, &Limits::default())?.root()))
}

fn answer_of(resource: &Value) -> Vec<u8> {
    answer(resource.get("meta").cloned().unwrap_or_else(|| json!({})))
}

/// Parameters with the meta.
pub(crate) fn answer(meta: Value) -> Vec<u8> {
    let mut out = Vec::new();
    json!({ "resourceType": "Parameters", "parameter": [{ "name": "return", "valueMeta": meta }] }).write(&mut out);
    out
}

/// `valueMeta` of the parameter `meta`.
fn asked_meta(body: &[u8]) -> Result<Value, Error> {
    let document = Document::parse(body, &Limits::default())?;
    let parameters = document.root().get("parameter");
    let meta = parameters.and_then(|parameters| {
        parameters.items().find(|parameter| parameter.str("name").as_deref() == Some("meta"))?.get("valueMeta")
    });
    match meta {
        Some(meta) if meta.is_object() => Ok(meta.into()),
        _ => {
            Err(Error::invalid("send Parameters with a parameter \"meta\" that has a valueMeta")
                .at("Parameters.parameter"))
        }
    }
}

fn changed(stored: &Stored, asked: &Value, add: bool) -> Result<Value, Error> {
    let mut resource = parse(&stored.json())?;
    if resource.get("meta").is_none() {
        resource.set("meta", json!({}));
    }
    let Some(meta) = resource.get_mut("meta") else { return Ok(resource) };
    for list in LISTS {
        let Some(Value::Array(changes)) = asked.get(list) else { continue };
        let mut items = match meta.get(list) {
            Some(Value::Array(items)) => items.clone(),
            _ => Vec::new(),
        };
        for change in changes {
            let known = items.iter().position(|item| same(item, change));
            match (known, add) {
                (None, true) => items.push(change.clone()),
                (Some(at), false) => drop(items.remove(at)),
                _ => {}
            }
        }
        if items.is_empty() {
            if let Value::Object(members) = meta {
                members.retain(|(name, _)| name != list);
            }
        } else {
            meta.set(list, items);
        }
    }
    Ok(resource)
}

/// Codings are the same by system and code; profiles by their text.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(_), Value::Object(_)) => {
            left.get("system") == right.get("system") && left.get("code") == right.get("code")
        }
        _ => left == right,
    }
}
