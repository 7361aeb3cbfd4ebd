//! `/tracker/list`: the people of whom something is to be said in a programme, such as the overdue.

use super::refused::InPage;
use super::table::{Head, table};
use super::{Shared, link, page, person_link, say, short, value};
use crate::ops::origin;
use crate::words::grouped;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use engine::Session;
use fhir::nearest::hint;
use maud::html;
use registry::{Listed, MARKS, PersonId, PersonsQuery};

const PAGE: usize = 50;

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["programme", "mark", "after"])?;
    let programme = tracker.programme(value(&pairs, "programme"))?;
    let mark = value(&pairs, "mark").unwrap_or("overdue");
    if !MARKS.contains(&mark) {
        let text = format!("mark: there is no list {}{}", short(mark), hint(mark, MARKS));
        return Err(InPage::invalid(text));
    }
    let after = match value(&pairs, "after") {
        None => None,
        Some(text) => {
            let text =
                PersonId::parse(text).ok_or_else(|| InPage::invalid("after: the address of this page is damaged"));
            Some(text?)
        }
    };
    let query = PersonsQuery {
        programme: Some(programme.id.clone()),
        mark: Some(mark.to_owned()),
        after,
        limit: PAGE,
        ..PersonsQuery::default()
    };
    let persons = tracker.registry.persons(&session, &query)?;
    let first = |one: &Listed| one.records.first().cloned().unwrap_or_default();
    let ids: Vec<String> = persons.items.iter().map(first).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sheets = tracker.sheets(&session, &ids).await?;
    let row = |one: &Listed| {
        let name = sheets.get(&first(one)).map_or("No name", |sheet| sheet.name());
        vec![
            html! { a href=(person_link(&one.id.to_string())) { (name) } },
            html! { (one.birth_date.as_deref().map_or_else(|| "Not known".to_owned(), say::day)) },
            html! { (say::sex(one.sex.code())) },
            html! { (one.region.as_deref().unwrap_or("Not known")) },
            html! { (say::status(one.status.unwrap_or("not"))) },
            html! { (one.doses) },
        ]
    };
    let rows: Vec<_> = persons.items.iter().map(row).collect();
    let heads = [
        Head::Text("Name"),
        Head::Text("Born"),
        Head::Text("Sex"),
        Head::Text("Region"),
        Head::Text("Status"),
        Head::Count("Doses of any vaccine"),
    ];
    let title = format!("{}: {}", programme.title, say::mark(mark));
    let to = |after: Option<&str>| {
        let mut pairs = vec![("programme", programme.id.as_str()), ("mark", mark)];
        pairs.extend(after.map(|after| ("after", after)));
        link("/tracker/list", &pairs)
    };
    let content = html! {
        p { a href=(link("/tracker", &[("programme", &programme.id)])) { "Back to the numbers" } }
        h1 { (title) }
        p { (grouped(persons.total as u64)) " living people. Definition: " (programme.title) ", " (say::calculator(programme.calculator)) ", version " (programme.version) "." }
        @if rows.is_empty() {
            p { "Nobody is on this list. It is brought up to date with every dose, and after midnight." }
        } @else {
            (table(&format!("{} of {}, as of {}.", rows.len(), grouped(persons.total as u64), say::day(&tracker.registry.today().to_string())), &heads, &rows))
        }
        p.pager {
            @if after.is_some() { a href=(to(None)) { "First page" } " " }
            @if let Some(next) = persons.next { a href=(to(Some(&next.to_string()))) { "Next page" } }
        }
    };
    Ok(page::page("", &title, content))
}
