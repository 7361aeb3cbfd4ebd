//! Encounter by REST. Our key is `external_id`, which the list shows.

use super::answer::{failed, row, scalar};
use super::local_time::{date_time, local};
use super::outline;
use super::push::{Looked, Push, Written, remote, unsaid};
use crate::outcome::problem_of;
use ::fhir::json;
use ::fhir::json::Value;
use delivery::{Problem, Remote};
use reqwest::Method;

/// The member of [`Remote::more`] that holds the number of an encounter: vital signs go by it.
pub(super) const NUMBER: &str = "encounter";

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let columns = columns(push, body)?;
    let subject = push.subject(body).await?;
    let path = format!("/patient/{}/encounter", subject.uuid);
    if let Some(there) = &push.item.remote {
        push.change(&format!("{path}/{}", there.id), &columns, &["euuid", "puuid"]).await?;
        return Ok(there.clone());
    }
    let answer = push.rest(Method::POST, &path, Some(&columns)).await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(failed(&answer));
    }
    let row = row(&answer);
    let (uuid, number) = ids(&row).ok_or_else(|| unsaid(&answer))?;
    Ok(remote(&uuid, &[(NUMBER, &number)], &subject))
}

/// FHIR id and number of a row; its name for either differs between versions.
pub(super) fn ids(row: &Value) -> Option<(String, String)> {
    let uuid = scalar(row, "euuid").or_else(|| scalar(row, "uuid"))?;
    let number = scalar(row, "eid").or_else(|| scalar(row, "encounter"))?;
    Some((uuid, number))
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let body = body.ok_or_else(|| Problem::new(0, "without its content it cannot be looked for"))?;
    let subject = push.subject(body).await.map_err(problem_of)?;
    let rows = push.rows(&format!("/patient/{}/encounter", subject.uuid)).await.map_err(problem_of)?;
    let ours = rows.iter().find(|row| scalar(row, "external_id").as_deref() == Some(push.key()));
    match ours.and_then(ids) {
        Some((uuid, number)) => Ok(Some(remote(&uuid, &[(NUMBER, &number)], &subject))),
        None if rows.iter().any(|row| row.get("external_id").is_none()) => {
            Err(Problem::new(0, "the list of encounters does not show external_id"))
        }
        None => Ok(None),
    }
}

fn columns(push: &Push<'_>, body: &Value) -> Written<Value> {
    let settings = &push.emr.settings;
    let start = body.path(&["period", "start"]).and_then(Value::as_str).and_then(|text| local(text, &settings.zone));
    let start = start.ok_or_else(|| push.refuse("period.start is needed"))?;
    let class = class(body).ok_or_else(|| push.refuse("OpenEMR has no such class of encounters"))?;
    let reasons = body.list("reasonCode").iter().chain(body.list("type")).chain(body.get("serviceType"));
    let reason = reasons.into_iter().find_map(outline::concept).unwrap_or_else(|| "Visit".to_owned());
    Ok(json!({
        "date": date_time(start),
        "onset_date": "",
        "reason": reason,
        "pc_catid": settings.category.as_str(),
        "facility_id": settings.facility.as_str(),
        "billing_facility": settings.billing_facility.as_str(),
        "sensitivity": "normal",
        "external_id": push.key(),
        "class_code": class
    }))
}

/// OpenEMR's classes; others of the same kind become one of them.
fn class(body: &Value) -> Option<&'static str> {
    match body.path(&["class", "code"]).and_then(Value::as_str) {
        None | Some("AMB" | "SS" | "PRENC") => Some("AMB"),
        Some("EMER") => Some("EMER"),
        Some("HH") => Some("HH"),
        Some("IMP" | "ACUTE" | "NONAC" | "OBSENC") => Some("IMP"),
        Some("VR") => Some("VR"),
        Some("FLD") => Some("FLD"),
        Some(_) => None,
    }
}
