//! `$immds-forecast` of HL7's implementation guide ImmDS: what came before and what comes next, from the request alone.

mod codes;
mod evaluation;
mod finding;
mod recommendation;
mod request;

use fhir::json::{Document, Limits, Value};
use fhir::outcome::Issue;
use fhir::{json, outcome::Severity};
use request::Asked;
use vaccines::Schedule;

/// The name of the operation.
pub const FORECAST: &str = "$immds-forecast";

/// Answers a Parameters resource with `assessmentDate`, `patient`, any number of `immunization` and, beyond the guide, of
/// `condition`, `observation` and `allergy`. The answer is a Parameters resource with an ImmunizationEvaluation for each dose
/// and antigen as `evaluation` and one ImmunizationRecommendation as `recommendation`: for each vaccine group of the schedule
/// that concerns the patient the recommendation to show.
///
/// Doses are taken as sent: nothing is stored, and duplicates are not looked for.
///
/// # Errors
/// Everything that is wrong with the request, with its place.
pub fn forecast(schedule: &Schedule, body: &[u8]) -> Result<Vec<u8>, Vec<Issue>> {
    let document = Document::parse(body, &Limits::default())
        .map_err(|error| vec![Issue::error("structure", format!("the body is no JSON: {error}"))])?;
    let root = document.root();
    if root.str("resourceType").as_deref() != Some("Parameters") {
        let text =
            "the body is no Parameters resource: send assessmentDate, patient and immunization as its parameters";
        return Err(vec![Issue::error("structure", text).at("resourceType")]);
    }
    let mut issues = fhir::validate::validate(fhir::defs::r4(), root, fhir::validate::Level::Structure);
    issues.retain(|issue| issue.severity >= Severity::Error);
    if !issues.is_empty() {
        return Err(issues);
    }
    let asked = Asked::read(schedule, root)?;
    let outcome = vaccines::forecast(schedule, &asked.person, asked.assessment);
    let mut parameters: Vec<Value> = evaluation::all(&asked, &outcome)
        .into_iter()
        .map(|resource| json!({ "name": "evaluation", "resource": resource }))
        .collect();
    if let Some(resource) = recommendation::of(schedule, &asked, &outcome) {
        parameters.push(json!({ "name": "recommendation", "resource": resource }));
    }
    let answer = json!({ "resourceType": "Parameters", "parameter": parameters });
    let mut bytes = Vec::new();
    answer.write(&mut bytes);
    Ok(bytes)
}

/// What an outcome says of a person who is known here, as FHIR. `immunizations`: the ids behind the person's doses.
pub(crate) fn resources(
    schedule: &Schedule,
    person: &vaccines::Person,
    outcome: &vaccines::Outcome<'_>,
    assessment: vaccines::Date,
    patient: &str,
    immunizations: &[String],
) -> (Vec<Value>, Option<Value>) {
    let reference = |id: &String| json!({ "reference": format!("Immunization/{id}") });
    let asked = Asked {
        assessment,
        person: person.clone(),
        patient: json!({ "reference": format!("Patient/{patient}") }),
        immunizations: immunizations.iter().map(reference).collect(),
    };
    (evaluation::all(&asked, outcome), recommendation::of(schedule, &asked, outcome))
}
