//! FHIRPath on the span tree: <http://hl7.org/fhirpath/N1> and the functions that FHIR R4 adds.
//!
//! Items are handles into documents; nothing is copied until a value is computed. Expressions may come from outside
//! (patches, subscriptions): nesting, work and text sizes are bounded, and evaluation never panics.

mod ast;
mod check;
mod equality;
mod eval;
mod functions;
mod item;
mod lexer;
mod navigate;
mod operators;
mod parser;
mod quantity;
mod temporal;

pub use item::{Element, Item};
pub use quantity::Quantity;

use crate::defs::{Definitions, TypeId};
use crate::json::Node;
use eval::{Evaluator, Frame};

/// Why an expression cannot be read or evaluated. Messages name functions and elements, never values of a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `offset` counts bytes of the expression.
    #[error("{message} at offset {offset}")]
    Syntax { offset: usize, message: &'static str },
    /// A name that does not exist or a use that can never be right.
    #[error("{0}")]
    Semantic(String),
    #[error("{0}")]
    Evaluation(&'static str),
    /// A bound that protects the server.
    #[error("{0}")]
    Limit(&'static str),
}

/// Access to what is outside the resource at hand.
pub trait Resolver<'a> {
    /// The resource behind an absolute or relative reference.
    fn resolve(&self, reference: &str) -> Option<Node<'a>>;

    /// Whether a code is in a value set that is not one of the enumerable ones of the definitions; `None` if unknown.
    fn member_of(&self, _value_set: &str, _system: Option<&str>, _code: &str) -> Option<bool> {
        None
    }
}

/// What an evaluation may look at besides its context item.
#[derive(Clone)]
pub struct Environment<'a> {
    pub defs: &'a Definitions,
    /// `%resource`: the resource the context belongs to, possibly a contained one.
    pub resource: Option<Node<'a>>,
    /// `%rootResource`: the resource that contains `resource`, or `resource` itself.
    pub root_resource: Option<Node<'a>>,
    /// `%name`, without `%`.
    pub variables: Vec<(String, Vec<Item<'a>>)>,
    /// Microseconds since 1970-01-01T00:00:00Z: `now()` and `today()`, in UTC.
    pub now_us: i64,
    pub resolver: Option<&'a dyn Resolver<'a>>,
    /// Elements that do not exist and `as` on lists are errors, not empty.
    pub strict: bool,
    /// Bound of items visited and compared; one evaluation of an official invariant needs a few thousand at most.
    pub steps_max: u64,
}

impl<'a> Environment<'a> {
    /// Default bound of the work of one evaluation: well below a second, and some 100 MB at the very worst.
    pub const STEPS_MAX: u64 = 2_000_000;

    /// For evaluation on one resource, at `now_us`, without resolver and variables, lenient.
    pub fn new(defs: &'a Definitions, resource: Node<'a>, now_us: i64) -> Self {
        Environment {
            defs,
            resource: Some(resource),
            root_resource: Some(resource),
            variables: Vec::new(),
            now_us,
            resolver: None,
            strict: false,
            steps_max: Self::STEPS_MAX,
        }
    }
}

/// A parsed expression. Parse once, evaluate often; regular expressions are compiled once.
#[derive(Debug)]
pub struct Expression {
    root: ast::Expr,
    source: String,
}

impl Expression {
    pub fn parse(source: &str) -> Result<Expression, Error> {
        Ok(Expression { root: parser::parse(source)?, source: source.to_owned() })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Checks without data that the elements exist and the functions fit, for a context of type `context`.
    /// What cannot be decided is taken as right.
    pub fn check(&self, defs: &Definitions, context: TypeId) -> Result<(), Error> {
        check::check(defs, &self.root, context)
    }

    /// Evaluates on a resource.
    pub fn evaluate<'a>(&self, env: &Environment<'a>, resource: Node<'a>) -> Result<Vec<Item<'a>>, Error> {
        self.evaluate_on(env, Item::Element(Element::resource(env.defs, resource)))
    }

    /// Evaluates on any item, such as an element with a known type.
    pub fn evaluate_on<'a>(&self, env: &Environment<'a>, context: Item<'a>) -> Result<Vec<Item<'a>>, Error> {
        let context = [context];
        let frame = Frame::new(&context);
        Evaluator::new(env, &context).eval(&self.root, &frame)
    }

    /// Evaluates as a criterion: the boolean result, `true` for any other single item, `None` when empty.
    pub fn evaluate_bool<'a>(&self, env: &Environment<'a>, context: Item<'a>) -> Result<Option<bool>, Error> {
        let context = [context];
        let frame = Frame::new(&context);
        let evaluator = Evaluator::new(env, &context);
        let items = evaluator.eval(&self.root, &frame)?;
        evaluator.boolean(&items)
    }
}
