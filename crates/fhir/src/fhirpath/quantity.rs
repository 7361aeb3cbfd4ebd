//! Quantities: a decimal with a UCUM unit or a calendar word.

use super::Error;
use octofhir_ucum::{Number, get_canonical_units};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A System.Quantity. The unit is a UCUM code or one of the calendar words `year`, `months`, …
#[derive(Clone, Debug)]
pub struct Quantity<'a> {
    pub value: Decimal,
    pub unit: Cow<'a, str>,
}

/// A calendar duration unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalendarUnit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

/// Reads a calendar word, singular or plural.
pub(super) fn calendar_unit(word: &str) -> Option<CalendarUnit> {
    Some(match word {
        "year" | "years" => CalendarUnit::Year,
        "month" | "months" => CalendarUnit::Month,
        "week" | "weeks" => CalendarUnit::Week,
        "day" | "days" => CalendarUnit::Day,
        "hour" | "hours" => CalendarUnit::Hour,
        "minute" | "minutes" => CalendarUnit::Minute,
        "second" | "seconds" => CalendarUnit::Second,
        "millisecond" | "milliseconds" => CalendarUnit::Millisecond,
        _ => return None,
    })
}

/// The UCUM duration of fixed length that can be added to a date; UCUM's mean months and years cannot.
pub(super) fn definite_unit(code: &str) -> Option<CalendarUnit> {
    Some(match code {
        "wk" => CalendarUnit::Week,
        "d" => CalendarUnit::Day,
        "h" => CalendarUnit::Hour,
        "min" => CalendarUnit::Minute,
        "s" => CalendarUnit::Second,
        "ms" => CalendarUnit::Millisecond,
        _ => return None,
    })
}

impl CalendarUnit {
    fn ucum(self) -> &'static str {
        match self {
            CalendarUnit::Year => "a",
            CalendarUnit::Month => "mo",
            CalendarUnit::Week => "wk",
            CalendarUnit::Day => "d",
            CalendarUnit::Hour => "h",
            CalendarUnit::Minute => "min",
            CalendarUnit::Second => "s",
            CalendarUnit::Millisecond => "ms",
        }
    }
}

/// A value in the base units of its dimension.
struct Canonical {
    unit: String,
    value: Number,
}

impl<'a> Quantity<'a> {
    pub(super) fn ucum_unit(&self) -> &str {
        match calendar_unit(&self.unit) {
            Some(unit) => unit.ucum(),
            None => &self.unit,
        }
    }

    /// A calendar year or month: its length in UCUM's units is not defined.
    fn is_variable(&self) -> bool {
        matches!(calendar_unit(&self.unit), Some(CalendarUnit::Year | CalendarUnit::Month))
    }

    fn canonical(&self) -> Option<Canonical> {
        let unit = get_canonical_units(self.ucum_unit()).ok()?;
        let value = Number::parse(&self.value.to_string())?.checked_mul(unit.factor)?.checked_add(unit.offset)?;
        Some(Canonical { unit: unit.unit, value })
    }

    /// Order of two quantities; `None` when they cannot be compared.
    pub(super) fn compare(&self, other: &Quantity<'_>) -> Option<Ordering> {
        if self.unit == other.unit
            || (self.ucum_unit() == other.ucum_unit() && self.is_variable() == other.is_variable())
        {
            return Some(self.value.cmp(&other.value));
        }
        if self.is_variable() != other.is_variable() {
            return None;
        }
        let (left, right) = (self.canonical()?, other.canonical()?);
        (left.unit == right.unit).then(|| left.value.cmp(&right.value))
    }

    /// `~`: the same after conversion, at the precision of the less precise one. Calendar and UCUM years are alike.
    pub(super) fn is_equivalent(&self, other: &Quantity<'_>) -> bool {
        if self.ucum_unit() == other.ucum_unit() {
            return super::equality::decimals_are_equivalent(self.value, other.value);
        }
        let converted = || {
            let (from, to) =
                (get_canonical_units(other.ucum_unit()).ok()?, get_canonical_units(self.ucum_unit()).ok()?);
            if from.unit != to.unit {
                return None;
            }
            let base = Number::parse(&other.value.to_string())?.checked_mul(from.factor)?.checked_add(from.offset)?;
            let value = base.checked_sub(to.offset)?.checked_div(to.factor)?;
            crate::decimal::parse(&value.to_string())
        };
        converted().is_some_and(|value| super::equality::decimals_are_equivalent(self.value, value))
    }

    pub(super) fn is_comparable(&self, other: &Quantity<'_>) -> bool {
        match (get_canonical_units(self.ucum_unit()), get_canonical_units(other.ucum_unit())) {
            (Ok(left), Ok(right)) => left.unit == right.unit,
            _ => false,
        }
    }

    /// Sum or difference in the unit of `self`; `None` when the units do not fit together.
    pub(super) fn plus(&self, other: &Quantity<'_>, sign: Decimal) -> Option<Quantity<'a>> {
        let addend = if self.unit == other.unit || self.ucum_unit() == other.ucum_unit() {
            other.value
        } else {
            let (from, to) =
                (get_canonical_units(other.ucum_unit()).ok()?, get_canonical_units(self.ucum_unit()).ok()?);
            if from.unit != to.unit {
                return None;
            }
            let factor = from.factor.checked_div(to.factor)?;
            let value = Number::parse(&other.value.to_string())?.checked_mul(factor)?;
            crate::decimal::parse(&value.to_string())?
        };
        let value = self.value.checked_add(addend.checked_mul(sign)?)?;
        Some(Quantity { value, unit: self.unit.clone() })
    }

    pub(super) fn times(&self, other: &Quantity<'_>) -> Option<Quantity<'a>> {
        let unit = match (self.ucum_unit(), other.ucum_unit()) {
            ("1", unit) | (unit, "1") => unit.to_owned(),
            (left, right) => format!("{}.{}", term(left), term(right)),
        };
        Some(Quantity { value: self.value.checked_mul(other.value)?, unit: short(unit)? })
    }

    pub(super) fn divided_by(&self, other: &Quantity<'_>) -> Option<Quantity<'a>> {
        let unit = match (self.ucum_unit(), other.ucum_unit()) {
            (left, right) if left == right => "1".to_owned(),
            (left, "1") => left.to_owned(),
            ("1", right) => format!("/{}", term(right)),
            (left, right) => format!("{}/{}", term(left), term(right)),
        };
        Some(Quantity { value: self.value.checked_div(other.value)?, unit: short(unit)? })
    }

    /// Reads `10`, `10 'mg'` and `10 days`.
    pub(super) fn parse(text: &str) -> Option<Quantity<'static>> {
        let text = text.trim();
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let length = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let (number, rest) = text.split_at(text.len() - digits.len() + length);
        if !super::functions::is_decimal(number) {
            return None;
        }
        let value = crate::decimal::parse(number)?;
        let unit = rest.trim();
        let quoted = unit.strip_prefix('\'').and_then(|unit| unit.strip_suffix('\''));
        let unit = match quoted {
            Some(code) if !code.is_empty() => code,
            _ if unit.is_empty() => "1",
            _ if calendar_unit(unit).is_some() && rest.starts_with(char::is_whitespace) => unit,
            _ => return None,
        };
        Some(Quantity { value, unit: unit.to_owned().into() })
    }

    pub(super) fn negated(self) -> Quantity<'a> {
        Quantity { value: -self.value, ..self }
    }
}

/// Products of products must not grow without bound.
fn short<'u>(unit: String) -> Option<Cow<'u, str>> {
    const UNIT_LENGTH_MAX: usize = 256;
    (unit.len() <= UNIT_LENGTH_MAX).then_some(unit.into())
}

/// A unit as a factor of a product: quotients and products in brackets.
fn term(unit: &str) -> Cow<'_, str> {
    if unit.contains(['/', '.']) { format!("({unit})").into() } else { unit.into() }
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match calendar_unit(&self.unit) {
            Some(_) => write!(f, "{} {}", self.value, self.unit),
            None => write!(f, "{} '{}'", self.value, self.unit),
        }
    }
}

/// What a quantity adds to a date.
pub(super) fn duration(quantity: &Quantity<'_>) -> Result<(CalendarUnit, Decimal), Error> {
    if let Some(unit) = calendar_unit(&quantity.unit) {
        return Ok((unit, quantity.value));
    }
    match definite_unit(&quantity.unit) {
        // The official suite reads `0.1 's'` as whole seconds, other than `0.1 seconds`.
        Some(unit) => Ok((unit, quantity.value.trunc())),
        None => Err(Error::Evaluation("only calendar durations and UCUM weeks to milliseconds can be added to a date")),
    }
}
