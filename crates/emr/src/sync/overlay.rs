//! Puts a changed projection back over the whole resource: what takes no part stays as it is.

use super::canonical::{canonical, is_empty};
use super::merge::{Base, merge};
use super::precedence::Winner;
use super::project::{Kind, official_name};
use fhir::defs::TypeId;
use fhir::json::Value;

/// `whole` with the difference between `before`, its projection, and `after`.
pub fn overlay(kind: Kind, ty: TypeId, whole: &Value, before: &Value, after: &Value) -> Value {
    let base = Base { ours: before.clone(), theirs: before.clone() };
    let mut named = whole.clone();
    let name = (kind == Kind::OpenEmr).then(|| official_name(&named)).flatten();
    let set_use = |resource: &mut Value, wanted: Option<Value>| {
        let Some(Value::Array(names)) = resource.get_mut("name") else { return };
        let name = name.and_then(|at| names.get_mut(at));
        match (name, wanted) {
            (Some(name), Some(wanted)) => name.set("use", wanted),
            (Some(Value::Object(members)), None) => members.retain(|(name, _)| name != "use"),
            _ => {}
        }
    };
    // The name that such an EMR has is its official one, whatever we call it.
    let called = name.and_then(|at| whole.list("name").get(at)?.get("use").cloned());
    set_use(&mut named, Some("official".into()));
    let merged = merge(ty, &base, &canonical(&named), after, &|_| Winner::Theirs);
    let mut out = ordered(whole, &merged.ours);
    set_use(&mut out, called);
    out
}

/// Members of `new` in the order of `old`, so that a text changes only where its content does.
fn ordered(old: &Value, new: &Value) -> Value {
    match (old, new) {
        (Value::Object(before), Value::Object(members)) => {
            let mut out: Vec<(String, Value)> = Vec::new();
            for (name, was) in before {
                match new.get(name) {
                    Some(value) => out.push((name.clone(), ordered(was, value))),
                    // What is empty has no canonical form and is not ours to remove.
                    None if is_empty(was) => out.push((name.clone(), was.clone())),
                    None => {}
                }
            }
            let is_new = |name: &String| before.iter().all(|(other, _)| other != name);
            out.extend(members.iter().filter(|(name, _)| is_new(name)).cloned());
            Value::Object(out)
        }
        (Value::Array(_), Value::Array(list)) => {
            let same = |item: &Value| old.items().iter().find(|was| canonical(was) == *item);
            let like = |at: usize| old.items().get(at).unwrap_or(&Value::Null);
            let item = |(at, item): (usize, &Value)| same(item).cloned().unwrap_or_else(|| ordered(like(at), item));
            Value::Array(list.iter().enumerate().map(item).collect())
        }
        _ => new.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::project::project;
    use fhir::defs::r4;

    #[test]
    fn only_what_changed_changes() {
        let ty = r4().resource_by_name("Patient").unwrap();
        let whole = Value::parse(
            r#"{"resourceType":"Patient","id":"p","meta":{"tag":[{"system":"s","code":"x"}]},"name":[{"use":"nickname","given":["Ai"]},{"use":"official","given":["Aiko","Rin"],"family":"Ito"}],"gender":"female","language":"de"}"#,
        )
        .unwrap();
        let before = project(Kind::OpenEmr, ty, &whole, &Value::Null);
        assert_eq!(overlay(Kind::OpenEmr, ty, &whole, &before, &before).to_string(), whole.to_string());
        let theirs = Value::parse(
            r#"{"name":[{"use":"official","family":"Sato","given":["Aiko","Rin"]}],"gender":"female","birthDate":"1990-01-01"}"#,
        )
        .unwrap();
        let after = project(Kind::OpenEmr, ty, &theirs, &theirs);
        assert_eq!(
            overlay(Kind::OpenEmr, ty, &whole, &before, &after).to_string(),
            r#"{"resourceType":"Patient","id":"p","meta":{"tag":[{"system":"s","code":"x"}]},"name":[{"use":"nickname","given":["Ai"]},{"use":"official","given":["Aiko","Rin"],"family":"Sato"}],"gender":"female","language":"de","birthDate":"1990-01-01"}"#
        );
    }

    #[test]
    fn the_only_name_keeps_what_we_call_it() {
        let ty = r4().resource_by_name("Patient").unwrap();
        for (name_use, shown) in [("", ""), (r#""use":"usual","#, r#""use":"usual","#)] {
            let whole = Value::parse(&format!(r#"{{"name":[{{{name_use}"family":"Ito"}}]}}"#)).unwrap();
            let before = project(Kind::OpenEmr, ty, &whole, &Value::Null);
            let theirs = Value::parse(r#"{"name":[{"use":"official","family":"Sato"}]}"#).unwrap();
            let after = project(Kind::OpenEmr, ty, &theirs, &theirs);
            let changed = overlay(Kind::OpenEmr, ty, &whole, &before, &after);
            assert_eq!(changed.to_string(), format!(r#"{{"name":[{{{shown}"family":"Sato"}}]}}"#));
        }
    }
}
