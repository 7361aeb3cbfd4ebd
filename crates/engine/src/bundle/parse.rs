//! Entries of a batch or transaction: what each one asks for.

use crate::{Error, IfMatch, Precondition, conditional, version_of};
use fhir::defs::{self, TypeId};
use fhir::index::is_id;
use fhir::json::Node;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    // In the order in which a transaction is processed.
    Delete,
    Post,
    Put,
    Patch,
    Get,
}

/// What `request.url` names, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    System,
    Type(TypeId),
    Instance(TypeId, String),
    Version(TypeId, String, u64),
    /// `None`: the whole system.
    History(Option<TypeId>, Option<String>),
    Compartment(TypeId, String, Option<TypeId>),
    Everything(TypeId, Option<String>),
}

#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Place in the Bundle.
    pub(crate) index: usize,
    pub(crate) full_url: Option<String>,
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// As it was written, for links.
    pub(crate) url: String,
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) precondition: Precondition,
    /// `If-None-Match` of a read: the version that the client has.
    pub(crate) known_version: Option<u64>,
    pub(crate) resource: Option<Node<'a>>,
}

impl Entry<'_> {
    /// The resource of a write.
    pub(crate) fn body(&self) -> Result<Node<'_>, Error> {
        self.resource.ok_or_else(|| Error::new(400, "required", "this entry needs a resource"))
    }
}

/// `base` is cut off absolute URLs.
pub(crate) fn entry<'a>(base: &str, index: usize, node: Node<'a>) -> Result<Entry<'a>, Error> {
    let full_url = node.str("fullUrl").map(|url| url.into_owned());
    let request =
        node.get("request").ok_or_else(|| Error::new(400, "required", "request is missing: every entry needs one"))?;
    let method = match request.str("method").as_deref() {
        Some("DELETE") => Method::Delete,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("PATCH") => Method::Patch,
        Some("GET" | "HEAD") => Method::Get,
        _ => return Err(Error::new(400, "value", "request.method must be GET, POST, PUT, PATCH or DELETE")),
    };
    let url = request.str("url").ok_or_else(|| Error::new(400, "required", "request.url is missing"))?.into_owned();
    let relative = url.strip_prefix(base).unwrap_or(&url).trim_start_matches('/');
    let (path, query) = relative.split_once('?').unwrap_or((relative, ""));
    let target = target(path).ok_or_else(|| {
        Error::new(
            400,
            "value",
            "request.url is not understood: write it like Patient, Patient/id or Patient?name=value",
        )
    })?;
    let mut precondition = Precondition::default();
    if let Some(tag) = request.str("ifMatch") {
        let wanted = IfMatch::parse(&tag);
        precondition.if_match =
            Some(wanted.ok_or_else(|| Error::new(400, "value", "ifMatch must look like W/\"3\", or be *"))?);
    }
    let none_match = request.str("ifNoneMatch");
    precondition.must_not_exist = method == Method::Put && none_match.as_deref() == Some("*");
    precondition.criteria = match method {
        Method::Post => request.str("ifNoneExist").map(|criteria| criteria.into_owned()),
        Method::Get => None,
        _ => matches!(target, Target::Type(_)).then(|| query.to_owned()),
    };
    check(method, &target, &precondition)?;
    Ok(Entry {
        index,
        full_url,
        method,
        target,
        pairs: if method == Method::Get { conditional::pairs(query)? } else { Vec::new() },
        precondition,
        known_version: none_match.as_deref().and_then(version_of),
        resource: node.get("resource"),
        url,
    })
}

/// The methods that fit the target.
fn check(method: Method, target: &Target, precondition: &Precondition) -> Result<(), Error> {
    let fits = match (method, target) {
        (Method::Get, _) => true,
        (Method::Post, Target::Type(_)) => true,
        (Method::Put | Method::Patch | Method::Delete, Target::Instance(..)) => true,
        (Method::Put | Method::Patch | Method::Delete, Target::Type(_)) => {
            precondition.criteria.as_ref().is_some_and(|criteria| !criteria.is_empty())
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(Error::new(400, "not-supported", "request.method does not go with request.url")) }
}

fn target(path: &str) -> Option<Target> {
    let defs = defs::r4();
    let ty = |name: &str| defs.resource_by_name(name);
    let id = |id: &str| is_id(id).then(|| id.to_owned());
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Some(match parts[..] {
        [] => Target::System,
        ["_history"] => Target::History(None, None),
        [name] => Target::Type(ty(name)?),
        [name, "_history"] => Target::History(Some(ty(name)?), None),
        [name, "$everything"] => Target::Everything(ty(name)?, None),
        [name, of] => Target::Instance(ty(name)?, id(of)?),
        [name, of, "_history"] => Target::History(Some(ty(name)?), Some(id(of)?)),
        [name, of, "$everything"] => Target::Everything(ty(name)?, Some(id(of)?)),
        [name, of, "*"] => Target::Compartment(ty(name)?, id(of)?, None),
        [name, of, member] => Target::Compartment(ty(name)?, id(of)?, Some(ty(member)?)),
        [name, of, "_history", version] => Target::Version(ty(name)?, id(of)?, version.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json::{Document, Limits};

    fn parsed(request: &str) -> Result<(Method, Target, Precondition), Error> {
        let text = format!("{{\"request\":{request}}}");
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        entry("http://h/fhir", 0, document.root()).map(|entry| (entry.method, entry.target, entry.precondition))
    }

    #[test]
    fn requests_are_understood() {
        let patient = defs::r4().resource_by_name("Patient").unwrap();
        let (method, target, precondition) =
            parsed(r#"{"method":"PUT","url":"http://h/fhir/Patient/a","ifMatch":"W/\"3\""}"#).unwrap();
        assert_eq!((method, target), (Method::Put, Target::Instance(patient, "a".into())));
        assert_eq!(precondition.if_match, Some(IfMatch::Versions(vec![3])));
        let (_, target, precondition) = parsed(r#"{"method":"DELETE","url":"Patient?name=x"}"#).unwrap();
        assert_eq!((target, precondition.criteria.as_deref()), (Target::Type(patient), Some("name=x")));
        let (_, target, _) = parsed(r#"{"method":"GET","url":"/Patient/a/_history/2"}"#).unwrap();
        assert_eq!(target, Target::Version(patient, "a".into(), 2));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for request in [
            "{}",
            r#"{"method":"TRACE","url":"Patient"}"#,
            r#"{"method":"POST"}"#,
            r#"{"method":"POST","url":"Patient/a"}"#,
            r#"{"method":"PUT","url":"Patient"}"#,
            r#"{"method":"DELETE","url":"Patient?"}"#,
            r#"{"method":"GET","url":"Nothing/a"}"#,
            r#"{"method":"PUT","url":"Patient/a","ifMatch":"abc"}"#,
            r#"{"method":"GET","url":"Patient?name=%zz"}"#,
        ] {
            assert_eq!(parsed(request).unwrap_err().status, 400, "{request}");
        }
    }
}
