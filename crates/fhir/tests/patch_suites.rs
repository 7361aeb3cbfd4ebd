//! The official cases for JSON Patch and FHIRPath Patch.

mod support;

use fhir::defs;
use fhir::json::{Document, Limits, Node, Value};
use fhir::patch::{fhirpath_patch, json_patch};
use support::xml::{self, Element};

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes(), &Limits::default()).unwrap()
}

/// Members by name, and narratives without white space and quote entities: the cases write them in two ways.
fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members
                .iter()
                .map(|(name, value)| match value.as_str().filter(|_| name == "div") {
                    Some(html) => {
                        let html = html.replace("&quot;", "\"");
                        (name.clone(), html.split_whitespace().collect::<String>().into())
                    }
                    None => (name.clone(), normalised(value)),
                })
                .collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(members)
        }
        Value::Array(items) => Value::Array(items.iter().map(normalised).collect()),
        other => other.clone(),
    }
}

#[test]
fn json_patch_cases() {
    let cases = document(&support::read_shared("patch/json-patch-tests.json"));
    assert_eq!(cases.root().len(), 16);
    for case in cases.root().items() {
        let comment = case.str("comment").unwrap();
        let value = Value::from(case.get("doc").unwrap());
        let result = json_patch(&value, case.get("patch").unwrap());
        match case.get("expected") {
            Some(expected) => assert_eq!(normalised(&result.unwrap()), normalised(&expected.into()), "{comment}"),
            None => assert!(result.is_err(), "{comment}: expected an error"),
        }
    }
}

#[test]
fn fhirpath_patch_cases() {
    let defs = defs::r4();
    let suite = Element::parse(&support::read_shared("patch/fhir-patch-tests.xml"));
    let mut count = 0;
    for case in suite.children("case") {
        count += 1;
        let name = case.attribute("name").unwrap();
        let resource = |part: &str| case.child(part).map(|part| xml::resource(defs, &part.children[0]));
        let input = resource("input").unwrap();
        let patch = document(&resource("diff").unwrap().to_string());
        let result = fhirpath_patch(defs, &input, patch.root());
        match resource("output") {
            Some(output) => assert_eq!(normalised(&result.unwrap()), normalised(&output), "{name}"),
            None => assert!(result.is_err(), "{name}: expected an error"),
        }
    }
    assert_eq!(count, 33);
}

/// Parameters with one operation; `value` is written as `"value…": …` or `"part": […]`.
fn operation(ty: &str, path: &str, name: Option<&str>, rest: &str) -> Document {
    let name = name.map(|name| format!(r#",{{"name":"name","valueString":"{name}"}}"#)).unwrap_or_default();
    document(&format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{{"name":"type","valueCode":"{ty}"}},{{"name":"path","valueString":"{path}"}}{name}{rest}]}}]}}"#
    ))
}

fn patched(resource: &str, operation: &Document) -> Result<String, String> {
    let resource = Value::parse(resource).unwrap();
    let result = fhirpath_patch(defs::r4(), &resource, operation.root());
    result.map(|value| value.to_string()).map_err(|error| error.to_string())
}

#[test]
fn choices_keep_their_type_in_the_name() {
    let add = operation("add", "Observation", Some("value"), r#",{"name":"value","valueQuantity":{"value":1.10}}"#);
    assert_eq!(
        patched(r#"{"resourceType":"Observation"}"#, &add).unwrap(),
        r#"{"resourceType":"Observation","valueQuantity":{"value":1.10}}"#
    );
    let replace = operation("replace", "Observation.value", None, r#",{"name":"value","valueString":"low"}"#);
    assert_eq!(
        patched(r#"{"resourceType":"Observation","valueQuantity":{"value":1},"id":"o"}"#, &replace).unwrap(),
        r#"{"resourceType":"Observation","valueString":"low","id":"o"}"#
    );
}

#[test]
fn extensions_of_primitives_move_with_them() {
    let extension = r#"{"extension":[{"url":"http://example.org/a","valueString":"x"}]}"#;
    let patient = format!(
        r#"{{"resourceType":"Patient","name":[{{"given":["a","b","c"],"_given":[null,{extension},null]}}],"_birthDate":{extension}}}"#
    );
    let reorder = operation(
        "move",
        "Patient.name[0].given",
        None,
        r#",{"name":"source","valueInteger":1},{"name":"destination","valueInteger":0}"#,
    );
    let moved = patched(&patient, &reorder).unwrap();
    assert!(moved.contains(&format!(r#""given":["b","a","c"],"_given":[{extension},null,null]"#)), "{moved}");
    let delete = operation("delete", "Patient.name[0].given[1]", None, "");
    let deleted = patched(&patient, &delete).unwrap();
    assert!(deleted.contains(r#""given":["a","c"]}"#), "{deleted}");
    let delete = operation("delete", "Patient.birthDate", None, "");
    assert!(!patched(&patient, &delete).unwrap().contains("birthDate"));
    let add = operation(
        "add",
        "Patient.name[0].given[0]",
        Some("extension"),
        r#",{"name":"value","valueExtension":{"url":"http://example.org/b","valueBoolean":true}}"#,
    );
    let added = patched(&patient, &add).unwrap();
    assert!(
        added.contains(r#""_given":[{"extension":[{"url":"http://example.org/b","valueBoolean":true}]},"#),
        "{added}"
    );
}

#[test]
fn errors_name_the_operation_and_the_path() {
    let patient = r#"{"resourceType":"Patient","active":true,"name":[{"family":"a"},{"family":"b"}]}"#;
    let message = |operation: Document| patched(patient, &operation).unwrap_err();
    let value = r#",{"name":"value","valueString":"x"}"#;
    assert_eq!(
        message(operation("replace", "Patient.name.family", None, value)),
        "operation 0: there are several elements at Patient.name.family"
    );
    assert_eq!(
        message(operation("add", "Patient", Some("active"), r#",{"name":"value","valueBoolean":false}"#)),
        "operation 0: the element exists already at Patient"
    );
    assert_eq!(
        message(operation("add", "Patient", Some("colour"), value)),
        "operation 0: the type has no element of this name at Patient"
    );
    assert_eq!(
        message(operation(
            "insert",
            "Patient.name",
            None,
            r#",{"name":"index","valueInteger":3},{"name":"value","valueHumanName":{"text":"x"}}"#
        )),
        "operation 0: the index is beyond the end of the list at Patient.name"
    );
    assert_eq!(
        message(operation("delete", "Patient", None, "")),
        "operation 0: the whole resource cannot be deleted at Patient"
    );
    assert_eq!(
        message(operation("delete", "Patient.(", None, "")),
        "operation 0: path: expected an element or a function after . at offset 9"
    );
    assert_eq!(
        message(operation("replace", "1 + 1", None, value)),
        "operation 0: the path gives a computed value, not an element at 1 + 1"
    );
    assert_eq!(
        message(operation("replace", r"Patient.name.where(family = 'O\\'Hara' or text = 'x').given", None, value)),
        "operation 0: there is no element at Patient.name.where(family = '…' or text = '…').given"
    );
    let none = document("{}");
    let root: Node<'_> = none.root();
    assert!(fhirpath_patch(defs::r4(), &Value::parse(patient).unwrap(), root).is_err());
}
