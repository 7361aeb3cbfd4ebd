//! The page at `/sim/`: what the EMR sees. Plain HTML that reloads itself.

use crate::sim::Sim;
use maud::{DOCTYPE, Markup, html};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1b;\
background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid \
#ccc}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.scroll{overflow-x:auto}code{font-size:.9em}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}th,td{border-color:#444}}";

/// Arrivals on the page.
const SHOWN: usize = 25;

pub(super) fn page(sim: &Sim) -> Markup {
    let state = sim.state();
    let after = state.arrivals.saturating_sub(SHOWN as u64);
    let mut arrivals = sim.arrivals(after, SHOWN);
    arrivals.reverse();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="refresh" content="2";
                title { "emr-sim: " (state.profile) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Simulated EMR: " (state.profile) }
                    div class="scroll" { table {
                        caption { "Load" }
                        tbody {
                            @for (name, value) in [
                                ("Arrivals", state.arrivals.to_string()),
                                ("Arrivals in the last second", state.last_second.to_string()),
                                ("Arrivals in the last minute", state.last_minute.to_string()),
                                ("Most arrivals in any second", state.max_second.to_string()),
                                ("Most arrivals in any minute", state.max_minute.to_string()),
                                ("Times it fell over", state.falls.to_string()),
                                ("Late commits under way", state.late.to_string()),
                                ("Open", if state.open { "yes" } else { "no" }.to_owned()),
                            ] {
                                tr { th scope="row" { (name) } td class="n" { (value) } }
                            }
                        }
                    } }
                    div class="scroll" { table {
                        caption { "Records" }
                        thead { tr { th { "Type" } th class="n" { "Number" } } }
                        tbody { @for (name, count) in &state.counts {
                            tr { td { (name) } td class="n" { (count) } }
                        } }
                    } }
                    div class="scroll" { table {
                        caption { "Last arrivals" }
                        thead { tr { th class="n" { "No" } th class="n" { "Milliseconds" } th { "Request" } th { "Kind" } th class="n" { "Status" } th { "Done" } } }
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
                    } }
                    p { "API: " code { "/sim/state" } ", " code { "/sim/arrivals?after=&limit=" } ", " code { "/sim/records/TYPE" } "." }
                }
            }
        }
    }
}
