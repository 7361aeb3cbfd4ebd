//! `$immds-forecast` over HTTP.

use crate::harness::{PATIENT, World};

const PATH: &str = "/fhir/$immds-forecast";

fn body(date: &str) -> String {
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"assessmentDate","valueDate":"{date}"}},
        {{"name":"patient","resource":{PATIENT}}},
        {{"name":"immunization","resource":{{"resourceType":"Immunization","id":"a","status":"completed","patient":{{"reference":"Patient/p"}},
        "vaccineCode":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"03"}}]}},"occurrenceDateTime":"2021-05-06"}}}}]}}"#
    )
}

#[tokio::test]
async fn a_forecast_is_made_from_the_request_alone() {
    let world = World::new();
    let reply = world.send("POST", PATH, &body("2025-03-01")).await.is(200);
    let text = reply.text();
    assert!(text.contains("ImmunizationEvaluation") && text.contains("ImmunizationRecommendation"), "{text}");
    assert!(world.send("POST", "/fhir/Parameters/$validate", text).await.is(200).text().contains("no problems found"));
    for ty in ["Patient", "Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation"] {
        assert_eq!(world.get(&format!("/fhir/{ty}")).await.is(200).total().as_deref(), Some("0"), "nothing is stored");
    }
}

#[tokio::test]
async fn a_bad_request_is_refused_with_its_place() {
    let world = World::new();
    let wrong = world.send("POST", PATH, &body("2025-03")).await.is(400);
    assert!(wrong.text().contains("Parameters.parameter[0]"), "{}", wrong.text());
    world.send("POST", PATH, "{").await.is(400);
    world.send("POST", PATH, PATIENT).await.is(400);
    world.ask("POST", PATH, &[("content-type", "text/plain")], body("2025-03-01")).await.is(415);
}

#[tokio::test]
async fn only_post_is_taken() {
    let world = World::new();
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        assert_eq!(world.ask(method, PATH, &[], "").await.is(405).header("allow"), "POST", "{method}");
    }
}

#[tokio::test]
async fn the_operation_is_declared() {
    let world = World::new();
    assert!(world.get("/fhir/metadata").await.is(200).text().contains("OperationDefinition/immds-forecast"));
    assert!(world.get("/openapi.json").await.text().contains("/fhir/$immds-forecast"));
}
