//! The search query parser: no panic on any query string, for a handful of resource types, strict and lenient.
#![no_main]

use fhir::defs;
use fhir::query::{Context, Handling, parse};
use libfuzzer_sys::fuzz_target;

/// The first line picks the resource type; the others are `name=value` pairs.
fuzz_target!(|text: &str| {
    let defs = defs::r4();
    let mut lines = text.lines();
    let resource = defs.resource_by_name(lines.next().unwrap_or_default());
    let pairs: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let own_bases = ["http://127.0.0.1/fhir".to_owned()];
    for handling in [Handling::Strict, Handling::Lenient] {
        let context = Context { defs, resource, handling, now: 1_790_000_000_000_000, own_bases: &own_bases };
        if let Err(issues) = parse(context, &pairs) {
            assert!(!issues.is_empty(), "a refusal says why");
        }
    }
});
