//! The official R4 examples are valid, apart from the listed ones.

#[path = "support/examples.rs"]
mod examples;

use examples::for_each_example;
use fhir::defs;
use fhir::json::{Document, Limits};
use fhir::outcome::Issue;
use fhir::validate::{Level, validate};
use std::collections::{BTreeMap, BTreeSet};

/// `file: reason` per line; `#` starts a comment.
const KNOWN_FAILURES: &str = include_str!("known_failures/validate.txt");
const KNOWN_INVARIANTS: &str = include_str!("known_failures/validate_full.txt");

/// All JSON files of the archive, by name.
fn by_name() -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for_each_example(&mut |path, bytes| {
        let name = path.rsplit('/').next().unwrap_or_default();
        found.insert(name.to_owned(), bytes.to_vec());
    });
    found
}

fn listed(list: &str) -> BTreeSet<&str> {
    let lines = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(": ").expect("file: reason").0).collect()
}

/// `elsewhere` fails at a lower level already.
fn report(level: Level, list: &str, elsewhere: &str) {
    let mut known = listed(list);
    known.extend(listed(elsewhere));
    let mut failed = BTreeMap::<String, Vec<Issue>>::new();
    let mut resources = 0;
    for (name, bytes) in by_name() {
        let document = Document::parse(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        if document.root().get("resourceType").is_none() {
            continue;
        }
        resources += 1;
        let issues = validate(defs::r4(), document.root(), level);
        if !issues.is_empty() {
            failed.insert(name, issues);
        }
    }
    assert!(resources > 2_800, "{resources} resources");
    let mut lines = Vec::new();
    for (name, issues) in &failed {
        if !known.contains(name.as_str()) {
            let issue = &issues[0];
            let place = issue.expression.as_deref().unwrap_or("");
            lines.push(format!("{name}: {} {place}: {}", issues.len(), issue.diagnostics));
        }
    }
    lines.extend(
        known.iter().filter(|name| !failed.contains_key(**name)).map(|name| format!("{name} passes, unlist it")),
    );
    assert!(lines.is_empty(), "{} of {resources}\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn official_examples_have_valid_structure() {
    report(Level::Structure, KNOWN_FAILURES, "");
}

#[test]
fn official_examples_keep_the_invariants() {
    report(Level::Full, KNOWN_INVARIANTS, KNOWN_FAILURES);
}
