//! Appointment by REST: created and deleted, never changed. Our key is `pc_website`, which the list shows.

use super::answer;
use super::answer::scalar;
use super::local_time::{date, hour, local};
use super::push::{Looked, Push, Subject, Written, more, remote, unsaid};
use super::register;
use crate::outcome::problem_of;
use ::fhir::json;
use ::fhir::json::Value;
use delivery::{Outcome, Problem, Remote};
use jiff::civil::DateTime;
use reqwest::Method;

/// The member of [`Remote::more`] that holds the number of an appointment.
const NUMBER: &str = "eid";
const TITLE_CHARS_MAX: usize = 150;
/// Length of an appointment without an end.
const MINUTES: i64 = 15;

/// The columns of an appointment.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    title: String,
    text: String,
    status: &'static str,
    start: DateTime,
    end: DateTime,
    provider: Option<String>,
}

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let subject = push.subject(body).await?;
    let row = row(push, body)?;
    let Some(there) = &push.item.remote else {
        return create(push, &subject, &row).await;
    };
    // A change is a new row, then the old one goes. What an attempt before this one has done already shows in the list.
    let old = more(there, NUMBER);
    let ours = ours(push, &subject).await?;
    let is_new = |other: &&Value| scalar(other, "pc_eid").as_deref() != old && is_same(other, &row);
    let new = match ours.iter().find(is_new) {
        Some(new) => of(new, &subject).ok_or_else(|| push.refuse("the list of appointments shows no number"))?,
        None => create(push, &subject, &row).await?,
    };
    for other in ours.iter().filter_map(|row| scalar(row, "pc_eid")) {
        if more(&new, NUMBER) != Some(&other) {
            // The new one is there: failing now is no reason to write it again.
            let gone = push.delete(&format!("/patient/{}/appointment/{other}", subject.pid), &["eid", "pid"]).await;
            gone.map_err(|outcome| Outcome::Retry { problem: problem_of(outcome), after: None })?;
        }
    }
    Ok(new)
}

async fn create(push: &Push<'_>, subject: &Subject, row: &Row) -> Written<Remote> {
    let body = columns(push, row);
    let answer = push.rest(Method::POST, &format!("/patient/{}/appointment", subject.pid), Some(&body)).await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(answer::failed(&answer));
    }
    let number = scalar(&answer::row(&answer), "id").ok_or_else(|| unsaid(&answer))?;
    // The answer has no FHIR id. Without it the appointment is there all the same.
    let shown = push.read(&format!("/appointment/{number}")).await.ok();
    let uuid = shown.filter(|shown| shown.status == 200).and_then(|shown| scalar(&answer::row(&shown), "pc_uuid"));
    Ok(remote(&uuid.unwrap_or_default(), &[(NUMBER, &number)], subject))
}

pub(super) async fn remove(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    let subject = push.subject_of(there)?;
    for row in ours(push, &subject).await? {
        let Some(number) = scalar(&row, "pc_eid") else { continue };
        push.delete(&format!("/patient/{}/appointment/{number}", subject.pid), &["eid", "pid"]).await?;
    }
    Ok(Remote::default())
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let Some(body) = body else {
        let rows = push.rows("/appointment").await.map_err(problem_of)?;
        let row = rows.iter().find(|row| scalar(row, "pc_website").as_deref() == Some(push.key()));
        return row
            .map(|row| of_row(row).ok_or_else(|| Problem::new(0, "the appointment shows no patient")))
            .transpose();
    };
    let subject = push.subject(body).await.map_err(problem_of)?;
    let ours = ours(push, &subject).await.map_err(problem_of)?;
    Ok(ours.last().and_then(|row| of(row, &subject)))
}

/// The number of an appointment with this FHIR id.
pub(super) async fn number(push: &Push<'_>, subject: &Subject, uuid: &str) -> Written<Option<(&'static str, String)>> {
    let rows = push.rows(&format!("/patient/{}/appointment", subject.pid)).await?;
    let row = rows.iter().find(|row| scalar(row, "pc_uuid").as_deref() == Some(uuid));
    let number = row.and_then(|row| scalar(row, "pc_eid"));
    number
        .map(|number| Some((NUMBER, number)))
        .ok_or_else(|| push.refuse("the calendar does not show this appointment"))
}

/// The patient's appointments with our key, and the one that was made there.
async fn ours(push: &Push<'_>, subject: &Subject) -> Written<Vec<Value>> {
    let known = push.item.remote.as_ref().and_then(|there| more(there, NUMBER));
    let mut rows = push.rows(&format!("/patient/{}/appointment", subject.pid)).await?;
    if rows.iter().any(|row| row.get("pc_website").is_none()) {
        let problem = Problem::new(0, "the list of appointments does not show pc_website");
        return Err(Outcome::Retry { problem, after: None });
    }
    let is_known = |row: &Value| known.is_some() && scalar(row, "pc_eid").as_deref() == known;
    rows.retain(|row| is_known(row) || scalar(row, "pc_website").as_deref() == Some(push.key()));
    Ok(rows)
}

fn of(row: &Value, subject: &Subject) -> Option<Remote> {
    let number = scalar(row, "pc_eid")?;
    Some(remote(&scalar(row, "pc_uuid").unwrap_or_default(), &[(NUMBER, &number)], subject))
}

fn of_row(row: &Value) -> Option<Remote> {
    let subject = Subject { uuid: scalar(row, "puuid")?, pid: scalar(row, "pid")? };
    of(row, &subject)
}

/// Whether a row of the list has these columns, as far as it shows them.
fn is_same(shown: &Value, row: &Row) -> bool {
    let begins = |name: &str, text: &str| scalar(shown, name).is_some_and(|shown| shown.starts_with(text));
    begins("pc_eventDate", &date(row.start))
        && begins("pc_startTime", &hour(row.start))
        && begins("pc_endTime", &hour(row.end))
        && shown.str("pc_title") == Some(&row.title)
        && shown.str("pc_apptstatus").is_none_or(|status| status == row.status)
}

fn row(push: &Push<'_>, body: &Value) -> Written<Row> {
    let zone = &push.emr.settings.zone;
    let time = |name: &str| body.str(name).and_then(|text| local(text, zone));
    let start = time("start").ok_or_else(|| push.refuse("start is needed"))?;
    let minutes = body.get("minutesDuration").and_then(|minutes| minutes.scalar()?.parse().ok()).unwrap_or(MINUTES);
    let end = time("end").unwrap_or_else(|| start.saturating_add(jiff::SignedDuration::from_mins(minutes)));
    if end <= start {
        return Err(push.refuse("end must be after start"));
    }
    let status = status(body.str("status").unwrap_or_default());
    let status =
        status.ok_or_else(|| push.refuse("an appointment with this status has no place in OpenEMR's calendar"))?;
    let actors = body.list("participant").iter().filter_map(|one| one.path(&["actor", "reference"])?.as_str());
    let provider = actors.filter_map(|actor| actor.strip_prefix("Practitioner/")).find_map(|id| {
        let remote = push.related("Practitioner", id)?;
        more(remote, register::NUMBER).map(str::to_owned)
    });
    let text = ["comment", "patientInstruction"].into_iter().find_map(|name| body.str(name)).unwrap_or("-");
    Ok(Row { title: title(body), text: text.to_owned(), status, start, end, provider })
}

fn columns(push: &Push<'_>, row: &Row) -> Value {
    let settings = &push.emr.settings;
    let seconds = row.start.duration_until(row.end).as_secs();
    let mut body = json!({
        "pc_catid": settings.category.as_str(),
        "pc_title": row.title.as_str(),
        "pc_duration": seconds.to_string(),
        "pc_hometext": row.text.as_str(),
        "pc_apptstatus": row.status,
        "pc_eventDate": date(row.start),
        "pc_startTime": hour(row.start),
        "pc_facility": settings.facility.as_str(),
        "pc_billing_location": settings.billing_facility.as_str(),
        "pc_website": push.key()
    });
    if let Some(provider) = &row.provider {
        body.set("pc_aid", provider.as_str());
    }
    body
}

/// What the appointment is about, in 2 to 150 characters.
fn title(body: &Value) -> String {
    let concepts = ["serviceType", "appointmentType", "reasonCode"].into_iter().flat_map(|name| match body.get(name) {
        Some(concept @ Value::Object(_)) => std::slice::from_ref(concept),
        _ => body.list(name),
    });
    let text =
        body.str("description").map(str::to_owned).or_else(|| concepts.into_iter().find_map(super::outline::concept));
    let text = text.filter(|text| text.chars().count() >= 2).unwrap_or_else(|| "Appointment".to_owned());
    text.chars().take(TITLE_CHARS_MAX).collect()
}

/// OpenEMR's one character for a state.
fn status(status: &str) -> Option<&'static str> {
    match status {
        "booked" | "waitlist" => Some("-"),
        "proposed" | "pending" => Some("^"),
        "arrived" => Some("@"),
        "checked-in" => Some("<"),
        "fulfilled" => Some(">"),
        "noshow" => Some("?"),
        _ => None,
    }
}
