//! What OpenEMR's answers say. Its APIs have three kinds of errors and two kinds of envelopes.

use crate::http::Answer;
use crate::outcome;
use delivery::{Outcome, Problem};
use fhir::json::Value;

/// The body as JSON, `Null` when it is none.
pub(super) fn body(answer: &Answer) -> Value {
    std::str::from_utf8(&answer.body).ok().and_then(|text| Value::parse(text).ok()).unwrap_or_default()
}

/// The rows of a list: bare, or in the envelope of the newer endpoints. `None`: this is no list.
pub(super) fn rows(answer: &Answer) -> Option<Vec<Value>> {
    match (answer.status, body(answer)) {
        // The older endpoints say so of an empty list. A path that does not exist has an error in its body.
        (404, body) if body.get("error").is_none() => Some(Vec::new()),
        (200, Value::Array(rows)) => Some(rows),
        (200, body) => match body.get("data") {
            Some(Value::Array(rows)) => Some(rows.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The one row of an answer: bare, alone in a list, or in the envelope.
pub(super) fn row(answer: &Answer) -> Value {
    let body = body(answer);
    let inner = body.get("data").cloned().unwrap_or(body);
    match inner {
        Value::Array(rows) => rows.into_iter().next().unwrap_or_default(),
        other => other,
    }
}

/// A member that is a text or a number, and not empty.
pub(super) fn scalar(row: &Value, name: &str) -> Option<String> {
    row.get(name)?.scalar().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The outcome of a write that was refused. `ids`: columns that name the record itself or what it belongs to; an error of one of
/// them says that it is not there any more.
pub(super) fn refused(answer: &Answer, ids: &[&str]) -> Outcome {
    let columns = columns(answer);
    if answer.status == 404 || columns.iter().any(|(column, _)| ids.contains(&column.as_str())) {
        return Outcome::Gone(Problem::new(answer.status, "not there any more"));
    }
    match outcome::of_failure(answer) {
        Outcome::Refused(_) if !columns.is_empty() => Outcome::Refused(Problem::new(answer.status, text(&columns))),
        Outcome::Refused(problem) if problem.status == 403 => Outcome::Refused(Problem::new(
            403,
            "the service user has no right to do this: check its scopes and its groups",
        )),
        other => other,
    }
}

/// A write that failed and has nothing that could be gone.
pub(super) fn failed(answer: &Answer) -> Outcome {
    match refused(answer, &[]) {
        Outcome::Gone(problem) => {
            Outcome::Refused(Problem::new(problem.status, "OpenEMR does not know this path: is its API switched on?"))
        }
        other => other,
    }
}

/// A read on the way to a write that failed.
pub(super) fn unread(answer: &Answer) -> Outcome {
    match failed(answer) {
        Outcome::Unknown(problem) => Outcome::Retry { problem, after: answer.retry_after },
        other => other,
    }
}

/// Columns that a 400 complains of, with the names of the rules that they break. Its sentences may repeat content.
fn columns(answer: &Answer) -> Vec<(String, String)> {
    if answer.status != 400 {
        return Vec::new();
    }
    let body = body(answer);
    let Value::Object(members) = body.get("validationErrors").unwrap_or(&body) else { return Vec::new() };
    let named = members.iter().filter(|(name, rules)| is_name(name) && matches!(rules, Value::Object(_)));
    named
        .map(|(name, rules)| {
            let Value::Object(rules) = rules else { return (name.clone(), String::new()) };
            let rules = rules.iter().map(|(rule, _)| rule.as_str()).filter(|rule| is_name(rule));
            (name.clone(), rules.collect::<Vec<_>>().join(", "))
        })
        .collect()
}

/// Names of columns and rules; anything else might be content.
fn is_name(text: &str) -> bool {
    text.len() <= 60 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

fn text(columns: &[(String, String)]) -> String {
    let words: Vec<String> = columns.iter().map(|(column, rules)| format!("{column}: {rules}")).collect();
    outcome::joined(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Default::default(), body: body.into(), retry_after: None }
    }

    #[test]
    fn both_envelopes_are_opened() {
        for body in [r#"[{"id":7}]"#, r#"{"validationErrors":[],"data":[{"id":7}]}"#] {
            let rows = rows(&answer(200, body)).unwrap();
            assert_eq!(scalar(&rows[0], "id").as_deref(), Some("7"), "{body}");
            assert_eq!(scalar(&row(&answer(200, body)), "id").as_deref(), Some("7"));
        }
        assert_eq!(rows(&answer(404, "")), Some(Vec::new()));
        assert_eq!(rows(&answer(404, r#"{"error":"Not Found"}"#)), None);
        assert_eq!(rows(&answer(200, "true")), None);
        assert_eq!(rows(&answer(500, "[]")), None);
    }

    #[test]
    fn a_refusal_names_columns_and_rules_and_no_content() {
        let body = r#"{"validationErrors":{"lname":{"LengthBetween::TOO_SHORT":"Aguilar must be longer"}}}"#;
        let Outcome::Refused(problem) = refused(&answer(400, body), &["uuid"]) else { panic!("not refused") };
        assert_eq!((problem.status, problem.text.as_str()), (400, "lname: LengthBetween::TOO_SHORT"));
        let gone = r#"{"validationErrors":{"euuid":{"Callback::INVALID_VALUE":"x"}}}"#;
        assert!(matches!(refused(&answer(400, gone), &["euuid"]), Outcome::Gone(_)));
        let bare = r#"{"pc_catid":{"Numeric::NOT_NUMERIC":"pc_catid must be numeric"}}"#;
        assert!(
            matches!(failed(&answer(400, bare)), Outcome::Refused(problem) if problem.text.starts_with("pc_catid"))
        );
        assert!(matches!(unread(&answer(500, "")), Outcome::Retry { .. }));
        assert!(matches!(failed(&answer(404, "")), Outcome::Refused(problem) if problem.text.contains("switched on")));
        assert!(matches!(failed(&answer(403, "{}")), Outcome::Refused(problem) if problem.text.contains("no right")));
    }
}
