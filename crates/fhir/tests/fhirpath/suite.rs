//! The official FHIRPath suite for R4. `known_failures/fhirpath.txt` lists what fails and why; a listed case that passes
//! fails the test.

use crate::support::xml::{self, Element};
use fhir::defs::{self, Definitions};
use fhir::fhirpath::{Environment, Expression, Item};
use fhir::json::{Document, Limits};
use std::collections::{HashMap, HashSet};

/// 2024-06-01T12:00:00Z
const NOW_US: i64 = 1_717_243_200_000_000;

struct Inputs {
    documents: HashMap<String, Document>,
}

impl Inputs {
    fn document(&mut self, defs: &Definitions, file: &str) -> &Document {
        self.documents.entry(file.to_owned()).or_insert_with(|| {
            let text = match file {
                "" => r#"{"resourceType":"Patient"}"#.to_owned(),
                _ => crate::support::read_shared(&format!("fhirpath/input/{file}")),
            };
            let json =
                if file.ends_with(".xml") { xml::resource(defs, &Element::parse(&text)).to_string() } else { text };
            Document::parse(json.as_bytes(), &Limits::default()).unwrap()
        })
    }
}

/// Runs one case; the reason when it fails.
fn run(defs: &Definitions, document: &Document, case: &Element) -> Result<(), String> {
    let expression = case.child("expression").expect("every case has an expression");
    let is_invalid = expression.attribute("invalid").is_some();
    let strict = is_invalid || case.attribute("mode") == Some("strict");
    let resource = document.root();
    let env = Environment { strict, ..Environment::new(defs, resource, NOW_US) };
    let result = Expression::parse(&expression.text).and_then(|parsed| {
        if is_invalid {
            let ty = resource.str("resourceType").and_then(|name| defs.resource_by_name(&name));
            parsed.check(defs, ty.expect("the inputs are resources"))?;
        }
        parsed.evaluate(&env, resource)
    });
    let items = match (result, is_invalid) {
        (Err(_), true) => return Ok(()),
        (Ok(items), true) => return Err(format!("expected an error, got {}", shown(&items))),
        (Err(error), false) => return Err(error.to_string()),
        (Ok(items), false) => items,
    };
    if case.attribute("predicate") == Some("true") {
        return if items.is_empty() { Err("expected something".to_owned()) } else { Ok(()) };
    }
    let outputs: Vec<&Element> = case.children("output").collect();
    if outputs.len() != items.len() {
        return Err(format!("expected {} items, got {}", outputs.len(), shown(&items)));
    }
    let ordered = case.attribute("ordered") != Some("false");
    let mut free: Vec<&Item<'_>> = items.iter().collect();
    for output in outputs {
        let found = free.iter().position(|item| matches(defs, output, item));
        match found {
            Some(0) => drop(free.remove(0)),
            Some(at) if !ordered => drop(free.remove(at)),
            _ => return Err(format!("expected {}, got {}", output.text, shown(&items))),
        }
    }
    Ok(())
}

fn shown(items: &[Item<'_>]) -> String {
    let texts: Vec<String> = items.iter().map(|item| item.to_text().unwrap_or_default().into_owned()).collect();
    format!("[{}]", texts.join(", "))
}

fn matches(defs: &Definitions, output: &Element, item: &Item<'_>) -> bool {
    let (_, ty) = item.type_name(defs);
    if output.attribute("type").is_some_and(|wanted| !wanted.eq_ignore_ascii_case(ty)) {
        return false;
    }
    let text = item.to_text().unwrap_or_default();
    let wanted = output.text.strip_prefix('@').unwrap_or(&output.text);
    match item {
        // `-0.0` and `0.0` are the same decimal.
        Item::Decimal(decimal) => wanted.parse() == Ok(*decimal),
        Item::Time(_) => wanted.strip_prefix('T') == Some(&text),
        _ => wanted == text,
    }
}

#[test]
fn official_suite() {
    let defs = defs::r4();
    let suite = Element::parse(&crate::support::read_shared("fhirpath/tests-fhir-r4.xml"));
    let known: HashSet<&str> = include_str!("../known_failures/fhirpath.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut inputs = Inputs { documents: HashMap::new() };
    let (mut passed, mut total) = (0, 0);
    let mut complaints = Vec::new();
    for case in suite.children("group").flat_map(|group| group.children("test")) {
        let name = case.attribute("name").expect("every case has a name");
        let document = inputs.document(defs, case.attribute("inputfile").unwrap_or_default());
        total += 1;
        match (run(defs, document, case), known.contains(name)) {
            (Ok(()), false) => passed += 1,
            (Ok(()), true) => complaints.push(format!("{name} passes: take it off the list of known failures")),
            (Err(_), true) => {}
            (Err(reason), false) => complaints.push(format!("{name}: {reason}")),
        }
    }
    assert_eq!(total, 935);
    assert!(complaints.is_empty(), "{passed} of {total} pass\n{}", complaints.join("\n"));
}
