//! ImmunizationEvaluations: what each dose counts for against each disease.

use super::codes;
use super::request::Asked;
use fhir::json;
use fhir::json::Value;
use vaccines::{DoseEvaluation, Outcome};

/// One for each dose and antigen, by dose. Several best series of an antigen are one evaluation each.
pub(super) fn all(asked: &Asked, outcome: &Outcome<'_>) -> Vec<Value> {
    let mut evaluations: Vec<&DoseEvaluation<'_>> = outcome.evaluations.iter().collect();
    evaluations.sort_by_key(|one| one.dose);
    evaluations.into_iter().map(|one| resource(asked, one)).collect()
}

fn resource(asked: &Asked, evaluation: &DoseEvaluation<'_>) -> Value {
    let mut resource = json!({
        "resourceType": "ImmunizationEvaluation",
        "status": "completed",
        "patient": asked.patient.clone(),
        "date": asked.assessment.to_string(),
        "targetDisease": codes::disease(&[evaluation.antigen], evaluation.antigen),
        "immunizationEvent": asked.immunizations[evaluation.dose].clone(),
        "doseStatus": codes::dose_status(evaluation.status)
    });
    if !evaluation.reasons.is_empty() {
        let reasons: Vec<Value> = evaluation.reasons.iter().map(|reason| codes::dose_reason(*reason)).collect();
        resource.set("doseStatusReason", reasons);
    }
    resource.set("series", evaluation.series);
    if let Some(number) = evaluation.dose_number {
        resource.set("doseNumberPositiveInt", number);
    }
    resource
}
