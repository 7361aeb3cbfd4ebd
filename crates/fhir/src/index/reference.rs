//! What a reference points to.

use super::Value;
use crate::defs::{Definitions, TypeId};

/// A reference URL, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `Type/id`, with or without `/_history/version`.
    Local { ty: TypeId, id: &'a str },
    /// `#id` of a contained resource, or `#`.
    Contained,
    /// Anything else, verbatim.
    Url(&'a str),
}

/// Reads a reference URL. Absolute URLs stay URLs: whose server they mean is not known here.
pub fn parse_reference<'a>(defs: &Definitions, text: &'a str) -> Target<'a> {
    if text.starts_with('#') {
        return Target::Contained;
    }
    let plain = text.split_once("/_history/").map_or(text, |(plain, _)| plain);
    match plain.split_once('/') {
        Some((name, id)) if is_id(id) => match defs.resource_by_name(name) {
            Some(ty) => Target::Local { ty, id },
            None => Target::Url(text),
        },
        _ => Target::Url(text),
    }
}

/// The `id` datatype: 1 to 64 of `A-Z a-z 0-9 - .`
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The entry of a reference URL; contained ones have none.
pub(super) fn value(defs: &Definitions, text: &str) -> Option<Value> {
    match parse_reference(defs, text) {
        Target::Local { ty, id } => Some(Value::Reference { ty, id: id.to_owned() }),
        Target::Contained => None,
        Target::Url(url) => Some(Value::ReferenceUrl(url.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defs::r4;

    #[test]
    fn references_are_read() {
        let patient = r4().resource_by_name("Patient").unwrap();
        let local = Target::Local { ty: patient, id: "p-1.x" };
        assert_eq!(parse_reference(r4(), "Patient/p-1.x"), local);
        assert_eq!(parse_reference(r4(), "Patient/p-1.x/_history/3"), local);
        assert_eq!(parse_reference(r4(), "#a"), Target::Contained);
        for url in ["http://x/fhir/Patient/1", "urn:uuid:0", "Patients/1", "Patient/a b", "Patient", "Patient/"] {
            assert_eq!(parse_reference(r4(), url), Target::Url(url));
        }
    }
}
