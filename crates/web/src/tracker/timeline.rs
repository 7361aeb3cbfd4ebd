//! Doses of a person on a line of time: one row for each vaccine group, drawn on the server.

use super::say;
use jiff::civil::Date;
use maud::{Markup, html};
use registry::{Given, Whole};
use std::collections::BTreeMap;

/// Height of a row with its name, in pixels.
const ROW: usize = 56;
/// Rows at most: the table has all.
const ROWS_MAX: usize = 16;

/// How a dose is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Valid,
    /// In no series of the group valid.
    Invalid,
    /// The next dose, on the recommended day.
    Next,
}

/// Marks by vaccine group.
fn marks(whole: &Whole) -> BTreeMap<String, Vec<(Date, Kind)>> {
    let mut rows: BTreeMap<String, Vec<(Date, Kind)>> = BTreeMap::new();
    for dose in whole.doses.iter().filter(|dose| dose.standing == "counted") {
        let Some(day) = day(dose) else { continue };
        let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
        for evaluation in &dose.evaluations {
            *groups.entry(&evaluation.vaccine_group).or_default() |= evaluation.status == "valid";
        }
        for (group, is_valid) in groups {
            rows.entry(group.to_owned()).or_default().push((day, if is_valid { Kind::Valid } else { Kind::Invalid }));
        }
    }
    for next in &whole.recommendations {
        let day = next.recommended.as_deref().and_then(|day| day.parse().ok());
        if let (Some(day), Some(row)) = (day, rows.get_mut(&next.vaccine_group)) {
            row.push((day, Kind::Next));
        }
    }
    rows
}

fn day(dose: &Given) -> Option<Date> {
    dose.date.as_deref()?.parse().ok()
}

pub(super) fn timeline(whole: &Whole) -> Markup {
    let rows = marks(whole);
    let Ok(today) = whole.as_of.parse::<Date>() else { return html! {} };
    let days = rows.values().flatten().map(|(day, _)| *day);
    let (Some(first), Some(last)) = (days.clone().min(), days.max()) else { return html! {} };
    let (first, last) = (first.min(today), last.max(today));
    let span = super::chart::days_between(first, last).max(1) as f64;
    // A little room at both ends, so that no mark is cut.
    let x = |day: Date| format!("{:.2}%", 3.0 + super::chart::days_between(first, day) as f64 / span * 94.0);
    let height = rows.len().min(ROWS_MAX) * ROW;
    html! {
        ul.legend {
            li { (sample(Kind::Valid)) " valid dose (filled circle)" }
            li { (sample(Kind::Invalid)) " dose that does not count (cross)" }
            li { (sample(Kind::Next)) " next dose recommended (empty square)" }
            li { svg width="24" height="24" aria-hidden="true" { path.today d="M12 0 V24" {} } " today" }
        }
        svg.plot role="img" aria-labelledby="timeline-title timeline-desc" height=(height + 24) {
            title #timeline-title { "Doses by vaccine group over time" }
            desc #timeline-desc { (words(&rows)) }
            line.today x1=(x(today)) x2=(x(today)) y1="0" y2=(height) {}
            @for (at, (group, marks)) in rows.iter().take(ROWS_MAX).enumerate() {
                text x="0" y=(at * ROW + 18) { (group) }
                line.grid x1="0" x2="100%" y1=(at * ROW + 38) y2=(at * ROW + 38) {}
                @for (day, kind) in marks {
                    svg x=(x(*day)) y=(at * ROW + 26) width="24" height="24" overflow="visible" { (shape(*kind)) }
                }
            }
            text x="0" y=(height + 18) { (say::written(first)) }
            text x="100%" y=(height + 18) text-anchor="end" { (say::written(last)) }
        }
        @if rows.len() > ROWS_MAX { p { "The first " (ROWS_MAX) " of " (rows.len()) " vaccine groups are drawn. The table has all." } }
    }
}

fn words(rows: &BTreeMap<String, Vec<(Date, Kind)>>) -> String {
    let one = |(day, kind): &(Date, Kind)| {
        let what = match kind {
            Kind::Valid => "valid",
            Kind::Invalid => "does not count",
            Kind::Next => "next dose recommended",
        };
        format!("{} {what}", say::written(*day))
    };
    let row = |(group, marks): (&String, &Vec<(Date, Kind)>)| {
        format!("{group}: {}", marks.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    rows.iter().map(row).collect::<Vec<_>>().join("; ")
}

/// Around the point 0, 12.
fn shape(kind: Kind) -> Markup {
    html! { @match kind {
        Kind::Valid => { circle.valid cx="0" cy="12" r="7" {} }
        Kind::Invalid => { path.invalid d="M-6 6 L6 18 M6 6 L-6 18" {} }
        Kind::Next => { rect.next x="-6" y="6" width="12" height="12" {} }
    } }
}

fn sample(kind: Kind) -> Markup {
    html! { svg width="24" height="24" viewBox="-12 0 24 24" aria-hidden="true" { (shape(kind)) } }
}
