//! FHIR searches whose answers may be long.

use super::OpenEmr;
use super::answer::unread;
use super::site::{Failure, Who};
use crate::http::{Answer, Lost, TOO_LONG};
use crate::outcome::problem_of;
use crate::turns::Turns;
use delivery::{Outcome, Problem};
use fhir::json::{Document, Limits, Value};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::Method;
use reqwest::header::DATE;
use std::time::Duration;

/// Longest answer, in memory once as text: what cannot be asked for in smaller parts.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// What a search found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) resources: Vec<Value>,
    /// When it answered, by the EMR's clock, in seconds since 1970.
    pub(super) at_s: Option<i64>,
}

/// Why a search found nothing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SearchError {
    /// More than can be read at once, or more than the EMR can do in one request: ask for less.
    TooMuch(Problem),
    Failed {
        problem: Problem,
        after: Option<Duration>,
    },
    /// The dispatcher ends.
    Ending,
}

impl SearchError {
    pub(super) fn of(outcome: Outcome) -> SearchError {
        match outcome {
            Outcome::Retry { problem, after } => SearchError::Failed { problem, after },
            other => SearchError::Failed { problem: problem_of(other), after: None },
        }
    }

    /// What it means for a write that had to read first.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            SearchError::TooMuch(problem) => Outcome::Retry { problem, after: None },
            SearchError::Failed { problem, after } => Outcome::Retry { problem, after },
            SearchError::Ending => Outcome::Retry { problem: Problem::new(409, "stopped"), after: None },
        }
    }
}

/// A search by the backend service. The parameters are sent as they are: whether they work is the caller's knowledge.
/// An answer of more than `bytes_max` is [`SearchError::TooMuch`].
pub(super) async fn search(
    emr: &OpenEmr,
    turns: &dyn Turns,
    name: &str,
    query: &[(&str, String)],
    bytes_max: usize,
) -> Result<Found, SearchError> {
    let answer = get(emr, turns, &format!("/{name}"), query, bytes_max).await?;
    if answer.status != 200 {
        let outcome = unread(&answer);
        return Err(match answer.status {
            // How a PHP worker ends that has run out of memory or time.
            500 | 502 | 504 => SearchError::TooMuch(problem_of(outcome)),
            _ => SearchError::of(outcome),
        });
    }
    let not_a_bundle = || SearchError::Failed { problem: Problem::new(200, "the answer is no Bundle"), after: None };
    let limits = Limits { bytes_max, ..Limits::default() };
    let document = Document::parse(&answer.body, &limits).map_err(|_| not_a_bundle())?;
    let bundle = document.root();
    if bundle.str("resourceType").as_deref() != Some("Bundle") {
        return Err(not_a_bundle());
    }
    let entries = bundle.get("entry").into_iter().flat_map(|entries| entries.each());
    let resources = entries.filter_map(|entry| entry.get("resource")).map(Value::from);
    // An OperationOutcome may be among them.
    let resources = resources.filter(|resource| resource.str("resourceType") == Some(name)).collect();
    Ok(Found { resources, at_s: at_s(&answer) })
}

/// One resource, or `None` when it is not there.
pub(super) async fn read(emr: &OpenEmr, turns: &dyn Turns, name: &str, id: &str) -> Result<Option<Value>, SearchError> {
    let answer = get(emr, turns, &format!("/{name}/{id}"), &[], BYTES_MAX).await?;
    let body = super::answer::body(&answer);
    match answer.status {
        200 if body.str("id") == Some(id) => Ok(Some(body)),
        // A path that does not exist has an error in its body.
        404 | 410 if body.get("error").is_none() => Ok(None),
        200 => Err(SearchError::Failed { problem: Problem::new(200, "the answer is another resource"), after: None }),
        _ => Err(SearchError::of(unread(&answer))),
    }
}

async fn get(
    emr: &OpenEmr,
    turns: &dyn Turns,
    path: &str,
    query: &[(&str, String)],
    bytes_max: usize,
) -> Result<Answer, SearchError> {
    let request = emr.site.fhir(Method::GET, path, None).query(query);
    emr.site.send_long(turns, Who::Reader, request, bytes_max).await.map_err(|failure| match failure {
        Failure::Lost(Lost::Ending) => SearchError::Ending,
        Failure::Lost(Lost::Unknown(problem)) if problem.text == TOO_LONG => SearchError::TooMuch(problem),
        other => SearchError::of(other.of_read()),
    })
}

fn at_s(answer: &Answer) -> Option<i64> {
    let text = answer.headers.get(DATE)?.to_str().ok()?;
    // HTTP writes the zone in words.
    rfc2822::DateTimeParser::new().parse_timestamp(text).map(Timestamp::as_second).ok()
}

/// A second since 1970 as OpenEMR reads it.
pub(super) fn instant(second: i64) -> String {
    Timestamp::from_second(second).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_the_emr_is_read_from_its_answers() {
        let mut answer = Answer { status: 200, headers: Default::default(), body: Vec::new(), retry_after: None };
        assert_eq!(at_s(&answer), None);
        answer.headers.insert(DATE, "Thu, 01 Jan 2026 00:00:10 GMT".parse().unwrap());
        assert_eq!(at_s(&answer).map(instant).as_deref(), Some("2026-01-01T00:00:10Z"));
    }
}
