//! Walking the tree of an expression.

use super::ast::{Call, Expr, Head, Step, TypeName, TypeOperator};
use super::item::{Element, Item, SystemType};
use super::navigate;
use super::{Environment, Error};
use crate::defs::TypeKind;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};

pub(super) type Items<'a> = Vec<Item<'a>>;

/// The `$` variables of one evaluation.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f, 'a> {
    /// `$this`, and what a path without a head starts at.
    pub(super) this: &'f [Item<'a>],
    pub(super) index: Option<i64>,
    pub(super) total: Option<&'f [Item<'a>]>,
}

impl<'f, 'a> Frame<'f, 'a> {
    pub(super) fn new(this: &'f [Item<'a>]) -> Self {
        Frame { this, index: None, total: None }
    }

    /// The frame in which a function evaluates its argument for one item.
    pub(super) fn item(&self, item: &'f Item<'a>, index: usize) -> Frame<'f, 'a>
    where
        'f: 'f,
    {
        Frame { this: std::slice::from_ref(item), index: i64::try_from(index).ok(), total: None }
    }
}

pub(super) struct Evaluator<'e, 'a> {
    pub(super) env: &'e Environment<'a>,
    context: &'e [Item<'a>],
    steps: Cell<u64>,
    /// Results of shared paths, by the place of their steps in the expression.
    shared: RefCell<Vec<(*const Step, Items<'a>)>>,
}

impl<'e, 'a> Evaluator<'e, 'a> {
    pub(super) fn new(env: &'e Environment<'a>, context: &'e [Item<'a>]) -> Self {
        Evaluator { env, context, steps: Cell::new(0), shared: RefCell::default() }
    }

    /// Counts work against the bound.
    pub(super) fn spend(&self, steps: u64) -> Result<(), Error> {
        let spent = self.steps.get().saturating_add(steps);
        self.steps.set(spent);
        if spent > self.env.steps_max { Err(Error::Limit("the evaluation needs too many steps")) } else { Ok(()) }
    }

    pub(super) fn eval(&self, expr: &Expr, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        self.spend(1)?;
        match expr {
            Expr::Literal(item) => Ok(vec![item.clone()]),
            Expr::Empty => Ok(Vec::new()),
            Expr::Path { head, steps, is_shared: false } => self.path(head, steps, frame),
            Expr::Path { head, steps, is_shared: true } => {
                if let Some((_, items)) = self.shared.borrow().iter().find(|(path, _)| *path == steps.as_ptr()) {
                    self.spend(items.len() as u64)?;
                    return Ok(items.clone());
                }
                let items = self.path(head, steps, frame)?;
                self.shared.borrow_mut().push((steps.as_ptr(), items.clone()));
                Ok(items)
            }
            Expr::Sign { negative, operand } => self.sign(*negative, self.eval(operand, frame)?),
            Expr::Chain { first, rest } => {
                let mut left = self.eval(first, frame)?;
                for (operator, right) in rest {
                    left = self.operate(*operator, left, right, frame)?;
                }
                Ok(left)
            }
            Expr::Type { operand, rest } => {
                let mut items = self.eval(operand, frame)?;
                for (operator, ty) in rest {
                    items = match operator {
                        TypeOperator::Is => self.is(&items, ty)?,
                        TypeOperator::As => self.r#as(items, ty)?,
                    };
                }
                Ok(items)
            }
        }
    }

    fn path(&self, head: &Head, steps: &[Step], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let (mut items, rest) = match head {
            Head::Context => match steps.split_first() {
                Some((Step::Member(name), rest)) => (self.context_member(name, frame)?, rest),
                _ => (frame.this.to_vec(), steps),
            },
            Head::This => (frame.this.to_vec(), steps),
            Head::Index => (frame.index.map(Item::Integer).into_iter().collect(), steps),
            Head::Total => (frame.total.map(<[_]>::to_vec).unwrap_or_default(), steps),
            Head::Variable(name) => (self.variable(name)?, steps),
            Head::Expr(expr) => (self.eval(expr, frame)?, steps),
        };
        for step in rest {
            items = match step {
                Step::Member(name) => self.member(&items, name)?,
                Step::Call(call) => self.call(call, items, frame)?,
                Step::Indexer(index) => {
                    let index = self.eval(index, frame)?;
                    let index = self.integer(&index)?.and_then(|index| usize::try_from(index).ok());
                    match index {
                        Some(index) if index < items.len() => vec![items.swap_remove(index)],
                        _ => Vec::new(),
                    }
                }
            };
        }
        Ok(items)
    }

    /// The first name of a path: an element of the context, or the type of the context itself (`Patient.name`).
    fn context_member(&self, name: &str, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            let defs = self.env.defs;
            if let [Item::Element(Element { ty: Some(ty), .. })] = frame.this
                && defs.type_by_name(name).is_some_and(|wanted| defs.is_a(*ty, wanted))
            {
                return Ok(frame.this.to_vec());
            }
        }
        self.member(frame.this, name)
    }

    pub(super) fn member(&self, items: &[Item<'a>], name: &str) -> Result<Items<'a>, Error> {
        let defs = self.env.defs;
        let mut out = Vec::new();
        let mut is_possible = items.is_empty();
        for item in items {
            match item {
                Item::Element(element) => {
                    navigate::member(defs, element, name, &mut out);
                    is_possible |= !self.env.strict || !out.is_empty() || navigate::may_have(defs, element, name);
                }
                Item::Type { namespace, name: type_name } => match name {
                    "namespace" => out.push(Item::String(Cow::Borrowed(namespace))),
                    "name" => out.push(Item::String(type_name.clone())),
                    _ => {}
                },
                Item::Quantity(quantity) => match name {
                    "value" => out.push(Item::Decimal(quantity.value)),
                    "unit" | "code" => out.push(Item::String(quantity.unit.clone())),
                    _ => {}
                },
                _ => {}
            }
        }
        self.spend(items.len() as u64 + out.len() as u64)?;
        if self.env.strict && !is_possible {
            return Err(Error::Semantic(format!("there is no element {name} here")));
        }
        Ok(out)
    }

    fn variable(&self, name: &str) -> Result<Items<'a>, Error> {
        let defs = self.env.defs;
        let resource = |node| vec![Item::Element(Element::resource(defs, node))];
        let text = |text: String| Ok(vec![Item::String(Cow::Owned(text))]);
        if let Some((_, items)) = self.env.variables.iter().find(|(variable, _)| variable == name) {
            return Ok(items.clone());
        }
        match name {
            "context" => Ok(self.context.to_vec()),
            "resource" => Ok(self.env.resource.map(resource).unwrap_or_default()),
            "rootResource" => Ok(self.env.root_resource.or(self.env.resource).map(resource).unwrap_or_default()),
            "ucum" => text(crate::index::UCUM.to_owned()),
            "sct" => text("http://snomed.info/sct".to_owned()),
            "loinc" => text("http://loinc.org".to_owned()),
            _ => {
                if let Some(name) = name.strip_prefix("vs-") {
                    text(format!("http://hl7.org/fhir/ValueSet/{name}"))
                } else if let Some(name) = name.strip_prefix("ext-") {
                    text(format!("http://hl7.org/fhir/StructureDefinition/{name}"))
                } else {
                    Err(Error::Semantic(format!("there is no variable %{name}")))
                }
            }
        }
    }

    /// The only item; an error if there are several.
    pub(super) fn single<'i>(&self, items: &'i [Item<'a>]) -> Result<Option<&'i Item<'a>>, Error> {
        match items {
            [] => Ok(None),
            [item] => Ok(Some(item)),
            _ => Err(Error::Evaluation("expected one item, found several")),
        }
    }

    /// The value of the only item; nothing for none and for an element without a value.
    pub(super) fn single_value(&self, items: &[Item<'a>]) -> Result<Option<Item<'a>>, Error> {
        Ok(self.single(items)?.and_then(|item| item.to_value(self.env.defs)))
    }

    /// Singleton evaluation: one item that is no boolean counts as `true`.
    pub(super) fn boolean(&self, items: &[Item<'a>]) -> Result<Option<bool>, Error> {
        let Some(item) = self.single(items)? else {
            return Ok(None);
        };
        Ok(Some(match item.to_value(self.env.defs) {
            Some(Item::Boolean(value)) => value,
            _ => true,
        }))
    }

    pub(super) fn integer(&self, items: &[Item<'a>]) -> Result<Option<i64>, Error> {
        match self.single_value(items)? {
            None => Ok(None),
            Some(Item::Integer(integer)) => Ok(Some(integer)),
            Some(_) => Err(Error::Evaluation("expected an integer")),
        }
    }

    /// The text of the only item. Other primitives than strings are texts only when not strict.
    pub(super) fn text(&self, items: &[Item<'a>]) -> Result<Option<Cow<'a, str>>, Error> {
        let Some(item) = self.single(items)? else {
            return Ok(None);
        };
        match item.to_value(self.env.defs) {
            Some(Item::String(text)) => Ok(Some(text)),
            Some(_) if !self.env.strict && item.as_element().is_some() => Ok(item.to_text()),
            None if item.as_element().is_some_and(|element| element.is_primitive(self.env.defs)) => Ok(item.to_text()),
            _ => Err(Error::Evaluation("expected a string")),
        }
    }

    /// The argument at `position` as text, evaluated in the context of the call.
    pub(super) fn text_argument(
        &self,
        call: &Call,
        position: usize,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<Cow<'a, str>>, Error> {
        match call.arguments.get(position) {
            Some(Expr::Literal(Item::String(text))) => Ok(Some(text.clone())),
            Some(argument) => self.text(&self.eval(argument, frame)?),
            None => Ok(None),
        }
    }

    pub(super) fn integer_argument(
        &self,
        call: &Call,
        position: usize,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<i64>, Error> {
        match call.arguments.get(position) {
            Some(argument) => self.integer(&self.eval(argument, frame)?),
            None => Ok(None),
        }
    }

    pub(super) fn argument(&self, call: &Call, position: usize, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        match call.arguments.get(position) {
            Some(argument) => self.eval(argument, frame),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn is(&self, items: &[Item<'a>], ty: &TypeName) -> Result<Items<'a>, Error> {
        match self.single(items)? {
            Some(item) => Ok(vec![Item::Boolean(self.has_type(item, ty, false)?)]),
            None => Ok(Vec::new()),
        }
    }

    /// On a list `as` is an error when strict; the invariants of R4 use it there like `ofType`.
    pub(super) fn r#as(&self, items: Items<'a>, ty: &TypeName) -> Result<Items<'a>, Error> {
        if self.env.strict {
            self.single(&items)?;
        }
        self.of_type(items, ty)
    }

    pub(super) fn of_type(&self, items: Items<'a>, ty: &TypeName) -> Result<Items<'a>, Error> {
        let mut out = Vec::new();
        for item in items {
            if self.has_type(&item, ty, true)? {
                out.push(item);
            }
        }
        Ok(out)
    }

    /// Whether an item is of a type or a descendant. `exact`: a primitive must be of just this type (a code is no string).
    fn has_type(&self, item: &Item<'a>, ty: &TypeName, exact: bool) -> Result<bool, Error> {
        self.spend(1)?;
        let defs = self.env.defs;
        let system = match ty.namespace.as_deref() {
            None | Some("System") => SystemType::by_name(&ty.name),
            _ => None,
        };
        let fhir = match ty.namespace.as_deref() {
            None | Some("FHIR") => defs.type_by_name(&ty.name),
            _ => None,
        };
        if system.is_none() && fhir.is_none() && ty.namespace.as_deref() != Some("System") {
            return Err(Error::Semantic(format!("there is no type {}", ty.name)));
        }
        Ok(match item {
            Item::Element(element) => match (element.ty, fhir) {
                (Some(have), Some(want)) if exact && defs.ty(want).kind == TypeKind::Primitive => have == want,
                (Some(have), Some(want)) => defs.is_a(have, want),
                _ => false,
            },
            other => system.is_some_and(|system| other.type_name(defs) == ("System", system.name())),
        })
    }
}
