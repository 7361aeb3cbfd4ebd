//! `/tracker/export/….csv`: the tables of `/tracker` as files. They leave the house: what is small is hidden.

use super::names::Places;
use super::numbers::{Counts, Numbers, first_year};
use super::refused::InPage;
use super::table::csv;
use super::{Shared, Tracker, value};
use crate::ops::origin;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use engine::Session;
use fhir::nearest::hint;
use registry::{Count, Definition, Denominator, OfCensus, Share, Stats, StatsQuery, hide_small};
use std::time::Duration;

const FILES: [&str; 11] = [
    "coverage.csv",
    "doses.csv",
    "reported.csv",
    "ages.csv",
    "regions.csv",
    "sexes.csv",
    "clinics.csv",
    "vaccines.csv",
    "lots.csv",
    "invalid.csv",
    "quality.csv",
];

/// Instead of a count that is hidden.
const HIDDEN: &str = "hidden";

/// A file: names of the columns before the counts and of the counts, and lines of both.
struct File {
    names: Vec<&'static str>,
    counts: Vec<&'static str>,
    rows: Vec<(Vec<String>, Vec<Count>)>,
    /// What the counts are of.
    of: String,
}

pub(super) async fn download(
    State(tracker): Shared,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, InPage> {
    let pairs = origin::parameters(query.as_deref(), &["programme", "denominator"])?;
    if !FILES.contains(&name.as_str()) {
        return Err(InPage::not_found(format!("there is no file {}{}", super::short(&name), hint(&name, FILES))));
    }
    let programme = tracker.programme(value(&pairs, "programme"))?;
    let denominator = tracker.denominator(&session, value(&pairs, "denominator"))?;
    let numbers = tracker.numbers(&session, &programme, denominator, Duration::ZERO)?;
    let places = tracker.places(&session, &numbers, false).await?;
    let file = match name.as_str() {
        "ages.csv" => tracker.of_people(&session, &programme, "age", denominator)?,
        "regions.csv" => tracker.of_people(&session, &programme, "region", denominator)?,
        "sexes.csv" => tracker.of_people(&session, &programme, "sex", denominator)?,
        other => of_counts(other, &numbers, &places),
    };
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}-{name}\"", safe(&programme.id))),
        (CACHE_CONTROL, "no-store".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, file.write(&numbers)).into_response())
}

/// Fit for the name of a file.
fn safe(id: &str) -> String {
    id.chars().map(|char| if char.is_ascii_alphanumeric() || "-._".contains(char) { char } else { '_' }).collect()
}

impl File {
    /// Every line says what it counts: lines are cut out and pasted elsewhere.
    fn write(&self, numbers: &Numbers) -> String {
        let Definition { id, calculator, version, .. } = &numbers.definition;
        let mut heads = self.names.clone();
        heads.extend(&self.counts);
        heads.extend(["counted", "programme", "calculator", "version", "as_of"]);
        let as_of = numbers.today.to_string();
        let (id, calculator, version) = match self.of.as_str() {
            "doses of all vaccines" | "problems" => ("", "", ""),
            _ => (id.as_str(), *calculator, version.as_str()),
        };
        let row = |(values, counts): &(Vec<String>, Vec<Count>)| {
            let mut cells = values.clone();
            cells.extend(counts.iter().map(|count| shown(*count)));
            cells.extend([self.of.as_str(), id, calculator, version, &as_of].map(str::to_owned));
            cells
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        csv(&heads, &rows)
    }
}

impl Tracker {
    fn of_people(
        &self,
        session: &Session,
        programme: &Definition,
        by: &'static str,
        denominator: Denominator,
    ) -> Result<File, InPage> {
        let query = StatsQuery {
            programme: programme.id.clone(),
            by: vec![by.to_owned()],
            denominator,
            suppress: true,
            ..StatsQuery::default()
        };
        let Stats { mut groups, denominator, census, .. } = self.registry.stats(session, &query)?;
        if by == "age" {
            groups.sort_by_key(|group| first_year(&group.values[0]));
        }
        let is_census = census.is_some();
        let row = |group: registry::Group| {
            let people = group.people.unwrap_or_default();
            let Some(of) = people.census.filter(|_| is_census) else {
                return (group.values, vec![people.persons, people.full, people.partial, people.not]);
            };
            (
                group.values.into_iter().chain(against(&of, people.not)).collect(),
                vec![people.persons, people.full, people.partial],
            )
        };
        let (mut names, mut counts) = (vec![by], vec!["persons", "full", "partial"]);
        match is_census {
            true => names.extend(["census_people", "not", "first_percent", "full_percent"]),
            false => counts.push("not"),
        }
        Ok(File { names, counts, rows: groups.into_iter().map(row).collect(), of: denominator })
    }
}

/// What the census table says of a group, as text.
fn against(of: &OfCensus, not: Count) -> [String; 4] {
    if of.missing.is_some() {
        return ["not in table".to_owned(), String::new(), String::new(), String::new()];
    }
    let percent = |share: Option<Share>| share.map_or_else(String::new, |share| share.to_string());
    [shown(of.people), shown(not), percent(of.first_percent), percent(of.full_percent)]
}

fn shown(count: Count) -> String {
    count.map_or_else(|| HIDDEN.to_owned(), |n| n.to_string())
}

fn of_counts(name: &str, numbers: &Numbers, places: &Places) -> File {
    let of_doses = |head: &'static str, counts: &Counts, value: &dyn Fn(&str) -> Vec<String>| {
        let rows = counts.iter().map(|(key, n)| (value(key), vec![Some(*n)])).collect();
        (vec![head], vec!["doses"], rows, "doses")
    };
    let same = |text: &str| vec![text.to_owned()];
    let days = |days: &std::collections::BTreeMap<jiff::civil::Date, u64>, of| {
        let rows = days.iter().map(|(day, n)| (vec![day.to_string()], vec![Some(*n)])).collect();
        (vec!["day"], vec!["doses"], rows, of)
    };
    let pairs = |heads: [&'static str; 2], count, rows: &[(String, String, u64)], of| {
        let row = |(one, clinic, n): &(String, String, u64)| {
            (vec![one.clone(), clinic.clone(), places.name(clinic)], vec![Some(*n)])
        };
        (vec![heads[0], heads[1], "clinic_name"], vec![count], rows.iter().map(row).collect(), of)
    };
    let (names, counts, mut rows, of): (_, _, Vec<(Vec<String>, Vec<Count>)>, _) = match name {
        "coverage.csv" => {
            let row = |(day, sums): (&jiff::civil::Date, &[u64; 3])| (vec![day.to_string()], sums.map(Some).to_vec());
            let rows = numbers.milestones.iter().map(row).collect();
            (
                vec!["day"],
                vec!["reached_first_dose", "reached_full", "reached_booster"],
                rows,
                "living persons, by the day",
            )
        }
        "doses.csv" => days(&numbers.given, "doses"),
        "reported.csv" => days(&numbers.reported, "doses of all vaccines"),
        "clinics.csv" => {
            let (_, counts, rows, of) =
                of_doses("", &numbers.clinics, &|clinic| vec![clinic.to_owned(), places.name(clinic)]);
            (vec!["clinic", "clinic_name"], counts, rows, of)
        }
        "vaccines.csv" => {
            let (_, counts, rows, of) =
                of_doses("", &numbers.vaccines, &|cvx| vec![cvx.to_owned(), places.vaccine(cvx)]);
            (vec!["cvx", "vaccine"], counts, rows, of)
        }
        "lots.csv" => of_doses("lot", &numbers.lots, &same),
        "invalid.csv" => pairs(["reason", "clinic"], "doses", &numbers.invalid, "doses that do not count"),
        _ => pairs(["problem", "clinic"], "count", &numbers.quality, "problems"),
    };
    for column in 0..counts.len() {
        let mut values: Vec<Count> = rows.iter().map(|(_, counts)| counts[column]).collect();
        hide_small(&mut values);
        for ((_, counts), value) in rows.iter_mut().zip(values) {
            counts[column] = value;
        }
    }
    File { names, counts, rows, of: of.to_owned() }
}
