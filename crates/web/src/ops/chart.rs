//! The chart of a destination: drawn on the server, with its numbers in a table beside it.

use super::history::{SPAN_US, Sample};
use crate::words;
use maud::{Markup, html};

/// Of the drawing; it is stretched to the room that the page has.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 90.0;
const MINUTE_US: i64 = 60_000_000;

/// Waiting records above, calls a second below, over the last quarter of an hour. `samples` is not empty;
/// it ends at the newest one, so that it stays the same until there is another.
pub(super) fn chart(samples: &[Sample]) -> Markup {
    let newest = samples[samples.len() - 1];
    let now_us = newest.at_us;
    let depth_max = samples.iter().map(|sample| sample.depth).max().unwrap_or(0);
    let allowed_max = samples.iter().map(|sample| sample.allowed_per_s).fold(0.0, f64::max);
    let rate_max = samples.iter().map(|sample| sample.rate_per_s).fold(allowed_max, f64::max);
    let depth = line(samples, depth_max as f64, |sample| sample.depth as f64);
    let rate = line(samples, rate_max, |sample| sample.rate_per_s);
    let allowed = line(samples, rate_max, |sample| sample.allowed_per_s);
    let first_x = x(samples[0].at_us, now_us);
    let area = format!("{depth} L{WIDTH:.1} {HEIGHT:.1} L{first_x:.1} {HEIGHT:.1} Z");
    let (depth_max, shown_max) = (words::grouped(depth_max), words::rate(rate_max));
    let text = format!(
        "The last 15 minutes. Waiting: {} now, {depth_max} at most. Calls a second: {} now, {} allowed.",
        words::grouped(newest.depth),
        words::rate(newest.rate_per_s),
        words::rate(newest.allowed_per_s)
    );
    html! {
        div.chart role="img" aria-label=(text) {
            (ends("Waiting", &format!("most: {depth_max}")))
            (panel(html! { path.area d=(area) {} path.depth d=(depth) {} }))
            (ends("Calls a second (dashed: allowed)", &format!("most: {shown_max}")))
            (panel(html! { path.allowed d=(allowed) {} path.rate d=(rate) {} }))
            (ends(&words::moment(now_us - SPAN_US, now_us), &words::moment(now_us, now_us)))
        }
    }
}

fn ends(left: &str, right: &str) -> Markup {
    html! { div.ends { span { (left) } span { (right) } } }
}

fn panel(lines: Markup) -> Markup {
    html! { svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" { (lines) } }
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

fn x(at_us: i64, now_us: i64) -> f64 {
    (1.0 - (now_us - at_us) as f64 / SPAN_US as f64).clamp(0.0, 1.0) * WIDTH
}

/// A single sample becomes a short line, so that it can be seen.
fn line(samples: &[Sample], most: f64, of: impl Fn(&Sample) -> f64) -> String {
    let now_us = samples.last().map_or(0, |newest| newest.at_us);
    let mut path = String::new();
    for (at, sample) in samples.iter().enumerate() {
        let share = if most > 0.0 { of(sample) / most } else { 0.0 };
        let (x, y) = (x(sample.at_us, now_us), (1.0 - share) * HEIGHT);
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
        assert!(chart.contains(" L600.0 67.8"), "{chart}");
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
