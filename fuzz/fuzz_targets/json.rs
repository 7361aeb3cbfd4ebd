//! The span tree: no panic on any bytes, and minified text reads back as itself.
#![no_main]

use fhir::json::{Document, Limits, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let Ok(document) = Document::parse(bytes, &limits) else { return };
    let again = Document::parse(document.as_bytes(), &limits).expect("minified text is valid JSON");
    assert_eq!(again.as_str(), document.as_str());
    let value = Value::from(document.root());
    let written = value.to_string();
    let read = Value::parse(&written).expect("written text is valid JSON");
    assert_eq!(read, value);
});
