//! The page at `/sim/`: what the EMR sees. Plain HTML; a small script keeps the numbers fresh.

use crate::sim::{Sim, State};
use maud::{DOCTYPE, Markup, html};

pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Arrivals on the page.
const SHOWN: usize = 25;

pub(super) fn page(sim: &Sim) -> Markup {
    let state = sim.state();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "emr-sim: " (state.profile) }
                link rel="stylesheet" href="page.css";
                script src="page.js" defer {}
            }
            body {
                main {
                    h1 { "Simulated EMR: " (state.profile) }
                    (numbers("Load", &load(&state)))
                    (numbers("Records", &records(&state)))
                    (numbers("Faults", &faults(&state)))
                    (arrivals(sim, state.arrivals))
                    p { "API: " a href="state" { "state" } ", " a href="arrivals" { "arrivals" } ", " a href="clients" { "clients" } "." }
                }
            }
        }
    }
}

type Rows = Vec<(String, String)>;

fn load(state: &State) -> Rows {
    let row = |name: &str, value: u64| (name.to_owned(), value.to_string());
    let open = if state.open { "open" } else { "down" };
    vec![
        ("Port".to_owned(), open.to_owned()),
        row("Arrivals", state.arrivals),
        row("Arrivals in the last second", state.last_second as u64),
        row("Arrivals in the last minute", state.last_minute as u64),
        row("Most arrivals in any second", state.max_second as u64),
        row("Most arrivals in any minute", state.max_minute as u64),
        row("Times it fell over", state.falls),
        row("Late commits under way", state.late as u64),
    ]
}

fn records(state: &State) -> Rows {
    state.counts.iter().map(|(name, count)| (name.clone(), count.to_string())).collect()
}

fn faults(state: &State) -> Rows {
    let faults = serde_json::to_value(state.faults).unwrap_or_default();
    faults.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.to_string())).collect()
}

fn numbers(title: &str, rows: &Rows) -> Markup {
    html! {
        table {
            caption { (title) }
            tbody {
                @for (name, value) in rows {
                    tr { th scope="row" { (name) } td class="n" { (value) } }
                }
                @if rows.is_empty() { tr { td { "none" } } }
            }
        }
    }
}

fn arrivals(sim: &Sim, last: u64) -> Markup {
    let mut arrivals = sim.arrivals(last.saturating_sub(SHOWN as u64), SHOWN);
    arrivals.reverse();
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Last arrivals" {
            table {
                caption { "Last arrivals" }
                thead { tr {
                    th scope="col" class="n" { "No" }
                    th scope="col" class="n" { "Milliseconds" }
                    th scope="col" { "Request" }
                    th scope="col" { "Kind" }
                    th scope="col" class="n" { "Status" }
                    th scope="col" { "Done" }
                } }
                tbody { @for arrival in &arrivals {
                    tr {
                        td class="n" { (arrival.no) }
                        td class="n" { (arrival.mono_us / 1_000) }
                        td { code { (arrival.method) " " (arrival.path.split('?').next().unwrap_or_default()) } }
                        td { (arrival.kind) }
                        td class="n" { (arrival.status) }
                        td { (arrival.committed.as_deref().unwrap_or("")) }
                    }
                } }
            }
        }
    }
}
