//! One form for one content: what two systems write differently and mean alike compares as equal.

use fhir::json::Value;

/// Members sorted by name; what is empty left out. Items keep their order.
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(members) => {
            let full = members.iter().map(|(name, member)| (name.clone(), canonical(member)));
            let mut members: Vec<(String, Value)> = full.filter(|(_, member)| !is_empty(member)).collect();
            members.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(members)
        }
        scalar => scalar.clone(),
    }
}

pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_members_and_emptiness_do_not_matter() {
        let left = Value::parse(r#"{"b":[{"y":1,"x":"2"}],"a":{},"c":[]}"#).unwrap();
        let right = Value::parse(r#"{"b":[{"x":"2","y":1}]}"#).unwrap();
        assert_eq!(canonical(&left), canonical(&right));
        let nulls = Value::parse(r#"{"given":["a",null]}"#).unwrap();
        assert_eq!(canonical(&nulls).to_string(), r#"{"given":["a",null]}"#);
    }
}
