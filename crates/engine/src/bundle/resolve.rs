//! References between entries of a transaction, and conditional references: rewritten in the bytes of each resource.
//!
//! Rewritten are `Reference.reference` (by fullUrl, by a relative reference next to a RESTful fullUrl, by criteria) and, when they are
//! equal to a `urn:` fullUrl, elements of the types uri and url that point at things. Identifiers, canonicals and narrative stay.

use crate::Error;
use crate::edits::Edits;
use fhir::defs::{self, TypeId};
use fhir::json::{Node, write_string};
use std::borrow::Cow;
use std::collections::HashMap;

/// Names of uri and url elements that may point at another entry.
const URI_MEMBERS: [&str; 9] =
    ["url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid", "sourceUri", "targetUri", "contentUrl"];

/// Where references of a transaction lead.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// fullUrl → what the entry becomes.
    pub(crate) by_full_url: HashMap<String, (TypeId, String)>,
    /// `Patient?identifier=…` → the one match.
    pub(crate) by_criteria: HashMap<String, (TypeId, String)>,
}

impl Links {
    /// The resource's bytes with every reference resolved. A `urn:uuid:` that no entry has is an error.
    pub(crate) fn rewrite(&self, resource: Node<'_>, full_url: Option<&str>) -> Result<Vec<u8>, Error> {
        let root = full_url.and_then(restful_root);
        let start = resource.span().start;
        let mut edits = Edits::default();
        let mut failed = false;
        places(resource, &mut |place, node| {
            let Some(text) = node.as_str() else { return };
            match self.target(place, &text, root) {
                Some((ty, id)) => {
                    let mut quoted = Vec::new();
                    write_string(&mut quoted, &format!("{}/{id}", defs::r4().ty(*ty).name));
                    let span = node.span();
                    edits.replace(span.start - start..span.end - start, quoted);
                }
                None => failed |= place == Place::Reference && is_urn(&text),
            }
        });
        if failed {
            let text = "a urn:uuid reference names no entry of this Bundle: give the entry it means this fullUrl";
            return Err(Error::new(400, "not-found", text));
        }
        let raw = resource.raw().as_bytes();
        Ok(if edits.is_empty() { raw.to_vec() } else { edits.apply(raw) })
    }

    fn target(&self, place: Place, text: &str, root: Option<&str>) -> Option<&(TypeId, String)> {
        let direct = || self.by_full_url.get(text);
        match place {
            Place::Uri => is_urn(text).then(direct).flatten(),
            Place::Reference if is_conditional(text) => self.by_criteria.get(text),
            Place::Reference => direct().or_else(|| {
                let relative = root.filter(|_| !text.contains(':') && !text.starts_with('#'))?;
                self.by_full_url.get(&format!("{relative}/{text}"))
            }),
        }
    }
}

/// Conditional references of a resource.
pub(crate) fn conditional(resource: Node<'_>, found: &mut Vec<String>) {
    places(resource, &mut |place, node| {
        let text = node.as_str().filter(|text| place == Place::Reference && is_conditional(text));
        found.extend(text.map(Cow::into_owned));
    });
}

/// `Type?criteria` taken apart.
pub(crate) fn criteria(reference: &str) -> Option<(TypeId, &str)> {
    let (ty, criteria) = reference.split_once('?')?;
    Some((defs::r4().resource_by_name(ty)?, criteria))
}

fn is_conditional(text: &str) -> bool {
    criteria(text).is_some()
}

fn is_urn(text: &str) -> bool {
    text.starts_with("urn:uuid:") || text.starts_with("urn:oid:")
}

/// `http://h/fhir` of `http://h/fhir/Patient/1`.
fn restful_root(full_url: &str) -> Option<&str> {
    let (rest, _) = full_url.rsplit_once('/')?;
    let (root, ty) = rest.rsplit_once('/')?;
    defs::r4().resource_by_name(ty).map(|_| root)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Reference,
    Uri,
}

/// Calls `visit` for every string that may point at another resource.
fn places<'a>(node: Node<'a>, visit: &mut impl FnMut(Place, Node<'a>)) {
    for (name, value) in node.members() {
        if value.is_object() || value.is_array() {
            places(value, visit);
        } else if name == "reference" {
            visit(Place::Reference, value);
        } else if URI_MEMBERS.contains(&name.as_ref()) {
            visit(Place::Uri, value);
        }
    }
    for item in node.items() {
        places(item, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json::{Document, Limits};

    fn links() -> Links {
        let patient = defs::r4().resource_by_name("Patient").unwrap();
        let mut links = Links::default();
        links.by_full_url.insert("urn:uuid:1".into(), (patient, "new".into()));
        links.by_full_url.insert("http://h/fhir/Patient/9".into(), (patient, "nine".into()));
        links.by_criteria.insert("Patient?identifier=a|b".into(), (patient, "found".into()));
        links
    }

    fn rewritten(input: &str, full_url: Option<&str>) -> Result<String, Error> {
        // Inside another document, as in a Bundle.
        let text = format!("{{\"resource\":{input}}}");
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        let bytes = links().rewrite(document.root().get("resource").unwrap(), full_url)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn references_are_rewritten_and_nothing_else() {
        let input = r#"{"subject":{"reference":"urn:uuid:1"},"identifier":[{"value":"urn:uuid:1"}],"n":1.10,"performer":[{"reference":"Patient?identifier=a|b"},{"reference":"Patient/9"}],"content":{"url":"urn:uuid:1"}}"#;
        let expected = r#"{"subject":{"reference":"Patient/new"},"identifier":[{"value":"urn:uuid:1"}],"n":1.10,"performer":[{"reference":"Patient/found"},{"reference":"Patient/9"}],"content":{"url":"Patient/new"}}"#;
        assert_eq!(rewritten(input, None).unwrap(), expected);
    }

    #[test]
    fn relative_references_follow_a_restful_full_url() {
        let input = r#"{"subject":{"reference":"Patient/9"}}"#;
        assert_eq!(
            rewritten(input, Some("http://h/fhir/Observation/1")).unwrap(),
            r#"{"subject":{"reference":"Patient/nine"}}"#
        );
        assert_eq!(rewritten(input, Some("http://other/Observation/1")).unwrap(), input);
    }

    #[test]
    fn an_unknown_urn_is_an_error_and_a_contained_reference_is_not() {
        assert_eq!(rewritten(r#"{"subject":{"reference":"urn:uuid:2"}}"#, None).unwrap_err().status, 400);
        let contained = r##"{"subject":{"reference":"#a"}}"##;
        assert_eq!(rewritten(contained, None).unwrap(), contained);
    }
}
