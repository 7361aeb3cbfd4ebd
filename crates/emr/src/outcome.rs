//! What an HTTP answer means for a delivery.

use crate::http::{Answer, Lost};
use delivery::{Outcome, Problem};
use fhir::json::{Document, Limits};

/// Longest message of the EMR that is kept.
const TEXT_BYTES_MAX: usize = 500;

/// Why it did not go well.
pub(crate) fn problem_of(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Retry { problem, .. }
        | Outcome::Refused(problem)
        | Outcome::Unknown(problem)
        | Outcome::Gone(problem) => problem,
        Outcome::Done(_) => Problem::default(),
    }
}

pub(crate) fn of_lost(lost: Lost) -> Outcome {
    match lost {
        Lost::NotSent(problem) => Outcome::Retry { problem, after: None },
        Lost::Unknown(problem) => Outcome::Unknown(problem),
        Lost::Ending => Outcome::Retry { problem: Problem::new(0, "stopped before it was sent"), after: None },
    }
}

/// The outcome of a write that was not a success.
pub(crate) fn of_failure(answer: &Answer) -> Outcome {
    let problem = Problem::new(answer.status, text(&answer.body));
    match answer.status {
        401 | 408 | 425 | 429 | 503 => Outcome::Retry { problem, after: answer.retry_after },
        // A gateway says nothing about what the server behind it has done.
        502 | 504 => Outcome::Unknown(problem),
        // It failed while it was at work: it may have written.
        500..=599 => Outcome::Unknown(problem),
        _ => Outcome::Refused(problem),
    }
}

/// The codes of an OperationOutcome and where it points; its own words may repeat content.
pub(crate) fn text(body: &[u8]) -> String {
    let Ok(document) = Document::parse(body, &Limits::default()) else { return String::new() };
    let mut words = Vec::new();
    for issue in document.root().get("issue").into_iter().flat_map(|issue| issue.each()) {
        let code = issue.str("code").unwrap_or_default();
        let place = issue.get("expression").and_then(|places| places.each().next()?.as_str()).unwrap_or_default();
        words.push(format!("{code} {place}").trim().to_owned());
    }
    joined(&words)
}

/// The text of a problem, not longer than is kept.
pub(crate) fn joined(words: &[String]) -> String {
    let mut text = words.join("; ");
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Default::default(), body: body.into(), retry_after: None }
    }

    #[test]
    fn failures_that_pass_are_told_from_those_that_stay() {
        let outcome = |status| of_failure(&answer(status, ""));
        for status in [401, 408, 429, 503] {
            assert!(matches!(outcome(status), Outcome::Retry { .. }), "{status}");
        }
        for status in [500, 502, 504] {
            assert!(matches!(outcome(status), Outcome::Unknown(_)), "{status}");
        }
        for status in [400, 403, 404, 409, 410, 412, 422] {
            assert!(matches!(outcome(status), Outcome::Refused(_)), "{status}");
        }
    }

    #[test]
    fn messages_carry_codes_and_places_and_no_content() {
        let body = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value","diagnostics":"Aguilar is no gender","expression":["Patient.gender"]}]}"#;
        assert_eq!(text(body.as_bytes()), "value Patient.gender");
        assert_eq!(text(b"<html>Aguilar"), "");
    }
}
