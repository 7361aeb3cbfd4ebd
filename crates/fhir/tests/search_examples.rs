//! Search on the official R4 examples: what is extracted from a resource finds it, by way of a query string.

#[path = "support/examples.rs"]
mod examples;
#[path = "support/own_query.rs"]
mod own_query;

use examples::for_each_example;
use fhir::defs::{TypeId, r4};
use fhir::index::{Entry, extract};
use fhir::json::{Document, Limits};
use fhir::query::matches::{Indexed, matches};
use fhir::query::{Context, Handling, parse};
use own_query::query_of;
use proptest::prelude::*;

/// The archive holds 2,906 files; package-min-ver.json is no resource.
const EXAMPLES: usize = 2_906;

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
