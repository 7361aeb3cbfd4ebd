//! `_summary` and `_elements`: parts of resources, marked SUBSETTED.

use crate::{Error, Page, Resource};
use fhir::defs::{self, TypeDef, TypeKind};
use fhir::json;
use fhir::json::{Document, Limits, Value};
use fhir::query::{Query, Summary};
use store::Op;

const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// Cuts the matches; included resources as well under `_summary`, since `_elements` names elements of the matches.
pub(crate) fn apply(query: &Query, page: &mut Page) -> Result<(), Error> {
    if query.summary == Summary::False && query.elements.is_empty() {
        return Ok(());
    }
    page.matches.iter_mut().try_for_each(|resource| cut(resource, query.summary, &query.elements))?;
    if query.summary != Summary::False {
        page.includes.iter_mut().try_for_each(|resource| cut(resource, query.summary, &[]))?;
    }
    Ok(())
}

fn cut(resource: &mut Resource, summary: Summary, elements: &[String]) -> Result<(), Error> {
    if resource.op == Op::Delete {
        return Ok(());
    }
    let document = Document::parse(&resource.json, &Limits::default())?;
    let Value::Object(members) = Value::from(document.root()) else { return Ok(()) };
    let ty = defs::r4().ty(resource.ty);
    let mut kept: Vec<(String, Value)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        let element = name.strip_prefix('_').unwrap_or(&name);
        let always = matches!(element, "resourceType" | "id" | "meta") || is_mandatory(ty, element);
        let wanted = if elements.is_empty() {
            match summary {
                Summary::Text => element == "text",
                Summary::Data => element != "text",
                Summary::True => is_summary(ty, element),
                Summary::False | Summary::Count => true,
            }
        } else {
            elements.iter().any(|wanted| names(ty, wanted, element))
        };
        if always || wanted {
            let value =
                if summary == Summary::True && elements.is_empty() { summarize(ty, element, value) } else { value };
            kept.push((name, value));
        }
    }
    let mut cut = Value::Object(kept);
    mark(&mut cut);
    resource.json.clear();
    cut.write(&mut resource.json);
    Ok(())
}

/// `_elements=value` keeps `valueQuantity`, and `name.family` the whole name.
fn names(ty: &TypeDef, wanted: &str, member: &str) -> bool {
    let wanted = wanted.split('.').next().unwrap_or(wanted);
    wanted == member || ty.property(member).is_some_and(|property| property.element.name == wanted)
}

fn is_mandatory(ty: &TypeDef, member: &str) -> bool {
    ty.property(member).is_some_and(|property| property.element.min > 0)
}

fn is_summary(ty: &TypeDef, member: &str) -> bool {
    ty.property(member).is_some_and(|property| property.element.is_summary)
}

/// Drops elements inside backbone elements that are not in the summary either; datatypes stay whole.
fn summarize(ty: &TypeDef, member: &str, value: Value) -> Value {
    let defs = defs::r4();
    let Some(property) = ty.property(member) else { return value };
    let inner = defs.ty(property.ty);
    if inner.kind != TypeKind::Backbone {
        return value;
    }
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| summarize(ty, member, item)).collect()),
        Value::Object(members) => {
            let kept = members.into_iter().filter_map(|(name, value)| {
                let element = name.strip_prefix('_').unwrap_or(&name);
                let wanted = element == "id" || is_mandatory(inner, element) || is_summary(inner, element);
                let value = wanted.then(|| summarize(inner, element, value))?;
                Some((name, value))
            });
            Value::Object(kept.collect())
        }
        other => other,
    }
}

fn mark(resource: &mut Value) {
    let tag = json!({ "system": SYSTEM, "code": "SUBSETTED" });
    if resource.get("meta").is_none() {
        resource.set("meta", json!({}));
    }
    let Some(meta) = resource.get_mut("meta") else { return };
    match meta.get_mut("tag") {
        Some(Value::Array(tags)) => {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        _ => meta.set("tag", vec![tag]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_patient(summary: Summary, elements: &[&str]) -> String {
        let json = br#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1"},"text":{"status":"empty"},"birthDate":"1970","_birthDate":{"id":"x"},"photo":[{"title":"p"}],"link":[{"other":{"reference":"Patient/b"},"type":"seealso"}]}"#;
        let ty = defs::r4().resource_by_name("Patient").unwrap();
        let mut resource =
            Resource { ty, id: "a".into(), version: 1, last_updated_us: 0, op: Op::Create, json: json.to_vec() };
        let elements: Vec<String> = elements.iter().map(|name| (*name).to_owned()).collect();
        cut(&mut resource, summary, &elements).unwrap();
        let text = String::from_utf8(resource.json).unwrap();
        let tag =
            r#","tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]"#;
        assert!(text.contains(tag), "{text}");
        text.replace(tag, "").replace(r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1"}"#, "")
    }

    #[test]
    fn each_summary_keeps_its_part() {
        assert_eq!(cut_patient(Summary::Text, &[]), r#","text":{"status":"empty"}}"#);
        let data = cut_patient(Summary::Data, &[]);
        assert!(!data.contains("\"text\"") && data.contains("photo"));
        let summary = cut_patient(Summary::True, &[]);
        assert!(!summary.contains("photo") && !summary.contains("\"text\""), "{summary}");
        assert!(summary.contains(r#""_birthDate""#) && summary.contains("link"));
    }

    #[test]
    fn elements_are_kept_with_their_extensions() {
        assert_eq!(cut_patient(Summary::False, &["birthDate"]), r#","birthDate":"1970","_birthDate":{"id":"x"}}"#);
    }

    #[test]
    fn the_mark_is_set_once() {
        let mut value = json!({ "resourceType": "Patient" });
        mark(&mut value);
        let once = value.clone();
        mark(&mut value);
        assert_eq!(value, once);
    }
}
