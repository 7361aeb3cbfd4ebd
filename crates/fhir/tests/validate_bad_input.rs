//! What must be refused, where, and with which words.

use fhir::defs;
use fhir::json::{Document, Limits, Value};
use fhir::outcome::{Issue, Severity};
use fhir::validate::{ISSUES_MAX, Level, validate};

fn issues(text: &str, level: Level) -> Vec<Issue> {
    let document =
        Document::parse(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    validate(defs::r4(), document.root(), level)
}

/// (JSON, code, expression, part of the text), exactly one issue each.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("[]", "structure", "", "must be a JSON object"),
    ("{}", "structure", "", "resourceType is missing"),
    (r#"{"resourceType":"Patint"}"#, "structure", "", "did you mean Patient?"),
    (r#"{"resourceType":"DomainResource"}"#, "structure", "", "no R4 resource type"),
    (
        r#"{"resourceType":"Patient","nmae":[{"family":"x"}]}"#,
        "structure",
        "Patient",
        "no element nmae; did you mean name?",
    ),
    (r#"{"resourceType":"Patient","a b c":1}"#, "structure", "Patient", "name is no element name"),
    (r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#, "structure", "Patient", "name is not primitive"),
    (
        r#"{"resourceType":"Patient","contact":[{"resourceType":"x"}]}"#,
        "structure",
        "Patient.contact[0]",
        "no element resourceType",
    ),
    (r#"{"resourceType":"Patient","name":{"family":"x"}}"#, "structure", "Patient.name", "must be an array"),
    (r#"{"resourceType":"Patient","name":[]}"#, "structure", "Patient.name", "array must not be empty"),
    (r#"{"resourceType":"Patient","name":[{}]}"#, "structure", "Patient.name[0]", "object must not be empty"),
    (r#"{"resourceType":"Patient","name":["x"]}"#, "structure", "Patient.name[0]", "must be an object (HumanName)"),
    (r#"{"resourceType":"Patient","name":[null]}"#, "structure", "Patient.name[0]", "null is not allowed"),
    (r#"{"resourceType":"Patient","birthDate":null}"#, "structure", "Patient.birthDate", "null is not allowed"),
    (r#"{"resourceType":"Patient","birthDate":["1990"]}"#, "structure", "Patient.birthDate", "must not be an array"),
    (
        r#"{"resourceType":"Patient","name":[{"given":["a",7]}]}"#,
        "value",
        "Patient.name[0].given[1]",
        "string must be a string",
    ),
    (r#"{"resourceType":"Patient","name":[{"given":["a",null]}]}"#, "structure", "Patient.name[0].given[1]", "null"),
    (
        r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[{"id":"1"},null]}]}"#,
        "structure",
        "Patient.name[0].given[1]",
        "null in both arrays",
    ),
    (
        r#"{"resourceType":"Patient","_birthDate":"x"}"#,
        "structure",
        "Patient.birthDate",
        "must be an object with id or extension",
    ),
    (
        r#"{"resourceType":"Patient","_birthDate":{"extension":[{"valueString":"x"}]}}"#,
        "required",
        "Patient.birthDate.extension[0].url",
        "url is required",
    ),
    (r#"{"resourceType":"Patient","birthDate":"1990-02-30"}"#, "value", "Patient.birthDate", "exist in the calendar"),
    (r#"{"resourceType":"Patient","birthDate":"1990-02-01T00:00:00Z"}"#, "value", "Patient.birthDate", "date must be"),
    (r#"{"resourceType":"Patient","birthDate":""}"#, "value", "Patient.birthDate", "must not be empty"),
    (r#"{"resourceType":"Patient","active":"true"}"#, "value", "Patient.active", "without quotes"),
    (r#"{"resourceType":"Patient","id":"a/b"}"#, "value", "Patient.id", "1 to 64"),
    (r#"{"resourceType":"Patient","gender":"Male"}"#, "code-invalid", "Patient.gender", "female, male, other, unknown"),
    (r#"{"resourceType":"Patient","language":" en"}"#, "value", "Patient.language", "white space"),
    (r#"{"resourceType":"Patient","implicitRules":"a b"}"#, "value", "Patient.implicitRules", "white space"),
    (
        r#"{"resourceType":"Patient","meta":{"lastUpdated":"2020-01-01"}}"#,
        "value",
        "Patient.meta.lastUpdated",
        "instant must be",
    ),
    (r#"{"resourceType":"Patient","multipleBirthInteger":1.5}"#, "value", "Patient.multipleBirth", "whole number"),
    (
        r#"{"resourceType":"Patient","multipleBirthInteger":1,"multipleBirthBoolean":true}"#,
        "structure",
        "Patient.multipleBirth",
        "only one of the types of multipleBirth[x]",
    ),
    (r#"{"resourceType":"Patient","deceased":true}"#, "structure", "Patient", "name its type, like deceasedBoolean"),
    (r#"{"resourceType":"Patient","telecom":[{"rank":0}]}"#, "value", "Patient.telecom[0].rank", "1 or more"),
    (r#"{"resourceType":"Patient","photo":[{"size":-1}]}"#, "value", "Patient.photo[0].size", "0 or more"),
    (r#"{"resourceType":"Patient","photo":[{"data":"abc"}]}"#, "value", "Patient.photo[0].data", "base64"),
    (
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"hello"}}"#,
        "value",
        "Patient.text.div",
        "one <div>",
    ),
    (
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}"#,
        "value",
        "Patient.text.div",
        "xmlns",
    ),
    (
        r#"{"resourceType":"Patient","extension":[{"url":"x"}]}"#,
        "structure",
        "Patient.extension[0]",
        "either a value[x] or nested",
    ),
    (
        r#"{"resourceType":"Patient","extension":[{"url":"x","valueCode":"y","extension":[{"url":"z","valueTime":"12:00:00"}]}]}"#,
        "structure",
        "Patient.extension[0]",
        "not both",
    ),
    (
        r#"{"resourceType":"Patient","extension":[{"url":"x","valueTime":"12:00"}]}"#,
        "value",
        "Patient.extension[0].value",
        "hh:mm:ss",
    ),
    (
        r#"{"resourceType":"Patient","extension":[{"url":"x","valueOid":"1.2"}]}"#,
        "value",
        "Patient.extension[0].value",
        "urn:oid:",
    ),
    (
        r#"{"resourceType":"Patient","extension":[{"url":"x","valueUuid":"1"}]}"#,
        "value",
        "Patient.extension[0].value",
        "urn:uuid:",
    ),
    (
        r#"{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}"#,
        "value",
        "Patient.managingOrganization",
        "reference to Patient is not allowed here, only to Organization",
    ),
    (
        r#"{"resourceType":"Patient","managingOrganization":{"reference":"Organisation/1"}}"#,
        "value",
        "Patient.managingOrganization",
        "type that R4 does not have",
    ),
    (
        r#"{"resourceType":"Patient","managingOrganization":{"reference":"Organization"}}"#,
        "value",
        "Patient.managingOrganization",
        "must be [type]/[id]",
    ),
    (r#"{"resourceType":"Observation","status":"final"}"#, "required", "Observation.code", "code is required"),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"effectiveDateTime":"2020-01-01T10:00"}"#,
        "value",
        "Observation.effective",
        "time zone",
    ),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":"1"}}"#,
        "value",
        "Observation.value.value",
        "decimal must be a number",
    ),
    (
        r#"{"resourceType":"Patient","contained":[{"id":"x"}]}"#,
        "structure",
        "Patient.contained[0]",
        "resourceType is missing",
    ),
    (
        r#"{"resourceType":"Patient","contained":[{"resourceType":"Patient","contained":[{"resourceType":"Basic"}]}]}"#,
        "structure",
        "Patient.contained[0].contained[0]",
        "must not contain resources",
    ),
    (
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"x"}}]}"#,
        "code-invalid",
        "Bundle.entry[0].resource.gender",
        "administrative-gender",
    ),
    (
        r#"{"resourceType":"Parameters","parameter":[{"name":"x","resource":{"resourceType":"Patient","foo":1}}]}"#,
        "structure",
        "Parameters.parameter[0].resource",
        "Patient has no element foo",
    ),
];

#[test]
fn bad_input_is_refused_with_place_and_reason() {
    for (text, code, expression, part) in BAD {
        let found = issues(text, Level::Structure);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert_eq!((found[0].code, found[0].expression.as_deref().unwrap_or("")), (*code, *expression), "{text}");
        assert!(found[0].diagnostics.contains(part), "{text}: {}", found[0].diagnostics);
        let full = issues(text, Level::Full);
        let texts = |issues: &[Issue]| issues.iter().map(|issue| issue.diagnostics.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&full), texts(&found), "invariants do not run on a broken structure");
        // Only the target of a reference is less than an error below the strictest level.
        let is_target = *code == "value" && text.contains(r#"{"reference":"#);
        assert_eq!(full[0].severity, Severity::Error);
        assert_eq!(found[0].severity == Severity::Warning, is_target, "{text}");
        assert_eq!(issues(text, Level::Off), []);
    }
}

#[test]
fn good_input_passes() {
    for text in [
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Patient","_birthDate":{"extension":[{"url":"x","valueCode":"unknown"}]}}"#,
        r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"1"}]}]}"#,
        r#"{"resourceType":"Patient","multipleBirthInteger":2,"_multipleBirthInteger":{"id":"1"},"birthDate":"1990-02"}"#,
        r#"{"resourceType":"Patient","managingOrganization":{"reference":"urn:uuid:6a1f"},"language":"en"}"#,
        r#"{"resourceType":"Patient","generalPractitioner":[{"reference":"Organization/1/_history/2"}]}"#,
        r##"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10e2}}"##,
        r#"{"resourceType":"Bundle","type":"collection"}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"x","valueInstant":"2020-01-01T00:00:00.123+02:00"}]}"#,
    ] {
        assert_eq!(issues(text, Level::Full), [], "{text}");
    }
}

#[test]
fn invariants_are_reported_where_they_are_broken() {
    for (text, expression, part) in [
        (r#"{"resourceType":"Patient","contact":[{"gender":"male"}]}"#, "Patient.contact[0]", "pat-1: "),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"effectivePeriod":{"start":"2021","end":"2020"}}"#,
            "Observation.effective",
            "per-1: ",
        ),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueString":"x","dataAbsentReason":{"text":"y"}}"#,
            "Observation",
            "obs-6: ",
        ),
        (
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","contact":[{"gender":"male"}]}}]}"#,
            "Bundle.entry[0].resource.contact[0]",
            "pat-1: ",
        ),
    ] {
        assert_eq!(issues(text, Level::Structure), [], "{text}");
        let found = issues(text, Level::Full);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert_eq!((found[0].code, found[0].expression.as_deref()), ("invariant", Some(expression)));
        assert!(found[0].diagnostics.starts_with(part), "{}", found[0].diagnostics);
    }
}

#[test]
fn the_number_of_issues_is_bounded() {
    let names = vec!["1"; 5_000].join(",");
    let text = format!(r#"{{"resourceType":"Patient","name":[{{"given":[{names}]}}],"identifier":[{names}]}}"#);
    assert_eq!(issues(&text, Level::Full).len(), ISSUES_MAX);
}

/// Puts `with` in the place of the value number `at`, counted in document order; what is left of the count.
fn replace(value: &mut Value, at: usize, with: &Value) -> Option<usize> {
    if at == 0 {
        *value = with.clone();
        return None;
    }
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    };
    inner.into_iter().try_fold(at - 1, |left, value| replace(value, left, with))
}

#[test]
fn nothing_empty_passes_anywhere() {
    let whole = Value::parse(
        r##"{"resourceType":"Observation","id":"a","meta":{"tag":[{"code":"t"}]},"contained":[{"resourceType":"Patient",
        "id":"p","name":[{"given":["a",null],"_given":[null,{"id":"1"}]}]}],"extension":[{"url":"x","valueBoolean":true}],
        "status":"final","code":{"coding":[{"system":"s","code":"c"}]},"subject":{"reference":"#p"},
        "component":[{"code":{"text":"x"},"valueQuantity":{"value":1.5}}]}"##,
    )
    .unwrap();
    assert_eq!(issues(&whole.to_string(), Level::Full), []);
    let mut places = 0;
    for at in 0.. {
        let mut changed = whole.clone();
        if replace(&mut changed, at, &Value::Null).is_some() {
            break;
        }
        places += 1;
        for with in ["{}", "[]", "[[]]", "\"\""] {
            let mut changed = whole.clone();
            replace(&mut changed, at, &Value::parse(with).unwrap());
            let changed = changed.to_string();
            assert_ne!(issues(&changed, Level::Full), [], "{changed}");
        }
    }
    assert_eq!(places, 38);
}
