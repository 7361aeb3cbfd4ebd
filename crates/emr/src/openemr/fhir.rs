//! Whatever OpenEMR says that it takes by FHIR.

use super::answer::{body, refused, scalar};
use super::push::{Looked, Push, Written, by_fhir, is_withdrawn};
use super::site::{Failure, Who};
use crate::fhir_server::add_identifier;
use crate::outcome::problem_of;
use ::fhir::json;
use ::fhir::json::Value;
use delivery::{Outcome, Problem, Remote};
use reqwest::Method;

/// The member of [`Remote::more`] that holds the number of the record.
const NUMBER: &str = "id";

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let mut resource = body.clone();
    add_identifier(&push.item.name, &mut resource, &push.item.identifier);
    if let Some(there) = &push.item.remote {
        resource.set("id", there.id.as_str());
    }
    by_fhir(push, &resource, |row| {
        let uuid = scalar(row, "uuid").or_else(|| scalar(row, "id"))?;
        let number = row.get("uuid").and_then(|_| scalar(row, "id")).map(|number| (NUMBER.to_owned(), number));
        Some(Remote { id: uuid, more: number.into_iter().collect() })
    })
    .await
}

fn is_ours(push: &Push<'_>, resource: &Value) -> bool {
    resource.list("identifier").iter().any(|one| one.str("value") == Some(push.key()))
}

/// By our identifier where it says that it can search by it, otherwise among everything of the patient.
pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let name = &push.item.name;
    let found = if push.plan.searches(name, "identifier") {
        push.search(name, &[("identifier", push.key())]).await?
    } else {
        let unknown = || Problem::new(0, format!("OpenEMR cannot search {name} by identifier"));
        let body = body.ok_or_else(unknown)?;
        let subject = push.subject(body).await.map_err(problem_of)?;
        let all = push.search(name, &[("patient", &subject.uuid)]).await?;
        // Does it keep identifiers at all? If none has one, ours may have been dropped.
        if !all.is_empty() && all.iter().all(|one| one.list("identifier").is_empty()) {
            return Err(unknown());
        }
        all
    };
    // What was taken back is not what was sent, should ours have been created again.
    let is_valid = |one: &&Value| !is_withdrawn(one) || body.is_some_and(is_withdrawn);
    let mut ours = found.iter().filter(|one| is_ours(push, one)).filter(is_valid);
    let id = ours.next().and_then(|one| one.str("id"));
    Ok(id.map(|id| Remote { id: id.to_owned(), more: Vec::new() }))
}

/// There is no FHIR delete: what is there is marked as entered in error.
pub(super) async fn remove(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    let name = &push.item.name;
    let path = format!("/{name}/{}", there.id);
    let request = push.emr.site.fhir(Method::GET, &path, None);
    let answer = push.emr.site.send(push.turns, Who::Reader, request).await.map_err(Failure::of_read)?;
    match answer.status {
        200 => {}
        404 => return Ok(there.clone()),
        _ => return Err(super::answer::unread(&answer)),
    }
    let mut resource = body(&answer);
    mark(name, &mut resource).map_err(|()| push.refuse(format!("OpenEMR has no way to take back a {name}")))?;
    let request = push.emr.site.fhir(Method::PUT, &path, Some(&resource));
    let answer = push.emr.site.send(push.turns, Who::Writer, request).await.map_err(Failure::of_write)?;
    match (answer.status, refused(&answer, &["uuid"])) {
        (200 | 201, _) | (_, Outcome::Gone(_)) => Ok(there.clone()),
        (_, outcome) => Err(outcome),
    }
}

/// Marks a resource as entered in error, where its type can say so.
fn mark(name: &str, resource: &mut Value) -> Result<(), ()> {
    let verification = match name {
        "Condition" => "condition-ver-status",
        "AllergyIntolerance" => "allergyintolerance-verification",
        "Location" => {
            resource.set("status", "inactive");
            return Ok(());
        }
        "Appointment" | "Encounter" | "Immunization" | "Observation" | "MedicationRequest" | "DocumentReference"
        | "DiagnosticReport" | "Procedure" | "CarePlan" | "Goal" | "ServiceRequest" | "Device" | "Coverage" => {
            resource.set("status", "entered-in-error");
            return Ok(());
        }
        _ => return Err(()),
    };
    let system = format!("http://terminology.hl7.org/CodeSystem/{verification}");
    resource.set("verificationStatus", json!({ "coding": [{ "system": system, "code": "entered-in-error" }] }));
    if let Value::Object(members) = resource {
        // A clinical status is forbidden on what was entered in error.
        members.retain(|(name, _)| name != "clinicalStatus");
    }
    Ok(())
}
