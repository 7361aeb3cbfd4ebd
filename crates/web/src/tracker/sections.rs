//! The parts of `/tracker` that move, each with the key by which the page's script finds its place.

use super::chart::{self, Bar, Label, Series};
use super::names::Places;
use super::numbers::{Counts, Numbers};
use super::table::{Head, table};
use super::{link, say};
use crate::words::{self, grouped};
use jiff::civil::Date;
use maud::{Markup, html};
use registry::Group;
use std::collections::BTreeMap;

/// Days of the chart of doses.
const DAYS: i64 = 90;
/// Rows of the tables by day.
const DAY_ROWS: usize = 60;
/// Bars and rows of what can be many.
const ROWS_MAX: usize = 20;
const LOTS_MAX: usize = 50;
/// A share of the people known above which they are probably too few.
const DOUBTFUL: f64 = 0.95;

pub(super) fn parts(numbers: &Numbers, places: &Places) -> Vec<(&'static str, Markup)> {
    let first_of = |counts: &Counts, name: &dyn Fn(&str) -> String| -> Vec<(String, u64)> {
        counts.iter().map(|(value, n)| (name(value), *n)).collect()
    };
    let clinics = first_of(&numbers.clinics, &|clinic| places.name(clinic));
    let vaccines = first_of(&numbers.vaccines, &|cvx| places.vaccine(cvx));
    vec![
        ("as-of", as_of(numbers)),
        ("people", people(numbers)),
        ("doubt", doubt(numbers)),
        ("lists", lists(numbers)),
        ("curve", curve(numbers)),
        ("curve-rows", curve_rows(numbers)),
        ("given", by_day("given", "Doses by the day they were given", &numbers.given, numbers.today)),
        ("given-rows", day_rows("Doses by the day they were given", &numbers.given)),
        ("reported", by_day("reported", "Doses by the day weir was told", &numbers.reported, numbers.today)),
        ("reported-rows", day_rows("Doses of all vaccines by the day weir was told", &numbers.reported)),
        ("ages", groups("ages", "Vaccinated by age", &numbers.ages, &age)),
        ("ages-rows", group_rows("Age in years", &numbers.ages, &age)),
        ("regions", groups("regions", "Vaccinated by region", &numbers.regions, &region)),
        ("regions-rows", group_rows("Region", &numbers.regions, &region)),
        ("sexes", groups("sexes", "Vaccinated by sex", &numbers.sexes, &sex)),
        ("sexes-rows", group_rows("Sex", &numbers.sexes, &sex)),
        ("clinics", doses("clinics", "Doses by clinic", &clinics)),
        ("clinics-rows", dose_rows("Clinic", &clinics)),
        ("vaccines", doses("vaccines", "Doses by vaccine", &vaccines)),
        ("vaccines-rows", dose_rows("Vaccine", &vaccines)),
        ("lots", lots(&numbers.lots)),
        ("invalid", invalid(numbers, places)),
        ("quality", quality(numbers, places)),
    ]
}

fn age(values: &str) -> String {
    if values.is_empty() { "Not known".into() } else { values.replace('-', " to ").replace('+', " and older") }
}

fn region(value: &str) -> String {
    say::known(value).to_owned()
}

fn sex(value: &str) -> String {
    say::sex(value).to_owned()
}

fn as_of(numbers: &Numbers) -> Markup {
    html! { (say::written(numbers.today)) ", counted " (words::instant(numbers.at_us, numbers.at_us)) }
}

fn n(count: Option<u64>) -> u64 {
    count.unwrap_or(0)
}

fn people(numbers: &Numbers) -> Markup {
    let all = &numbers.people;
    let boosted = n(all.marks.get("boosted").copied().flatten());
    let census = all.census.as_ref().map(|of| ("people in the census table", n(of.people), false));
    let shown = [
        ("known living people", n(all.persons), false),
        ("fully vaccinated", n(all.full), true),
        ("partly vaccinated", n(all.partial), true),
        ("not vaccinated", n(all.not), true),
        ("had a booster", boosted, true),
        ("doses given", numbers.doses, false),
    ];
    html! { @for (name, count, has_share) in census.iter().chain(&shown) { div {
        dt { (name) }
        dd { (grouped(*count)) @if *has_share { span.share { " " (say::share_of(*count, all)) } } }
    } } }
}

/// What speaks against the shares.
fn doubt(numbers: &Numbers) -> Markup {
    let people = &numbers.people;
    if let Some((used, of)) = numbers.census.as_ref().zip(people.census.as_ref()) {
        let outside = n(used.outside);
        return html! {
            @if of.exceeded { p.notice {
                "More people are vaccinated than the census table has. It may be of another place, or too old."
            } }
            @if outside > 0 { p.notice {
                (grouped(outside)) " known people are in no group of the census table: their region, sex or age is not known, or "
                "the table does not have it. They are in the numbers above, and in no group below that the table has."
            } }
        };
    }
    let share = n(people.full) as f64 / n(people.persons).max(1) as f64;
    html! { @if share > DOUBTFUL { p.notice {
        "More than 95 of 100 known people are fully vaccinated. Perhaps only those who were vaccinated are known: "
        "the share among everybody may be lower."
    } } }
}

fn lists(numbers: &Numbers) -> Markup {
    let id = numbers.definition.id.as_str();
    html! { ul { @for mark in ["overdue", "due", "contraindicated", "immune", "aged-out"] {
        @let count = n(numbers.people.marks.get(mark).copied().flatten());
        li {
            (grouped(count)) " " (if count == 1 { "person" } else { "people" }) ": " (say::mark(mark))
            @if count > 0 { ". " a href=(link("/tracker/list", &[("programme", id), ("mark", mark)])) {
                "See who" span.hidden { " is " (say::mark(mark)) }
            } }
        }
    } } }
}

/// Sums up to each day, from the first day on which somebody reached anything until today.
fn cumulated(numbers: &Numbers) -> Vec<(Date, [u64; 3])> {
    let Some(first) = numbers.milestones.keys().next() else { return Vec::new() };
    let mut sums = [0; 3];
    let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= numbers.today);
    days.map(|day| {
        for (sum, n) in sums.iter_mut().zip(numbers.milestones.get(&day).unwrap_or(&[0; 3])) {
            *sum += n;
        }
        (day, sums)
    })
    .collect()
}

fn curve(numbers: &Numbers) -> Markup {
    let days = cumulated(numbers);
    let (Some((first, _)), Some((last, sums))) = (days.first(), days.last()) else {
        return html! { p { "Nobody has had a dose that counts. The curve begins with the first one." } };
    };
    let of = |n: u64| say::share_of(n, &numbers.people);
    let share = |at: usize| -> Vec<f64> {
        days.iter().map(|(_, sums)| say::part_of(sums[at], &numbers.people) * 100.0).collect()
    };
    let whom = if numbers.census.is_some() { "the people in the census table" } else { "known living people" };
    let series = [
        Series { name: "at least one dose", class: "first", values: share(0) },
        Series { name: "fully vaccinated (dashed)", class: "full", values: share(1) },
        Series { name: "booster (dotted)", class: "booster", values: share(2) },
    ];
    let most = series.iter().flat_map(|series| &series.values).copied().fold(0.0, f64::max);
    let text = format!(
        "From {} to {}. On the last day {} of {whom} had at least one dose, {} were fully vaccinated, {} had a booster.",
        say::written(*first),
        say::written(*last),
        of(sums[0]),
        of(sums[1]),
        of(sums[2])
    );
    let label = Label { id: "curve", title: "Share of people vaccinated, by day", text: &text };
    html! {
        (chart::days(label, (*first, *last), (chart::top(most).min(100.0), "%"), &series))
        p { (text) }
    }
}

fn curve_rows(numbers: &Numbers) -> Markup {
    let mut days = cumulated(numbers);
    days.retain(|(day, _)| numbers.milestones.contains_key(day));
    let cell = |n: u64| html! { (grouped(n)) " (" (say::share_of(n, &numbers.people)) ")" };
    let row = |(day, sums): &(Date, [u64; 3])| -> Vec<Markup> {
        std::iter::once(html! { (say::written(*day)) }).chain(sums.map(cell)).collect()
    };
    let rows: Vec<_> = days.iter().rev().take(DAY_ROWS).map(row).collect();
    let heads =
        [Head::Text("Day"), Head::Count("At least one dose"), Head::Count("Fully vaccinated"), Head::Count("Booster")];
    table("People by the end of the day, newest first. Days on which nobody was added are left out.", &heads, &rows)
}

/// The last days of a series, and the mean of each with the six before; none when there is none.
fn window(counts: &BTreeMap<Date, u64>, today: Date) -> Vec<(Date, u64, f64)> {
    let (Some(oldest), Some(newest)) = (counts.keys().next().copied(), counts.keys().next_back().copied()) else {
        return Vec::new();
    };
    // What ended long ago is shown as it was.
    let last = if chart::days_between(newest, today) > DAYS / 2 { newest } else { today };
    let earliest = last.saturating_sub(jiff::Span::new().days(DAYS - 1));
    // A fortnight at least: a single day would be a wall.
    let fortnight = last.saturating_sub(jiff::Span::new().days(13));
    let first = earliest.max(fortnight.min(oldest));
    let of = |day: Date| counts.get(&day).copied().unwrap_or(0);
    let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last);
    let mean =
        |day: Date| (0..7).map(|back| of(day.saturating_sub(jiff::Span::new().days(back)))).sum::<u64>() as f64 / 7.0;
    days.map(|day| (day, of(day), mean(day))).collect()
}

fn by_day(id: &'static str, title: &str, counts: &BTreeMap<Date, u64>, today: Date) -> Markup {
    let days = window(counts, today);
    let Some((last, _, mean)) = days.last().copied() else {
        return html! { p { "No dose is recorded yet. Doses come by /vaccines, by FHIR Immunizations, or from the EMR." } };
    };
    let doses: Vec<f64> = days.iter().map(|(_, n, _)| *n as f64).collect();
    let most = doses.iter().copied().fold(0.0, f64::max);
    let first = days[0].0;
    let text = format!(
        "From {} to {}. At most {} doses on a day. The mean of the last seven days is {:.1} a day.",
        say::written(first),
        say::written(last),
        grouped(most as u64),
        mean
    );
    let series = [
        Series { name: "doses on the day (bars)", class: "bars", values: doses },
        Series {
            name: "mean of 7 days (line)",
            class: "mean",
            values: days.iter().map(|(_, _, mean)| *mean).collect(),
        },
    ];
    let label = Label { id, title, text: &text };
    html! { (chart::days(label, (first, last), (chart::top(most), ""), &series)) p { (text) } }
}

fn day_rows(caption: &str, counts: &BTreeMap<Date, u64>) -> Markup {
    let today = counts.keys().next_back().copied().unwrap_or_default();
    let days = window(counts, today);
    let row = |(day, n, mean): &(Date, u64, f64)| {
        vec![html! { (say::written(*day)) }, html! { (grouped(*n)) }, html! { (format!("{mean:.1}")) }]
    };
    let rows: Vec<_> = days.iter().rev().take(DAY_ROWS).map(row).collect();
    let heads = [Head::Text("Day"), Head::Count("Doses"), Head::Count("Mean of 7 days")];
    table(&format!("{caption}, newest first."), &heads, &rows)
}

fn groups(id: &'static str, title: &str, all: &[Group], name: &dyn Fn(&str) -> String) -> Markup {
    let bars: Vec<Bar> = all.iter().filter_map(|group| bar(group, name)).take(ROWS_MAX).collect();
    if bars.is_empty() {
        return html! { p { "Nobody is known yet. People come with Patients, or with the first dose by /vaccines." } };
    }
    let text: Vec<String> = bars.iter().map(|bar| format!("{}: {}", bar.name, bar.text)).collect();
    let text = format!("{}.", text.join("; "));
    html! {
        ul.legend {
            li { svg width="40" height="16" aria-hidden="true" { rect.part-full width="40" height="16" {} } " fully (tall)" }
            li { svg width="40" height="16" aria-hidden="true" { rect.part-partial y="6" width="40" height="10" {} } " partly (half as tall)" }
            li { svg width="40" height="16" aria-hidden="true" { rect.frame x="1" y="1" width="38" height="14" {} } " not (empty)" }
        }
        (chart::bars(Label { id, title, text: &text }, &bars))
        (rest(all.len()))
    }
}

fn rest(all: usize) -> Markup {
    html! { @if all > ROWS_MAX { p { "The " (ROWS_MAX) " largest of " (grouped(all as u64)) " are shown. The CSV file has all." } } }
}

fn bar(group: &Group, name: &dyn Fn(&str) -> String) -> Option<Bar> {
    let people = group.people.as_ref()?;
    let full = n(people.full);
    let both = say::part_of(full + n(people.partial), people);
    let (text, parts) = match say::size(people) {
        None => (say::share_of(full, people), [0.0; 3]),
        Some(_) => {
            let part = say::part_of(full, people);
            (format!("{} fully", say::share_of(full, people)), [part, (both - part).max(0.0), 0.0])
        }
    };
    Some(Bar { name: name(&group.values[0]), text, parts })
}

fn group_rows(head: &str, all: &[Group], name: &dyn Fn(&str) -> String) -> Markup {
    let row = |group: &Group| -> Option<Vec<Markup>> {
        let people = group.people.as_ref()?;
        let cell = |count: u64| html! { (grouped(count)) " (" (say::share_of(count, people)) ")" };
        let size = say::size(people).map_or_else(|| "not in the table".to_owned(), grouped);
        let not = people.not.map_or_else(|| html! { "-" }, cell);
        let mut cells = vec![html! { (name(&group.values[0])) }, html! { (grouped(n(people.persons))) }];
        cells.extend(people.census.is_some().then(|| html! { (size) }));
        cells.extend([cell(n(people.full)), cell(n(people.partial)), not]);
        Some(cells)
    };
    let rows: Vec<_> = all.iter().filter_map(row).take(ROWS_MAX).collect();
    let is_census = all.iter().any(|group| group.people.as_ref().is_some_and(|people| people.census.is_some()));
    let mut heads = vec![Head::Text(head), Head::Count("People")];
    heads.extend(is_census.then_some(Head::Count("In the table")));
    heads.extend(["Fully", "Partly", "Not"].map(Head::Count));
    let caption = match is_census {
        true => "Shares are of the people whom the census table has in the row.",
        false => "Shares are of the known living people of the row.",
    };
    table(caption, &heads, &rows)
}

fn doses(id: &'static str, title: &str, counts: &[(String, u64)]) -> Markup {
    let most = counts.iter().map(|(_, n)| *n).max().unwrap_or(0);
    if most == 0 {
        return html! { p { "No dose is recorded yet." } };
    }
    let bar = |(name, n): &(String, u64)| {
        let parts = [*n as f64 / most as f64, 0.0, 0.0];
        Bar { name: say::known(name).to_owned(), text: grouped(*n), parts }
    };
    let bars: Vec<Bar> = counts.iter().take(ROWS_MAX).map(bar).collect();
    let text: Vec<String> = bars.iter().map(|bar| format!("{}: {}", bar.name, bar.text)).collect();
    let text = format!("{}.", text.join("; "));
    html! { (chart::bars(Label { id, title, text: &text }, &bars)) (rest(counts.len())) }
}

fn dose_rows(head: &str, counts: &[(String, u64)]) -> Markup {
    let all: u64 = counts.iter().map(|(_, n)| n).sum();
    let row = |(name, n): &(String, u64)| {
        vec![html! { (say::known(name)) }, html! { (grouped(*n)) }, html! { (say::share(*n, all)) }]
    };
    let rows: Vec<_> = counts.iter().take(ROWS_MAX).map(row).collect();
    table(
        "Doses, each once, however often it was reported.",
        &[Head::Text(head), Head::Count("Doses"), Head::Count("Share")],
        &rows,
    )
}

fn lots(counts: &Counts) -> Markup {
    if counts.is_empty() {
        return html! { p { "No dose is recorded yet." } };
    }
    let row = |(lot, n): &(String, u64)| {
        let name = if lot.is_empty() {
            html! { "Not known" }
        } else {
            html! { a href=(link("/tracker/lot", &[("lot", lot)])) { span.hidden { "Who got lot " } (lot) } }
        };
        vec![name, html! { (grouped(*n)) }]
    };
    let rows: Vec<_> = counts.iter().take(LOTS_MAX).map(row).collect();
    html! {
        (table("Doses by lot, the largest first.", &[Head::Text("Lot"), Head::Count("Doses")], &rows))
        @if counts.len() > LOTS_MAX { p { "The " (LOTS_MAX) " largest of " (grouped(counts.len() as u64)) " are shown. The CSV file has all." } }
    }
}

fn invalid(numbers: &Numbers, places: &Places) -> Markup {
    if numbers.invalid.is_empty() {
        return html! { p { "Every dose counts." } };
    }
    let row = |(reason, clinic, n): &(String, String, u64)| {
        vec![html! { (say::reason(reason)) }, html! { (places.name(clinic)) }, html! { (grouped(*n)) }]
    };
    let rows: Vec<_> = numbers.invalid.iter().take(LOTS_MAX).map(row).collect();
    let heads = [Head::Text("Why it does not count"), Head::Text("Clinic"), Head::Count("Doses")];
    table("Doses that do not count in this programme. A dose with several reasons is in several rows.", &heads, &rows)
}

fn quality(numbers: &Numbers, places: &Places) -> Markup {
    if numbers.quality.is_empty() {
        return html! { p { "Nothing is missing or late." } };
    }
    let row = |(problem, clinic, n): &(String, String, u64)| {
        vec![html! { (say::problem(problem)) }, html! { (places.name(clinic)) }, html! { (grouped(*n)) }]
    };
    let rows: Vec<_> = numbers.quality.iter().take(LOTS_MAX).map(row).collect();
    let heads = [Head::Text("What is wrong"), Head::Text("Clinic"), Head::Count("How often")];
    table("Of all vaccines, the most frequent first.", &heads, &rows)
}
