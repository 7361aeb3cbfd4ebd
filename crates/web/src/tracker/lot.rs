//! `/tracker/lot`: who got doses of a lot.

use super::names::{parsed, ty};
use super::refused::InPage;
use super::table::{Head, table};
use super::{Shared, link, page, person_link, say, value};
use crate::ops::origin;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use engine::{Search, Session};
use fhir::json::Node;
use maud::html;
use std::collections::BTreeSet;

const PAGE: usize = 100;

/// A dose of the lot.
struct Dose {
    patient: String,
    date: String,
    vaccine: String,
    clinic: String,
}

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["lot", "page"])?;
    let lot = value(&pairs, "lot").ok_or_else(|| InPage::invalid("lot: follow a lot from the numbers"))?;
    let wanted = plain(lot);
    // By how it begins, whatever its case: a recall must miss nobody. Longer numbers are left out below.
    let escaped = lot.replace('\\', "\\\\").replace(',', "\\,").replace('$', "\\$").replace('|', "\\|");
    let search = [("lot-number".to_owned(), escaped), ("_count".to_owned(), PAGE.to_string())];
    let cursor = value(&pairs, "page");
    let search = Search { ty: ty("Immunization"), compartment: None, pairs: &search, lenient: false, cursor };
    let found = tracker.engine.search(&session, &search).await?;
    let doses: Vec<Dose> = found.matches.iter().filter_map(|one| dose(parsed(&one.json)?.root(), &wanted)).collect();
    let ids: BTreeSet<&str> = doses.iter().map(|dose| dose.patient.as_str()).collect();
    let sheets = tracker.sheets(&session, &ids.into_iter().collect::<Vec<_>>()).await?;
    let places = tracker.named(&session, doses.iter().map(|dose| dose.clinic.as_str()).collect(), false).await?;
    let row = |dose: &Dose| {
        let sheet = sheets.get(&dose.patient);
        vec![
            html! { a href=(person_link(&dose.patient)) { (sheet.map_or("No name", |sheet| sheet.name())) } },
            html! { (sheet.map_or_else(String::new, |sheet| say::day(&sheet.birth))) },
            html! { (say::day(&dose.date)) },
            html! { (places.vaccine(&dose.vaccine)) },
            html! { (places.name(&dose.clinic)) },
        ]
    };
    let rows: Vec<_> = doses.iter().map(row).collect();
    let heads =
        [Head::Text("Name"), Head::Text("Born"), Head::Text("Dose on"), Head::Text("Vaccine"), Head::Text("Clinic")];
    let title = format!("Who got lot {}", super::short(lot));
    let content = html! {
        p { a href="/tracker" { "Back to the numbers" } }
        h1 { (title) }
        p { "Doses as they were recorded: somebody is in several rows who got several, or whose dose was reported twice." }
        @if rows.is_empty() {
            p { "No dose of this lot is recorded" @if found.next.is_some() { " on this page" } "." }
        } @else {
            (table(&format!("{} doses on this page.", rows.len()), &heads, &rows))
        }
        @if let Some(next) = &found.next { p.pager { a href=(link("/tracker/lot", &[("lot", lot), ("page", next)])) { "Next page" } } }
    };
    Ok(page::page("", &title, content))
}

/// As the registry writes it.
fn plain(lot: &str) -> String {
    lot.trim().to_uppercase()
}

fn dose(immunization: Node<'_>, lot: &str) -> Option<Dose> {
    let text = |path: &[&str]| immunization.path(path).and_then(Node::as_str).unwrap_or_default().into_owned();
    let is_given = text(&["status"]) == "completed";
    if !is_given || plain(&text(&["lotNumber"])) != lot {
        return None;
    }
    let mut codings = immunization.path(&["vaccineCode", "coding"]).into_iter().flat_map(Node::items);
    let cvx = codings.find(|coding| coding.str("system").is_some_and(|system| system.ends_with("/cvx")));
    Some(Dose {
        patient: text(&["patient", "reference"]).rsplit('/').next().unwrap_or_default().to_owned(),
        date: text(&["occurrenceDateTime"]).chars().take(10).collect(),
        vaccine: cvx.and_then(|coding| coding.str("code")).unwrap_or_default().into_owned(),
        clinic: text(&["location", "reference"]),
    })
}
