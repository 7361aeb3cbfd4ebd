//! Finding a person. The question is sent by POST: names do not belong into addresses, histories and logs.

use super::names::{parsed, ty};
use super::person::searcher;
use super::refused::InPage;
use super::submitted::Submitted;
use super::table::{Head, table};
use super::{Shared, Tracker, page, person_link, say};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use engine::{Search, Session};
use maud::html;
use registry::PersonId;
use std::collections::BTreeMap;

/// Records that are looked at.
const FOUND_MAX: usize = 50;

/// What somebody has typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) family: String,
    pub(super) given: String,
    pub(super) birth: String,
}

pub(super) async fn find(State(tracker): Shared, sent: Submitted) -> Result<Response, InPage> {
    let (session, text) = (&sent.session, |name: &str| sent.text(name).to_owned());
    let asked = Asked { id: text("id"), family: text("family"), given: text("given"), birth: text("birth") };
    if !asked.id.is_empty() {
        let id = asked.id.strip_prefix("Patient/").unwrap_or(&asked.id).to_owned();
        return Ok(match tracker.registry.person_of(session, &id)? {
            Some(person) => Redirect::to(&person_link(&person.to_string())).into_response(),
            None => again(
                &tracker,
                &asked,
                &[("id", "no person or Patient has this id: check it, or search by name".into())],
            ),
        });
    }
    let errors = wrong(&asked);
    if !errors.is_empty() {
        return Ok(again(&tracker, &asked, &errors));
    }
    let persons = tracker.search(session, &asked).await?;
    let mut ids = persons.keys();
    if let (Some(only), None) = (ids.next(), ids.next()) {
        return Ok(Redirect::to(&person_link(&only.to_string())).into_response());
    }
    if persons.is_empty() {
        let text = "nobody with this name and birth date is known: check both; a name is found by how it begins";
        return Ok(again(&tracker, &asked, &[("family", text.into())]));
    }
    Ok(several(&tracker, &asked, &persons))
}

fn wrong(asked: &Asked) -> Vec<(&'static str, String)> {
    let mut errors = Vec::new();
    if asked.family.is_empty() {
        errors.push(("family", "give a family name, or an id above".to_owned()));
    }
    if asked.birth.parse::<vaccines::Date>().is_err() {
        errors.push(("birth", "give the birth date as year, month and day, such as 1975-12-10".to_owned()));
    }
    errors
}

/// Names of records by person.
type Found = BTreeMap<PersonId, Vec<String>>;

impl Tracker {
    async fn search(&self, session: &Session, asked: &Asked) -> Result<Found, InPage> {
        let escaped =
            |text: &str| text.replace('\\', "\\\\").replace(',', "\\,").replace('$', "\\$").replace('|', "\\|");
        let mut pairs = vec![
            ("family".to_owned(), escaped(&asked.family)),
            ("birthdate".to_owned(), asked.birth.clone()),
            ("_count".to_owned(), FOUND_MAX.to_string()),
        ];
        if !asked.given.is_empty() {
            pairs.push(("given".to_owned(), escaped(&asked.given)));
        }
        let search = Search { ty: ty("Patient"), compartment: None, pairs: &pairs, lenient: false, cursor: None };
        let mut persons = Found::new();
        for patient in self.engine.search(session, &search).await?.matches {
            if let (Some(person), Some(json)) = (self.registry.person_of(session, &patient.id)?, parsed(&patient.json))
            {
                let names = json.root().get("name").into_iter().flat_map(fhir::json::Node::items);
                let name = names.map(super::names::human_name).next().unwrap_or_default();
                persons.entry(person).or_default().push(name);
            }
        }
        Ok(persons)
    }
}

fn several(tracker: &Tracker, asked: &Asked, persons: &Found) -> Response {
    let row = |(person, names): (&PersonId, &Vec<String>)| {
        let name = names.first().map_or("No name", String::as_str);
        vec![
            html! { a href=(person_link(&person.to_string())) { (name) } },
            html! { (names.len()) },
            html! { code { (person.to_string()) } },
        ]
    };
    let rows: Vec<_> = persons.iter().map(row).collect();
    let content = html! {
        h1 { (rows.len()) " people fit" }
        p { "All were born on " (say::day(&asked.birth)) ". Choose one, or ask again with a given name." }
        (table("People who fit.", &[Head::Text("Name"), Head::Count("Records that fit"), Head::Text("Id of the person")], &rows))
        (searcher(tracker, asked, &[]))
    };
    page::page("/tracker/person", "People who fit", content)
}

fn again(tracker: &Tracker, asked: &Asked, errors: &[(&str, String)]) -> Response {
    let content = html! {
        (page::errors(errors))
        h1 { "Find a person" }
        (searcher(tracker, asked, errors))
    };
    (StatusCode::BAD_REQUEST, page::page("/tracker/person", "Error: Find a person", content)).into_response()
}
