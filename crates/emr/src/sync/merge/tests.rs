use super::*;
use crate::sync::canonical::canonical;
use crate::sync::precedence::precedence;

fn run(name: &str, base: &str, ours: &str, theirs: &str) -> Merged {
    let parse = |text: &str| canonical(&Value::parse(text).unwrap());
    let ty = r4().resource_by_name(name).unwrap();
    let base = Base { ours: parse(base), theirs: parse(base) };
    merge(ty, &base, &parse(ours), &parse(theirs), &|question| precedence(ty, question))
}

fn same(value: &Value, text: &str) {
    assert_eq!(*value, canonical(&Value::parse(text).unwrap()));
}

#[test]
fn changes_in_different_places_merge() {
    let merged = run(
        "Patient",
        r#"{"name":[{"use":"official","family":"Ito","given":["Aiko"]}],"gender":"female"}"#,
        r#"{"name":[{"use":"official","family":"Ito","given":["Aiko","Rin"]}],"gender":"female","language":"de"}"#,
        r#"{"name":[{"use":"official","family":"Sato","given":["Aiko"]}],"gender":"female","birthDate":"1990-01-01"}"#,
    );
    let both = r#"{"name":[{"use":"official","family":"Sato","given":["Aiko","Rin"]}],"gender":"female","birthDate":"1990-01-01","language":"de"}"#;
    same(&merged.ours, both);
    same(&merged.theirs, both);
    assert!(merged.conflicts.is_empty() && merged.overruled.is_empty());
}

#[test]
fn the_emr_wins_demographics_and_says_so() {
    let merged = run("Patient", r#"{"gender":"male"}"#, r#"{"gender":"female"}"#, r#"{"gender":"other"}"#);
    same(&merged.ours, r#"{"gender":"other"}"#);
    assert_eq!(merged.overruled, [Overruled { path: "Patient.gender".into(), was_ours: true }]);
}

#[test]
fn what_no_rule_decides_stays_on_both_sides_until_one_changes() {
    let ty = r4().resource_by_name("Organization").unwrap();
    let of = |name: &str| Value::Object(vec![("name".into(), name.into())]);
    let merged = run("Organization", r#"{"name":"A"}"#, r#"{"name":"B"}"#, r#"{"name":"C"}"#);
    assert_eq!((&merged.ours, &merged.theirs, &merged.agreed), (&of("B"), &of("C"), &of("B")));
    assert_eq!(merged.conflicts[0].path, "Organization.name");
    // Nothing has changed since: no second conflict.
    let base = Base { ours: merged.agreed, theirs: of("C") };
    let decide = |question: &Question<'_>| precedence(ty, question);
    let again = merge(ty, &base, &of("B"), &of("C"), &decide);
    assert!(again.conflicts.is_empty() && again.ours == of("B") && again.theirs == of("C"));
    // Whoever changes it has decided.
    assert_eq!(merge(ty, &base, &of("D"), &of("C"), &decide).theirs, of("D"));
    assert_eq!(merge(ty, &base, &of("B"), &of("E"), &decide).ours, of("E"));
}

#[test]
fn telecoms_are_a_union_and_removals_are_respected() {
    let merged = run(
        "Patient",
        r#"{"telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"2"},{"system":"phone","value":"3"}]}"#,
        r#"{"telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"3"},{"system":"phone","value":"4"}]}"#,
        r#"{"telecom":[{"system":"phone","value":"2","use":"home"},{"system":"phone","value":"3"},{"system":"email","value":"5"}]}"#,
    );
    // 1 was removed there; 2 was removed here and changed there; 4 and 5 are new.
    same(
        &merged.ours,
        r#"{"telecom":[{"system":"phone","value":"3"},{"system":"phone","value":"4"},{"system":"phone","value":"2","use":"home"},{"system":"email","value":"5"}]}"#,
    );
    assert_eq!(merged.conflicts, []);
}

#[test]
fn order_of_a_keyed_list_is_no_change() {
    let merged = run(
        "Patient",
        r#"{"telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"2"}]}"#,
        r#"{"telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"2"}]}"#,
        r#"{"telecom":[{"system":"phone","value":"2"},{"system":"phone","value":"1"}]}"#,
    );
    same(&merged.ours, r#"{"telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"2"}]}"#);
    same(&merged.theirs, r#"{"telecom":[{"system":"phone","value":"2"},{"system":"phone","value":"1"}]}"#);
}

#[test]
fn a_value_never_loses_its_unit_nor_a_code_its_meaning() {
    let merged = run(
        "Observation",
        r#"{"valueQuantity":{"value":70,"unit":"kg"},"code":{"coding":[{"system":"l","code":"1"}],"text":"weight"}}"#,
        r#"{"valueQuantity":{"value":71,"unit":"kg"},"code":{"coding":[{"system":"l","code":"2"}],"text":"weight"}}"#,
        r#"{"valueQuantity":{"value":154,"unit":"lb"},"code":{"coding":[{"system":"l","code":"1"}],"text":"body weight"}}"#,
    );
    same(
        &merged.ours,
        r#"{"valueQuantity":{"value":154,"unit":"lb"},"code":{"coding":[{"system":"l","code":"1"}],"text":"body weight"}}"#,
    );
    let choice = run("Observation", r#"{"valueString":"a"}"#, r#"{"valueString":"b"}"#, r#"{"valueInteger":1}"#);
    same(&choice.ours, r#"{"valueInteger":1}"#);
}

#[test]
fn codings_that_are_added_on_both_sides_are_kept() {
    let merged = run(
        "Condition",
        r#"{"code":{"coding":[{"system":"snomed","code":"1"}]}}"#,
        r#"{"code":{"coding":[{"system":"snomed","code":"1"},{"system":"icd10","code":"x"}]}}"#,
        r#"{"code":{"coding":[{"system":"snomed","code":"1"},{"system":"local","code":"y"}]}}"#,
    );
    same(
        &merged.ours,
        r#"{"code":{"coding":[{"system":"snomed","code":"1"},{"system":"icd10","code":"x"},{"system":"local","code":"y"}]}}"#,
    );
    assert_eq!(merged.overruled, []);
}

#[test]
fn a_booking_moves_as_one_and_is_ours() {
    let merged = run(
        "Appointment",
        r#"{"status":"booked","start":"09","end":"10"}"#,
        r#"{"status":"booked","start":"11","end":"12"}"#,
        r#"{"status":"booked","start":"09","end":"09:30"}"#,
    );
    same(&merged.theirs, r#"{"status":"booked","start":"11","end":"12"}"#);
    assert_eq!(merged.overruled, [Overruled { path: "Appointment.start".into(), was_ours: false }]);
}

#[test]
fn paths_carry_places_and_no_content() {
    let merged = run(
        "Patient",
        r#"{"contact":[{"gender":"male"}]}"#,
        r#"{"contact":[{"gender":"female"}]}"#,
        r#"{"contact":[{"gender":"other"}]}"#,
    );
    assert_eq!(merged.conflicts[0].path, "Patient.contact[0].gender");
}
