//! Tokens to tree, by precedence climbing.

use super::Error;
use super::ast::{Call, Expr, Head, Operator, PRECEDENCE_TYPE, Step, TypeName, TypeOperator};
use super::functions::Function;
use super::item::Item;
use super::lexer::{Lexeme, Token, tokenize};
use super::quantity::{Quantity, calendar_unit};
use super::temporal;
use std::sync::OnceLock;

/// Nested brackets, arguments and signs in one expression. Official expressions stay below 12.
const DEPTH_MAX: u32 = 80;
/// Longest expression, in bytes.
const LENGTH_MAX: usize = 64 << 10;

struct Parser {
    lexemes: Vec<Lexeme>,
    at: usize,
    depth: u32,
}

pub(super) fn parse(source: &str) -> Result<Expr, Error> {
    if source.len() > LENGTH_MAX {
        return Err(Error::Limit("the expression is too long"));
    }
    let mut parser = Parser { lexemes: tokenize(source)?, at: 0, depth: 0 };
    let expr = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => parser.fail("unexpected text after the end of the expression"),
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.lexemes[self.at].token
    }

    /// The last lexeme is [`Token::End`] and is never passed.
    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, Error> {
        Err(Error::Syntax { offset: self.lexemes[self.at].offset, message })
    }

    fn accept(&mut self, symbol: &'static str) -> bool {
        let found = *self.peek() == Token::Symbol(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &'static str, message: &'static str) -> Result<(), Error> {
        if self.accept(symbol) { Ok(()) } else { self.fail(message) }
    }

    fn operator(&self) -> Option<Operator> {
        match self.peek() {
            Token::Symbol(symbol) => Operator::from_token(symbol),
            Token::Name { text, delimited: false } => Operator::from_token(text),
            _ => None,
        }
    }

    fn type_operator(&self) -> Option<TypeOperator> {
        match self.peek() {
            Token::Name { text, delimited: false } if text == "is" => Some(TypeOperator::Is),
            Token::Name { text, delimited: false } if text == "as" => Some(TypeOperator::As),
            _ => None,
        }
    }

    /// An expression of operators that bind at least as strongly as `precedence_min`.
    fn expression(&mut self, precedence_min: u8) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::Limit("the expression is nested too deeply"));
        }
        let mut left = self.signed()?;
        // Each round consumes one run of operators of equal strength; the next run is weaker.
        loop {
            if self.type_operator().is_some() && PRECEDENCE_TYPE >= precedence_min {
                let mut rest = Vec::new();
                while let Some(operator) = self.type_operator() {
                    self.at += 1;
                    rest.push((operator, self.type_name()?));
                }
                left = Expr::Type { operand: Box::new(left), rest };
                continue;
            }
            let Some(precedence) = self.operator().map(Operator::precedence).filter(|p| *p >= precedence_min) else {
                break;
            };
            let mut rest = Vec::new();
            while let Some(operator) = self.operator().filter(|operator| operator.precedence() == precedence) {
                self.at += 1;
                rest.push((operator, self.expression(precedence + 1)?));
            }
            left = Expr::Chain { first: Box::new(left), rest };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expr, Error> {
        let negative = match self.peek() {
            Token::Symbol("-") => true,
            Token::Symbol("+") => false,
            _ => return self.path(),
        };
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::Limit("the expression is nested too deeply"));
        }
        let operand = Box::new(self.signed()?);
        self.depth -= 1;
        Ok(Expr::Sign { negative, operand })
    }

    /// A term and everything that follows it by `.` and `[`.
    fn path(&mut self) -> Result<Expr, Error> {
        let (head, mut steps) = match self.term()? {
            Term::Head(head) => (head, Vec::new()),
            Term::Step(step) => (Head::Context, vec![step]),
        };
        loop {
            if self.accept(".") {
                let step = match self.advance() {
                    Token::Name { text, delimited } => self.invocation(text, delimited)?,
                    _ => return self.fail("expected an element or a function after ."),
                };
                steps.push(step);
            } else if self.accept("[") {
                steps.push(Step::Indexer(self.expression(0)?));
                self.expect("]", "expected ]")?;
            } else {
                break;
            }
        }
        match head {
            Head::Expr(expr) if steps.is_empty() => Ok(*expr),
            head => Ok(Expr::path(head, steps)),
        }
    }

    fn term(&mut self) -> Result<Term, Error> {
        let literal = |item| Ok(Term::Head(Head::Expr(Box::new(Expr::Literal(item)))));
        match self.advance() {
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")", "expected )")?;
                Ok(Term::Head(Head::Expr(Box::new(inner))))
            }
            Token::Symbol("{") => {
                self.expect("}", "expected }")?;
                Ok(Term::Head(Head::Expr(Box::new(Expr::Empty))))
            }
            Token::String(text) => literal(Item::String(text.into())),
            Token::Number(text) => literal(self.number(&text)?),
            Token::Temporal(text) => match temporal::parse_literal(&text) {
                Some(item) => literal(item),
                None => self.fail("not a date or time that exists"),
            },
            Token::Special(name) => match name.as_str() {
                "this" => Ok(Term::Head(Head::This)),
                "index" => Ok(Term::Head(Head::Index)),
                "total" => Ok(Term::Head(Head::Total)),
                _ => self.fail("expected $this, $index or $total"),
            },
            Token::Variable(name) => Ok(Term::Head(Head::Variable(name))),
            Token::Name { text, delimited: false } if text == "true" => literal(Item::Boolean(true)),
            Token::Name { text, delimited: false } if text == "false" => literal(Item::Boolean(false)),
            Token::Name { text, delimited: false }
                if matches!(text.as_str(), "and" | "or" | "xor" | "implies" | "div" | "mod") =>
            {
                self.fail("expected a value before the operator")
            }
            Token::Name { text, delimited } => self.invocation(text, delimited).map(Term::Step),
            Token::End => self.fail("the expression ends too early"),
            Token::Symbol(_) => self.fail("expected a value"),
        }
    }

    /// A number or a quantity: the unit follows as text or as a word.
    fn number(&mut self, digits: &str) -> Result<Item<'static>, Error> {
        let unit = match self.peek() {
            Token::String(unit) => Some(unit.clone()),
            Token::Name { text, delimited: false } if calendar_unit(text).is_some() => Some(text.clone()),
            _ => None,
        };
        let Some(decimal) = crate::decimal::parse(digits) else {
            return self.fail("the number has too many digits");
        };
        if let Some(unit) = unit {
            self.at += 1;
            return Ok(Item::Quantity(Quantity { value: decimal, unit: unit.into() }));
        }
        if digits.contains('.') {
            return Ok(Item::Decimal(decimal));
        }
        match digits.parse::<i64>() {
            Ok(integer) if i32::try_from(integer).is_ok() => Ok(Item::Integer(integer)),
            _ => self.fail("the integer does not fit into 32 bits"),
        }
    }

    fn invocation(&mut self, text: String, delimited: bool) -> Result<Step, Error> {
        if delimited || *self.peek() != Token::Symbol("(") {
            return Ok(Step::Member(text));
        }
        let Some(function) = Function::by_name(&text) else {
            return Err(Error::Semantic(format!("there is no function {text}()")));
        };
        self.at += 1;
        let mut call = Call { function, arguments: Vec::new(), ty: None, regex: OnceLock::new() };
        if function.takes_type && *self.peek() != Token::Symbol(")") {
            call.ty = Some(self.type_name()?);
        } else if *self.peek() != Token::Symbol(")") {
            call.arguments.push(self.expression(0)?);
            while self.accept(",") {
                call.arguments.push(self.expression(0)?);
            }
        }
        self.expect(")", "expected )")?;
        let count = call.arguments.len() + usize::from(call.ty.is_some());
        if count < function.arguments_min || count > function.arguments_max {
            return Err(Error::Semantic(format!("{text}() does not take {count} arguments")));
        }
        Ok(Step::Call(Box::new(call)))
    }

    fn type_name(&mut self) -> Result<TypeName, Error> {
        let Token::Name { text: first, .. } = self.advance() else {
            return self.fail("expected the name of a type");
        };
        // `x is Patient.name` is not FHIRPath: after a type only a namespace's dot is possible.
        if !self.accept(".") {
            return Ok(TypeName { namespace: None, name: first });
        }
        match self.advance() {
            Token::Name { text, .. } => Ok(TypeName { namespace: Some(first), name: text }),
            _ => self.fail("expected the name of a type after ."),
        }
    }
}

enum Term {
    Head(Head),
    Step(Step),
}
