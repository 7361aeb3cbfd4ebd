//! `/sync`: two-way synchronisation for programs, and its part of a destination's page.

use super::api::json;
use super::destination::{self, Name};
use super::refused::{InJson, Refused};
use super::{Ops, Shared, origin, short};
use crate::words;
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use emr::Watched;
use emr::openemr::{Course, FollowError, Follower, Report, Run};
use engine::Session;
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// A manual synchronisation that takes longer goes on without the one who has asked.
const WAIT_MAX: Duration = Duration::from_secs(25);

type Answer = Result<Response, InJson>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    patient_id: String,
    destination: Option<String>,
    tenant: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRun {
    course: String,
    destination: Option<String>,
    tenant: Option<String>,
}

/// Numbers of every synchronised destination.
pub(super) async fn status(State(ops): Shared, RawQuery(query): RawQuery) -> Answer {
    origin::parameters(query.as_deref(), &[])?;
    let all = ops.roster.all().into_iter().filter_map(|watched| {
        let state = watched.follower?.state();
        let mut value = serde_json::to_value(&state).unwrap_or_default();
        value["tenant"] = watched.tenant.into();
        value["destination"] = watched.name.into();
        Some(value)
    });
    Ok(json(&serde_json::json!({ "syncs": all.collect::<Vec<_>>() })))
}

/// Reads the patient, its Observations, or both, and applies them now.
pub(super) async fn now<const PATIENT: bool, const OBSERVATIONS: bool>(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    origin::check(&headers, &uri)?;
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| {
        Refused::invalid(format!(
            "the body must be {{\"patientId\": \"id\"}}, and may name a destination and a tenant ({error})"
        ))
    })?;
    if !fhir::index::is_id(&wanted.patient_id) {
        return Err(
            Refused::invalid("patientId must be the id of a Patient, there or here: letters, digits, - and .").into()
        );
    }
    let (watched, follower) = ops.follower(wanted.tenant.as_deref(), wanted.destination.as_deref())?;
    let calls = ops.handle(&watched.tenant, &watched.name)?.calls();
    let who = session.who.id.clone();
    // In a task of its own: it is not left half done because somebody has closed a connection.
    let task = tokio::spawn(async move {
        let types: &[&str] = if OBSERVATIONS { &["Observation"] } else { &[] };
        let outcome = follower.patient(&wanted.patient_id, PATIENT, types, &calls).await;
        let noted = follower.note(&who, &wanted.patient_id, &outcome).await;
        noted.map_err(FollowError::Store).and(outcome)
    });
    let Ok(joined) = tokio::time::timeout(WAIT_MAX, task).await else {
        let text = "it goes on: the destination allows no more calls just now";
        return Ok(accepted(&serde_json::json!({ "status": "accepted", "text": text })));
    };
    let outcome = joined.map_err(|_| Refused::ended())?;
    match outcome {
        Ok(report) => Ok(json(&done(&watched, &report))),
        Err(error) => Err(refused(&error).into()),
    }
}

fn done(watched: &Watched, report: &Report) -> serde_json::Value {
    serde_json::json!({ "status": "done", "tenant": watched.tenant, "destination": watched.name, "result": report })
}

fn accepted(value: &serde_json::Value) -> Response {
    (StatusCode::ACCEPTED, json(value)).into_response()
}

fn refused(error: &FollowError) -> Refused {
    match error {
        FollowError::NoPatient => Refused::not_found(error.to_string()),
        FollowError::Pull(_) => Refused::new(StatusCode::BAD_GATEWAY, "transient", error.to_string()),
        FollowError::Store(store) => {
            let status = StatusCode::from_u16(store.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Refused::new(status, "exception", error.to_string())
        }
    }
}

/// Asks for a round or a sweep before it is due. It is not waited for.
pub(super) async fn run(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    origin::check(&headers, &uri)?;
    let wanted: WantedRun = serde_json::from_slice(&body).map_err(|error| {
        Refused::invalid(format!("the body must be {{\"course\": \"round\"}} or {{\"course\": \"sweep\"}} ({error})"))
    })?;
    let course = course(&wanted.course)?;
    let (watched, follower) = ops.follower(wanted.tenant.as_deref(), wanted.destination.as_deref())?;
    ops.ask(&session, (&watched.tenant, &watched.name), &follower, course).await?;
    Ok(accepted(&serde_json::json!({ "status": "accepted", "course": course.word() })))
}

fn course(text: &str) -> Result<Course, Refused> {
    match text {
        "round" => Ok(Course::Round),
        "sweep" => Ok(Course::Sweep),
        other => Err(Refused::invalid(format!("unknown course {}: use round or sweep", short(other)))),
    }
}

/// The buttons of the page.
pub(super) async fn ask<const SWEEP: bool>(
    State(ops): Shared,
    Extension(session): Extension<Session>,
    Path((tenant, name)): Name,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    ops.form(&headers, &uri, &body)?;
    let (_, follower) = ops.follower(Some(&tenant), Some(&name))?;
    let course = if SWEEP { Course::Sweep } else { Course::Round };
    ops.ask(&session, (&tenant, &name), &follower, course).await?;
    Ok(destination::back(&tenant, &name, course.word()))
}

impl Ops {
    /// The one that is meant; without a name the only one.
    fn follower(&self, tenant: Option<&str>, name: Option<&str>) -> Result<(Watched, Arc<Follower>), Refused> {
        let fits = |watched: &Watched| {
            name.is_none_or(|name| watched.name == name) && tenant.is_none_or(|tenant| watched.tenant == tenant)
        };
        let all = self.roster.all().into_iter().filter(fits);
        let mut all = all.filter_map(|watched| Some((watched.clone(), watched.follower?)));
        match (all.next(), all.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => {
                Err(Refused::invalid("several destinations are synchronised: name one in \"destination\""))
            }
            (None, _) => {
                Err(Refused::not_found("no such destination is synchronised: see sync.enabled in its settings"))
            }
        }
    }

    async fn ask(
        &self,
        session: &Session,
        of: (&str, &str),
        follower: &Follower,
        course: Course,
    ) -> Result<(), Refused> {
        follower.ask(course);
        self.note(session, of, &format!("$sync-{}", course.word()), vec![String::new()]).await
    }

    /// Alerts that hold now.
    pub(super) fn alerts(&self, tenant: &str, name: &str) -> Markup {
        let alerts = self.roster.get(tenant, name).map_or_else(Vec::new, |watched| watched.witness.alerts());
        html! {
            @if !alerts.is_empty() { div.notice.bad role="status" { @for alert in alerts { p { "Alert: " (alert.text()) "." } } } }
        }
    }

    /// What the page says of synchronisation; nothing when there is none.
    pub(super) fn synchronisation(&self, tenant: &str, name: &str, path: &str, now_us: i64) -> Markup {
        let Some(watched) = self.roster.get(tenant, name) else { return html! {} };
        html! {
            @if let Some(follower) = &watched.follower { @let state = follower.state();
                h2 #sync { "Synchronisation" }
                p {
                    @match (state.under_way, state.since_us) {
                        (Some("sweep"), Some(since)) => { "Looks at everything since " (words::instant(since, now_us)) "." }
                        (Some(_), Some(since)) => { "Looks for changes since " (words::instant(since, now_us)) "." }
                        _ => { "Waits for its next look for changes"
                            @if let Some(next) = state.next_round_us { " at " (words::instant(next, now_us)) } "." }
                    }
                }
                table.stack role="table" {
                    caption { "The last look for changes and the last look at everything, as of " (words::instant(now_us, now_us)) "." }
                    (destination::head(&["What", "What came of it", "Ended", "Result"]))
                    tbody role="rowgroup" {
                        (row("Changes", state.last_round.as_ref(), now_us))
                        (row("Everything", state.last_sweep.as_ref(), now_us))
                    }
                }
                form method="post" action=(format!("{path}/round")) { (self.token_field()) button.secondary { "Look for changes now" } }
                form method="post" action=(format!("{path}/sweep")) { (self.token_field()) button.secondary { "Look at everything now" } }
            }
        }
    }
}

fn row(what: &str, run: Option<&Run>, now_us: i64) -> Markup {
    let label = destination::label;
    html! { tr role="row" {
        td role="cell" { (label("What")) (what) }
        @match run {
            Some(run) => {
                td role="cell" { (label("What came of it")) (records(&run.report)) }
                td role="cell" { (label("Ended")) (words::instant(run.ended_us, now_us)) }
                td role="cell" { (label("Result")) @match &run.problem { Some(problem) => { (problem) ". It goes on where it stopped." } None => { "Done." } } }
            }
            None => {
                td role="cell" { (label("What came of it")) "-" }
                td role="cell" { (label("Ended")) "not yet" }
                td role="cell" { (label("Result")) "-" }
            }
        }
    } }
}

fn records(report: &Report) -> String {
    let asked = report.conflicts + report.unsure + report.refused;
    let words = |number: u64| words::grouped(number);
    format!(
        "{} new here, {} changed here, {} gone there, {} for people to decide",
        words(report.created),
        words(report.updated),
        words(report.removed),
        words(asked)
    )
}
