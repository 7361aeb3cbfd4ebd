//! Search queries: from URL parameters to a checked plan.

mod criteria;
pub mod form;
mod include;
pub mod matches;
mod parse;
mod result;
mod split;
mod test;

pub use parse::parse;

use crate::defs::{Definitions, ParamId, TypeId};
use crate::outcome::Issue;

/// A checked search over one resource type (or several, for a system-level search with `_type`).
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub types: Vec<TypeId>,
    pub filter: Filter,
    /// Empty = newest change first.
    pub sort: Vec<Sort>,
    pub count: Option<u32>,
    pub total: Total,
    pub summary: Summary,
    /// `_elements`; empty = all.
    pub elements: Vec<String>,
    pub includes: Vec<Include>,
    /// Parameters that were understood, as `(name, value)` in request order: for the self link.
    pub applied: Vec<(String, String)>,
    /// What was ignored under `handling=lenient`.
    pub warnings: Vec<Issue>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    All,
    Nothing,
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// The resource has a value of `param` that passes `test`.
    Match {
        param: ParamId,
        test: Test,
    },
    /// The resource has no value of `param` at all (`:missing=true`); wrap in `Not` for `:missing=false`.
    Missing(ParamId),
    /// A resource of type `target` that `param` refers to passes `filter`.
    Chain {
        param: ParamId,
        target: TypeId,
        filter: Box<Filter>,
    },
    /// `_has`: a resource of type `source` refers to this one by `param` (a parameter of `source`) and passes `filter`.
    Has {
        source: TypeId,
        param: ParamId,
        filter: Box<Filter>,
    },
    /// Logical ids.
    Ids(Vec<String>),
    LastUpdated(DateTest),
    /// `_list`: members of the List with this id. Resolved by the engine before the store sees the plan.
    InList(String),
    /// `:in`, `:not-in` (wrapped in Not), token `:above`, `:below`. Resolved by the engine to `Or` of token tests.
    Terminology {
        param: ParamId,
        test: TerminologyTest,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum TerminologyTest {
    InValueSet(String),
    Above { system: String, code: String },
    Below { system: String, code: String },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Token {
        system: SystemTest,
        code: Option<String>,
    },
    /// `:text` (begins with), `code-text`; the argument is normalised.
    TokenText(String),
    TokenOfType {
        system: String,
        code: String,
        value: String,
    },
    Reference {
        ty: Option<TypeId>,
        id: String,
    },
    ReferenceUrl(String),
    ReferenceIdentifier {
        system: SystemTest,
        value: Option<String>,
    },
    /// Normalised prefix.
    StringStarts(String),
    StringContains(String),
    StringExact(String),
    Date(DateTest),
    Number {
        comparator: Comparator,
        low: f64,
        high: f64,
    },
    Quantity {
        comparator: Comparator,
        low: f64,
        high: f64,
        unit: UnitTest,
    },
    Uri(String),
    UriBelow(String),
    UriAbove(String),
    Composite(Vec<Test>),
    Near {
        latitude: f64,
        longitude: f64,
        radius_m: f64,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum SystemTest {
    /// `code`
    Any,
    /// `|code`
    Absent,
    /// `system|code`
    Is(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum UnitTest {
    Any,
    /// `number||unit`: code or unit text.
    CodeOrUnit(String),
    /// `number|system|code`; `canonical` = UCUM base-unit expression with the search range converted to it.
    System {
        system: String,
        code: String,
        canonical: Option<(String, f64, f64)>,
    },
}

/// A date comparison. The search value covers `start..=end`.
#[derive(Clone, Debug, PartialEq)]
pub struct DateTest {
    pub comparator: Comparator,
    pub start: i64,
    pub end: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
    Sa,
    Eb,
    Ap,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    pub by: SortBy,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SortBy {
    Param(ParamId),
    LastUpdated,
    Id,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Total {
    /// The default: accurate, because it is cheap here.
    #[default]
    Accurate,
    Estimate,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Summary {
    #[default]
    False,
    True,
    Text,
    Data,
    Count,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Include {
    pub reverse: bool,
    pub iterate: bool,
    /// `None` = `*`: every reference parameter.
    pub param: Option<ParamId>,
    pub source: TypeId,
    pub target: Option<TypeId>,
}

/// How unknown parameters are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    Strict,
    Lenient,
}

/// Context of a parse.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub defs: &'a Definitions,
    /// `None` for a search over all types.
    pub resource: Option<TypeId>,
    pub handling: Handling,
    /// Now, in microseconds, for `ap` on dates.
    pub now: i64,
    /// The server's own base URLs (`http://host/fhir`), stripped from reference values.
    pub own_bases: &'a [String],
}
