//! Numbers.

use super::super::Error;
use super::super::ast::Call;
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::Item;
use super::super::operators::{decimal, integer};
use super::super::quantity::Quantity;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Math {
    Abs,
    Ceiling,
    Exp,
    Floor,
    Ln,
    Log,
    Power,
    Round,
    Sqrt,
    Truncate,
    Sum,
    Min,
    Max,
    Average,
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn math(
        &self,
        function: Math,
        call: &Call,
        input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        match function {
            Math::Sum | Math::Average => return self.sum(&input, function == Math::Average),
            Math::Min => return self.extreme(&input, Ordering::Less),
            Math::Max => return self.extreme(&input, Ordering::Greater),
            _ => {}
        }
        let Some(value) = self.single_value(&input)? else {
            return Ok(Vec::new());
        };
        let number = match (&value, function) {
            (Item::Integer(value), Math::Abs) => return Ok(integer(Some(value.abs()))),
            (Item::Quantity(quantity), Math::Abs) => {
                return Ok(vec![Item::Quantity(Quantity { value: quantity.value.abs(), unit: quantity.unit.clone() })]);
            }
            (Item::Integer(value), _) => Decimal::from(*value),
            (Item::Decimal(value), _) => *value,
            _ => return Err(Error::Evaluation("expected a number")),
        };
        Ok(match function {
            Math::Ceiling => integer(number.ceil().to_i64()),
            Math::Floor => integer(number.floor().to_i64()),
            Math::Truncate => integer(number.trunc().to_i64()),
            Math::Exp => decimal(float(number, f64::exp)),
            Math::Ln => decimal(float(number, f64::ln)),
            Math::Sqrt => decimal(float(number, f64::sqrt)),
            Math::Log => match self.number_argument(call, frame)? {
                Some(base) => decimal(float(number, |number| number.log(base.to_f64().unwrap_or(f64::NAN)))),
                None => Vec::new(),
            },
            Math::Power => match self.number_argument(call, frame)? {
                Some(exponent) => power(number, exponent, matches!(value, Item::Integer(_))),
                None => Vec::new(),
            },
            Math::Round => {
                let digits = self.integer_argument(call, 0, frame)?.unwrap_or(0);
                let Ok(digits) = u32::try_from(digits) else {
                    return Err(Error::Evaluation("round() needs a number of digits that is not negative"));
                };
                decimal(Some(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)))
            }
            Math::Abs => decimal(Some(number.abs())),
            Math::Sum | Math::Min | Math::Max | Math::Average => Vec::new(),
        })
    }

    fn number_argument(&self, call: &Call, frame: &Frame<'_, 'a>) -> Result<Option<Decimal>, Error> {
        match self.single_value(&self.argument(call, 0, frame)?)? {
            None => Ok(None),
            Some(Item::Integer(value)) => Ok(Some(value.into())),
            Some(Item::Decimal(value)) => Ok(Some(value)),
            Some(_) => Err(Error::Evaluation("expected a number")),
        }
    }

    /// Numbers as a number, quantities in the unit of the first.
    fn sum(&self, input: &[Item<'a>], average: bool) -> Result<Items<'a>, Error> {
        let defs = self.env.defs;
        let count = Decimal::from(input.len());
        let mut values = input.iter().filter_map(|item| item.to_value(defs));
        let Some(first) = values.next() else {
            return Ok(Vec::new());
        };
        if let Item::Quantity(first) = first {
            let mut total = Some(first);
            for value in values {
                let Item::Quantity(value) = value else {
                    return Err(Error::Evaluation("expected only quantities"));
                };
                total = total.and_then(|total| total.plus(&value, Decimal::ONE));
            }
            let share = |total: Quantity<'a>| {
                let value = if average { total.value.checked_div(count)? } else { total.value };
                Some(Item::Quantity(Quantity { value, unit: total.unit }))
            };
            return Ok(total.and_then(share).into_iter().collect());
        }
        let mut total = Some(Decimal::ZERO);
        let mut is_integer = true;
        for value in std::iter::once(first).chain(values) {
            let number = match value {
                Item::Integer(value) => Decimal::from(value),
                Item::Decimal(value) => {
                    is_integer = false;
                    value
                }
                _ => return Err(Error::Evaluation("expected only numbers")),
            };
            total = total.and_then(|total| total.checked_add(number));
        }
        Ok(match total {
            Some(total) if average => decimal(total.checked_div(count)),
            Some(total) if is_integer => integer(total.to_i64()),
            total => decimal(total),
        })
    }

    fn extreme(&self, input: &[Item<'a>], wanted: Ordering) -> Result<Items<'a>, Error> {
        let mut best: Option<&Item<'a>> = None;
        for item in input {
            if best.is_none_or(|best| self.order(item, best) == Ok(Some(wanted))) {
                best = Some(item);
            }
        }
        Ok(best.cloned().into_iter().collect())
    }
}

/// A function that has no exact result; empty when it has none at all.
fn float(number: Decimal, function: impl Fn(f64) -> f64) -> Option<Decimal> {
    number.to_f64().map(function).filter(|result| result.is_finite()).and_then(Decimal::from_f64)
}

/// Exact for whole exponents.
fn power<'a>(base: Decimal, exponent: Decimal, base_is_integer: bool) -> Items<'a> {
    if exponent.fract().is_zero()
        && let Some(times) = exponent.to_u32().filter(|times| *times <= 1000)
    {
        let exact = (0..times).try_fold(Decimal::ONE, |product, _| product.checked_mul(base));
        return match exact {
            Some(result) if base_is_integer => integer(result.to_i64()),
            result => decimal(result),
        };
    }
    decimal(float(base, |base| base.powf(exponent.to_f64().unwrap_or(f64::NAN))))
}
