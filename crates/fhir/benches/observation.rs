//! Time per Observation of 0.8 KB: `cargo bench -p fhir`. Prints the best of many rounds, in microseconds.

use fhir::defs::r4;
use fhir::index::extract;
use fhir::json::{Document, Limits};
use fhir::validate::{Level, validate};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 60;
const CALLS: u32 = 500;

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"019a0000-1234-7abc-8def-0123456789ab","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-vital-signs"]},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body Weight"}],"text":"Body Weight"},"subject":{"reference":"Patient/019a0000-1234-7abc-8def-0123456789ac"},"encounter":{"reference":"Encounter/019a0000-1234-7abc-8def-0123456789ad"},"effectiveDateTime":"2025-05-01T10:20:30+02:00","issued":"2025-05-01T10:20:30.512+02:00","valueQuantity":{"value":70.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"#;

fn best(name: &str, mut call: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    println!("{name:10} {best:6.2} us");
}

fn main() {
    let ty = r4().resource_by_name("Observation").expect("R4 has it");
    let document = Document::parse(OBSERVATION.as_bytes(), &Limits::default()).expect("it is JSON");
    println!("{} bytes, {} entries", OBSERVATION.len(), extract(r4(), ty, document.root()).len());
    best("parse", || drop(black_box(Document::parse(OBSERVATION.as_bytes(), &Limits::default()))));
    best("extract", || drop(black_box(extract(r4(), ty, document.root()))));
    best("structure", || drop(black_box(validate(r4(), document.root(), Level::Structure))));
    best("full", || drop(black_box(validate(r4(), document.root(), Level::Full))));
}
