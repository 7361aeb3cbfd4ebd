//! From the bytes of a request to what the store keeps: parsed once, checked, the id put in, server-owned meta taken out.

use crate::edits::Edits;
use crate::{Engine, Error, Session, audit};
use fhir::defs::{self, TypeId};
use fhir::index::{Entry, Value, is_id};
use fhir::json::{Document, Limits, Node, write_string};
use fhir::outcome::{Issue, Severity};
use store::{Op, Splice, Write};

/// A resource that is ready to be committed.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) ty: TypeId,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) splice: Splice,
    pub(crate) entries: Vec<Entry>,
    /// See [`audit::patient_of`].
    pub(crate) patient: Option<String>,
}

/// What an id in the body means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyId {
    /// A create: the server's id replaces it.
    Ignored,
    /// An update: it must be the id of the URL.
    MustMatch,
}

impl Prepared {
    pub(crate) fn write(self, expected: u64, op: Op) -> Write {
        Write { ty: self.ty, id: self.id, op, expected, body: self.body, splice: self.splice, entries: self.entries }
    }
}

impl Engine {
    pub(crate) fn prepare(
        &self,
        session: &Session,
        ty: TypeId,
        id: &str,
        body_id: BodyId,
        body: &[u8],
    ) -> Result<Prepared, Error> {
        let document = Document::parse(body, &Limits::default())?;
        self.prepare_document(session, ty, id, body_id, &document)
    }

    pub(crate) fn prepare_document(
        &self,
        session: &Session,
        ty: TypeId,
        id: &str,
        body_id: BodyId,
        document: &Document,
    ) -> Result<Prepared, Error> {
        let root = document.root();
        check_type(root, ty)?;
        if body_id == BodyId::MustMatch {
            check_id(root, ty, id)?;
        }
        let failed: Vec<Issue> =
            self.issues(root).into_iter().filter(|issue| issue.severity >= Severity::Error).collect();
        if !failed.is_empty() {
            return Err(Error::from_issues(422, failed));
        }
        let entries = entries(&session.base, ty, root);
        let (body, splice) = place(document, id)?;
        let patient = audit::patient_of(ty, id, &entries);
        Ok(Prepared { ty, id: id.to_owned(), body, splice, entries, patient })
    }
}

pub(crate) fn check_type(root: Node<'_>, ty: TypeId) -> Result<(), Error> {
    let name = defs::r4().ty(ty).name;
    if !root.is_object() {
        return Err(Error::new(400, "structure", format!("the body must be one JSON object: a {name}")));
    }
    match root.str("resourceType") {
        Some(found) if found == name => Ok(()),
        Some(_) => {
            Err(Error::invalid(format!("resourceType must be {name}, as in the URL"))
                .at(&format!("{name}.resourceType")))
        }
        None => Err(Error::new(400, "structure", format!("resourceType is missing: add \"resourceType\":\"{name}\""))),
    }
}

fn check_id(root: Node<'_>, ty: TypeId, id: &str) -> Result<(), Error> {
    let place = format!("{}.id", defs::r4().ty(ty).name);
    match root.str("id") {
        Some(found) if found == id => Ok(()),
        Some(_) => Err(Error::invalid("the id in the body must be the id in the URL").at(&place)),
        None => Err(Error::invalid("the id is missing in the body: it must be the id in the URL").at(&place)),
    }
}

/// `[A-Za-z0-9.-]{1,64}`, and not an id of weir's own audit trail.
pub(crate) fn check_client_id(ty: TypeId, id: &str) -> Result<(), Error> {
    let name = defs::r4().ty(ty).name;
    if !is_id(id) {
        return Err(Error::invalid("an id is 1 to 64 letters, digits, '-' and '.'").at(&format!("{name}.id")));
    }
    if name == "AuditEvent" && id.starts_with(crate::trail::ID_PREFIX) {
        return Err(Error::new(405, "not-supported", "weir's own audit records cannot be changed: choose another id"));
    }
    Ok(())
}

/// Index entries, with references under the own base made local. The id and the time of the last change are the store's own columns.
fn entries(base: &str, ty: TypeId, root: Node<'_>) -> Vec<Entry> {
    let defs = defs::r4();
    let mut entries = fhir::index::extract(defs, ty, root);
    entries.retain(|entry| !matches!(defs.param(entry.param).code, "_id" | "_lastUpdated"));
    for entry in &mut entries {
        localize(base, &mut entry.value);
    }
    entries
}

pub(crate) fn localize(base: &str, value: &mut Value) {
    match value {
        Value::ReferenceUrl(url) => {
            let local = url.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).and_then(parse_local);
            if let Some((ty, id)) = local {
                *value = Value::Reference { ty, id };
            }
        }
        Value::Composite(parts) => parts.iter_mut().for_each(|part| localize(base, part)),
        _ => {}
    }
}

/// `Patient/1` or `Patient/1/_history/2`.
pub(crate) fn parse_local(reference: &str) -> Option<(TypeId, String)> {
    let mut parts = reference.split('/');
    let ty = defs::r4().resource_by_name(parts.next()?)?;
    let id = parts.next().filter(|id| is_id(id))?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) | (Some("_history"), Some(_), None) => Some((ty, id.to_owned())),
        _ => None,
    }
}

/// The text to store: the id set, `meta.versionId` and `meta.lastUpdated` removed; and where they go when it is read.
fn place(document: &Document, id: &str) -> Result<(Vec<u8>, Splice), Error> {
    let root = document.root();
    let mut edits = Edits::default();
    let mut quoted = Vec::with_capacity(id.len() + 2);
    write_string(&mut quoted, id);
    let after_id = match (root.get("id"), root.get("resourceType")) {
        (Some(node), _) => {
            if node.raw().as_bytes() != quoted {
                edits.replace(node.span(), quoted);
            }
            node.span().end
        }
        (None, Some(node)) => {
            let at = node.span().end;
            edits.replace(at..at, [b",\"id\":".as_slice(), &quoted].concat());
            at
        }
        (None, None) => return Err(Error::new(400, "structure", "resourceType is missing")),
    };
    let Some(meta) = root.get("meta") else {
        let splice = Splice::NoMeta(edits.position(after_id) as u32);
        return Ok((finish(document, &edits), splice));
    };
    if !meta.is_object() {
        return Err(Error::new(400, "structure", "meta must be an object").at("meta"));
    }
    let mut stripped = Vec::new();
    let mut kept = 0;
    for (name, value) in meta.members().filter(|(name, _)| !matches!(name.as_ref(), "versionId" | "lastUpdated")) {
        stripped.push(if kept == 0 { b'{' } else { b',' });
        write_string(&mut stripped, &name);
        stripped.push(b':');
        stripped.extend_from_slice(value.raw().as_bytes());
        kept += 1;
    }
    if kept == 0 {
        // Nothing of the client is left: as if there had been no meta, so that what was read and is written back is the same.
        edits.replace(member_span(document.as_bytes(), meta, b"\"meta\":")?, Vec::new());
        let splice = Splice::NoMeta(edits.position(after_id) as u32);
        return Ok((finish(document, &edits), splice));
    }
    stripped.push(b'}');
    if kept < meta.len() {
        edits.replace(meta.span(), stripped);
    }
    let inside = edits.position(meta.span().start) as u32 + 1;
    Ok((finish(document, &edits), Splice::Meta(inside)))
}

/// The range of a whole member, with the comma before it, or after it when it is the first of several.
fn member_span(text: &[u8], value: Node<'_>, key: &[u8]) -> Result<std::ops::Range<usize>, Error> {
    let span = value.span();
    let Some(start) = span.start.checked_sub(key.len()).filter(|start| &text[*start..span.start] == key) else {
        return Err(Error::new(400, "structure", "write member names without escape sequences"));
    };
    Ok(match (text[start - 1], text[span.end]) {
        (b',', _) => start - 1..span.end,
        (_, b',') => start..span.end + 1,
        _ => start..span.end,
    })
}

fn finish(document: &Document, edits: &Edits) -> Vec<u8> {
    if edits.is_empty() { document.as_bytes().to_vec() } else { edits.apply(document.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::defs::TypeId;
    use store::Stored;

    fn shown(input: &str, id: &str) -> (String, String) {
        let document = Document::parse(input.as_bytes(), &Limits::default()).unwrap();
        let (body, splice) = place(&document, id).unwrap();
        let text = String::from_utf8(body.clone()).unwrap();
        let stored =
            Stored { seq: 1, ty: TypeId(0), id: id.into(), version: 3, at_us: 0, op: Op::Create, body, splice };
        (text, String::from_utf8(stored.json()).unwrap())
    }

    const META: &str = r#""versionId":"3","lastUpdated":"1970-01-01T00:00:00.000000Z""#;

    #[test]
    fn an_id_is_put_in_and_meta_appears_when_read() {
        let (stored, read) = shown(r#"{"resourceType":"Patient","active":true}"#, "a");
        assert_eq!(stored, r#"{"resourceType":"Patient","id":"a","active":true}"#);
        assert_eq!(read, format!(r#"{{"resourceType":"Patient","id":"a","meta":{{{META}}},"active":true}}"#));
    }

    #[test]
    fn a_foreign_id_is_replaced_wherever_it_stands() {
        let (stored, read) = shown(r#"{"active":true,"id":"longer","resourceType":"Patient"}"#, "a");
        assert_eq!(stored, r#"{"active":true,"id":"a","resourceType":"Patient"}"#);
        assert_eq!(read, format!(r#"{{"active":true,"id":"a","meta":{{{META}}},"resourceType":"Patient"}}"#));
    }

    #[test]
    fn server_owned_meta_goes_and_the_rest_stays() {
        let input = r#"{"resourceType":"Patient","meta":{"versionId":"9","tag":[{"code":"x"}],"lastUpdated":"2020"},"id":"bb"}"#;
        let (stored, read) = shown(input, "a");
        assert_eq!(stored, r#"{"resourceType":"Patient","meta":{"tag":[{"code":"x"}]},"id":"a"}"#);
        assert_eq!(read, format!(r#"{{"resourceType":"Patient","meta":{{{META},"tag":[{{"code":"x"}}]}},"id":"a"}}"#));
        let (stored, read) = shown(r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"9"}}"#, "a");
        assert_eq!(stored, r#"{"resourceType":"Patient","id":"a"}"#);
        assert_eq!(read, format!(r#"{{"resourceType":"Patient","id":"a","meta":{{{META}}}}}"#));
    }

    #[test]
    fn what_was_read_can_be_stored_again_unchanged() {
        for input in
            [r#"{"resourceType":"Patient"}"#, r#"{"resourceType":"Patient","id":"a","meta":{"tag":[{"code":"é"}]}}"#]
        {
            let (stored, read) = shown(input, "a");
            assert_eq!(shown(&read, "a").1, read);
            assert_eq!(shown(&read, "a").0, stored);
        }
        for first in [r#"{"meta":{},"resourceType":"Patient"}"#, r#"{"resourceType":"Patient","meta":{}}"#] {
            assert_eq!(shown(first, "a").0, r#"{"resourceType":"Patient","id":"a"}"#);
        }
    }

    #[test]
    fn meta_that_is_no_object_is_refused() {
        let document = Document::parse(br#"{"resourceType":"Patient","meta":[]}"#, &Limits::default()).unwrap();
        assert_eq!(place(&document, "a").unwrap_err().status, 400);
    }

    #[test]
    fn id_syntax() {
        assert!(is_id("aZ9.-"));
        for bad in ["", "a_b", "a/b", "é", &"x".repeat(65)] {
            assert!(!is_id(bad));
        }
    }
}
