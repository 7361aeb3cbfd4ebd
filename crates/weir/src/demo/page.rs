//! The start page of the demo: what is inside, how fast it is, and what to try.
//!
//! Plain HTML that needs no script; a small one keeps the numbers fresh. Links are relative, so that the page also works
//! through a forwarded port.

use crate::demo::campaign::Campaign;
use crate::demo::flood::{self, Flood};
use crate::wiring;
use api::{Metrics, Snapshot};
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use delivery::Desk;
use engine::Engine;
use maud::{Markup, html};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use web::layout::{self, Page};
use web::words::grouped;

struct Demo {
    engine: Engine,
    metrics: Arc<Metrics>,
    url: String,
    shown: Shown,
    /// The numbers of the last view, for rates.
    last: Mutex<(Instant, Snapshot)>,
}

/// What goes on while somebody looks.
pub(crate) struct Shown {
    pub(crate) flood: Option<Flood>,
    pub(crate) campaign: Campaign,
    pub(crate) desk: Desk,
}

const SCRIPT: &str = include_str!("page.js");

pub(crate) fn router(engine: Engine, metrics: Arc<Metrics>, url: String, shown: Shown) -> Router {
    let last = Mutex::new((Instant::now(), metrics.snapshot()));
    let file = |kind: &'static str, text: &'static str| get(async move || layout::file(kind, text));
    Router::new()
        .route("/", get(start))
        .route("/start.css", file(layout::CSS, layout::STYLE))
        .route("/start.js", file(layout::JAVASCRIPT, SCRIPT))
        .with_state(Arc::new(Demo { engine, metrics, url, shown, last }))
}

async fn start(State(demo): State<Arc<Demo>>) -> impl IntoResponse {
    let session = wiring::local_session("page");
    let stats = demo.engine.stats(&session).await.unwrap_or_default();
    let now = demo.metrics.snapshot();
    let rate = demo.last.lock().map_or(0.0, |mut last| {
        let rate = (now.requests - last.1.requests) as f64 / last.0.elapsed().as_secs_f64().max(0.001);
        *last = (Instant::now(), now);
        rate
    });
    page(&demo, &stats, &now, rate)
}

/// Searches that find something in the made-up population.
const SEARCHES: [(&str, &str); 6] = [
    ("People called García, with or without the accent", "Patient?name=garcia"),
    (
        "Vaccinated with CVX 208, together with the patients",
        "Immunization?vaccine-code=208&_include=Immunization:patient",
    ),
    (
        "Patients of clinic 1 who weigh more than 90 kg",
        "Patient?organization=clinic-1&_has:Observation:patient:code-value-quantity=29463-7$gt90",
    ),
    ("The newest five blood pressures", "Observation?code=8480-6&_sort=-date&_count=5"),
    ("How many patients there are", "Patient?_summary=count"),
    ("Who did what: the audit trail", "AuditEvent?_count=5"),
];

/// What the types of the made-up population are, for those who do not speak FHIR.
fn meaning(name: &str) -> &'static str {
    match name {
        "Patient" => "people in care",
        "Encounter" => "visits",
        "Observation" => "measurements and results",
        "Immunization" => "vaccinations given",
        "Organization" => "clinics",
        "Location" => "places",
        "Practitioner" => "doctors and nurses",
        _ => "",
    }
}

fn page(demo: &Demo, stats: &store::Stats, now: &Snapshot, rate: f64) -> Page<'static> {
    Page {
        title: "weir demo",
        header: html! { "weir demo" },
        style: "/start.css",
        script: "/start.js",
        content: html! {
            h1 { "A FHIR R4 server with made-up patients" }
            p.lead { "Everything in it can be read, searched and changed. Nobody in it is real." }
            (numbers(stats, now, rate))
            @if let Some(flood) = &demo.shown.flood { (held_back(flood, &demo.shown.desk)) }
            (vaccinated(&demo.shown.campaign))
            (inside(stats))
            (searches())
            (commands(&demo.url))
        },
        footer: html! {
            p { a href="/tracker" { "Who is vaccinated (vaccine tracker)" } }
            p { a href="/ops" { "What is on its way to other systems (operations)" } }
            p { a href="/fhir/metadata?_pretty=true" { "What the server can do (CapabilityStatement)" } }
            p { a href="/openapi.json" { "Description of the API (OpenAPI)" } }
            p { a href="/metrics" { "Metrics for Prometheus" } }
        },
        forms: false,
    }
}

fn numbers(stats: &store::Stats, now: &Snapshot, rate: f64) -> Markup {
    let total: u64 = stats.counts.iter().map(|(_, count)| count).sum();
    let numbers = [
        ("resources", grouped(total), "resources stored"),
        ("requests", grouped(now.requests), "requests answered since the start"),
        ("rate", format!("{rate:.0}"), "requests each second, since the last look"),
        ("half", within(now, now.p50_us), "for half of the requests"),
        ("most", within(now, now.p99_us), "for 99 of 100 requests"),
        (
            "disk",
            format!("{:.1} MB", stats.disk_bytes as f64 / 1e6),
            "on disk, encrypted, indexes and history included",
        ),
    ];
    html! {
        h2 { "Right now" }
        dl.numbers { @for (key, number, label) in &numbers {
            div { dt { (label) } dd data-live=(key) { (number) } }
        } }
        button #updating type="button" hidden { "Stop updating" }
        p.state.aside #state role="status" { "Load the page again for new numbers." }
    }
}

/// Both sides of the weir: what comes in, and what the EMR gets.
fn held_back(flood: &Flood, desk: &Desk) -> Markup {
    let emr = flood.sim.state();
    let status = desk.get("default", flood::NAME).map(|handle| handle.status());
    let waiting = status.as_ref().map_or(0, |status| status.depth);
    let left = match status.and_then(|status| status.eta_s) {
        Some(seconds) if seconds > 90.0 => format!("{:.0} minutes", seconds / 60.0),
        Some(seconds) => format!("{seconds:.0} seconds"),
        None => "not known".to_owned(),
    };
    let there: usize = ["Patient", "Appointment"].iter().filter_map(|name| emr.counts.get(*name)).sum();
    let numbers = [
        ("flood-in", grouped(flood.sent().into()), "registrations and bookings taken in"),
        ("flood-waiting", grouped(waiting), "held back by weir, safe on disk"),
        ("flood-there", grouped(there as u64), "at the EMR"),
        ("flood-second", emr.last_second.to_string(), "reached the EMR in the last second"),
        ("flood-most", emr.max_second.to_string(), "at most in any second so far"),
        ("flood-left", left, "until the EMR has caught up"),
    ];
    html! {
        h2 { "The flood" }
        p { (grouped(flood.planned.into())) " registrations and bookings arrive within a minute. The EMR behind weir takes "
            (flood::EMR_RATE_PER_S) " a second: above that it slows down, fails and falls over." }
        dl.numbers { @for (key, number, label) in &numbers {
            div { dt { (label) } dd data-live=(key) { (number) } }
        } }
        p { a href="/ops" { "What is on its way" } }
        p { a href=(format!("http://{}/sim/", flood.sim.address())) { "The EMR's own page, with everything that has reached it" } }
    }
}

/// The campaign, and the way to the tracker's pages.
fn vaccinated(campaign: &Campaign) -> Markup {
    let numbers = [
        ("campaign-recorded", grouped(campaign.recorded().into()), "vaccinations recorded"),
        ("campaign-recognised", grouped(campaign.recognised().into()), "of them for people whom weir recognised"),
    ];
    html! {
        h2 { "Who is vaccinated" }
        @if campaign.planned > 0 {
            p { (grouped(campaign.planned.into())) " vaccinations against COVID-19 are recorded at six clinics. Second doses come from \
                other clinics now and then, with names that are misspelt: weir finds the person all the same." }
            dl.numbers { @for (key, number, label) in &numbers {
                div { dt { (label) } dd data-live=(key) { (number) } }
            } }
        }
        p { a href="/tracker?programme=covid-19-primary" { "Coverage, doses and clinics, live" } }
        p { a href="/tracker/review" { "Records that may be one person, for somebody to decide" } }
    }
}

fn inside(stats: &store::Stats) -> Markup {
    let defs = fhir::defs::r4();
    html! {
        h2 { "What is inside" }
        table {
            caption { "Current resources of each type. A link shows the newest five as JSON." }
            thead { tr {
                th scope="col" { "Type" }
                th.what scope="col" { "What it is" }
                th.count scope="col" { "Resources" }
            } }
            tbody { @for (ty, count) in stats.counts.iter().filter(|(_, count)| *count > 0) {
                @let name = defs.ty(*ty).name;
                tr {
                    th scope="row" { a href=(format!("/fhir/{name}?_count=5&_pretty=true")) { (name) } }
                    td.what { (meaning(name)) }
                    td.count data-live=(name) { (grouped(*count)) }
                }
            } }
        }
    }
}

fn searches() -> Markup {
    html! {
        h2 { "Try a search" }
        ul.searches { @for (label, query) in &SEARCHES {
            li { a href=(format!("/fhir/{query}&_pretty=true")) { (label) } code { "/fhir/" (query) } }
        } }
    }
}

fn commands(url: &str) -> Markup {
    let commands = [
        ("Search", format!("curl '{url}/fhir/Patient?name=garcia&_pretty=true'")),
        (
            "Create a patient",
            format!(
                "curl -X POST '{url}/fhir/Patient' -H 'Content-Type: application/fhir+json' \\\n  \
                 -d '{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":\"Ito\"}}]}}'"
            ),
        ),
        (
            "Search, and take the vaccinations along",
            format!("curl '{url}/fhir/Patient?name=garcia&_revinclude=Immunization:patient&_pretty=true'"),
        ),
    ];
    html! {
        h2 { "From the command line" }
        @for (title, command) in &commands { h3 { (title) } pre { code { (command) } } }
    }
}

/// A latency as people say it; the snapshot holds upper bounds.
fn within(now: &Snapshot, us: u64) -> String {
    match us {
        _ if now.requests == 0 => "no request yet".to_owned(),
        0..1_000 => format!("within {us} µs"),
        _ => format!("within {} ms", us / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_written_for_people() {
        let mut now = Snapshot { requests: 0, in_flight: 0, p50_us: 0, p99_us: 0 };
        assert_eq!(within(&now, 0), "no request yet");
        now.requests = 1;
        assert_eq!([400, 20_000].map(|us| within(&now, us)), ["within 400 µs", "within 20 ms"]);
    }
}
