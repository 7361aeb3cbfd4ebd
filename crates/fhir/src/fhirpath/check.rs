//! What can be said about an expression without data: elements that do not exist, functions on the wrong types.

use super::Error;
use super::ast::{Call, Expr, Head, Step, TypeName, TypeOperator};
use super::functions::Operation;
use super::functions::{Collection, Existence, Fhir, Text, Utility};
use crate::defs::{Definitions, TypeId, TypeKind};

/// What is known of the items of a collection.
#[derive(Clone, Debug)]
enum Shape {
    Unknown,
    Elements { types: Vec<TypeId>, is_ordered: bool },
}

struct Checker<'d> {
    defs: &'d Definitions,
}

pub(super) fn check(defs: &Definitions, expr: &Expr, context: TypeId) -> Result<(), Error> {
    let context = Shape::Elements { types: vec![context], is_ordered: true };
    Checker { defs }.infer(expr, &context).map(drop)
}

impl Checker<'_> {
    fn elements(&self, types: Vec<TypeId>, is_ordered: bool) -> Shape {
        let is_open = types.is_empty() || types.iter().any(|ty| self.defs.ty(*ty).is_abstract);
        if is_open { Shape::Unknown } else { Shape::Elements { types, is_ordered } }
    }

    fn infer(&self, expr: &Expr, this: &Shape) -> Result<Shape, Error> {
        match expr {
            Expr::Literal(_) | Expr::Empty => Ok(Shape::Unknown),
            Expr::Sign { operand, .. } => self.infer(operand, this).map(|_| Shape::Unknown),
            Expr::Chain { first, rest } => {
                self.infer(first, this)?;
                for (_, operand) in rest {
                    self.infer(operand, this)?;
                }
                Ok(Shape::Unknown)
            }
            Expr::Type { operand, rest } => {
                let mut shape = self.infer(operand, this)?;
                for (operator, ty) in rest {
                    shape = match operator {
                        TypeOperator::Is => Shape::Unknown,
                        TypeOperator::As => self.cast(ty),
                    };
                }
                Ok(shape)
            }
            Expr::Path { head, steps, .. } => {
                let (mut shape, rest) = match head {
                    Head::Context => match steps.split_first() {
                        Some((Step::Member(name), rest)) => (self.context_member(name, this)?, rest),
                        _ => (this.clone(), steps.as_slice()),
                    },
                    Head::This => (this.clone(), steps.as_slice()),
                    Head::Expr(expr) => (self.infer(expr, this)?, steps.as_slice()),
                    Head::Index | Head::Total | Head::Variable(_) => (Shape::Unknown, steps.as_slice()),
                };
                for step in rest {
                    shape = match step {
                        Step::Member(name) => self.member(&shape, name)?,
                        Step::Call(call) => self.call(call, shape, this)?,
                        Step::Indexer(index) => {
                            self.infer(index, this)?;
                            ordered(shape)?
                        }
                    };
                }
                Ok(shape)
            }
        }
    }

    fn context_member(&self, name: &str, this: &Shape) -> Result<Shape, Error> {
        if let (Shape::Elements { types, .. }, Some(wanted)) = (this, self.defs.type_by_name(name))
            && types.iter().any(|ty| self.defs.is_a(*ty, wanted))
        {
            return Ok(this.clone());
        }
        self.member(this, name)
    }

    fn member(&self, shape: &Shape, name: &str) -> Result<Shape, Error> {
        let Shape::Elements { types, is_ordered } = shape else {
            return Ok(Shape::Unknown);
        };
        let elements = types.iter().flat_map(|ty| &self.defs.ty(*ty).elements).filter(|element| element.name == name);
        let found: Vec<TypeId> = elements.flat_map(|element| element.types.iter().copied()).collect();
        if found.is_empty() {
            return Err(Error::Semantic(format!("there is no element {name} here")));
        }
        Ok(self.elements(found, *is_ordered))
    }

    fn cast(&self, ty: &TypeName) -> Shape {
        match self.defs.type_by_name(&ty.name) {
            Some(ty) => self.elements(vec![ty], true),
            None => Shape::Unknown,
        }
    }

    fn call(&self, call: &Call, input: Shape, this: &Shape) -> Result<Shape, Error> {
        let sees_items = matches!(
            call.function.operation,
            Operation::Existence(Existence::Exists | Existence::All)
                | Operation::Collection(Collection::Where | Collection::Select | Collection::Sort)
                | Operation::Utility(Utility::Trace)
        );
        // What `repeat`, `aggregate` and `iif` see as `$this` changes or is not known.
        let sees_others = matches!(call.function.name, "repeat" | "aggregate" | "iif");
        let mut argument = Shape::Unknown;
        for expr in &call.arguments {
            argument = match (sees_items, sees_others) {
                (true, _) => self.infer(expr, &input)?,
                (_, true) => self.infer(expr, &Shape::Unknown)?,
                _ => self.infer(expr, this)?,
            };
        }
        match call.function.operation {
            Operation::Collection(function) => match function {
                Collection::Where | Collection::Single | Collection::Distinct | Collection::Exclude => Ok(input),
                Collection::First | Collection::Last | Collection::Tail | Collection::Skip | Collection::Take => {
                    ordered(input)
                }
                Collection::Select => Ok(argument),
                Collection::As | Collection::OfType => Ok(call.ty.as_ref().map_or(Shape::Unknown, |ty| self.cast(ty))),
                Collection::Children => Ok(self.children(&input)),
                _ => Ok(Shape::Unknown),
            },
            Operation::Utility(Utility::Trace) => Ok(input),
            Operation::Fhir(Fhir::Extension) => {
                Ok(self.elements(self.defs.type_by_name("Extension").into_iter().collect(), true))
            }
            Operation::Text(function) if function != Text::Join && self.is_complex(&input) => {
                Err(Error::Semantic(format!("{}() needs a string", call.function.name)))
            }
            _ => Ok(Shape::Unknown),
        }
    }

    fn children(&self, shape: &Shape) -> Shape {
        match shape {
            Shape::Unknown => Shape::Unknown,
            Shape::Elements { types, .. } => {
                let elements = types.iter().flat_map(|ty| &self.defs.ty(*ty).elements);
                // Abstract types (`contained`) stay in the list: only the order matters here.
                Shape::Elements {
                    types: elements.flat_map(|element| element.types.clone()).collect(),
                    is_ordered: false,
                }
            }
        }
    }

    fn is_complex(&self, shape: &Shape) -> bool {
        match shape {
            Shape::Unknown => false,
            Shape::Elements { types, .. } => types.iter().all(|ty| self.defs.ty(*ty).kind != TypeKind::Primitive),
        }
    }
}

/// The order of children is not defined, so nothing may depend on it.
fn ordered(shape: Shape) -> Result<Shape, Error> {
    match shape {
        Shape::Elements { is_ordered: false, .. } => {
            Err(Error::Semantic("the items have no defined order here".to_owned()))
        }
        shape => Ok(shape),
    }
}
