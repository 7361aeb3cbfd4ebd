//! References of a resource that is being written: a foreign key must lead somewhere.

use crate::records::Records;
use serde_json::Value;

/// The first local reference to a record that does not exist.
pub(crate) fn dangling(records: &Records, value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| match value {
            Value::String(text) if name == "reference" => {
                let (resource_type, id) = text.split_once('/')?;
                let local = super::TYPES.contains(&resource_type);
                (local && records.get(resource_type, id).is_none()).then(|| text.clone())
            }
            _ => dangling(records, value),
        }),
        Value::Array(items) => items.iter().find_map(|item| dangling(records, item)),
        _ => None,
    }
}
