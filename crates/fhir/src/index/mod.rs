//! What a resource is found by: the values of its search parameters.

mod extract;
mod order;
mod reference;
mod unit;

pub use reference::{Target, is_id, parse_reference};
pub(crate) use unit::UCUM;
pub use unit::canonical;

use crate::defs::{Definitions, ParamId, TypeId};
use crate::json::{Document, Limits, Node};
use unicode_normalization::UnicodeNormalization;

/// One value under one search parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub param: ParamId,
    pub value: Value,
}

/// An indexable value. Times are microseconds since 1970-01-01T00:00:00Z; ranges are inclusive at both ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Coding, CodeableConcept, Identifier, ContactPoint, code, boolean, id, string under a token parameter.
    /// `system` is `None` where the datatype has one and it is absent; for `code`, `boolean`, `string` also `None`.
    Token {
        system: Option<String>,
        code: String,
    },
    /// A system without a code.
    TokenSystem {
        system: String,
    },
    /// Display or text of a coded value, identifier type text; normalised as [`normalize`] does. For `:text` and `code-text`.
    TokenText(String),
    /// `Identifier.type.coding` with the identifier's value, for `:of-type`.
    TokenOfType {
        system: String,
        code: String,
        value: String,
    },
    /// A reference to a resource of this server (relative, or absolute under the own base: the engine strips it before).
    Reference {
        ty: TypeId,
        id: String,
    },
    /// Any other reference, verbatim: absolute URL, urn, canonical with `|version`.
    ReferenceUrl(String),
    /// `Reference.identifier`, for `:identifier`.
    ReferenceIdentifier {
        system: Option<String>,
        value: String,
    },
    /// `normalized` is [`normalize`]d, `exact` the original.
    String {
        normalized: String,
        exact: String,
    },
    Date {
        start: i64,
        end: i64,
    },
    Number {
        low: f64,
        high: f64,
    },
    Quantity(Quantity),
    Uri(String),
    /// One value per component, in the order of the definition.
    Composite(Vec<Value>),
    /// Location.position in degrees.
    Position {
        latitude: f64,
        longitude: f64,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    pub low: f64,
    pub high: f64,
    pub system: Option<String>,
    pub code: Option<String>,
    pub unit: Option<String>,
    /// UCUM base-unit expression with the range in it, when `system` is UCUM and the code is valid.
    pub canonical: Option<(String, f64, f64)>,
}

/// Extracts all entries of a resource, in the order of the parameters, without duplicates. Never fails: what cannot be
/// read yields no entry. Contained resources are not indexed; `_id` and `_lastUpdated` are the store's.
///
/// A golden record ([`is_golden`]) has entries for its labels and links only: what it says of a person is what the
/// records behind it say, and a search or a conditional create must find those once, not twice.
pub fn extract(defs: &Definitions, ty: TypeId, resource: Node<'_>) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(32);
    let golden = is_golden(resource);
    for param in defs.params_of(ty) {
        if golden && !GOLDEN_PARAMS.contains(&defs.param(param).code) {
            continue;
        }
        let values = extract_param(defs, param, resource);
        entries.extend(values.into_iter().map(|value| Entry { param, value }));
    }
    entries
}

/// The tag, as system and code, of a record that stands for all records of a person.
pub const GOLDEN: (&str, &str) = ("https://weir.dev/fhir/tags", "golden-record");

/// Parameters that find a golden record.
const GOLDEN_PARAMS: [&str; 6] = ["_id", "_lastUpdated", "_profile", "_security", "_tag", "link"];

/// Whether the resource carries the tag [`GOLDEN`].
pub fn is_golden(resource: Node<'_>) -> bool {
    let tags = resource.path(&["meta", "tag"]).into_iter().flat_map(|tags| tags.items());
    tags.into_iter()
        .any(|tag| tag.str("code").as_deref() == Some(GOLDEN.1) && tag.str("system").as_deref() == Some(GOLDEN.0))
}

/// [`is_golden`] of a body that is not parsed yet.
pub fn is_golden_body(body: &[u8]) -> bool {
    let mentions = std::str::from_utf8(body).is_ok_and(|body| body.contains(GOLDEN.1));
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    mentions && Document::parse(body, &limits).is_ok_and(|document| is_golden(document.root()))
}

/// All values of one parameter, sorted and without duplicates: for sorting and for `_include`.
pub fn extract_param(defs: &Definitions, param: ParamId, resource: Node<'_>) -> Vec<Value> {
    let mut values = Vec::new();
    extract::each_value(defs, param, resource, &mut |value| values.push(value));
    // Sorted first: a code system may have tens of thousands of codes.
    if values.len() > 1 {
        values.sort_unstable_by(order::compare);
        values.dedup();
    }
    values
}

/// Case and accents folded, punctuation and white space collapsed to single spaces: the form in which strings are compared.
pub fn normalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    let mut push = |letter: char| {
        if letter.is_alphanumeric() {
            if std::mem::take(&mut gap) && !out.is_empty() {
                out.push(' ');
            }
            out.extend(letter.to_lowercase());
        } else {
            gap = true;
        }
    };
    if text.is_ascii() {
        text.chars().for_each(&mut push);
    } else {
        text.nfkd().filter(|letter| !unicode_normalization::char::is_combining_mark(*letter)).for_each(&mut push);
    }
    out
}
