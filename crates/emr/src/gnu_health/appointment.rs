//! Appointment: our key is the APPT ID, which GNU Health would otherwise number itself. It keeps a start and no end.

use super::answer::{Failure, created};
use super::field::date_time;
use super::push::{Push, Written, clause, id_of, remote, row_id};
use delivery::{Outcome, Remote};
use fhir::json;
use fhir::json::Value;

const MODEL: &str = "gnuhealth.appointment";

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let values = columns(push, body)?;
    if let Some(there) = &push.item.remote {
        push.change(MODEL, id_of(push, there)?, values).await?;
        return Ok(there.clone());
    }
    let made = push.call("gnuhealth.appointment.create", &[Value::Array(vec![values])]).await;
    let id = made.map_err(Failure::of_write).and_then(|made| created(&made))?;
    Ok(remote(id, &[]))
}

/// What is not there any more is no error to GNU Health.
pub(super) async fn delete(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    let parameters = [Value::Array(vec![id_of(push, there)?.into()])];
    match push.call("gnuhealth.appointment.delete", &parameters).await.map_err(Failure::of_change) {
        Ok(_) | Err(Outcome::Gone(_)) => Ok(Remote::default()),
        Err(outcome) => Err(outcome),
    }
}

pub(super) async fn look(push: &Push<'_>) -> Written<Option<Remote>> {
    let rows = push.search(MODEL, vec![clause("name", "=", push.key())], 1, &["id"]).await?;
    Ok(rows.first().and_then(row_id).map(|id| remote(id, &[])))
}

fn columns(push: &Push<'_>, body: &Value) -> Written<Value> {
    let actors = || body.list("participant").iter().filter_map(|one| one.path(&["actor", "reference"])?.as_str());
    let patient = push.patient(actors().find(|reference| reference.starts_with("Patient/")))?;
    let start = body.str("start").and_then(date_time).ok_or_else(|| push.refuse("start is needed"))?;
    let state = state(body)
        .ok_or_else(|| push.refuse("an appointment with this status has no place in GNU Health's calendar"))?;
    let comment = ["comment", "description", "patientInstruction"].into_iter().find_map(|name| body.str(name));
    Ok(json!({
        // With every write: without it, GNU Health would number a confirmed appointment anew.
        "name": push.key(),
        "patient": patient,
        "appointment_date": start,
        "state": state,
        // Null, too: its default is the health professional of the service user.
        "healthprof": push.professional(actors()),
        "comments": comment
    }))
}

fn state(body: &Value) -> Option<&'static str> {
    Some(match body.str("status")? {
        "booked" => "confirmed",
        "arrived" | "checked-in" => "checked_in",
        "fulfilled" => "done",
        "noshow" => "no_show",
        "cancelled" => {
            let reasons = body.get("cancelationReason").map_or(&[][..], |reason| reason.list("coding")).iter();
            let by_patient = reasons.filter_map(|reason| reason.str("code")).any(|code| code.starts_with("pat"));
            if by_patient { "user_cancelled" } else { "center_cancelled" }
        }
        _ => return None,
    })
}
