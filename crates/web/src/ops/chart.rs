//! The chart of a destination: drawn on the server, with its numbers in a table beside it.

use super::history::{SPAN_US, Sample};
use crate::words;
use maud::{Markup, html};

const WIDTH: f64 = 600.0;
/// Of one of the two panels.
const HEIGHT: f64 = 90.0;
/// Above a panel, for what it shows.
const HEAD: f64 = 26.0;
const MINUTE_US: i64 = 60_000_000;

/// Waiting records above, calls a second below, over the last quarter of an hour. `samples` is not empty;
/// it ends at the newest one, so that it stays the same until there is another.
pub(super) fn chart(samples: &[Sample]) -> Markup {
    let newest = samples[samples.len() - 1];
    let now_us = newest.at_us;
    let depth_max = samples.iter().map(|sample| sample.depth).max().unwrap_or(0);
    let allowed_max = samples.iter().map(|sample| sample.allowed_per_s).fold(0.0, f64::max);
    let rate_max = samples.iter().map(|sample| sample.rate_per_s).fold(allowed_max, f64::max);
    let depth = line(samples, now_us, depth_max as f64, 0, |sample| sample.depth as f64);
    let rate = line(samples, now_us, rate_max, 1, |sample| sample.rate_per_s);
    let allowed = line(samples, now_us, rate_max, 1, |sample| sample.allowed_per_s);
    let (depth_max, shown_max) = (words::grouped(depth_max), words::rate(rate_max));
    let text = format!(
        "The last 15 minutes. Waiting: {} now, {depth_max} at most. Calls a second: {} now, {} allowed.",
        words::grouped(newest.depth),
        words::rate(newest.rate_per_s),
        words::rate(newest.allowed_per_s)
    );
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {}", bottom(1) + 24.0)) role="img" aria-label=(text) {
            text x="0" y=(top(0) - 8.0) { "Waiting" }
            text.end x=(WIDTH) y=(top(0) - 8.0) { "most: " (depth_max) }
            (frame(0))
            path.area d=(format!("{depth} L{:.1} {:.1} L{:.1} {:.1} Z", x(newest.at_us, now_us), bottom(0), x(samples[0].at_us, now_us), bottom(0))) {}
            path.depth d=(depth) {}
            text x="0" y=(top(1) - 8.0) { "Calls a second, and what is allowed (dashed)" }
            text.end x=(WIDTH) y=(top(1) - 8.0) { "most: " (shown_max) }
            (frame(1))
            path.allowed d=(allowed) {}
            path.rate d=(rate) {}
            text x="0" y=(bottom(1) + 18.0) { (words::moment(now_us - SPAN_US, now_us)) }
            text.end x=(WIDTH) y=(bottom(1) + 18.0) { (words::moment(now_us, now_us)) }
        }
    }
}

/// One row for each minute, newest first: the last sample in it.
pub(super) fn rows(samples: &[Sample]) -> Markup {
    let now_us = samples.last().map_or(0, |newest| newest.at_us);
    let mut minutes: Vec<Sample> = Vec::new();
    for sample in samples.iter().rev() {
        let minute = |sample: &Sample| sample.at_us.div_euclid(MINUTE_US);
        if minutes.last().is_none_or(|last| minute(last) != minute(sample)) {
            minutes.push(*sample);
        }
    }
    html! {
        @for sample in &minutes { tr {
            th scope="row" { (words::moment(sample.at_us, now_us)) }
            td.count { (words::grouped(sample.depth)) }
            td.count { (words::rate(sample.rate_per_s)) }
            td.count { (words::rate(sample.allowed_per_s)) }
        } }
    }
}

fn top(panel: u8) -> f64 {
    HEAD + f64::from(panel) * (HEIGHT + HEAD + 8.0)
}

fn bottom(panel: u8) -> f64 {
    top(panel) + HEIGHT
}

fn frame(panel: u8) -> Markup {
    html! {
        path.frame d=(format!("M0 {0:.1} H{WIDTH} M0 {1:.1} H{WIDTH}", top(panel), bottom(panel))) {}
    }
}

fn x(at_us: i64, now_us: i64) -> f64 {
    (1.0 - (now_us - at_us) as f64 / SPAN_US as f64).clamp(0.0, 1.0) * WIDTH
}

/// A single sample becomes a short line, so that it can be seen.
fn line(samples: &[Sample], now_us: i64, most: f64, panel: u8, of: impl Fn(&Sample) -> f64) -> String {
    let mut path = String::new();
    for (at, sample) in samples.iter().enumerate() {
        let share = if most > 0.0 { of(sample) / most } else { 0.0 };
        let (x, y) = (x(sample.at_us, now_us), bottom(panel) - share * HEIGHT);
        if at == 0 {
            path.push_str(&format!("M{:.1} {y:.1}", (x - 2.0).max(0.0)));
        }
        path.push_str(&format!(" L{x:.1} {y:.1}"));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_us: i64, depth: u64) -> Sample {
        Sample { at_us, depth, rate_per_s: 5.0, allowed_per_s: 20.0 }
    }

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let now = 1_795_521_600_000_000;
        let chart = chart(&[sample(now - 30_000_000, 5_000), sample(now, 1_234)]).into_string();
        let words = "The last 15 minutes. Waiting: 1,234 now, 5,000 at most. Calls a second: 5.0 now, 20.0 allowed.";
        assert!(chart.contains(&format!("aria-label=\"{words}\"")), "{chart}");
        // The newest point is at the right edge, a quarter of the way up of what is most.
        assert!(chart.contains(" L600.0 93.8"), "{chart}");
    }

    #[test]
    fn the_table_has_a_row_for_each_minute() {
        let now = 1_795_521_600_000_000;
        let samples: Vec<Sample> = (0..12).map(|n| sample(now - 110_000_000 + n * 10_000_000, n as u64)).collect();
        let rows = rows(&samples).into_string();
        assert_eq!(rows.matches("<tr>").count(), 3, "{rows}");
        let first = rows.split("</tr>").next().unwrap();
        assert!(first.contains("12:00 UTC") && first.contains(">11<"), "{first}");
    }
}
