//! `iif`, `to…` and `convertsTo…`.

use super::super::Error;
use super::super::ast::Call;
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::Item;
use super::super::operators::{decimal, integer};
use super::super::quantity::Quantity;
use crate::temporal::{PartialDateTime, PartialTime, Precision};
use rust_decimal::Decimal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Conversion {
    Iif,
    ToBoolean,
    ToInteger,
    ToDecimal,
    ToString,
    ToDate,
    ToDateTime,
    ToTime,
    ToQuantity,
    ConvertsToBoolean,
    ConvertsToInteger,
    ConvertsToDecimal,
    ConvertsToString,
    ConvertsToDate,
    ConvertsToDateTime,
    ConvertsToTime,
    ConvertsToQuantity,
}

type Converter = for<'v> fn(&Item<'v>) -> Items<'v>;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn conversion(
        &self,
        function: Conversion,
        call: &Call,
        input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        let (converter, is_question): (Converter, bool) = match function {
            Conversion::Iif => return self.iif(call, &input, frame),
            Conversion::ToBoolean => (to_boolean, false),
            Conversion::ToInteger => (to_integer, false),
            Conversion::ToDecimal => (to_decimal, false),
            Conversion::ToString => (to_string, false),
            Conversion::ToDate => (to_date, false),
            Conversion::ToDateTime => (to_date_time, false),
            Conversion::ToTime => (to_time, false),
            Conversion::ToQuantity => (to_quantity, false),
            Conversion::ConvertsToBoolean => (to_boolean, true),
            Conversion::ConvertsToInteger => (to_integer, true),
            Conversion::ConvertsToDecimal => (to_decimal, true),
            Conversion::ConvertsToString => (to_string, true),
            Conversion::ConvertsToDate => (to_date, true),
            Conversion::ConvertsToDateTime => (to_date_time, true),
            Conversion::ConvertsToTime => (to_time, true),
            Conversion::ConvertsToQuantity => (to_quantity, true),
        };
        let Some(item) = self.single(&input)? else {
            return Ok(Vec::new());
        };
        let mut result = match item.to_value(self.env.defs) {
            Some(value) => converter(&value),
            None => Vec::new(),
        };
        if let Some(unit) = self.text_argument(call, 0, frame)? {
            result.retain(|item| match item {
                Item::Quantity(quantity) => {
                    quantity.is_comparable(&Quantity { value: Decimal::ONE, unit: unit.clone() })
                }
                _ => false,
            });
        }
        Ok(if is_question { vec![Item::Boolean(!result.is_empty())] } else { result })
    }

    /// The branch that is not taken is not evaluated. The arguments see the input as `$this`.
    fn iif(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        self.single(input)?;
        let frame = Frame { this: input, ..*frame };
        let criterion = self.argument(call, 0, &frame)?;
        match self.single_value(&criterion)? {
            Some(Item::Boolean(true)) => self.argument(call, 1, &frame),
            Some(Item::Boolean(false)) | None => self.argument(call, 2, &frame),
            Some(_) => Err(Error::Semantic("the criterion of iif() is not a boolean".to_owned())),
        }
    }
}

fn to_boolean<'v>(value: &Item<'v>) -> Items<'v> {
    let truth = match value {
        Item::Boolean(truth) => Some(*truth),
        Item::Integer(0) => Some(false),
        Item::Integer(1) => Some(true),
        Item::Decimal(decimal) if decimal.is_zero() => Some(false),
        Item::Decimal(decimal) if *decimal == Decimal::ONE => Some(true),
        Item::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    truth.map(Item::Boolean).into_iter().collect()
}

fn to_integer<'v>(value: &Item<'v>) -> Items<'v> {
    integer(match value {
        Item::Integer(value) => Some(*value),
        Item::Boolean(truth) => Some(i64::from(*truth)),
        Item::String(text) => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_integer.then(|| text.parse().ok()).flatten()
        }
        _ => None,
    })
}

fn to_decimal<'v>(value: &Item<'v>) -> Items<'v> {
    decimal(match value {
        Item::Decimal(value) => Some(*value),
        Item::Integer(value) => Some(Decimal::from(*value)),
        Item::Boolean(truth) => Some(Decimal::from(i64::from(*truth))),
        Item::String(text) if is_decimal(text) => crate::decimal::parse(text),
        _ => None,
    })
}

/// `[+-]?\d+(\.\d+)?`
pub(in super::super) fn is_decimal(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix(['+', '-']).unwrap_or(text).split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)),
    }
}

fn to_string<'v>(value: &Item<'v>) -> Items<'v> {
    match value {
        Item::Type { .. } | Item::Element(_) => Vec::new(),
        value => value.to_text().map(Item::String).into_iter().collect(),
    }
}

/// A date time without its time.
fn day(date: &PartialDateTime) -> PartialDateTime {
    PartialDateTime {
        precision: date.precision.min(Precision::Day),
        time: PartialTime::MIDNIGHT,
        offset_minutes: None,
        ..*date
    }
}

fn to_date<'v>(value: &Item<'v>) -> Items<'v> {
    let date = match value {
        Item::Date(date) => Some(*date),
        Item::DateTime(date) => Some(day(date)),
        Item::String(text) => PartialDateTime::parse(text).map(|date| day(&date)),
        _ => None,
    };
    date.map(Item::Date).into_iter().collect()
}

fn to_date_time<'v>(value: &Item<'v>) -> Items<'v> {
    let date = match value {
        Item::Date(date) | Item::DateTime(date) => Some(*date),
        Item::String(text) => PartialDateTime::parse(text),
        _ => None,
    };
    date.map(Item::DateTime).into_iter().collect()
}

fn to_time<'v>(value: &Item<'v>) -> Items<'v> {
    let time = match value {
        Item::Time(time) => Some(*time),
        Item::String(text) => PartialTime::parse(text.strip_prefix('T').unwrap_or(text)),
        _ => None,
    };
    time.map(Item::Time).into_iter().collect()
}

fn to_quantity<'v>(value: &Item<'v>) -> Items<'v> {
    let plain = |value: Decimal| Some(Quantity { value, unit: "1".into() });
    let quantity = match value {
        Item::Quantity(quantity) => Some(quantity.clone()),
        Item::Integer(value) => plain(Decimal::from(*value)),
        Item::Decimal(value) => plain(*value),
        Item::Boolean(truth) => plain(Decimal::from(i64::from(*truth))),
        Item::String(text) => Quantity::parse(text),
        _ => None,
    };
    quantity.map(Item::Quantity).into_iter().collect()
}
