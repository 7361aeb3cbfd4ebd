//! The rules of OpenEMR's REST bodies, and its words for breaking them.

use serde_json::{Map, Value, json};

/// What a column must look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Any,
    Numeric,
    Length(usize, usize),
    Date,
    DateTime,
}

/// A column, whether it is required, and its rule.
pub(super) type Column = (&'static str, bool, Rule);

/// Columns of `body` that break their rules, with OpenEMR's messages.
pub(super) fn broken(body: &Value, columns: &[Column]) -> Map<String, Value> {
    columns.iter().filter_map(|column| Some((column.0.to_owned(), problem(body, *column)?))).collect()
}

fn problem(body: &Value, (name, required, rule): Column) -> Option<Value> {
    let text = text(&body[name]);
    if text.is_empty() {
        return required.then(|| {
            if body.get(name).is_none() {
                json!({ "Required::NON_EXISTENT_KEY": format!("{name} must be provided, but does not exist") })
            } else {
                json!({ "NotEmpty::EMPTY_VALUE": format!("{name} must not be empty") })
            }
        });
    }
    let length = text.chars().count();
    match rule {
        Rule::Numeric if text.parse::<f64>().is_err() => {
            Some(json!({ "Numeric::NOT_NUMERIC": format!("{name} must be numeric") }))
        }
        Rule::Length(least, _) if length < least => {
            Some(json!({ "LengthBetween::TOO_SHORT": format!("{name} must be {least} characters or longer") }))
        }
        Rule::Length(_, most) if length > most => {
            Some(json!({ "LengthBetween::TOO_LONG": format!("{name} must be {most} characters or shorter") }))
        }
        Rule::Date if text.parse::<jiff::civil::Date>().is_err() => {
            Some(json!({ "Datetime::INVALID_VALUE": format!("{name} must be a valid date") }))
        }
        Rule::DateTime if length != 19 || text.parse::<jiff::civil::DateTime>().is_err() => {
            Some(json!({ "Datetime::INVALID_VALUE": format!("{name} must be a valid date") }))
        }
        _ => None,
    }
}

/// A column's text; numbers count as text, as PHP has it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
