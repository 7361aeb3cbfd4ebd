//! The start page of the demo: what is inside, how fast it is, and what to try. Plain HTML that refreshes itself.

use crate::wiring;
use api::{Metrics, Snapshot};
use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use engine::Engine;
use maud::{DOCTYPE, Markup, html};
use std::sync::{Arc, Mutex};
use std::time::Instant;

struct Demo {
    engine: Engine,
    metrics: Arc<Metrics>,
    url: String,
    /// The numbers of the last view, for rates.
    last: Mutex<(Instant, Snapshot)>,
}

pub(crate) fn router(engine: Engine, metrics: Arc<Metrics>, url: String) -> Router {
    let last = Mutex::new((Instant::now(), metrics.snapshot()));
    Router::new().route("/", get(start)).with_state(Arc::new(Demo { engine, metrics, url, last }))
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733;background:#fff}\
h1{margin:0}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem 1.5rem .25rem 0;text-align:left;border-bottom:1px solid #d5dde5}\
td.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#f1f5f8;padding:.75rem;overflow:auto}a{color:#00539b}\
.numbers{display:flex;flex-wrap:wrap;gap:2rem;margin:1.5rem 0;padding:0;list-style:none}.numbers b{display:block;font-size:1.6rem}";

async fn start(State(demo): State<Arc<Demo>>) -> Html<String> {
    let session = wiring::local_session("page");
    let stats = demo.engine.stats(&session).await.unwrap_or_default();
    let now = demo.metrics.snapshot();
    let rate = demo.last.lock().map_or(0.0, |mut last| {
        let rate = (now.requests - last.1.requests) as f64 / last.0.elapsed().as_secs_f64().max(0.001);
        *last = (Instant::now(), now);
        rate
    });
    Html(page(&demo.url, &stats, &now, rate).into_string())
}

fn page(url: &str, stats: &store::Stats, now: &Snapshot, rate: f64) -> Markup {
    let defs = fhir::defs::r4();
    let total: u64 = stats.counts.iter().map(|(_, count)| count).sum();
    let each = stats.disk_bytes / total.max(1);
    let numbers = [
        (format!("{total}"), "resources"),
        (format!("{rate:.0}/s"), "requests since the last view"),
        (format!("{} µs", now.p50_us), "half of the answers within"),
        (format!("{} µs", now.p99_us), "99 % of the answers within"),
        (format!("{:.1} MB", stats.disk_bytes as f64 / 1e6), "on disk, encrypted"),
        (format!("{each} B"), "per resource"),
    ];
    let examples = [
        ("People called García", "Patient?name=garcia"),
        ("Vaccinated with CVX 208, with their patients", "Immunization?vaccine-code=208&_include=Immunization:patient"),
        (
            "Patients of one clinic who weigh more than 90 kg",
            "Patient?organization=clinic-1&_has:Observation:patient:code-value-quantity=29463-7$gt90",
        ),
        ("Newest blood pressures first", "Observation?code=8480-6&_sort=-date&_count=5"),
        ("How many patients", "Patient?_summary=count"),
        ("Who did what: the audit trail", "AuditEvent?_count=5"),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="5";
                title { "weir demo" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "weir" }
                    p { "A FHIR R4 server with made-up patients. Nobody here is real." }
                    ul.numbers { @for (number, label) in &numbers { li { b { (number) } (label) } } }
                    h2 { "What is inside" }
                    table {
                        thead { tr { th scope="col" { "Type" } th scope="col" { "Resources" } } }
                        tbody {
                            @for (ty, count) in stats.counts.iter().filter(|(_, count)| *count > 0) {
                                @let name = defs.ty(*ty).name;
                                tr {
                                    td { a href=(format!("{url}/fhir/{name}?_count=5&_pretty=true")) { (name) } }
                                    td.n { (count) }
                                }
                            }
                        }
                    }
                    h2 { "Try it" }
                    ul { @for (label, query) in &examples {
                        li { a href=(format!("{url}/fhir/{query}&_pretty=true")) { (label) } }
                    } }
                    pre { code {
                        (format!("curl '{url}/fhir/Patient?name=garcia&_pretty=true'\n"))
                        (format!("curl -X POST '{url}/fhir/Patient' -H 'Content-Type: application/fhir+json' \\\n  -d '{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":\"Ito\"}}]}}'\n"))
                        (format!("curl '{url}/fhir/metadata?_pretty=true'"))
                    } }
                    p { a href=(format!("{url}/openapi.json")) { "OpenAPI" } " · " a href=(format!("{url}/metrics")) { "Metrics" } " · "
                        a href=(format!("{url}/fhir/metadata?_pretty=true")) { "CapabilityStatement" } }
                }
            }
        }
    }
}
