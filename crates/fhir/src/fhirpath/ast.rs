//! The shape of a parsed expression.
//!
//! Chains (`a.b.c`, `1 + 2 + 3`) are lists, not nested boxes: evaluation depth grows with brackets only, and those are bounded.

use super::functions::Function;
use super::item::Item;
use regex::Regex;
use std::sync::OnceLock;

#[derive(Debug)]
pub(super) enum Expr {
    Literal(Item<'static>),
    /// `{}`
    Empty,
    Path {
        head: Head,
        steps: Vec<Step>,
        /// Costly and the same wherever it is evaluated (`%resource.descendants()…`): evaluated once per evaluation.
        is_shared: bool,
    },
    /// `-x` or `+x`.
    Sign {
        negative: bool,
        operand: Box<Expr>,
    },
    /// Operators of one precedence level, applied from left to right.
    Chain {
        first: Box<Expr>,
        rest: Vec<(Operator, Expr)>,
    },
    /// `x is T`, `x as T`, applied from left to right.
    Type {
        operand: Box<Expr>,
        rest: Vec<(TypeOperator, TypeName)>,
    },
}

impl Expr {
    pub(super) fn path(head: Head, steps: Vec<Step>) -> Expr {
        let is_plain = |step: &Step| match step {
            Step::Member(_) => true,
            Step::Call(call) => call.arguments.is_empty(),
            Step::Indexer(_) => false,
        };
        let is_costly = |step: &Step| matches!(step, Step::Call(call) if call.function.name == "descendants");
        let is_shared = matches!(head, Head::Variable(_)) && steps.iter().all(is_plain) && steps.iter().any(is_costly);
        Expr::Path { head, steps, is_shared }
    }
}

/// What a path starts at.
#[derive(Debug)]
pub(super) enum Head {
    /// Nothing written: the first step applies to the current context.
    Context,
    This,
    Index,
    Total,
    Variable(String),
    Expr(Box<Expr>),
}

#[derive(Debug)]
pub(super) enum Step {
    Member(String),
    Call(Box<Call>),
    Indexer(Expr),
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: &'static Function,
    pub(super) arguments: Vec<Expr>,
    /// The argument of `is`, `as` and `ofType`.
    pub(super) ty: Option<TypeName>,
    /// The compiled pattern, when it is a literal: a pattern is compiled once per expression.
    pub(super) regex: OnceLock<Option<Regex>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeName {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeOperator {
    Is,
    As,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    Equivalent,
    NotEqual,
    NotEquivalent,
    LessOrEqual,
    Less,
    Greater,
    GreaterOrEqual,
    Union,
    Add,
    Subtract,
    Concatenate,
    Multiply,
    Divide,
    Div,
    Mod,
}

impl Operator {
    /// Binding strength; `is` and `as` stand between [`Operator::Union`] and [`Operator::Add`].
    pub(super) fn precedence(self) -> u8 {
        match self {
            Operator::Implies => 1,
            Operator::Or | Operator::Xor => 2,
            Operator::And => 3,
            Operator::In | Operator::Contains => 4,
            Operator::Equal | Operator::Equivalent | Operator::NotEqual | Operator::NotEquivalent => 5,
            Operator::LessOrEqual | Operator::Less | Operator::Greater | Operator::GreaterOrEqual => 6,
            Operator::Union => 7,
            Operator::Add | Operator::Subtract | Operator::Concatenate => PRECEDENCE_TYPE + 1,
            Operator::Multiply | Operator::Divide | Operator::Div | Operator::Mod => PRECEDENCE_TYPE + 2,
        }
    }

    pub(super) fn from_token(text: &str) -> Option<Operator> {
        Some(match text {
            "implies" => Operator::Implies,
            "or" => Operator::Or,
            "xor" => Operator::Xor,
            "and" => Operator::And,
            "in" => Operator::In,
            "contains" => Operator::Contains,
            "=" => Operator::Equal,
            "~" => Operator::Equivalent,
            "!=" => Operator::NotEqual,
            "!~" => Operator::NotEquivalent,
            "<=" => Operator::LessOrEqual,
            "<" => Operator::Less,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "|" => Operator::Union,
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "&" => Operator::Concatenate,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            "div" => Operator::Div,
            "mod" => Operator::Mod,
            _ => return None,
        })
    }
}

/// Precedence of `is` and `as`.
pub(super) const PRECEDENCE_TYPE: u8 = 8;
