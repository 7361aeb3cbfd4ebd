//! A total order of values, for sorting and deduplication.

use super::{Quantity, Value};
use std::cmp::Ordering;

/// By kind, then by content. Only values that are equal compare as equal.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    use Value as V;
    match (left, right) {
        (V::Token { system: a, code: b }, V::Token { system: c, code: d }) => (a, b).cmp(&(c, d)),
        (V::TokenSystem { system: a }, V::TokenSystem { system: b }) => a.cmp(b),
        (V::TokenText(a), V::TokenText(b)) | (V::ReferenceUrl(a), V::ReferenceUrl(b)) | (V::Uri(a), V::Uri(b)) => {
            a.cmp(b)
        }
        (V::TokenOfType { system: a, code: b, value: c }, V::TokenOfType { system: d, code: e, value: f }) => {
            (a, b, c).cmp(&(d, e, f))
        }
        (V::Reference { ty: a, id: b }, V::Reference { ty: c, id: d }) => (a, b).cmp(&(c, d)),
        (V::ReferenceIdentifier { system: a, value: b }, V::ReferenceIdentifier { system: c, value: d }) => {
            (a, b).cmp(&(c, d))
        }
        (V::String { normalized: a, exact: b }, V::String { normalized: c, exact: d }) => (a, b).cmp(&(c, d)),
        (V::Date { start: a, end: b }, V::Date { start: c, end: d }) => (a, b).cmp(&(c, d)),
        (V::Number { low: a, high: b }, V::Number { low: c, high: d })
        | (V::Position { latitude: a, longitude: b }, V::Position { latitude: c, longitude: d }) => {
            a.total_cmp(c).then(b.total_cmp(d))
        }
        (V::Quantity(a), V::Quantity(b)) => quantities(a, b),
        (V::Composite(a), V::Composite(b)) => {
            let parts = a.iter().zip(b).map(|(left, right)| compare(left, right));
            parts.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
        }
        _ => kind(left).cmp(&kind(right)),
    }
}

fn quantities(a: &Quantity, b: &Quantity) -> Ordering {
    let numbers = a.low.total_cmp(&b.low).then(a.high.total_cmp(&b.high));
    numbers.then_with(|| (&a.system, &a.code, &a.unit).cmp(&(&b.system, &b.code, &b.unit)))
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Token { .. } => 0,
        Value::TokenSystem { .. } => 1,
        Value::TokenText(_) => 2,
        Value::TokenOfType { .. } => 3,
        Value::Reference { .. } => 4,
        Value::ReferenceUrl(_) => 5,
        Value::ReferenceIdentifier { .. } => 6,
        Value::String { .. } => 7,
        Value::Date { .. } => 8,
        Value::Number { .. } => 9,
        Value::Quantity(_) => 10,
        Value::Uri(_) => 11,
        Value::Composite(_) => 12,
        Value::Position { .. } => 13,
    }
}
