//! The ImmunizationRecommendation: what comes next in each vaccine group.

use super::codes;
use super::request::Asked;
use fhir::json;
use fhir::json::Value;
use vaccines::{Date, Outcome, Recommendation, Schedule, Status};

/// `None` if no vaccine group of the schedule concerns the person.
pub(super) fn of(schedule: &Schedule, asked: &Asked, outcome: &Outcome<'_>) -> Option<Value> {
    let mut shown: Vec<&Recommendation<'_>> = outcome.recommendations.iter().collect();
    // The first of a group is the one to show.
    shown.dedup_by_key(|one| one.vaccine_group);
    let all: Vec<Value> = shown.into_iter().map(|one| recommendation(schedule, one, asked.assessment)).collect();
    (!all.is_empty()).then(|| {
        json!({
            "resourceType": "ImmunizationRecommendation",
            "patient": asked.patient.clone(),
            "date": asked.assessment.to_string(),
            "recommendation": all
        })
    })
}

fn recommendation(schedule: &Schedule, one: &Recommendation<'_>, today: Date) -> Value {
    let mut value = json!({});
    if !one.vaccines.is_empty() {
        let vaccines: Vec<Value> = one.vaccines.iter().map(|cvx| vaccine(schedule, *cvx)).collect();
        value.set("vaccineCode", vaccines);
    }
    let antigens: Vec<&str> = if one.antigens.is_empty() {
        schedule.group_antigens(one.vaccine_group).collect()
    } else {
        one.antigens.clone()
    };
    value.set("targetDisease", codes::disease(&antigens, one.vaccine_group));
    let overdue = one.status == Status::NotComplete && one.past_due.is_some_and(|last| last < today);
    value.set("forecastStatus", codes::forecast_status(one.status, overdue));
    let mut reasons: Vec<Value> = one.reasons.iter().map(|reason| codes::forecast_reason(*reason)).collect();
    reasons.dedup();
    value.set("forecastReason", reasons);
    let dates = [
        (one.earliest, "30981-5", "Earliest date to give"),
        (one.recommended, "30980-7", "Date vaccine due"),
        (one.past_due, "59778-1", "Date when overdue for immunization"),
        (one.latest, "59777-3", "Latest date to give immunization"),
    ];
    let criterion = |(date, code, display): (Option<Date>, &str, &str)| {
        let date = date?.to_string();
        Some(json!({ "code": codes::date_code(code, display), "value": date }))
    };
    let criteria: Vec<Value> = dates.into_iter().filter_map(criterion).collect();
    if !criteria.is_empty() {
        value.set("dateCriterion", criteria);
    }
    value.set("series", one.series.join(", "));
    if let Some(number) = one.dose_number {
        value.set("doseNumberPositiveInt", number);
    }
    value
}

fn vaccine(schedule: &Schedule, cvx: u16) -> Value {
    let code = format!("{cvx:0>2}");
    match schedule.vaccine_name(cvx) {
        Some(name) => json!({ "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": code, "display": name }] }),
        None => json!({ "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": code }] }),
    }
}
