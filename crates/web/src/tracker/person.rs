//! `/tracker/person`: one person with doses, what they count for, what is due, and the records that are theirs.

use super::find::Asked;
use super::names::{Places, Sheet};
use super::refused::InPage;
use super::table::{Head, table};
use super::{Shared, Tracker, page, person_link, say, timeline, value};
use crate::ops::origin;
use crate::words;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use engine::Session;
use maud::{Markup, html};
use registry::{Given, Link, PersonId, Programme, Recommended, Whole};
use std::collections::HashMap;

/// Records whose contents are shown.
const RECORDS_MAX: usize = 100;

/// A form that could not be taken: what was in it, and why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undone<'a> {
    pub(super) records: &'a [String],
    pub(super) why: &'a str,
    pub(super) errors: &'a [(&'a str, String)],
}

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["id", "done", "other"])?;
    let Some(id) = value(&pairs, "id") else {
        let content = html! {
            h1 { "Find a person" }
            p { "See which doses somebody has had, what they count for, and what is due next." }
            (searcher(&tracker, &Asked::default(), &[]))
        };
        return Ok(page::page("/tracker/person", "Find a person", content));
    };
    let other = value(&pairs, "other").filter(|_| value(&pairs, "done").is_some()).and_then(PersonId::parse);
    person_page(&tracker, &session, id, other, &Undone::default()).await
}

/// The boxes by which a person is found.
pub(super) fn searcher(tracker: &Tracker, asked: &Asked, errors: &[(&str, String)]) -> Markup {
    let field = |id: &str, label: &str, kind: &str, value: &str| {
        let wrong = errors.iter().any(|(field, _)| *field == id);
        html! {
            label for=(id) { (label) }
            (page::error(errors, id))
            input id=(id) name=(id) type=(kind) value=(value) autocomplete="off" spellcheck="false"
                aria-invalid=[wrong.then_some("true")] aria-describedby=[wrong.then(|| format!("{id}-error"))];
        }
    };
    html! {
        form.finder method="post" action="/tracker/person/find" {
            (tracker.token_field())
            fieldset {
                legend { "By id" }
                (field("id", "Id of the person, or of one of their Patients", "text", &asked.id))
            }
            fieldset {
                legend { "Or by name and birth date" }
                (field("family", "Family name", "text", &asked.family))
                (field("given", "Given name (may be left empty)", "text", &asked.given))
                (field("birth", "Birth date", "date", &asked.birth))
            }
            button { "Find" }
        }
    }
}

/// `other`: whom a record was just moved to.
pub(super) async fn person_page(
    tracker: &Tracker,
    session: &Session,
    id: &str,
    other: Option<PersonId>,
    undone: &Undone<'_>,
) -> Result<Response, InPage> {
    let whole = tracker.registry.whole(&tracker.engine, session, id, None).await.map_err(|error| {
        if error.status == 404 {
            return InPage::not_found("no person or Patient with this id: look at it again, or search by name");
        }
        error.into()
    })?;
    let mut sheets = HashMap::new();
    for record in whole.records.iter().take(RECORDS_MAX) {
        if let Some(sheet) = tracker.sheet(session, &record.id).await? {
            sheets.insert(record.id.clone(), sheet);
        }
    }
    let references: Vec<&str> = whole.doses.iter().filter_map(|dose| dose.clinic.as_deref()).collect();
    let places = tracker.named(session, references, false).await?;
    // The record that was written last has the name that is in use.
    let newest = sheets.values().max_by_key(|sheet| sheet.updated_us);
    let name = newest.map_or("No name", Sheet::name).to_owned();
    let now_us = tracker.engine.now_us();
    let content = html! {
        p { a href="/tracker/person" { "Find another person" } }
        (page::errors(undone.errors))
        @if let Some(other) = other {
            div.notice role="status" { p {
                "The record is now of " a href=(person_link(&other.to_string())) { "another person" }
                ". The two are kept apart from now on."
            } }
        }
        (header(&whole, &name, &sheets))
        (status(&whole))
        (forecast(&whole))
        (doses(&whole, &places))
        (records(tracker, &whole, &sheets, undone, now_us))
    };
    let title = if undone.errors.is_empty() { name } else { format!("Error: {name}") };
    Ok(page::page("/tracker/person", &title, content))
}

fn header(whole: &Whole, name: &str, sheets: &HashMap<String, Sheet>) -> Markup {
    let mut names: Vec<&String> =
        sheets.values().flat_map(|sheet| &sheet.names).filter(|other| *other != name).collect();
    names.sort_unstable();
    names.dedup();
    html! {
        h1 { (name) }
        dl.facts {
            @if !names.is_empty() {
                div { dt { "Also written" } dd { @for (at, name) in names.iter().enumerate() { @if at > 0 { "; " } (name) } } }
            }
            div { dt { "Born" } dd { (whole.birth_date.as_deref().map_or_else(|| "Not known".to_owned(), say::day)) } }
            div { dt { "Sex" } dd { (say::sex(whole.sex.code())) } }
            div { dt { "Region" } dd { (whole.region.as_deref().unwrap_or("Not known")) } }
            @if whole.deceased { div { dt { "Deceased" } dd { "Yes: counts in no share, and is on no list of what is due" } } }
            div { dt { "Id of the person" } dd { code { (whole.id.to_string()) } } }
            div { dt { "As of" } dd { (say::day(&whole.as_of)) ", schedule " (whole.schedule) } }
        }
    }
}

/// The programmes in which something is to be said; the others follow, folded.
fn status(whole: &Whole) -> Markup {
    let tells =
        |one: &&Programme| one.status != "not" || one.recorded_doses > 0 || one.marks.iter().any(|mark| *mark != "due");
    let (shown, others): (Vec<&Programme>, Vec<&Programme>) = whole.programmes.iter().partition(tells);
    html! {
        h2 { "Where the person stands" }
        @if shown.is_empty() { p { "No dose is recorded that counts in a programme, and nothing is overdue." } }
        @else { (programmes("Programmes with a dose, or in which something is to be done.", &shown)) }
        @if !others.is_empty() {
            details {
                summary { "The other " (others.len()) " programmes" }
                (programmes("Programmes without a dose.", &others))
            }
        }
    }
}

fn tag(status: &str) -> Markup {
    let (class, mark) = match status {
        "full" => ("good", "✓"),
        "partial" => ("warn", "◐"),
        _ => ("calm", "○"),
    };
    html! { strong.tag.(class) { span aria-hidden="true" { (mark) } " " (say::status(status)) } }
}

fn programmes(caption: &str, all: &[&Programme]) -> Markup {
    let due = |day: &Option<String>| day.as_deref().map_or_else(|| "-".to_owned(), say::day);
    let row = |one: &&Programme| {
        let marks: Vec<&str> = one.marks.iter().map(|mark| say::mark(mark)).collect();
        vec![
            html! { (one.programme) },
            html! { (tag(one.status)) @if !marks.is_empty() { " " (marks.join("; ")) } },
            html! { (one.valid_doses) " of " (one.recorded_doses) },
            html! { (due(&one.recommended)) },
            html! { (due(&one.past_due)) },
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let heads = [
        Head::Text("Programme"),
        Head::Text("Status"),
        Head::Text("Valid of recorded doses"),
        Head::Text("Next due"),
        Head::Text("Overdue from"),
    ];
    table(caption, &heads, &rows)
}

fn forecast(whole: &Whole) -> Markup {
    let wanted: Vec<&Recommended> = whole.recommendations.iter().filter(|one| one.recommended.is_some()).collect();
    let day = |day: &Option<String>| day.as_deref().map_or_else(|| "-".to_owned(), say::day);
    let row = |one: &&Recommended| {
        vec![
            html! { (one.vaccine_group) },
            html! { @if let Some(number) = one.dose_number { "dose " (number) } @else { (say::forecast(one.status)) } },
            html! { (day(&one.earliest)) },
            html! { (day(&one.recommended)) },
            html! { (day(&one.past_due)) },
        ]
    };
    let mut wanted = wanted;
    wanted.sort_by(|one, other| one.recommended.cmp(&other.recommended));
    let rows: Vec<_> = wanted.iter().map(row).collect();
    let heads = [
        Head::Text("Vaccine"),
        Head::Text("Which"),
        Head::Text("Earliest"),
        Head::Text("Recommended"),
        Head::Text("Overdue from"),
    ];
    html! {
        h2 { "What is next" }
        @if rows.is_empty() {
            p {
                "The schedule recommends nothing now."
                @if whole.birth_date.is_none() { " Without a birth date it cannot: add one to a record." }
            }
        } @else { (table("By CDC's immunization schedule, the soonest first.", &heads, &rows)) }
    }
}

fn doses(whole: &Whole, places: &Places) -> Markup {
    html! {
        h2 { "Doses" }
        @if whole.doses.is_empty() {
            p { "No dose is recorded. Doses come with Immunizations of the person's Patients, or by /vaccines." }
        } @else {
            (timeline::timeline(whole))
            (dose_table(whole, places))
        }
    }
}

fn dose_table(whole: &Whole, places: &Places) -> Markup {
    let row = |dose: &Given| {
        vec![
            html! { (dose.date.as_deref().map_or_else(|| "No day".to_owned(), say::day)) },
            html! { (dose.vaccine.as_deref().unwrap_or("Not known")) @if let Some(cvx) = &dose.cvx { " (CVX " (cvx) ")" } },
            html! { (dose.lot.as_deref().unwrap_or("Not known")) },
            html! { (places.name(dose.clinic.as_deref().unwrap_or_default())) },
            validity(whole, dose),
        ]
    };
    let rows: Vec<_> = whole.doses.iter().rev().map(row).collect();
    let heads = [
        Head::Text("Day"),
        Head::Text("Vaccine"),
        Head::Text("Lot"),
        Head::Text("Clinic"),
        Head::Text("What it counts for"),
    ];
    table("Doses as recorded, the newest first.", &heads, &rows)
}

/// What a dose counts for in each vaccine group, and in programmes that do not count it.
fn validity(whole: &Whole, dose: &Given) -> Markup {
    let mut lines: Vec<(bool, String)> = Vec::new();
    if dose.standing != "counted" {
        lines.push((false, say::standing(dose.standing).to_owned()));
    }
    for one in &dose.evaluations {
        let number = one.dose_number.map_or(String::new(), |number| format!(" dose {number}"));
        let reasons: Vec<&str> = one.reasons.iter().map(|reason| say::reason(reason)).collect();
        let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        let line = (one.status == "valid", format!("{}{number}: {}{why}", one.antigen, say::dose(one.status)));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    // Programmes of surveillance evaluate no dose; they say which ones they leave out.
    let clinical = |name: &str| dose.evaluations.iter().any(|one| one.vaccine_group == name);
    for programme in whole.programmes.iter().filter(|one| !clinical(&one.programme)) {
        for invalid in programme.invalid.iter().filter(|invalid| invalid.dose == dose.id) {
            let reasons: Vec<&str> = invalid.reasons.iter().map(|reason| say::reason(reason)).collect();
            lines.push((false, format!("{}: does not count ({})", programme.programme, reasons.join("; "))));
        }
    }
    html! { @if lines.is_empty() { "In no series of the schedule" } @else { ul.plain { @for (is_valid, line) in &lines {
        li { span aria-hidden="true" { @if *is_valid { "✓ " } @else { "✕ " } } (line) }
    } } } }
}

fn records(
    tracker: &Tracker,
    whole: &Whole,
    sheets: &HashMap<String, Sheet>,
    undone: &Undone<'_>,
    now_us: i64,
) -> Markup {
    let how = |link: Link| match link {
        Link::Own => "The first record",
        Link::Auto => "Found by matching",
        Link::Manual => "Linked by somebody",
    };
    let row = |record: &registry::Linked| {
        let sheet = sheets.get(&record.id);
        vec![
            html! { code { (record.id) } },
            html! { (sheet.map_or("No name", Sheet::name)) },
            html! { (sheet.map_or_else(String::new, |sheet| say::day(&sheet.birth))) },
            html! { (sheet.map_or("", |sheet| sheet.source.as_str())) },
            html! { (sheet.map_or_else(String::new, |sheet| words::moment(sheet.updated_us, now_us))) },
            html! { (how(record.link)) },
        ]
    };
    let rows: Vec<_> = whole.records.iter().map(row).collect();
    let heads = [
        Head::Text("Id of the Patient"),
        Head::Text("Name"),
        Head::Text("Born"),
        Head::Text("Source"),
        Head::Text("Last written"),
        Head::Text("Why it is here"),
    ];
    html! {
        h2 #records { "Records of this person" }
        (table("Records are kept as they came; a person is links between them.", &heads, &rows))
        @if whole.records.len() > 1 { (unmerge_form(tracker, whole, sheets, undone)) }
    }
}

fn unmerge_form(tracker: &Tracker, whole: &Whole, sheets: &HashMap<String, Sheet>, undone: &Undone<'_>) -> Markup {
    let wrong = |field: &str| undone.errors.iter().any(|(other, _)| *other == field);
    html! {
        h3 { "A record is of somebody else" }
        p { "Take it out: it goes back to the person it was of before, or becomes a person of its own. Its doses go with it, the numbers change at once, and matching will not link the two again." }
        form.finder method="post" action="/tracker/person/unmerge" {
            (tracker.token_field())
            input type="hidden" name="person" value=(whole.id.to_string());
            fieldset #record tabindex="-1" {
                legend { "Records to take out" }
                (page::error(undone.errors, "record"))
                @for (at, record) in whole.records.iter().enumerate() {
                    div.choice {
                        input type="checkbox" id=(format!("record-{at}")) name="record" value=(record.id)
                            checked[undone.records.contains(&record.id)];
                        label for=(format!("record-{at}")) {
                            (sheets.get(&record.id).map_or("No name", Sheet::name)) ", " (record.id)
                        }
                    }
                }
            }
            label for="why" { "Why (others will read it)" }
            (page::error(undone.errors, "why"))
            input #why name="why" type="text" maxlength="500" value=(undone.why) autocomplete="off"
                aria-invalid=[wrong("why").then_some("true")] aria-describedby=[wrong("why").then_some("why-error")];
            button.warning { "Take out" }
        }
    }
}
