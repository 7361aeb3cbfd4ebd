//! References between our ids and theirs.

use fhir::json::Value;

/// Calls `each` with every literal reference in it.
pub(super) fn walk(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, each)),
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if name == "reference" => each(text),
                    _ => walk(member, each),
                }
            }
        }
        _ => {}
    }
}

/// Replaces what `map` has, which may be the reference or `system|value` of a logical one.
pub(super) fn replace(value: &mut Value, map: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, map)),
        Value::Object(members) => {
            let text = |name: &str| members.iter().find(|(other, _)| other == name).map(|(_, member)| member);
            let literal = text("reference").and_then(Value::as_str).and_then(map);
            let logical = text("identifier").and_then(|identifier| {
                let key = format!("{}|{}", identifier.str("system")?, identifier.str("value")?);
                map(&key)
            });
            match (literal, logical) {
                (Some(new), _) => value.set("reference", new),
                (None, Some(new)) => {
                    members.retain(|(name, _)| name != "identifier");
                    value.set("reference", new);
                }
                (None, None) => members.iter_mut().for_each(|(_, member)| replace(member, map)),
            }
        }
        _ => {}
    }
}

/// `Type/id` of a reference into the EMR with this base, without a version.
pub(super) fn plain<'a>(base: &str, reference: &'a str) -> Option<&'a str> {
    let inside = reference.strip_prefix(base).map_or(reference, |rest| rest.trim_start_matches('/'));
    let inside = inside.split_once("/_history/").map_or(inside, |(plain, _)| plain);
    let (name, id) = inside.split_once('/')?;
    (fhir::defs::r4().resource_by_name(name).is_some() && fhir::index::is_id(id)).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_replaced() {
        let mut value = Value::parse(
            r##"{"subject":{"reference":"https://emr/fhir/Patient/7/_history/1"},"performer":[{"identifier":{"system":"urn:weir","value":"Practitioner-d"}},{"reference":"#a"}]}"##,
        )
        .unwrap();
        let mut found = Vec::new();
        walk(&value, &mut |reference| found.extend(plain("https://emr/fhir", reference).map(str::to_owned)));
        assert_eq!(found, ["Patient/7"]);
        replace(&mut value, &|key| match (key, plain("https://emr/fhir", key)) {
            ("urn:weir|Practitioner-d", _) => Some("Practitioner/d".into()),
            (_, Some("Patient/7")) => Some("Patient/p".into()),
            _ => None,
        });
        assert_eq!(
            value.to_string(),
            r##"{"subject":{"reference":"Patient/p"},"performer":[{"reference":"Practitioner/d"},{"reference":"#a"}]}"##
        );
    }
}
