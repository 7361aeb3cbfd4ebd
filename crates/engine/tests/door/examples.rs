//! All official R4 examples: stored, read back equal, and found by every value that is extracted from them.

#[path = "../../../fhir/tests/support/examples.rs"]
mod archive;
#[path = "../../../fhir/tests/support/own_query.rs"]
mod own_query;

use crate::harness::{World, pairs, text};
use archive::for_each_example;
use engine::{Options, Precondition, Search, Validation};
use fhir::defs::{TypeId, r4};
use fhir::index::extract;
use fhir::json::{Document, Limits, Value};
use own_query::query_of;
use std::collections::HashSet;

struct Example {
    name: String,
    ty: TypeId,
    id: String,
    bytes: Vec<u8>,
}

/// The examples that are resources; those whose id another one of the type has already get one from the server.
fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for_each_example(&mut |name, bytes| {
        let document = Document::parse(bytes, &Limits::default()).unwrap();
        let Some(ty) = document.root().str("resourceType").and_then(|ty| r4().resource_by_name(&ty)) else { return };
        let id = document.root().str("id").unwrap_or_default().into_owned();
        examples.push(Example { name: name.to_owned(), ty, id, bytes: bytes.to_vec() });
    });
    examples
}

/// The resource without what the server sets.
fn content(json: &str) -> Value {
    let mut value = Value::parse(json).unwrap();
    let Value::Object(members) = &mut value else { panic!("a resource is an object") };
    for (name, member) in members.iter_mut() {
        if let ("meta", Value::Object(meta)) = (name.as_str(), member) {
            meta.retain(|(name, _)| name != "versionId" && name != "lastUpdated");
        }
    }
    members.retain(|(name, member)| {
        name != "id" && !(name == "meta" && matches!(member, Value::Object(meta) if meta.is_empty()))
    });
    value
}

#[tokio::test]
async fn every_example_is_stored_read_back_equal_and_found() {
    let world = World::with(Options { validation: Validation::Off, ..Options::default() });
    let mut examples = examples();
    assert_eq!(examples.len(), 2_905);
    let (mut taken, mut differ) = (HashSet::new(), Vec::new());
    for example in &mut examples {
        let (session, none) = (&world.session, Precondition::default());
        let own_id = fhir::index::is_id(&example.id) && taken.insert((example.ty, example.id.clone()));
        let written = match own_id {
            true => world.engine.update(session, example.ty, Some(&example.id), &example.bytes, &none).await,
            false => world.engine.create(session, example.ty, &example.bytes, &none).await,
        };
        let written = written.unwrap_or_else(|error| panic!("{}: {error}", example.name));
        example.id = written.resource.expect("a write answers the resource").id;
        let read = world.engine.read(session, example.ty, &example.id).await.unwrap();
        if content(text(&read)) != content(std::str::from_utf8(&example.bytes).unwrap()) {
            differ.push(&*example.name);
        }
    }
    assert!(differ.is_empty(), "read back with a difference: {differ:?}");

    let (mut queries, mut missed) = (0, Vec::new());
    for example in &examples {
        let document = Document::parse(&example.bytes, &Limits::default()).unwrap();
        let mut entries = extract(r4(), example.ty, document.root());
        // Of thousands of alike entries of one code system a part tells as much.
        let step = entries.len() / 100 + 1;
        entries = entries.into_iter().step_by(step).collect();
        for entry in entries {
            let Some((modifier, value)) = query_of(&entry.value) else { continue };
            let name = format!("{}{modifier}", r4().param(entry.param).code);
            let mut query = pairs(&format!("_id={}", example.id));
            query.push((name.clone(), value.clone()));
            let search =
                Search { ty: Some(example.ty), compartment: None, pairs: &query, lenient: false, cursor: None };
            queries += 1;
            match world.engine.search(&world.session, &search).await {
                Ok(page) if page.matches.len() == 1 => {}
                Ok(page) => missed.push(format!("{}: {name}={value} finds {}", example.name, page.matches.len())),
                Err(error) => missed.push(format!("{}: {name}={value}: {error}", example.name)),
            }
        }
    }
    assert!(missed.is_empty(), "{} of {queries} miss:\n{}", missed.len(), missed[..missed.len().min(40)].join("\n"));
    assert!(queries > 25_000, "{queries}");
}
