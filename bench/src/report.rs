//! What was measured: one table of requests, one of query classes, one of figures with their targets; or all of it as JSON.

use crate::drive::Measured;
use crate::options::Options;
use serde_json::{Value, json};
use std::fmt::Write;

/// The measurements of a run.
#[derive(Debug)]
pub(crate) struct Report {
    quick: bool,
    rates: Vec<Rate>,
    classes: Vec<Class>,
    figures: Vec<Figure>,
}

/// Requests of one benchmark.
#[derive(Debug)]
struct Rate {
    name: String,
    connections: usize,
    per_second: f64,
    /// p50, p95, p99 and the longest.
    latency_ms: [f64; 4],
    failures: u64,
    first_failure: Option<String>,
    /// Of the server, right after.
    rss_mib: f64,
    server_micros: f64,
    disk_bytes: Option<f64>,
}

/// One class of queries on the small and on the large store.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) name: String,
    /// Hits of all its queries on the large store, on average.
    pub(crate) hits: f64,
    /// With one connection.
    pub(crate) alone_small_ms: f64,
    pub(crate) alone_large_ms: f64,
    /// In the mix on the large store: p50, p99 and the longest.
    pub(crate) mix_ms: [f64; 3],
}

/// What a figure must be; nothing when it is only for information.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    target: Target,
}

impl Target {
    fn reached(self, value: f64) -> Option<bool> {
        match self {
            Target::AtLeast(limit) => Some(value >= limit),
            Target::AtMost(limit) => Some(value <= limit),
            Target::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Target::AtLeast(limit) => format!(">= {limit}"),
            Target::AtMost(limit) => format!("<= {limit}"),
            Target::None => String::new(),
        }
    }
}

impl Report {
    pub(crate) fn new(options: &Options) -> Report {
        Report { quick: options.quick, rates: Vec::new(), classes: Vec::new(), figures: Vec::new() }
    }

    /// Adds the requests of one benchmark; `rss_mib` and `disk_bytes` (per resource) are those of the server.
    pub(crate) fn rate(
        &mut self,
        name: &str,
        connections: usize,
        measured: &Measured,
        rss_mib: f64,
        disk_bytes: Option<f64>,
    ) {
        let all = &measured.all;
        self.rates.push(Rate {
            name: name.to_owned(),
            connections,
            per_second: measured.per_second(),
            latency_ms: [all.percentile_ms(50.0), all.percentile_ms(95.0), all.percentile_ms(99.0), all.max_ms()],
            failures: measured.failures,
            first_failure: measured.first_failure.clone(),
            rss_mib,
            server_micros: measured.server_micros(),
            disk_bytes,
        });
    }

    pub(crate) fn class(&mut self, class: Class) {
        self.classes.push(class);
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &'static str, target: Target) {
        self.figures.push(Figure { name: name.to_owned(), value, unit, target });
    }

    pub(crate) fn failures(&self) -> u64 {
        self.rates.iter().map(|rate| rate.failures).sum()
    }

    pub(crate) fn json(&self) -> Value {
        let rates = self.rates.iter().map(|rate| {
            let [p50, p95, p99, max] = rate.latency_ms;
            json!({ "name": rate.name, "connections": rate.connections, "perSecond": rate.per_second, "p50Ms": p50, "p95Ms": p95,
                "p99Ms": p99, "maxMs": max, "serverCpuMicros": rate.server_micros, "failures": rate.failures, "firstFailure": rate.first_failure,
                "rssMib": rate.rss_mib, "diskBytesPerResource": rate.disk_bytes })
        });
        let classes = self.classes.iter().map(|class| {
            let [p50, p99, max] = class.mix_ms;
            json!({ "name": class.name, "hits": class.hits, "aloneSmallP50Ms": class.alone_small_ms,
                "aloneLargeP50Ms": class.alone_large_ms, "mixP50Ms": p50, "mixP99Ms": p99, "mixMaxMs": max })
        });
        let figures = self.figures.iter().map(|figure| {
            json!({ "name": figure.name, "value": figure.value, "unit": figure.unit, "target": figure.target.text(),
                "reached": figure.target.reached(figure.value) })
        });
        json!({ "quick": self.quick, "rates": rates.collect::<Vec<_>>(), "classes": classes.collect::<Vec<_>>(),
            "figures": figures.collect::<Vec<_>>() })
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        if self.quick {
            out.push_str("quick run on small data: these numbers say nothing about speed\n\n");
        }
        self.write_rates(&mut out);
        self.write_classes(&mut out);
        self.write_figures(&mut out);
        out
    }

    fn write_rates(&self, out: &mut String) {
        line(
            out,
            "| requests | connections | per second | p50 ms | p95 ms | p99 ms | max ms | server CPU us | failures | RSS MiB | disk B/resource |",
        );
        line(out, "|---|---|---|---|---|---|---|---|---|---|---|");
        for rate in &self.rates {
            let [p50, p95, p99, max] = rate.latency_ms;
            let disk = rate.disk_bytes.map_or(String::new(), |bytes| format!("{bytes:.0}"));
            line(
                out,
                &format!(
                    "| {} | {} | {:.0} | {p50:.2} | {p95:.2} | {p99:.2} | {max:.1} | {:.0} | {} | {:.0} | {disk} |",
                    rate.name, rate.connections, rate.per_second, rate.server_micros, rate.failures, rate.rss_mib
                ),
            );
        }
        for rate in self.rates.iter().filter(|rate| rate.failures > 0) {
            line(out, &format!("FAILED {}: {}", rate.name, rate.first_failure.as_deref().unwrap_or_default()));
        }
    }

    fn write_classes(&self, out: &mut String) {
        if self.classes.is_empty() {
            return;
        }
        line(
            out,
            "\n| query class | hits | alone p50 small | alone p50 large | growth | mix p50 ms | mix p99 ms | mix max ms |",
        );
        line(out, "|---|---|---|---|---|---|---|---|");
        for class in &self.classes {
            let growth = class.alone_large_ms / class.alone_small_ms;
            let [p50, p99, max] = class.mix_ms;
            line(
                out,
                &format!(
                    "| {} | {:.0} | {:.3} | {:.3} | {growth:.2} | {p50:.2} | {p99:.2} | {max:.1} |",
                    class.name, class.hits, class.alone_small_ms, class.alone_large_ms
                ),
            );
        }
    }

    fn write_figures(&self, out: &mut String) {
        line(out, "\n| figure | value | target | reached |\n|---|---|---|---|");
        for figure in &self.figures {
            let reached = match figure.target.reached(figure.value) {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            };
            let value = match figure.value {
                value if value < 100.0 => format!("{value:.2}"),
                value => format!("{value:.0}"),
            };
            line(out, &format!("| {} | {value} {} | {} | {reached} |", figure.name, figure.unit, figure.target.text()));
        }
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_judged() {
        assert_eq!(Target::AtLeast(8000.0).reached(7999.9), Some(false));
        assert_eq!(Target::AtMost(50.0).reached(50.0), Some(true));
        assert_eq!(Target::None.reached(0.0), None);
    }

    #[test]
    fn a_missed_target_is_seen_in_both_forms() {
        let mut report = Report { quick: false, rates: Vec::new(), classes: Vec::new(), figures: Vec::new() };
        report.figure("reads", 10.0, "/s", Target::AtLeast(30_000.0));
        assert!(report.text().contains("| reads | 10.00 /s | >= 30000 | NO |"));
        assert_eq!(report.json()["figures"][0]["reached"], false);
    }
}
