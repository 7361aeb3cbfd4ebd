//! Charts drawn on the server: as wide as their place, with a title and a description, and different by more than colour.

use super::say;
use crate::words;
use jiff::civil::Date;
use maud::{Markup, html};

/// Of the drawing inside; it is stretched to the room that the page has, its lines are not.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 200.0;
/// Room for the text below, in pixels.
const BELOW: u32 = 24;
/// Points of a line at most.
const POINTS_MAX: usize = 400;
/// Height of a bar with its text, in pixels.
const BAR: usize = 52;
/// Characters of a bar's name: as many as go beside its number on a small screen.
const NAME_CHARS: usize = 32;

/// What a chart is called, and what it shows in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'a> {
    /// Unique on the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
}

/// One value for each day.
#[derive(Clone, Debug)]
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    /// Tells how it is drawn: `first`, `full`, `booster`, `bars`, `mean`.
    pub(super) class: &'a str,
    pub(super) values: Vec<f64>,
}

/// Lines over the days from `first` to `last`. `most` is the value at the top, `unit` comes after the numbers at the side.
pub(super) fn days(
    label: Label<'_>,
    (first, last): (Date, Date),
    (most, unit): (f64, &str),
    all: &[Series<'_>],
) -> Markup {
    let middle = first.saturating_add(jiff::Span::new().days(days_between(first, last) / 2));
    html! {
        (legend(all))
        svg.plot role="img" aria-labelledby=(format!("{0}-title {0}-desc", label.id)) height=(HEIGHT as u32 + BELOW) {
            title id=(format!("{}-title", label.id)) { (label.title) }
            desc id=(format!("{}-desc", label.id)) { (label.text) }
            svg width="100%" height=(HEIGHT) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" {
                @for at in [0.0, 0.5, 1.0] { path.grid d=(format!("M0 {0:.1} H{WIDTH}", y(at, 1.0))) {} }
                @for series in all {
                    @if series.class == "bars" { path.bars d=(bars_path(&series.values, most)) {} }
                    @else { path class=(series.class) d=(line(&series.values, most)) {} }
                }
            }
            text x="0" y="14" { (number(most)) (unit) }
            text x="0" y=(HEIGHT / 2.0 - 4.0) { (number(most / 2.0)) (unit) }
            text x="0" y=(HEIGHT as u32 + 18) { (say::written(first)) }
            text.middle x="50%" y=(HEIGHT as u32 + 18) text-anchor="middle" { (say::written(middle)) }
            text x="100%" y=(HEIGHT as u32 + 18) text-anchor="end" { (say::written(last)) }
        }
    }
}

pub(super) fn days_between(first: Date, last: Date) -> i64 {
    first.until(last).map_or(0, |span| i64::from(span.get_days()))
}

fn legend(all: &[Series<'_>]) -> Markup {
    html! { ul.legend { @for series in all { li {
        svg width="40" height="12" aria-hidden="true" {
            @if series.class == "bars" { path.bars d="M2 12 V3 H8 V12 Z M12 12 V6 H18 V12 Z M22 12 V1 H28 V12 Z" {} }
            @else { path class=(series.class) d="M0 6 H40" {} }
        }
        " " (series.name)
    } } } }
}

fn y(value: f64, most: f64) -> f64 {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    // A line at the very edge would be cut in half.
    1.5 + (1.0 - share) * (HEIGHT - 3.0)
}

fn line(values: &[f64], most: f64) -> String {
    let mut path = String::new();
    let step = values.len().div_ceil(POINTS_MAX).max(1);
    let last = values.len().saturating_sub(1);
    for (at, value) in values.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last) {
        let x = if last == 0 { 0.0 } else { at as f64 / last as f64 * WIDTH };
        path.push_str(&format!("{}{x:.1} {:.1}", if path.is_empty() { "M" } else { " L" }, y(*value, most)));
    }
    if last == 0 {
        path.push_str(&format!(" H{WIDTH}"));
    }
    path
}

fn bars_path(values: &[f64], most: f64) -> String {
    let room = WIDTH / values.len().max(1) as f64;
    let mut path = String::new();
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        let left = at as f64 * room + room * 0.1;
        path.push_str(&format!("M{left:.1} {HEIGHT} V{:.1} h{:.1} V{HEIGHT} Z ", y(*value, most), room * 0.8));
    }
    path
}

/// A round number that is not below `value`: the top of a chart.
pub(super) fn top(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let size = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].into_iter().map(|step| step * size).find(|top| *top >= value).unwrap_or(value)
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { words::grouped(value as u64) } else { format!("{value:.1}") }
}

/// One bar with up to three parts, whose heights differ as their colours do.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    /// Beside the name.
    pub(super) text: String,
    /// Shares of the whole width.
    pub(super) parts: [f64; 3],
}

pub(super) fn bars(label: Label<'_>, all: &[Bar]) -> Markup {
    html! {
        svg.plot role="img" aria-labelledby=(format!("{0}-title {0}-desc", label.id)) height=(all.len() * BAR) {
            title id=(format!("{}-title", label.id)) { (label.title) }
            desc id=(format!("{}-desc", label.id)) { (label.text) }
            @for (at, bar) in all.iter().enumerate() {
                text x="0" y=(at * BAR + 18) { (cut(&bar.name)) }
                text x="100%" y=(at * BAR + 18) text-anchor="end" { (bar.text) }
                rect.frame x="0" y=(at * BAR + 25) width="100%" height="16" {}
                (part(bar, at * BAR, 0))
                (part(bar, at * BAR, 1))
                (part(bar, at * BAR, 2))
            }
        }
    }
}

fn part(bar: &Bar, top: usize, at: usize) -> Markup {
    let from: f64 = bar.parts[..at].iter().sum();
    let (down, height) = [(25, 16), (31, 10), (37, 4)][at];
    let class = ["part-full", "part-partial", "part-other"][at];
    html! { @if bar.parts[at] > 0.0 {
        rect class=(class) x=(percent(from)) y=(top + down) width=(percent(bar.parts[at])) height=(height) {}
    } }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}…", name[..end].trim_end()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_chart_is_a_round_number() {
        assert_eq!([0.0, 0.7, 3.0, 41.0, 100.0, 4_300.0].map(top), [1.0, 1.0, 4.0, 50.0, 100.0, 5_000.0]);
    }

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let label = Label { id: "c", title: "Doses <a day>", text: "10 at most" };
        let series = Series { name: "Doses", class: "bars", values: vec![0.0, 10.0] };
        let days = (Date::constant(2021, 4, 1), Date::constant(2021, 4, 2));
        let svg = super::days(label, days, (10.0, ""), &[series]).into_string();
        assert!(svg.contains("<title id=\"c-title\">Doses &lt;a day&gt;</title>"), "{svg}");
        assert!(svg.contains("<desc id=\"c-desc\">10 at most</desc>"), "{svg}");
        assert!(svg.contains("M330.0 200 V1.5 h240.0"), "one bar to the top: {svg}");
    }

    #[test]
    fn a_long_line_is_drawn_with_few_points_to_its_end() {
        let path = line(&vec![1.0; 5_000], 1.0);
        assert!(path.matches('L').count() <= POINTS_MAX + 1);
        assert!(path.ends_with("600.0 1.5"), "{path}");
    }
}
