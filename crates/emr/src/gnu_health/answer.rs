//! What the JSON-RPC of a Tryton server answers. Errors of a call come with status 200.

use crate::http::Answer;
use crate::outcome::{of_failure, of_lost};
use delivery::{Outcome, Problem};
use fhir::json::Value;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A rule of the server or of the database has refused it; nothing was written. Without content.
    Refused(String),
    Other(Outcome),
}

impl Failure {
    pub(super) fn lost(lost: crate::http::Lost) -> Failure {
        Failure::Other(of_lost(lost))
    }

    /// The record that was named is not there.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Failure::Refused(text) if text.ends_with("that don't exist."))
    }

    /// What it means for a write. Refusals keep status 422, so that their text reaches the OperationOutcome.
    pub(super) fn of_write(self) -> Outcome {
        match self {
            Failure::Refused(text) => Outcome::Refused(Problem::new(422, text)),
            Failure::Other(outcome) => outcome,
        }
    }

    /// What it means for a change: what is not there any more is created again.
    pub(super) fn of_change(self) -> Outcome {
        match (self.is_gone(), self) {
            (true, Failure::Refused(text)) => Outcome::Gone(Problem::new(410, text)),
            (_, failure) => failure.of_write(),
        }
    }

    /// What it means for a read on the way to a write: nothing has been written by it.
    pub(super) fn of_read(self) -> Outcome {
        match self.of_write() {
            Outcome::Unknown(problem) => Outcome::Retry { problem, after: None },
            other => other,
        }
    }
}

/// The result of a call.
pub(super) fn result(answer: &Answer) -> Result<Value, Failure> {
    if answer.status != 200 {
        return Err(Failure::Other(of_failure(answer)));
    }
    let body = Value::parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
    match (body.get("error"), body.get("result")) {
        (Some(error), _) => Err(failure(error.items())),
        (None, Some(result)) => Ok(result.clone()),
        (None, None) => {
            let problem = Problem::new(answer.status, "the answer is no result of a call");
            Err(Failure::Other(Outcome::Unknown(problem)))
        }
    }
}

fn failure(error: &[Value]) -> Failure {
    let name = error.first().and_then(Value::as_str).unwrap_or_default();
    let message = error.get(1).and_then(|words| words.items().first()?.as_str()).unwrap_or_default();
    match name {
        "UserError" => Failure::Refused(without_content(message)),
        // Its first word is a key, which carries ids.
        "UserWarning" => Failure::Refused("GNU Health warns, and waits for a person's answer".to_owned()),
        "ConcurrencyException" => {
            let problem = Problem::new(409, "the record was changed at the same time");
            Failure::Other(Outcome::Retry { problem, after: None })
        }
        // The text of a Python KeyError: a model, field or module that this server does not have.
        key if key.len() > 2 && key.starts_with('\'') && key.ends_with('\'') => Failure::Refused(
            "GNU Health does not know a field or model of the call: is its module \"health\" 5.0?".into(),
        ),
        // Such as the loss of its database, perhaps in the middle of the commit.
        _ => Failure::Other(Outcome::Unknown(Problem::new(500, "GNU Health failed while it was at work"))),
    }
}

/// A message without what stands in quotes, which is content, except for the name of a field.
fn without_content(message: &str) -> String {
    let Some((before, rest)) = message.split_once('"') else { return crate::outcome::joined(&[message.to_owned()]) };
    let after = rest.rsplit_once('"').map_or("", |(_, after)| after);
    let label = message.split_once("for field \"").and_then(|(_, label)| label.split_once('"')).map(|(label, _)| label);
    let is_label = |label: &&str| label.len() <= 40 && label.chars().all(|one| one.is_ascii_alphabetic() || one == ' ');
    // "for field" may stand before the first quotes.
    let before = before.strip_suffix(" for field ").unwrap_or(before.trim_end());
    let field = label.filter(is_label).map_or_else(String::new, |label| format!(" for field {label}"));
    crate::outcome::joined(&[format!("{before}{field} … {}", after.trim())])
}

/// The ids that a creation answers.
pub(super) fn created(result: &Value) -> Result<i64, Outcome> {
    result.items().first().and_then(number).ok_or_else(|| {
        // Written, but where? It is looked for by its key.
        Outcome::Unknown(Problem::new(200, "the answer does not say its id"))
    })
}

pub(super) fn number(value: &Value) -> Option<i64> {
    value.scalar()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<Value, Failure> {
        result(&Answer { status: 200, headers: Default::default(), body: body.into(), retry_after: None })
    }

    fn refusal(message: &str) -> String {
        let body = fhir::json!({ "id": 1, "error": ["UserError", [message, "", null]] });
        match of(&body.to_string()) {
            Err(Failure::Refused(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    /// Each message as GNU Health 5.0.6 was seen to give it.
    #[test]
    fn refusals_keep_their_rule_and_lose_their_content() {
        for (message, kept) in [
            ("The PUID must be unique", "The PUID must be unique"),
            (
                "The value \"zz\" for field \"Gender\" in \"Aguilar, Ada\" of \"Party\" is not one of the allowed options.",
                "The value for field Gender … is not one of the allowed options.",
            ),
            (
                "A value is required for field \"Gender\" in \"Ada\" of \"Party\".",
                "A value is required for field Gender … .",
            ),
            (
                "You are trying to write to records \"77\" of \"Patient related information\" that don't exist.",
                "You are trying to write to records … that don't exist.",
            ),
            ("You are not allowed to access \"Patient Vaccination information\".", "You are not allowed to access … ."),
            (
                "SM-CORE-0001: Wrong date of birth for a living person",
                "SM-CORE-0001: Wrong date of birth for a living person",
            ),
            ("The value \"a\"b\" for field \"Ada 7\" in \"x\"", "The value … "),
        ] {
            assert_eq!(refusal(message), kept);
        }
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let concurrent = r#"{"id":1,"error":["ConcurrencyException","Records were modified in the meanwhile"]}"#;
        assert!(matches!(of(concurrent), Err(Failure::Other(Outcome::Retry { .. }))));
        let lost = r#"{"id":1,"error":["server closed the connection unexpectedly\n\tThis probably means",""]}"#;
        assert!(matches!(of(lost), Err(Failure::Other(Outcome::Unknown(_)))));
        assert!(matches!(of(r#"{"id":1,"error":["'fed_country'",""]}"#), Err(Failure::Refused(_))));
        let warning = r#"{"id":1,"error":["UserWarning",["party.party,7","Ada?",""]]}"#;
        let Err(Failure::Refused(text)) = of(warning) else { panic!("a warning is a refusal") };
        assert!(!text.contains("Ada") && !text.contains('7'), "{text}");
        assert_eq!(of(r#"{"id":1,"result":null}"#), Ok(Value::Null));
        assert!(matches!(of("<html>"), Err(Failure::Other(Outcome::Unknown(_)))));
        let gone = Failure::Refused(refusal("You are trying to read records \"99\" of \"Party\" that don't exist."));
        assert!(matches!(gone.of_change(), Outcome::Gone(_)));
    }
}
