//! `$immds-forecast`: from FHIR to the engine and back, and what a bad request is answered.

use fhir::json::{Document, Limits, Value};
use fhir::outcome::Issue;
use fhir::validate::Level;
use registry::immds::forecast;
use std::sync::LazyLock;
use vaccines::Schedule;

static SCHEDULE: LazyLock<Schedule> = LazyLock::new(|| Schedule::builtin().unwrap());

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","gender":"female","birthDate":"2024-01-10"}"#;

fn body(parameters: &[String]) -> String {
    format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, parameters.join(","))
}

fn on(day: &str) -> String {
    format!(r#"{{"name":"assessmentDate","valueDate":"{day}"}}"#)
}

fn parameter(name: &str, resource: &str) -> String {
    format!(r#"{{"name":"{name}","resource":{resource}}}"#)
}

/// An Immunization with more members, each with a comma before it.
fn immunization(id: &str, cvx: &str, day: &str, more: &str) -> String {
    let resource = format!(
        r#"{{"resourceType":"Immunization","id":"{id}","status":"completed","patient":{{"reference":"Patient/p"}},
        "vaccineCode":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"{cvx}"}}]}},"occurrenceDateTime":"{day}"{more}}}"#
    );
    parameter("immunization", &resource)
}

fn answer(parameters: &[String]) -> Value {
    let bytes = forecast(&SCHEDULE, body(parameters).as_bytes()).unwrap_or_else(|issues| panic!("{issues:?}"));
    Value::parse(std::str::from_utf8(&bytes).unwrap()).unwrap()
}

fn issues(parameters: &[String]) -> Vec<Issue> {
    forecast(&SCHEDULE, body(parameters).as_bytes()).unwrap_err()
}

fn resources(answer: &Value, name: &str) -> Vec<Value> {
    let named = answer.list("parameter").iter().filter(|one| one.str("name") == Some(name));
    named.map(|one| one.get("resource").unwrap().clone()).collect()
}

/// The recommendation of a vaccine group.
fn of_group(answer: &Value, group: &str) -> Value {
    let all = resources(answer, "recommendation");
    assert_eq!(all.len(), 1);
    let is_of = |one: &&Value| one.get("targetDisease").and_then(|disease| disease.str("text")) == Some(group);
    let mut found = all[0].list("recommendation").iter().filter(is_of);
    let one = found.next().unwrap_or_else(|| panic!("no recommendation for {group}")).clone();
    assert!(found.next().is_none(), "one for each group");
    one
}

fn status(recommendation: &Value) -> &str {
    recommendation.get("forecastStatus").unwrap().str("text").unwrap()
}

fn codes(concept: &Value) -> Vec<&str> {
    concept.list("coding").iter().map(|coding| coding.str("code").unwrap()).collect()
}

fn date(recommendation: &Value, loinc: &str) -> Option<String> {
    let criteria = recommendation.list("dateCriterion").iter();
    let mut of_code = criteria.filter(|one| codes(one.get("code").unwrap()) == [loinc]);
    of_code.next().map(|one| one.str("value").unwrap().to_owned())
}

fn child() -> Vec<String> {
    vec![on("2025-03-01"), parameter("patient", PATIENT)]
}

fn with(more: impl IntoIterator<Item = String>) -> Vec<String> {
    child().into_iter().chain(more).collect()
}

#[test]
fn doses_are_evaluated_for_each_antigen_and_the_next_is_forecast() {
    let answer = answer(&with([
        immunization("a", "03", "2024-12-01", ""),
        immunization("b", "3", "2025-02-10T10:00:00Z", r#","primarySource":true"#),
    ]));
    let evaluations = resources(&answer, "evaluation");
    assert_eq!(evaluations.len(), 6);
    let early = &evaluations[0];
    assert_eq!(early.path(&["immunizationEvent"]).unwrap().str("reference"), Some("Immunization/a"));
    assert_eq!(early.path(&["patient"]).unwrap().str("reference"), Some("Patient/p"));
    assert_eq!(codes(early.get("doseStatus").unwrap()), ["notvalid", "Not Valid"]);
    assert_eq!(codes(&early.list("doseStatusReason")[0]), ["outsidesched", "tooyoung"]);
    assert_eq!((early.str("status"), early.str("date")), (Some("completed"), Some("2025-03-01")));
    assert_eq!(codes(evaluations[5].get("doseStatus").unwrap())[0], "valid");
    let diseases: Vec<&str> = evaluations.iter().map(|one| codes(one.get("targetDisease").unwrap())[0]).collect();
    assert_eq!(diseases, ["14189004", "36989005", "36653000"].repeat(2));
    let mmr = of_group(&answer, "MMR");
    assert_eq!(codes(mmr.get("forecastStatus").unwrap()), ["due", "notComplete", "LA13422-3"]);
    assert_eq!(mmr.get("doseNumberPositiveInt").and_then(Value::scalar), Some("2"));
    assert_eq!(date(&mmr, "30981-5").as_deref(), Some("2025-03-10"));
    assert_eq!(date(&mmr, "30980-7").as_deref(), Some("2028-01-10"));
    assert_eq!(date(&mmr, "59778-1").as_deref(), Some("2031-02-06"));
    let pneumococcal = of_group(&answer, "Pneumococcal");
    let named = pneumococcal.list("vaccineCode").iter().flat_map(|concept| concept.list("coding"));
    let named: Vec<_> = named.map(|coding| (coding.str("system").unwrap(), coding.str("code").unwrap())).collect();
    assert!(named.contains(&("http://hl7.org/fhir/sid/cvx", "216")), "{named:?}");
    let polio = of_group(&answer, "Polio");
    assert_eq!(codes(polio.get("forecastStatus").unwrap()), ["overdue", "notComplete", "LA13423-1"]);
}

#[test]
fn what_is_answered_is_valid_fhir() {
    let pregnant = r#"{"resourceType":"Condition","subject":{"reference":"Patient/p"},
        "code":{"coding":[{"system":"http://snomed.info/sct","code":"77386006"}]}}"#;
    let adult = PATIENT.replace("2024-01-10", "1990-01-10").replace(r#""id":"p","#, "");
    let doses = [
        immunization("a", "03", "1991-02-10", ""),
        immunization("b", "21", "1991-02-20", r#","isSubpotent":true"#),
        immunization("c", "115", "2005-02-20", "").replace(r#""id":"c","#, ""),
    ];
    let mut adults = vec![on("2025-03-01"), parameter("patient", &adult), parameter("condition", pregnant)];
    adults.extend(doses);
    for parameters in [child(), adults, with([immunization("a", "03", "2024-12-01", "")])] {
        let bytes = forecast(&SCHEDULE, body(&parameters).as_bytes()).unwrap();
        let document = Document::parse(&bytes, &Limits::default()).unwrap();
        assert_eq!(fhir::validate::validate(fhir::defs::r4(), document.root(), Level::Full), []);
        let answer = Value::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
        for resource in resources(&answer, "evaluation").iter().chain(&resources(&answer, "recommendation")) {
            let document = Document::parse(resource.to_string().as_bytes(), &Limits::default()).unwrap();
            assert_eq!(fhir::validate::validate(fhir::defs::r4(), document.root(), Level::Full), []);
        }
    }
}

#[test]
fn every_antigen_and_group_of_the_schedule_can_be_named() {
    let answer = answer(&child());
    let all = resources(&answer, "recommendation")[0].list("recommendation").len();
    assert!(all >= 12, "{all}");
}

#[test]
fn what_was_not_given_or_is_bad_does_not_count() {
    let number = |dose: String| {
        let mmr = of_group(&answer(&with([dose])), "MMR");
        mmr.get("doseNumberPositiveInt").and_then(Value::scalar).unwrap().to_owned()
    };
    let dose = |more: &str| immunization("a", "03", "2025-02-10", more);
    assert_eq!(number(dose("")), "2");
    assert_eq!(number(dose("").replace("completed", "not-done")), "1");
    assert_eq!(number(dose("").replace("completed", "entered-in-error")), "1");
    assert_eq!(number(dose(r#","isSubpotent":true"#)), "1");
    assert_eq!(number(dose(r#","expirationDate":"2025-02-09""#)), "1");
    assert_eq!(number(dose(r#","expirationDate":"2025-02-10""#)), "2");
    assert_eq!(number(immunization("a", "03", "2025-03-02", "")), "1", "after the assessment");
    assert_eq!(number(dose("").replace("http://hl7.org/fhir/sid/cvx", "urn:oid:2.16.840.1.113883.12.292")), "2");
    let refused = dose("")
        .replace("completed", "not-done")
        .replace(r#","occurrenceDateTime":"2025-02-10""#, r#","occurrenceString":"refused""#);
    assert_eq!(number(refused), "1");
}

/// The status of a group for a woman with a finding.
fn found(group: &str, name: &str, resource: &str) -> String {
    let adult = PATIENT.replace("2024-01-10", "1990-01-10");
    let parameters = [on("2025-03-01"), parameter("patient", &adult), parameter(name, resource)];
    status(&of_group(&answer(&parameters), group)).to_owned()
}

#[test]
fn only_a_condition_that_is_active_and_verified_counts() {
    let condition = |more: &str| {
        format!(
            r#"{{"resourceType":"Condition","subject":{{"reference":"Patient/p"}},
            "code":{{"coding":[{{"system":"http://snomed.info/sct","code":"77386006"}}]}}{more}}}"#
        )
    };
    let coded = |element: &str, code: &str| {
        let system = format!("http://terminology.hl7.org/CodeSystem/condition-{element}");
        let element = if element == "clinical" { "clinicalStatus" } else { "verificationStatus" };
        format!(
            r#","{element}":{{"coding":[{{"system":"{}","code":"{code}"}}]}}"#,
            system.replace("verification", "ver-status")
        )
    };
    let mmr = |more: &str| found("MMR", "condition", &condition(more));
    assert_eq!(mmr(""), "Contraindicated");
    for (element, code, holds) in [
        ("clinical", "active", true),
        ("clinical", "relapse", true),
        ("clinical", "resolved", false),
        ("clinical", "inactive", false),
        ("verification", "confirmed", true),
        ("verification", "provisional", false),
        ("verification", "refuted", false),
    ] {
        assert_eq!(mmr(&coded(element, code)) == "Contraindicated", holds, "{element} {code}");
    }
    assert_eq!(mmr(r#","onsetDateTime":"2025-03-02""#), "Not Complete", "begins after the assessment");
    assert_eq!(mmr(r#","abatementDateTime":"2025-02-01""#), "Not Complete", "over");
}

#[test]
fn an_observation_counts_by_what_it_finds() {
    let observation = |status: &str, code: &str, more: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"{status}","subject":{{"reference":"Patient/p"}},
            "code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}"}}]}}{more}}}"#
        )
    };
    let value = |code: &str| {
        format!(r#","valueCodeableConcept":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}"}}]}}"#)
    };
    let mmr = |observation: &str| found("MMR", "observation", observation);
    let pregnant = "77386006";
    assert_eq!(mmr(&observation("final", pregnant, "")), "Contraindicated");
    assert_eq!(mmr(&observation("final", pregnant, r#","valueBoolean":true"#)), "Contraindicated");
    assert_eq!(mmr(&observation("final", pregnant, &value("373066001"))), "Contraindicated", "yes");
    assert_eq!(mmr(&observation("final", "1", &value(pregnant))), "Contraindicated", "as a value");
    assert_eq!(mmr(&observation("final", pregnant, &value("373067005"))), "Not Complete", "no");
    assert_eq!(mmr(&observation("final", pregnant, r#","valueBoolean":false"#)), "Not Complete");
    assert_eq!(mmr(&observation("preliminary", pregnant, "")), "Not Complete");
    assert_eq!(mmr(&observation("entered-in-error", pregnant, "")), "Not Complete");
    // The estimated day of conception is the value: the weeks of pregnancy count from it.
    let conception =
        observation("final", "248986005", r#","valueDateTime":"2025-01-06","effectiveDateTime":"2025-02-20""#);
    let adult = PATIENT.replace("2024-01-10", "1990-01-10");
    let parameters = [
        on("2025-03-01"),
        parameter("patient", &adult),
        parameter("observation", &observation("final", pregnant, "")),
        parameter("observation", &conception),
    ];
    let tdap = of_group(&answer(&parameters), "DTaP/Tdap/Td");
    assert_eq!(date(&tdap, "30981-5").as_deref(), Some("2025-07-14"));
}

#[test]
fn an_allergy_counts_until_it_is_refuted() {
    let allergy = |status: &str| {
        format!(
            r#"{{"resourceType":"AllergyIntolerance","patient":{{"reference":"Patient/p"}},
            "clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}}]}},
            "verificationStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification","code":"{status}"}}]}},
            "code":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"3"}}]}}}}"#
        )
    };
    assert_eq!(found("MMR", "allergy", &allergy("confirmed")), "Contraindicated");
    assert_eq!(found("MMR", "allergy", &allergy("unconfirmed")), "Contraindicated");
    assert_eq!(found("MMR", "allergy", &allergy("refuted")), "Not Complete");
}

#[test]
fn a_reaction_that_an_immunization_contains_counts() {
    let reaction = r##","contained":[{"resourceType":"Observation","id":"r","status":"final",
        "code":{"coding":[{"system":"http://snomed.info/sct","code":"77386006"}]}}],
        "reaction":[{"detail":{"reference":"#r"}}]"##;
    let answer = answer(&with([immunization("a", "03", "2025-02-10", reaction)]));
    assert_eq!(status(&of_group(&answer, "MMR")), "Contraindicated");
}

#[test]
fn birth_in_the_united_states_is_evidence_where_the_schedule_says_so() {
    let patient = |more: &str| PATIENT.replace("2024-01-10\"", &format!("1970-01-10\"{more}"));
    let varicella = |more: &str| {
        let parameters = [on("2025-03-01"), parameter("patient", &patient(more))];
        status(&of_group(&answer(&parameters), "Varicella")).to_owned()
    };
    let born = |country: &str| {
        format!(
            r#","extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{{"country":"{country}"}}}}]"#
        )
    };
    assert_eq!(varicella(""), "Not Complete");
    assert_eq!(varicella(&born("US")), "Immune");
    assert_eq!(varicella(&born("DE")), "Not Complete");
}

#[test]
fn a_bad_request_is_told_where_and_what_to_do() {
    let patient = || parameter("patient", PATIENT);
    let dose = || immunization("a", "03", "2025-02-10", "");
    let cases: Vec<(Vec<String>, &str, &str)> = vec![
        (vec![on("2025-03-01")], "Parameters.parameter", "patient is missing"),
        (vec![patient()], "Parameters.parameter", "assessmentDate is missing"),
        (vec![on("2025-03"), patient()], "Parameters.parameter[0]", "YYYY-MM-DD"),
        (vec![on("2025-02-30"), patient()], "parameter[0]", "calendar"),
        (vec![on("2025-03-01"), on("2025-03-02"), patient()], "Parameters.parameter[1]", "twice"),
        (with([patient()]), "Parameters.parameter[2]", "twice"),
        (with([parameter("imunization", "{\"resourceType\":\"Immunization\"}")]), "parameter[2]", ""),
        (
            vec![on("2025-03-01"), parameter("patient", &PATIENT.replace("2024-01-10", "2024"))],
            "Parameters.parameter[1].resource.birthDate",
            "YYYY-MM-DD",
        ),
        (with([parameter("immunization", PATIENT)]), "Parameters.parameter[2].resource", "is no Immunization"),
        (with([dose().replace("sid/cvx", "sid/ndc")]), "parameter[2].resource.vaccineCode", "sid/cvx"),
        (with([dose().replace("2025-02-10", "2025")]), "parameter[2].resource.occurrenceDateTime", "whole day"),
        (with([dose().replace("\"status\":\"completed\"", "\"status\":\"given\"")]), "status", ""),
        (with([dose().replace("vaccineCode", "vaccine")]), "parameter[2].resource", ""),
    ];
    for (parameters, place, remedy) in cases {
        let issues = issues(&parameters);
        let is = |issue: &Issue| {
            let text = issue.diagnostics.contains(remedy)
                || issue.expression.as_deref().is_some_and(|expression| expression.contains(remedy));
            text && issue.expression.as_deref().is_some_and(|expression| expression.contains(place))
        };
        assert!(issues.iter().any(is), "{place} {remedy}: {issues:?}");
        assert!(!format!("{issues:?}").contains("2024"), "no value of the request");
    }
}

#[test]
fn an_unknown_parameter_is_told_the_nearest() {
    let issues = issues(&with([parameter("imunization", PATIENT)]));
    assert_eq!(issues.len(), 1);
    assert!(issues[0].diagnostics.contains("immunization") && issues[0].diagnostics.contains("takes"), "{issues:?}");
    assert_eq!(issues[0].expression.as_deref(), Some("Parameters.parameter[2].name"));
}

#[test]
fn what_is_no_parameters_resource_is_refused() {
    for (body, text) in [("", "JSON"), ("{", "JSON"), ("[]", "no Parameters"), (PATIENT, "no Parameters")] {
        let issues = forecast(&SCHEDULE, body.as_bytes()).unwrap_err();
        assert!(issues[0].diagnostics.contains(text), "{body}: {issues:?}");
    }
}
