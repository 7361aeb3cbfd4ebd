//! Operators on collections.

use super::Error;
use super::ast::{Expr, Operator};
use super::eval::{Evaluator, Frame, Items};
use super::item::Item;
use super::quantity::Quantity;
use super::temporal::{add_to_date, add_to_time};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::cmp::Ordering;

/// Longest text an expression can build, in bytes.
pub(super) const TEXT_MAX: usize = 1 << 20;

fn boolean<'a>(value: Option<bool>) -> Items<'a> {
    value.map(Item::Boolean).into_iter().collect()
}

/// An integer result; empty when it does not fit into 32 bits.
pub(super) fn integer<'a>(value: Option<i64>) -> Items<'a> {
    value.filter(|value| i32::try_from(*value).is_ok()).map(Item::Integer).into_iter().collect()
}

pub(super) fn decimal<'a>(value: Option<Decimal>) -> Items<'a> {
    value.map(Item::Decimal).into_iter().collect()
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn sign(&self, negative: bool, items: Items<'a>) -> Result<Items<'a>, Error> {
        let Some(value) = self.single_value(&items)? else {
            return Ok(Vec::new());
        };
        Ok(match value {
            Item::Integer(value) => integer(Some(if negative { -value } else { value })),
            Item::Decimal(value) => decimal(Some(if negative { -value } else { value })),
            Item::Quantity(quantity) => vec![Item::Quantity(if negative { quantity.negated() } else { quantity })],
            _ => return Err(Error::Evaluation("a sign needs a number or a quantity")),
        })
    }

    pub(super) fn operate(
        &self,
        operator: Operator,
        left: Items<'a>,
        right: &Expr,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        if matches!(operator, Operator::And | Operator::Or | Operator::Xor | Operator::Implies) {
            return self.logic(operator, &left, right, frame);
        }
        let right = self.eval(right, frame)?;
        match operator {
            Operator::Equal => Ok(boolean(self.equal(&left, &right)?)),
            Operator::NotEqual => Ok(boolean(self.equal(&left, &right)?.map(|equal| !equal))),
            Operator::Equivalent => Ok(boolean(Some(self.equivalent(&left, &right)?))),
            Operator::NotEquivalent => Ok(boolean(Some(!self.equivalent(&left, &right)?))),
            Operator::Less => self.compared(&left, &right, Ordering::is_lt),
            Operator::LessOrEqual => self.compared(&left, &right, Ordering::is_le),
            Operator::Greater => self.compared(&left, &right, Ordering::is_gt),
            Operator::GreaterOrEqual => self.compared(&left, &right, Ordering::is_ge),
            Operator::Union => self.distinct(left.into_iter().chain(right)),
            Operator::In => self.membership(&left, &right),
            Operator::Contains => self.membership(&right, &left),
            Operator::Concatenate => {
                let mut text = self.text(&left)?.unwrap_or_default().into_owned();
                text.push_str(&self.text(&right)?.unwrap_or_default());
                self.text_result(text)
            }
            _ => self.arithmetic(operator, &left, &right),
        }
    }

    /// A computed text, if it is not too long.
    pub(super) fn text_result(&self, text: String) -> Result<Items<'a>, Error> {
        self.spend(text.len() as u64 / 8)?;
        if text.len() > TEXT_MAX {
            return Err(Error::Limit("the expression builds a text that is too long"));
        }
        Ok(vec![Item::String(text.into())])
    }

    fn logic(
        &self,
        operator: Operator,
        left: &[Item<'a>],
        right: &Expr,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        let left = self.boolean(left)?;
        // The left side alone may decide; then the right side is not evaluated.
        match (operator, left) {
            (Operator::And, Some(false)) => return Ok(boolean(Some(false))),
            (Operator::Or, Some(true)) => return Ok(boolean(Some(true))),
            (Operator::Implies, Some(false)) => return Ok(boolean(Some(true))),
            _ => {}
        }
        let right = self.boolean(&self.eval(right, frame)?)?;
        Ok(boolean(match (operator, left, right) {
            (Operator::And, _, Some(false)) => Some(false),
            (Operator::And, Some(true), right) => right,
            (Operator::Or, _, Some(true)) => Some(true),
            (Operator::Or, Some(false), right) => right,
            (Operator::Xor, Some(left), Some(right)) => Some(left != right),
            (Operator::Implies, _, Some(true)) => Some(true),
            (Operator::Implies, Some(true), right) => right,
            _ => None,
        }))
    }

    fn compared(
        &self,
        left: &[Item<'a>],
        right: &[Item<'a>],
        accept: fn(Ordering) -> bool,
    ) -> Result<Items<'a>, Error> {
        match (self.single(left)?, self.single(right)?) {
            (Some(left), Some(right)) => Ok(boolean(self.order(left, right)?.map(accept))),
            _ => Ok(Vec::new()),
        }
    }

    fn membership(&self, item: &[Item<'a>], collection: &[Item<'a>]) -> Result<Items<'a>, Error> {
        match self.single(item)? {
            Some(item) => Ok(boolean(Some(self.contains(collection, item)?))),
            None => Ok(Vec::new()),
        }
    }

    fn arithmetic(&self, operator: Operator, left: &[Item<'a>], right: &[Item<'a>]) -> Result<Items<'a>, Error> {
        let (Some(left), Some(right)) = (self.single_value(left)?, self.single_value(right)?) else {
            return Ok(Vec::new());
        };
        match (left, right) {
            (Item::Integer(left), Item::Integer(right)) => Ok(integers(operator, left, right)),
            (Item::Integer(left), Item::Decimal(right)) => Ok(decimals(operator, left.into(), right)),
            (Item::Decimal(left), Item::Integer(right)) => Ok(decimals(operator, left, right.into())),
            (Item::Decimal(left), Item::Decimal(right)) => Ok(decimals(operator, left, right)),
            (Item::String(left), Item::String(right)) if operator == Operator::Add => {
                self.text_result(left.into_owned() + &right)
            }
            (Item::Quantity(left), Item::Quantity(right)) => quantities(operator, &left, &right),
            (Item::Quantity(left), Item::Integer(right)) => quantities(operator, &left, &plain(right.into())),
            (Item::Quantity(left), Item::Decimal(right)) => quantities(operator, &left, &plain(right)),
            (Item::Integer(left), Item::Quantity(right)) => quantities(operator, &plain(left.into()), &right),
            (Item::Decimal(left), Item::Quantity(right)) => quantities(operator, &plain(left), &right),
            (left, Item::Quantity(right)) if matches!(operator, Operator::Add | Operator::Subtract) => {
                let sign = if operator == Operator::Add { 1 } else { -1 };
                match left {
                    Item::Date(date) => Ok(add_to_date(&date, &right, sign)?.map(Item::Date).into_iter().collect()),
                    Item::DateTime(date) => {
                        Ok(add_to_date(&date, &right, sign)?.map(Item::DateTime).into_iter().collect())
                    }
                    Item::Time(time) => Ok(add_to_time(&time, &right, sign)?.map(Item::Time).into_iter().collect()),
                    _ => Err(Error::Evaluation("the operator does not fit the types of its operands")),
                }
            }
            _ => Err(Error::Evaluation("the operator does not fit the types of its operands")),
        }
    }
}

fn plain<'a>(value: Decimal) -> Quantity<'a> {
    Quantity { value, unit: "1".into() }
}

fn integers<'a>(operator: Operator, left: i64, right: i64) -> Items<'a> {
    match operator {
        Operator::Add => integer(left.checked_add(right)),
        Operator::Subtract => integer(left.checked_sub(right)),
        Operator::Multiply => integer(left.checked_mul(right)),
        Operator::Div => integer(left.checked_div(right)),
        Operator::Mod => integer(left.checked_rem(right)),
        _ => decimals(operator, left.into(), right.into()),
    }
}

fn decimals<'a>(operator: Operator, left: Decimal, right: Decimal) -> Items<'a> {
    match operator {
        Operator::Add => decimal(left.checked_add(right)),
        Operator::Subtract => decimal(left.checked_sub(right)),
        Operator::Multiply => decimal(left.checked_mul(right)),
        Operator::Div => integer(left.checked_div(right).and_then(|quotient| quotient.trunc().to_i64())),
        Operator::Mod => decimal(left.checked_rem(right)),
        _ => decimal(left.checked_div(right)),
    }
}

fn quantities<'a>(operator: Operator, left: &Quantity<'a>, right: &Quantity<'a>) -> Result<Items<'a>, Error> {
    let result = match operator {
        Operator::Add => left.plus(right, Decimal::ONE),
        Operator::Subtract => left.plus(right, Decimal::NEGATIVE_ONE),
        Operator::Multiply => left.times(right),
        Operator::Divide => left.divided_by(right),
        _ => return Err(Error::Evaluation("the operator does not fit the types of its operands")),
    };
    Ok(result.map(Item::Quantity).into_iter().collect())
}
