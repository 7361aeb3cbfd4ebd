//! FHIRPath: no panic on any expression, parsed, checked and evaluated on a small resource, strict and lenient.
#![no_main]

use fhir::defs;
use fhir::fhirpath::{Environment, Expression};
use fhir::json::{Document, Limits};
use libfuzzer_sys::fuzz_target;

const RESOURCE: &[u8] = br##"{"resourceType":"Patient","id":"p","active":true,"contained":[{"resourceType":"Organization","id":"o"}],
"managingOrganization":{"reference":"#o"},"birthDate":"1974-12","_birthDate":{"id":"b"},"name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],
"extension":[{"url":"u","valueQuantity":{"value":1.50,"code":"mg","system":"http://unitsofmeasure.org"}}]}"##;

fuzz_target!(|source: &str| {
    let Ok(expression) = Expression::parse(source) else {
        return;
    };
    let defs = defs::r4();
    let document = Document::parse(RESOURCE, &Limits::default()).expect("the resource is JSON");
    let resource = document.root();
    drop(expression.check(defs, defs.resource_by_name("Patient").expect("Patient is a resource")));
    for strict in [false, true] {
        let env = Environment { strict, steps_max: 50_000, ..Environment::new(defs, resource, 1_790_000_000_000_000) };
        for item in expression.evaluate(&env, resource).unwrap_or_default() {
            drop(item.to_text());
        }
    }
});
