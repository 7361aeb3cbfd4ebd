//! Vital signs by REST: a form of columns inside an encounter. Our key stands in its note, which the list shows.

use super::answer::scalar;
use super::local_time::{date_time, local};
use super::push::{Looked, Push, Written, more, remote};
use super::units::{Kind, convert};
use crate::outcome::problem_of;
use ::fhir::json::Value;
use delivery::{Outcome, Problem, Remote};

/// The member of [`Remote::more`] that holds the number of a form.
pub(super) const NUMBER: &str = "vid";
const ENCOUNTER: &str = "encounter-number";
const NOTE_CHARS_MAX: usize = 255;

/// LOINC code, column, what it measures.
const COLUMNS: [(&str, &str, Kind); 17] = [
    ("8480-6", "bps", Kind::Pressure),
    ("8462-4", "bpd", Kind::Pressure),
    ("29463-7", "weight", Kind::Mass),
    ("3141-9", "weight", Kind::Mass),
    ("8302-2", "height", Kind::Length),
    ("8308-9", "height", Kind::Length),
    ("8310-5", "temperature", Kind::Temperature),
    ("8331-1", "temperature", Kind::Temperature),
    ("8867-4", "pulse", Kind::PerMinute),
    ("9279-1", "respiration", Kind::PerMinute),
    ("39156-5", "BMI", Kind::MassPerArea),
    ("8280-0", "waist_circ", Kind::Length),
    ("56086-2", "waist_circ", Kind::Length),
    ("9843-4", "head_circ", Kind::Length),
    ("8287-5", "head_circ", Kind::Length),
    ("2708-6", "oxygen_saturation", Kind::Percent),
    ("59408-5", "oxygen_saturation", Kind::Percent),
];

/// Whether an Observation is made of columns that the form has, and of nothing else.
pub(super) fn is_one(body: &Value) -> bool {
    let parts: Vec<&Value> = parts(body).collect();
    !parts.is_empty() && parts.iter().all(|part| column(part).is_some())
}

/// The observation itself, if it has a value, and its components.
fn parts(body: &Value) -> impl Iterator<Item = &Value> {
    let own = body.get("valueQuantity").is_some() || body.list("component").is_empty();
    own.then_some(body).into_iter().chain(body.list("component"))
}

/// The LOINC codes that have a column.
pub(super) fn codes(body: &Value) -> impl Iterator<Item = &'static str> {
    let shown = body.get("code").into_iter().flat_map(|code| code.list("coding")).filter_map(|one| one.str("code"));
    shown.filter_map(|code| COLUMNS.iter().find(|(of, ..)| *of == code).map(|(of, ..)| *of))
}

fn column(part: &Value) -> Option<(&'static str, Kind)> {
    part.get("valueQuantity")?;
    let codings =
        part.get("code")?.list("coding").iter().filter(|coding| coding.str("system") == Some("http://loinc.org"));
    let codes: Vec<&str> = codings.filter_map(|coding| coding.str("code")).collect();
    COLUMNS.iter().find(|(code, ..)| codes.contains(code)).map(|(_, column, kind)| (*column, *kind))
}

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let form = form(push, body)?;
    if let Some(there) = &push.item.remote {
        let subject = push.subject_of(there)?;
        let path = path(&subject.pid, more(there, ENCOUNTER).unwrap_or_default());
        push.change(&format!("{path}/{}", more(there, NUMBER).unwrap_or_default()), &form, &["vid"]).await?;
        return Ok(there.clone());
    }
    let subject = push.subject(body).await?;
    let encounter = push.encounter(body, &subject).await?;
    let row = push.create(&path(&subject.pid, &encounter), &form).await?;
    let number =
        scalar(&row, "vid").ok_or_else(|| Outcome::Unknown(Problem::new(201, "the answer does not say its id")))?;
    Ok(remote("", &[(NUMBER, &number), (ENCOUNTER, &encounter)], &subject))
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let body = body.ok_or_else(|| Problem::new(0, "without its content it cannot be looked for"))?;
    let subject = push.subject(body).await.map_err(problem_of)?;
    let encounter = push.encounter(body, &subject).await.map_err(problem_of)?;
    let rows = push.rows(&path(&subject.pid, &encounter)).await.map_err(problem_of)?;
    let mark = mark(push);
    let ours = rows.iter().find(|row| row.str("note").is_some_and(|note| note.ends_with(&mark)));
    match ours.and_then(|row| scalar(row, "id").or_else(|| scalar(row, "vid"))) {
        Some(number) => Ok(Some(remote("", &[(NUMBER, &number), (ENCOUNTER, &encounter)], &subject))),
        None if !rows.is_empty() && rows.iter().all(|row| row.get("note").is_none()) => {
            Err(Problem::new(0, "the list of vital signs shows no notes"))
        }
        None => Ok(None),
    }
}

fn path(pid: &str, encounter: &str) -> String {
    format!("/patient/{pid}/encounter/{encounter}/vital")
}

/// The end of the note by which a form is found again.
fn mark(push: &Push<'_>) -> String {
    format!("[{}]", push.key())
}

/// What OpenEMR cannot take of vital signs.
pub(super) fn check(body: &Value) -> Result<(), String> {
    if is_one(body) { values(body).map(drop) } else { Ok(()) }
}

/// Columns and their values.
fn values(body: &Value) -> Result<Vec<(&'static str, String)>, String> {
    let columns = parts(body).filter_map(|part| Some((part, column(part)?)));
    let values = columns.map(|(part, (column, kind))| {
        let quantity = part.get("valueQuantity");
        let member = |name: &str| quantity.and_then(|quantity| quantity.get(name)?.scalar()).unwrap_or_default();
        let unit = if member("code").is_empty() { member("unit") } else { member("code") };
        let value = convert(member("value"), unit, kind);
        let value = value.ok_or_else(|| format!("the unit of {column} is not one that can be converted"))?;
        Ok((column, value.to_string()))
    });
    values.collect()
}

fn form(push: &Push<'_>, body: &Value) -> Written<Value> {
    let mut form = Value::Object(Vec::new());
    for (column, value) in values(body).map_err(|text| push.refuse(text))? {
        form.set(column, value);
    }
    let time = ["effectiveDateTime", "effectiveInstant", "issued"].into_iter().find_map(|name| body.str(name));
    let time = time.or_else(|| body.path(&["effectivePeriod", "start"])?.as_str());
    if let Some(time) = time.and_then(|text| local(text, &push.emr.settings.zone)) {
        form.set("date", date_time(time));
    }
    let mark = mark(push);
    let note = body.list("note").first().and_then(|note| note.str("text")).unwrap_or_default();
    let room = NOTE_CHARS_MAX.saturating_sub(mark.chars().count() + 1);
    let note: String = note.chars().take(room).collect();
    form.set("note", format!("{note} {mark}").trim_start().to_owned());
    Ok(form)
}
