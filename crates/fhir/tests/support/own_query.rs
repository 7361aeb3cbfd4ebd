//! A search value that must find a resource by one of its own index entries.

use fhir::defs::r4;
use fhir::index::Value;
use fhir::temporal::PartialDateTime;

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| matches!(c, ',' | '|' | '$' | '\\').then_some('\\').into_iter().chain([c])).collect()
}

fn with_system(system: Option<&str>, code: &str) -> String {
    system.map_or_else(|| escaped(code), |system| format!("{}|{}", escaped(system), escaped(code)))
}

/// A range that may be open, as a search value that covers or touches it.
fn range(low: f64, high: f64) -> String {
    match (low.is_finite(), high.is_finite()) {
        (true, true) if low == high => low.to_string(),
        (_, true) => format!("le{high}"),
        _ => format!("ge{low}"),
    }
}

/// Modifier and value that must find the entry; `None` where no search value means the entry.
pub(crate) fn query_of(value: &Value) -> Option<(&'static str, String)> {
    Some(match value {
        Value::Token { system, code } => ("", with_system(system.as_deref(), code)),
        Value::TokenSystem { system } => ("", format!("{}|", escaped(system))),
        Value::TokenText(text) => (":text", text.clone()),
        Value::TokenOfType { system, code, value } => {
            (":of-type", format!("{}|{}|{}", escaped(system), escaped(code), escaped(value)))
        }
        Value::Reference { ty, id } => ("", format!("{}/{id}", r4().ty(*ty).name)),
        // A bare word in a canonical: as a search value it is a logical id.
        Value::ReferenceUrl(url) if !url.contains([':', '/', '|']) => return None,
        Value::ReferenceUrl(url) => ("", escaped(url)),
        Value::ReferenceIdentifier { system, value } => (":identifier", with_system(system.as_deref(), value)),
        Value::String { normalized, .. } if normalized.is_empty() => return None,
        Value::String { normalized, exact } => match normalized.len() % 3 {
            0 => ("", normalized.clone()),
            1 => (":contains", escaped(exact)),
            _ => (":exact", escaped(exact)),
        },
        Value::Date { start, end } => match PartialDateTime::from_us(*start) {
            Some(start) => ("", format!("ge{start}")),
            None => ("", format!("le{}", PartialDateTime::from_us(*end)?)),
        },
        Value::Number { low, high } => ("", range(*low, *high)),
        Value::Quantity(quantity) => {
            let number = range(quantity.low, quantity.high);
            match (&quantity.system, &quantity.code, &quantity.unit) {
                (Some(system), Some(code), _) => ("", format!("{number}|{}|{}", escaped(system), escaped(code))),
                (None, Some(code), _) | (_, None, Some(code)) => ("", format!("{number}||{}", escaped(code))),
                _ => ("", number),
            }
        }
        Value::Uri(uri) => ("", escaped(uri)),
        Value::Composite(parts) => {
            let parts: Option<Vec<_>> =
                parts.iter().map(|part| query_of(part).filter(|(modifier, _)| modifier.is_empty())).collect();
            ("", parts?.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join("$"))
        }
        Value::Position { latitude, longitude } => ("", format!("{latitude}|{longitude}|1|km")),
    })
}
