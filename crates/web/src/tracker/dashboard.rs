//! `/tracker`: how many are vaccinated, in one programme.

use super::names::Places;
use super::numbers::Numbers;
use super::refused::InPage;
use super::{Shared, Tracker, link, page, say, sections, value};
use crate::ops::origin;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use engine::Session;
use maud::{Markup, html};
use registry::Definition;
use std::time::Duration;

/// A section with a chart: key of its parts, heading, what is counted, name of its file.
struct Section {
    key: &'static str,
    title: &'static str,
    counts: &'static str,
    of: Of,
    file: &'static str,
}

/// What the numbers of a section are of.
enum Of {
    People,
    Doses,
    /// Doses of all programmes.
    All,
}

const CHARTS: [Section; 8] = [
    Section {
        key: "curve",
        title: "How the coverage grew",
        counts: "People by the day on which they reached a first dose that counts, were fully vaccinated, or had a booster. \
                 Each day includes the days before.",
        of: Of::People,
        file: "coverage.csv",
    },
    Section {
        key: "given",
        title: "Doses a day",
        counts: "Doses by the day on which they were given. The line is the mean of the day and the six days before.",
        of: Of::Doses,
        file: "doses.csv",
    },
    Section {
        key: "reported",
        title: "Doses a day, as they were reported",
        counts: "Doses of all vaccines by the day on which weir was told. When this lags behind the days on which they were \
                 given, the newest numbers above will still grow.",
        of: Of::All,
        file: "reported.csv",
    },
    Section {
        key: "ages",
        title: "By age",
        counts: "People by their age this month.",
        of: Of::People,
        file: "ages.csv",
    },
    Section {
        key: "regions",
        title: "By region",
        counts: "People by the first three digits of their postal code, or their state or country where there is none.",
        of: Of::People,
        file: "regions.csv",
    },
    Section { key: "sexes", title: "By sex", counts: "People by sex as recorded.", of: Of::People, file: "sexes.csv" },
    Section {
        key: "clinics",
        title: "Doses by clinic",
        counts: "Doses by where they were given.",
        of: Of::Doses,
        file: "clinics.csv",
    },
    Section {
        key: "vaccines",
        title: "Doses by vaccine",
        counts: "Doses by the vaccine's name in CDC's code list (CVX).",
        of: Of::Doses,
        file: "vaccines.csv",
    },
];

const TABLES: [Section; 3] = [
    Section {
        key: "lots",
        title: "Doses by lot",
        counts: "Follow a lot to the people who got it, for example after a recall.",
        of: Of::Doses,
        file: "lots.csv",
    },
    Section {
        key: "invalid",
        title: "Doses that do not count",
        counts: "By reason and clinic, so that a clinic can be told.",
        of: Of::Doses,
        file: "invalid.csv",
    },
    Section {
        key: "quality",
        title: "Quality of the data",
        counts: "What is missing, late or double in what weir was told.",
        of: Of::All,
        file: "quality.csv",
    },
];

pub(super) async fn show(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["programme", "denominator"])?;
    let programme = tracker.programme(value(&pairs, "programme"))?;
    let denominator = tracker.denominator(&session, value(&pairs, "denominator"))?;
    let numbers = tracker.numbers(&session, &programme, denominator, Duration::ZERO)?;
    let places = tracker.places(&session, &numbers, true).await?;
    let has_census = tracker.registry.census(&session.tenant, tracker.registry.today()).is_some();
    Ok(page::page("/tracker", &programme.title, content(&tracker, &numbers, &places, has_census)))
}

fn content(tracker: &Tracker, numbers: &Numbers, places: &Places, has_census: bool) -> Markup {
    let parts = sections::parts(numbers, places);
    let part = |key: &str| parts.iter().find(|(other, _)| *other == key).map(|(_, markup)| markup);
    let programme = &numbers.definition;
    let events = link("/tracker/events", &chosen(numbers));
    let has_people = numbers.people.persons.unwrap_or(0) > 0;
    html! {
        h1 { "Who is vaccinated: " (programme.title) }
        (chooser(tracker, numbers, has_census))
        div.live {
            button.secondary #updating type="button" data-events=(events) hidden { "Stop updating" }
            p.state.aside #state role="status" { "These are the numbers of when the page was loaded. Load it again for new ones." }
        }
        @if !has_people {
            p.notice { "Nobody is known yet. Send Patients and Immunizations to /fhir, or vaccinations to /vaccines: they are counted at once." }
        }
        dl.numbers data-live="people" { (part("people").unwrap_or(&html! {})) }
        (definition(numbers, &Of::People, part("as-of")))
        div data-live="doubt" { (part("doubt").unwrap_or(&html! {})) }
        h2 { "Lists of people" }
        div data-live="lists" { (part("lists").unwrap_or(&html! {})) }
        @for section in &CHARTS {
            section {
                h2 { (section.title) }
                p { (section.counts) }
                div data-live=(section.key) { (part(section.key).unwrap_or(&html! {})) }
                @let rows = format!("{}-rows", section.key);
                details {
                    summary { "The numbers of the chart" span.hidden { ": " (section.title) } }
                    div data-live=(rows) { (part(&rows).unwrap_or(&html! {})) }
                }
                (definition(numbers, &section.of, part("as-of")))
                (download(numbers, section))
            }
        }
        @for section in &TABLES {
            section {
                h2 { (section.title) }
                p { (section.counts) }
                div data-live=(section.key) { (part(section.key).unwrap_or(&html! {})) }
                (definition(numbers, &section.of, part("as-of")))
                (download(numbers, section))
            }
        }
    }
}

/// The parameters that lead to these numbers.
fn chosen(numbers: &Numbers) -> Vec<(&'static str, &str)> {
    let census = numbers.census.is_some().then_some(("denominator", "census"));
    [("programme", numbers.definition.id.as_str())].into_iter().chain(census).collect()
}

fn chooser(tracker: &Tracker, numbers: &Numbers, has_census: bool) -> Markup {
    let chosen = &numbers.definition;
    let all = tracker.registry.definitions().list();
    let group = |name: &str, clinical: bool| {
        html! { optgroup label=(name) {
            @for one in all.iter().filter(|one| (one.calculator == "clinical") == clinical) {
                option value=(one.id) selected[one.id == chosen.id] { (one.title) }
            }
        } }
    };
    html! {
        form.chooser method="get" action="/tracker" {
            label for="programme" { "Programme: what counts as vaccinated" }
            select #programme name="programme" {
                (group("Tables that say which doses count (surveillance)", false))
                (group("CDC's immunization schedule (clinical)", true))
            }
            @if has_census { (of_whom(numbers)) }
            button { "Show" }
        }
    }
}

/// What shares are of.
fn of_whom(numbers: &Numbers) -> Markup {
    let is_census = numbers.census.is_some();
    html! {
        label for="denominator" { "Shares of" }
        select #denominator name="denominator" {
            option value="known" selected[!is_census] { "the people known here" }
            option value="census" selected[is_census] { "everybody, by the census table" }
        }
    }
}

/// What a number means, next to it.
fn definition(numbers: &Numbers, of: &Of, as_of: Option<&Markup>) -> Markup {
    let Definition { title, calculator, version, .. } = &numbers.definition;
    html! { p.aside.definition {
        @match of {
            Of::All => "All vaccines and programmes. ",
            Of::People | Of::Doses => {
                "Definition: " (title) ". Calculator: " (say::calculator(calculator)) ", version " (version) ". "
            }
        }
        @match of {
            Of::People => {
                "Shares are of: " (numbers.denominator) ". "
                @if numbers.census.is_some() { "Not vaccinated: who is left of the table. Shares above 95% are not told apart. " }
            }
            Of::Doses => "Doses, not people; each event once. ",
            Of::All => "",
        }
        "As of " span data-live="as-of" { (as_of.unwrap_or(&html! {})) } "."
    } }
}

fn download(numbers: &Numbers, section: &Section) -> Markup {
    let href = link(&format!("/tracker/export/{}", section.file), &chosen(numbers));
    html! { p { a href=(href) { "Download as CSV" span.hidden { ": " (section.title) } } " (numbers that are too small are hidden)" } }
}
