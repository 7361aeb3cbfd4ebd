//! `GET /programmes` and `GET /stats`.

use super::params::{Params, wrong};
use super::{Tracker, json};
use crate::error::Failure;
use crate::http::{Answer, Request};
use axum::http::{StatusCode, header};
use registry::{Count, Denominator, Group, MARKS, OfCensus, SMALL, Share, Stats, StatsQuery};

pub(super) fn programmes(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    Ok(json(StatusCode::OK, &serde_json::json!({ "programmes": tracker.registry.definitions().list() })))
}

/// What is asked, of `/stats` and of its stream.
pub(super) fn query(params: &Params<'_>) -> Result<StatsQuery, Failure> {
    let programme = params.owned("programme");
    let programme = programme.ok_or_else(|| wrong("programme", "is missing: GET /programmes lists them"))?;
    let by = params.get("by").unwrap_or_default();
    let by: Vec<String> = by.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if by.len() > 3 || by.iter().enumerate().any(|(at, name)| by[..at].contains(name)) {
        return Err(wrong("by", "must name one to three dimensions, each once"));
    }
    let denominator = match params.code("denominator", &["known", "census"])?.as_deref() {
        Some("census") => Denominator::Census,
        _ => Denominator::Known,
    };
    let suppress = params.flag("suppress")?.unwrap_or(false);
    Ok(StatsQuery { programme, by, as_of: params.date("as_of")?, denominator, suppress })
}

pub(super) fn stats(tracker: &Tracker, request: &Request) -> Result<Answer, Failure> {
    let params = Params::new(&request.pairs, &["programme", "by", "as_of", "denominator", "format", "suppress"])?;
    let format = params.code("format", &["json", "csv"])?;
    let accepts = request.header(header::ACCEPT).is_some_and(|accept| accept.trim().starts_with("text/csv"));
    let is_csv = format.map_or(accepts, |format| format == "csv");
    let mut query = query(&params)?;
    if is_csv {
        if params.flag("suppress")? == Some(false) {
            return Err(wrong("suppress", "a CSV leaves the house, so small counts are always hidden in it"));
        }
        query.suppress = true;
    }
    let stats = tracker.registry.stats(&request.session, &query)?;
    if !is_csv {
        return Ok(json(StatusCode::OK, &stats));
    }
    let answer = Answer::json(StatusCode::OK, table(&stats).into_bytes());
    let answer = answer.with(header::CONTENT_TYPE, "text/csv; charset=utf-8");
    Ok(answer.with(header::CONTENT_DISPOSITION, "attachment; filename=\"stats.csv\""))
}

/// All together in the first row, then a row for each group.
fn table(stats: &Stats) -> String {
    let of_doses = stats.total.doses.is_some() || stats.total.people.is_none();
    let mut head: Vec<String> = stats.by.clone();
    if of_doses {
        head.push("doses".into());
    } else {
        head.extend(["persons", "not", "partial", "full"].map(str::to_owned));
        head.extend(MARKS.map(str::to_owned));
    }
    if stats.census.is_some() {
        head.extend(
            ["census_people", "first_percent", "full_percent", "exceeded", "census", "census_date"].map(str::to_owned),
        );
    }
    head.extend(["programme".to_owned(), "version".to_owned(), "as_of".to_owned()]);
    let mut text = super::csv::row(&head);
    for (group, is_total) in [(&stats.total, true)].into_iter().chain(stats.groups.iter().map(|group| (group, false))) {
        let mut cells: Vec<String> = stats.by.iter().enumerate().map(|(at, _)| value(group, at, is_total)).collect();
        if of_doses {
            cells.push(count(group.doses));
        } else if let Some(people) = &group.people {
            let not = match &people.census {
                Some(of) => left(of, people.not),
                None => count(people.not),
            };
            cells.extend([count(people.persons), not, count(people.partial), count(people.full)]);
            cells.extend(MARKS.map(|mark| count(people.marks.get(mark).copied().unwrap_or(Some(0)))));
        }
        if let (Some(used), Some(of)) = (&stats.census, group.people.as_ref().and_then(|people| people.census.as_ref()))
        {
            cells.extend(against(of));
            cells.extend([used.table.id.clone(), used.table.date.clone()]);
        }
        cells.extend([stats.programme.id.clone(), stats.programme.version.clone(), stats.as_of.clone()]);
        text.push_str(&super::csv::row(&cells));
    }
    text
}

/// Instead of a number that the census table does not give.
const NOT_IN_TABLE: &str = "not in table";

/// A number of the table's. It may be hidden though it is large: else it would tell a small one.
fn left(of: &OfCensus, n: Count) -> String {
    match of.missing {
        Some(_) => NOT_IN_TABLE.to_owned(),
        None => n.map_or_else(|| "hidden".to_owned(), |n| n.to_string()),
    }
}

fn against(of: &OfCensus) -> [String; 4] {
    let percent = |share: Option<Share>| share.map_or_else(String::new, |share| share.to_string());
    [left(of, of.people), percent(of.first_percent), percent(of.full_percent), of.exceeded.to_string()]
}

fn value(group: &Group, at: usize, is_total: bool) -> String {
    match group.values.get(at).map(String::as_str) {
        _ if is_total => "all".into(),
        None | Some("") => "unknown".into(),
        Some(value) => value.to_owned(),
    }
}

fn count(count: Count) -> String {
    count.map_or_else(|| format!("<{SMALL}"), |count| count.to_string())
}
