//! `POST /vaccines/import`: a file of vaccinations, one a row, answered row by row in the file's order.
//!
//! Rows go in parallel, those of one person one after the other. The file is read whole, within the bound of bodies; the
//! answer is streamed. Whoever goes away stops what has not begun; rows with an `idempotency_key` can be sent again.

use super::params::Params;
use super::vaccination::{Vaccination, record};
use super::{Tracker, csv, place};
use crate::error::Failure;
use crate::http::{Answer, Request};
use axum::body::Body;
use axum::http::{StatusCode, header};
use engine::{Error, Session};
use fhir::json;
use fhir::json::{Document, Limits, Value};
use fhir::outcome::Issue;
use futures_util::stream::unfold;
use registry::Date;
use serde_json::json as value;
use std::convert::Infallible;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Rows of one file.
const ROWS_MAX: usize = 100_000;
/// Rows in work at the same time.
const LANES: usize = 32;
const OF_PHI: [&str; 6] = ["given", "family", "birthDate", "sex", "phone", "email"];
const OF_ADDRESS: [&str; 5] = ["line", "city", "state", "postalCode", "country"];
const OF_IDENTIFIER: [&str; 2] = ["identifier_system", "identifier_value"];
const OF_DOSE: [&str; 10] = [
    "vaccine",
    "provider",
    "clinic",
    "date",
    "lot",
    "expiry",
    "manufacturer",
    "notes",
    "historical",
    "idempotency_key",
];

/// A row: its line, and what it says or what is wrong with it.
type Line = (usize, Result<Vaccination, Error>);

fn columns() -> impl Iterator<Item = &'static str> {
    OF_DOSE.into_iter().chain(OF_PHI).chain(OF_ADDRESS).chain(OF_IDENTIFIER)
}

pub(super) async fn import(tracker: &Tracker, request: Request) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    let media = request.header(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let is_csv = match media.split(';').next().unwrap_or_default().trim() {
        "text/csv" => true,
        "application/x-ndjson" | "application/ndjson" => false,
        _ => {
            let text = "send the file as text/csv with a line of column names, or as application/x-ndjson";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
        }
    };
    let place = tracker.imports.clone().try_acquire_owned().map_err(|_| {
        let text = "other files are being read in: repeat in some seconds";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "throttled", text).retry_after(5)
    })?;
    let (session, body, today) = (request.session, request.body, tracker.registry.today());
    let lines = tokio::task::spawn_blocking(move || {
        let text = std::str::from_utf8(&body).map_err(|_| bad("the file is not UTF-8"))?;
        if is_csv { of_csv(text, today) } else { of_ndjson(text, today) }
    });
    let lines = lines.await.map_err(|_| bad("the file cannot be read"))??;
    let running = start(tracker, &session, lines);
    let answers = unfold((running, place), async |(mut running, place)| {
        let (line, answer) = running.answers.next()?;
        let answer = match answer {
            Waiting::Known(answer) => answer,
            Waiting::Coming(answer) => answer.await.unwrap_or_else(|_| stopped()),
        };
        let mut answer = answer;
        answer["line"] = line.into();
        Some((Ok::<_, Infallible>(format!("{answer}\n")), (running, place)))
    });
    let answer = Answer::stream(StatusCode::OK, Body::from_stream(answers));
    Ok(answer.with(header::CONTENT_TYPE, "application/x-ndjson"))
}

fn bad(text: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "structure", text)
}

/// The answer of a row.
enum Waiting {
    Known(serde_json::Value),
    Coming(oneshot::Receiver<serde_json::Value>),
}

/// Dropped, it stops what has not begun.
struct Running {
    answers: std::vec::IntoIter<(usize, Waiting)>,
    _lanes: JoinSet<()>,
}

type Lane = Vec<(Vaccination, oneshot::Sender<serde_json::Value>)>;

fn start(tracker: &Tracker, session: &Session, lines: Vec<Line>) -> Running {
    let mut lanes: Vec<Lane> = (0..LANES).map(|_| Vec::new()).collect();
    let mut answers = Vec::with_capacity(lines.len());
    for (line, read) in lines {
        match read {
            Err(error) => answers.push((line, Waiting::Known(refusal(&error)))),
            Ok(asked) => {
                let (tell, told) = oneshot::channel();
                lanes[place(&[&asked.phi.key()], LANES)].push((asked, tell));
                answers.push((line, Waiting::Coming(told)));
            }
        }
    }
    let mut running = JoinSet::new();
    for lane in lanes.into_iter().filter(|lane| !lane.is_empty()) {
        let (tracker, session) = (tracker.clone(), session.clone());
        running.spawn(async move {
            for (asked, tell) in lane {
                let answer = match record(&tracker, &session, &asked).await {
                    Ok(recorded) => done(recorded.answer, recorded.replayed),
                    Err(error) => refusal(&error),
                };
                // Nobody listens any more when the client has gone.
                drop(tell.send(answer));
            }
        });
    }
    Running { answers: answers.into_iter(), _lanes: running }
}

fn done(answer: serde_json::Value, replayed: bool) -> serde_json::Value {
    let status = if replayed { "repeated" } else { "recorded" };
    let programmes = answer["programmes"].as_array().into_iter().flatten();
    let programmes: Vec<_> =
        programmes.map(|one| value!({ "programme": one["programme"], "status": one["status"] })).collect();
    value!({ "line": 0, "status": status, "id": answer["id"], "person": answer["person"], "patient": answer["patient"],
        "recognised": answer["recognised"], "programmes": programmes })
}

fn refusal(error: &Error) -> serde_json::Value {
    let issue = |issue: &Issue| {
        super::phi::without_nulls(value!({ "field": issue.expression, "code": issue.code, "text": issue.diagnostics }))
    };
    let errors: Vec<_> = error.issues.iter().map(issue).collect();
    value!({ "line": 0, "status": "refused", "http_status": error.status, "errors": errors })
}

fn stopped() -> serde_json::Value {
    refusal(&Error::new(
        500,
        "exception",
        "the row was not finished: look whether it was recorded before you repeat it",
    ))
}

fn too_many() -> Failure {
    let text = format!("more than {ROWS_MAX} rows: split the file");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", text)
}

fn of_csv(text: &str, today: Date) -> Result<Vec<Line>, Failure> {
    let mut records = csv::records(text).into_iter();
    let Some((_, head)) = records.next() else {
        return Err(bad("the file is empty: its first line names the columns"));
    };
    let head: Vec<String> = head.map_err(bad)?.into_iter().map(|name| name.trim().to_owned()).collect();
    for (at, name) in head.iter().enumerate() {
        if !columns().any(|known| known == name) {
            let hint = fhir::nearest::hint(name, columns());
            let all: Vec<&str> = columns().collect();
            return Err(bad(&format!("column {} has an unknown name{hint}: use {}", at + 1, all.join(", "))));
        }
        if head[..at].contains(name) {
            return Err(bad(&format!("column {} has the name of another one", at + 1)));
        }
    }
    if records.len() > ROWS_MAX {
        return Err(too_many());
    }
    let row = |cells: Vec<String>| {
        if cells.len() != head.len() {
            let text = format!("the row has {} cells, the first line has {}", cells.len(), head.len());
            return Err(Error::new(422, "structure", text));
        }
        let cells = head.iter().zip(cells).map(|(name, cell)| (name.clone(), cell.trim().to_owned()));
        let cells = cells.filter(|(_, cell)| !cell.is_empty());
        let value = |(name, cell): (String, String)| match (name.as_str(), cell.as_str()) {
            ("historical", "true") => (name, Value::Bool(true)),
            ("historical", "false") => (name, Value::Bool(false)),
            _ => (name, Value::String(cell)),
        };
        vaccination(&nested(cells.map(value).collect()), today)
    };
    let line =
        |(line, cells): csv::Record| (line, cells.map_err(|text| Error::new(422, "structure", text)).and_then(row));
    Ok(records.map(line).collect())
}

fn of_ndjson(text: &str, today: Date) -> Result<Vec<Line>, Failure> {
    let rows = text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty());
    let line = |(at, row): (usize, &str)| {
        let read = Document::parse(row.as_bytes(), &Limits::default())
            .map_err(|error| Error::new(400, "structure", format!("not valid JSON: {}", super::error_place(&error))))
            .and_then(|document| match Value::from(document.root()) {
                // As POST /vaccines takes it.
                Value::Object(members) if !members.iter().any(|(name, _)| name == "phi") => {
                    vaccination(&nested(members), today)
                }
                whole => vaccination(&whole, today),
            });
        (at + 1, read)
    };
    let lines: Vec<Line> = rows.take(ROWS_MAX + 1).map(line).collect();
    match lines.len() {
        0 => Err(bad("the file has no rows")),
        count if count > ROWS_MAX => Err(too_many()),
        _ => Ok(lines),
    }
}

/// The flat members of a row as [`Vaccination`] has them. What is unknown stays where it is, to be refused there.
fn nested(flat: Vec<(String, Value)>) -> Value {
    let (mut dose, mut phi, mut address, mut identifier) = (json!({}), json!({}), json!({}), json!({}));
    for (name, value) in flat {
        match name.as_str() {
            name if OF_PHI.contains(&name) => phi.set(name, value),
            name if OF_ADDRESS.contains(&name) => address.set(name, value),
            "identifier_system" => identifier.set("system", value),
            "identifier_value" => identifier.set("value", value),
            name => dose.set(name, value),
        }
    }
    if address != json!({}) {
        phi.set("address", address);
    }
    if identifier != json!({}) {
        phi.set("identifiers", vec![identifier]);
    }
    dose.set("phi", phi);
    dose
}

fn vaccination(row: &Value, today: Date) -> Result<Vaccination, Error> {
    Vaccination::read(super::phi::document(row).root(), today)
}
