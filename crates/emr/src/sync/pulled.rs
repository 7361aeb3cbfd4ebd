//! What a pull hands over, and what became of it.

use delivery::{Async, Remote};
use engine::{Engine, Error, Search, Session};
use fhir::defs::TypeId;
use fhir::json::Value;

/// A record that is new there, has changed, or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    pub ty: TypeId,
    pub remote: Remote,
    /// As the EMR shows it. `None`: neither a sweep nor a read by its id has met it.
    pub resource: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// What was written or seen last: nothing to do.
    Echo,
    /// Stored here as this key.
    Created(String),
    /// `wrote`: ours has a new version.
    Merged { wrote: bool, conflicts: usize },
    /// It refers to a record that is not known yet: applied again after that one, `Type/id there`.
    Waits(String),
    /// It may be one that is here already; a Task asks.
    Unsure,
    /// Gone there, and dealt with here.
    Gone,
    /// It is not valid FHIR as it would be here; a Task says so.
    Refused,
}

/// What becomes of ours when theirs is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    /// `active` is set to false, of types that have it; others stay.
    Inactive,
    Delete,
    Keep,
}

/// Whether a record that is new there is here already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    No,
    /// The id of the resource here.
    One(String),
    /// Several, or one that is not certain.
    Unsure,
}

/// Looks for what a new record may be. The identity index fills it; [`BusinessIdentifier`] is the least there is.
pub trait Finder: Send + Sync + std::fmt::Debug {
    fn find<'a>(
        &'a self,
        engine: &'a Engine,
        session: &'a Session,
        ty: TypeId,
        theirs: &'a Value,
    ) -> Async<'a, Result<Match, Error>>;
}

/// By an identifier with a system and a value that both have.
#[derive(Clone, Copy, Debug, Default)]
pub struct BusinessIdentifier;

impl Finder for BusinessIdentifier {
    fn find<'a>(
        &'a self,
        engine: &'a Engine,
        session: &'a Session,
        ty: TypeId,
        theirs: &'a Value,
    ) -> Async<'a, Result<Match, Error>> {
        Box::pin(async move {
            let mut ids: Vec<String> = Vec::new();
            for identifier in theirs.list("identifier") {
                let (Some(system), Some(value)) = (identifier.str("system"), identifier.str("value")) else { continue };
                let pairs = [("identifier".to_owned(), format!("{}|{}", escape(system), escape(value)))];
                let search = Search { ty: Some(ty), compartment: None, pairs: &pairs, lenient: false, cursor: None };
                let page = engine.search(session, &search).await?;
                ids.extend(page.matches.into_iter().map(|resource| resource.id));
            }
            ids.sort_unstable();
            ids.dedup();
            Ok(match ids.pop() {
                None => Match::No,
                Some(id) if ids.is_empty() => Match::One(id),
                Some(_) => Match::Unsure,
            })
        })
    }
}

/// A part of a token as search parameters take it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '|' | ',' | '$') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
