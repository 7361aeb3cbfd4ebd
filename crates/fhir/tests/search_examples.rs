//! Search on the official R4 examples: what is extracted from a resource finds it, by way of a query string.

#[path = "support/examples.rs"]
mod examples;

use examples::for_each_example;
use fhir::defs::{TypeId, r4};
use fhir::index::{Entry, Value, extract};
use fhir::json::{Document, Limits};
use fhir::query::matches::{Indexed, matches};
use fhir::query::{Context, Handling, parse};
use fhir::temporal::PartialDateTime;
use proptest::prelude::*;

/// The archive holds 2,906 files; package-min-ver.json is no resource.
const EXAMPLES: usize = 2_906;

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
fn query_of(value: &Value) -> Option<(&'static str, String)> {
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

/// The query strings of `entries` that do not find them, without their values.
fn misses(ty: TypeId, entries: &[Entry], count: &mut usize) -> Vec<String> {
    let context = Context { defs: r4(), resource: Some(ty), handling: Handling::Strict, now: 0, own_bases: &[] };
    let mut missed = Vec::new();
    for entry in entries {
        let Some((modifier, value)) = query_of(&entry.value) else { continue };
        let name = format!("{}{modifier}", r4().param(entry.param).code);
        let query = match parse(context, &[(name.clone(), value.clone())]) {
            Ok(query) => query,
            Err(issues) => {
                missed.push(format!("{name}={value}: {}", issues[0].diagnostics));
                continue;
            }
        };
        let alone = Indexed { id: "x", last_updated_us: 0, entries: std::slice::from_ref(entry) };
        if matches(&alone, &query.filter) != Some(true) {
            missed.push(format!("{name}={value}: does not find {:?}", entry.value));
        }
        *count += 1;
    }
    missed
}

#[test]
fn every_example_is_found_by_its_own_values() {
    let (mut examples, mut queries, mut missed, mut no_resources) = (0, 0, Vec::new(), Vec::new());
    for_each_example(&mut |name, bytes| {
        let document = Document::parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        examples += 1;
        let Some(ty) = document.root().str("resourceType").and_then(|ty| r4().resource_by_name(&ty)) else {
            no_resources.push(name.to_owned());
            return;
        };
        let mut entries = extract(r4(), ty, document.root());
        // Of thousands of alike entries of one code system a part tells as much.
        if entries.len() > 500 {
            entries = entries.into_iter().step_by(97).collect();
        }
        missed.extend(misses(ty, &entries, &mut queries).into_iter().map(|miss| format!("{name}: {miss}")));
    });
    assert!(missed.is_empty(), "{} of {queries} miss:\n{}", missed.len(), missed[..missed.len().min(40)].join("\n"));
    // The archive holds one file that is about a package.
    assert_eq!((examples, no_resources), (EXAMPLES, vec!["R4/package-min-ver.json".to_owned()]));
    assert!(queries > 30_000, "{queries}");
}

proptest! {
    #[test]
    fn no_query_string_panics(name in "[a-zA-Z_:.\\-]{0,40}", value in "\\PC{0,60}", known in 0..r4().params.len()) {
        let param = &r4().params[known];
        for resource in [Some(param.resource), None] {
            for handling in [Handling::Strict, Handling::Lenient] {
                let context = Context { defs: r4(), resource, handling, now: 0, own_bases: &[] };
                for name in [name.as_str(), param.code, &format!("{}:{name}", param.code), &format!("{}.{name}", param.code)] {
                    let parsed = parse(context, &[(name.to_owned(), value.clone())]);
                    prop_assert!(parsed.is_ok() || handling == Handling::Strict || resource.is_none());
                }
            }
        }
    }
}
