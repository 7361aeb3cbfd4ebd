//! Time, boundaries, precision, reflection.

use super::super::Error;
use super::super::ast::Call;
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::Item;
use super::super::quantity::Quantity;
use super::super::temporal::{date_boundary, date_digits, time_boundary, time_digits};
use crate::temporal::{PartialDateTime, PartialTime, Precision};
use rust_decimal::{Decimal, RoundingStrategy};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Utility {
    Trace,
    Now,
    Today,
    TimeOfDay,
    LowBoundary,
    HighBoundary,
    Precision,
    Comparable,
    Type,
}

/// Digits after the point of a boundary, unless asked for.
const DECIMAL_DIGITS_DEFAULT: i64 = 8;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn utility(
        &self,
        function: Utility,
        call: &Call,
        input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        match function {
            // Values are patient data and go to no log.
            Utility::Trace => Ok(input),
            Utility::Now => Ok(self.now()?.map(Item::DateTime).into_iter().collect()),
            Utility::Today => {
                let today = self.now()?.map(|now| PartialDateTime {
                    time: PartialTime::MIDNIGHT,
                    precision: Precision::Day,
                    offset_minutes: None,
                    ..now
                });
                Ok(today.map(Item::Date).into_iter().collect())
            }
            Utility::TimeOfDay => Ok(self.now()?.map(|now| Item::Time(now.time)).into_iter().collect()),
            Utility::LowBoundary | Utility::HighBoundary => {
                let digits = self.integer_argument(call, 0, frame)?;
                let Some(value) = self.single_value(&input)? else {
                    return Ok(Vec::new());
                };
                Ok(boundary(&value, digits, function == Utility::HighBoundary).into_iter().collect())
            }
            Utility::Precision => Ok(match self.single_value(&input)? {
                Some(Item::Decimal(decimal)) => vec![Item::Integer(decimal.scale().into())],
                Some(Item::Integer(_)) => vec![Item::Integer(0)],
                Some(Item::Date(date) | Item::DateTime(date)) => vec![Item::Integer(date_digits(&date))],
                Some(Item::Time(time)) => vec![Item::Integer(time_digits(&time))],
                _ => Vec::new(),
            }),
            Utility::Comparable => {
                let other = self.argument(call, 0, frame)?;
                match (self.single_value(&input)?, self.single_value(&other)?) {
                    (Some(Item::Quantity(left)), Some(Item::Quantity(right))) => {
                        Ok(vec![Item::Boolean(left.is_comparable(&right))])
                    }
                    (Some(_), Some(_)) => Err(Error::Evaluation("comparable() needs two quantities")),
                    _ => Ok(Vec::new()),
                }
            }
            Utility::Type => Ok(input
                .iter()
                .map(|item| {
                    let (namespace, name) = item.type_name(self.env.defs);
                    Item::Type { namespace, name: Cow::Borrowed(name) }
                })
                .collect()),
        }
    }

    fn now(&self) -> Result<Option<PartialDateTime>, Error> {
        Ok(PartialDateTime::from_us(self.env.now_us))
    }
}

/// The smallest or largest value that the written one can mean.
fn boundary<'a>(value: &Item<'a>, digits: Option<i64>, high: bool) -> Option<Item<'a>> {
    let decimal = |value| decimal_boundary(value, digits.unwrap_or(DECIMAL_DIGITS_DEFAULT), high);
    match value {
        Item::Integer(value) => decimal(Decimal::from(*value)).map(Item::Decimal),
        Item::Decimal(value) => decimal(*value).map(Item::Decimal),
        Item::Quantity(quantity) => {
            Some(Item::Quantity(Quantity { value: decimal(quantity.value)?, unit: quantity.unit.clone() }))
        }
        Item::Date(date) => date_boundary(date, digits.unwrap_or(8), high, true).map(Item::Date),
        Item::DateTime(date) => date_boundary(date, digits.unwrap_or(17), high, false).map(Item::DateTime),
        Item::Time(time) => time_boundary(time, digits.unwrap_or(9), high).map(Item::Time),
        _ => None,
    }
}

/// Half a unit of the last digit away, then cut (towards zero) or rounded (away from zero) to `digits`:
/// the reading of the official suite.
fn decimal_boundary(value: Decimal, digits: i64, high: bool) -> Option<Decimal> {
    let digits = u32::try_from(digits).ok().filter(|digits| *digits <= Decimal::MAX_SCALE)?;
    let half = Decimal::try_new(5, value.scale() + 1).ok()?;
    let outward = high == value.is_sign_positive();
    let magnitude = if outward { value.abs().checked_add(half)? } else { value.abs().checked_sub(half)? };
    let strategy = if outward { RoundingStrategy::MidpointAwayFromZero } else { RoundingStrategy::ToZero };
    let mut result = magnitude.round_dp_with_strategy(digits, strategy);
    result.rescale(digits);
    if value.is_sign_negative() && !result.is_zero() {
        result.set_sign_negative(true);
    }
    Some(result)
}
