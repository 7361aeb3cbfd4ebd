//! One entry on its own: all of a batch, and the reads of a transaction.

use super::parse::{Entry, Method, Target};
use super::respond::{self, Answer};
use crate::PAGE;
use crate::{Change, Engine, Error, History, Patch, Search, Session, Written};
use fhir::json::Node;
use store::HistoryScope;

impl Engine {
    /// Runs the entry as the interaction it is, with its own audit record.
    pub(crate) async fn run(&self, session: &Session, entry: &Entry<'_>) -> Result<Answer, Error> {
        let precondition = &entry.precondition;
        let (ty, id) = match &entry.target {
            Target::Type(ty) => (*ty, None),
            Target::Instance(ty, id) => (*ty, Some(id.as_str())),
            _ => return self.run_read(session, entry).await,
        };
        let written = match entry.method {
            Method::Get => return self.run_read(session, entry).await,
            Method::Delete => self.delete(session, ty, id, precondition).await?,
            Method::Post => self.create(session, ty, entry.body()?.raw().as_bytes(), precondition).await?,
            Method::Put => self.update(session, ty, id, entry.body()?.raw().as_bytes(), precondition).await?,
            Method::Patch => {
                let body = PatchBody::of(entry.body()?)?;
                self.patch(session, ty, id, body.patch(), precondition).await?
            }
        };
        Ok(Answer::written(&written, status(&written)))
    }

    async fn run_read(&self, session: &Session, entry: &Entry<'_>) -> Result<Answer, Error> {
        let mut pairs = entry.pairs.clone();
        let cursor = pairs.iter().position(|(name, _)| name == PAGE).map(|at| pairs.remove(at).1);
        let cursor = cursor.as_deref();
        let search = |ty, compartment| Search { ty, compartment, pairs: &pairs, lenient: false, cursor };
        let page = match &entry.target {
            Target::Instance(ty, id) => {
                let resource = self.read(session, *ty, id).await?;
                if entry.known_version == Some(resource.version) {
                    return Ok(Answer { version: Some(resource.version), ..Answer::status(304) });
                }
                return Ok(Answer::read(resource));
            }
            Target::Version(ty, id, version) => return Ok(Answer::read(self.vread(session, *ty, id, *version).await?)),
            Target::History(ty, id) => return self.run_history(session, entry, *ty, id.clone(), &pairs, cursor).await,
            Target::Everything(ty, id) => self.everything(session, *ty, id.as_deref(), &pairs, cursor).await?,
            Target::System => self.search(session, &search(None, None)).await?,
            Target::Type(ty) => self.search(session, &search(Some(*ty), None)).await?,
            Target::Compartment(owner, id, ty) => self.search(session, &search(*ty, Some((*owner, id)))).await?,
        };
        let resource = respond::searchset(&session.base, &entry.url, &page);
        Ok(Answer { resource: Some(resource), ..Answer::status(200) })
    }

    async fn run_history(
        &self,
        session: &Session,
        entry: &Entry<'_>,
        ty: Option<fhir::defs::TypeId>,
        id: Option<String>,
        pairs: &[(String, String)],
        cursor: Option<&str>,
    ) -> Result<Answer, Error> {
        let scope = match (ty, id) {
            (Some(ty), Some(id)) => HistoryScope::Instance(ty, id),
            (Some(ty), None) => HistoryScope::Type(ty),
            _ => HistoryScope::System,
        };
        let mut history =
            History { scope, since_us: None, at_us: None, cursor: cursor.map(str::to_owned), count: None };
        for (name, value) in pairs {
            let range = || fhir::temporal::PartialDateTime::parse(value).map(|date| date.range_us());
            let problem = || Error::invalid("history takes _since, _at and _count with valid values");
            match name.as_str() {
                "_since" => history.since_us = Some(range().ok_or_else(problem)?.0),
                "_at" => history.at_us = Some(range().ok_or_else(problem)?),
                "_count" => history.count = Some(value.parse().map_err(|_| problem())?),
                _ => return Err(problem()),
            }
        }
        let page = self.history(session, &history).await?;
        let resource = respond::history(&session.base, &entry.url, &page);
        Ok(Answer { resource: Some(resource), ..Answer::status(200) })
    }
}

pub(crate) fn status(written: &Written) -> u16 {
    match written.change {
        Change::Created => 201,
        Change::Updated | Change::Unchanged | Change::Existed => 200,
        Change::Deleted => 204,
    }
}

/// A patch in an entry: Parameters are FHIRPath Patch, a Binary of type `application/json-patch+json` is JSON Patch.
#[derive(Debug)]
pub(crate) enum PatchBody<'a> {
    Json(Vec<u8>),
    FhirPath(&'a str),
}

impl<'a> PatchBody<'a> {
    pub(crate) fn of(resource: Node<'a>) -> Result<PatchBody<'a>, Error> {
        let shape = || {
            let text =
                "a patch is Parameters, or a Binary with contentType application/json-patch+json and data in base64";
            Error::new(400, "value", text)
        };
        match resource.str("resourceType").as_deref() {
            Some("Parameters") => Ok(PatchBody::FhirPath(resource.raw())),
            Some("Binary") if resource.str("contentType").as_deref() == Some("application/json-patch+json") => {
                let data = resource.str("data").and_then(|data| base64(&data)).ok_or_else(shape)?;
                Ok(PatchBody::Json(data))
            }
            _ => Err(shape()),
        }
    }

    pub(crate) fn patch(&self) -> Patch<'_> {
        match self {
            PatchBody::Json(bytes) => Patch::Json(bytes),
            PatchBody::FhirPath(text) => Patch::FhirPath(text.as_bytes()),
        }
    }
}

/// RFC 4648 with or without padding; white space is skipped.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end().trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xFF) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("W3sib3AiOiJhZGQifV0=").unwrap(), br#"[{"op":"add"}]"#);
        assert_eq!(base64("TQ").unwrap(), b"M");
        assert_eq!(base64("T Q = ="), None);
        assert_eq!(base64("*"), None);
    }
}
