//! Required codes and reference targets.

use crate::defs::{Definitions, TypeId, ValueSet};
use crate::index::is_id;
use crate::json::Node;

/// Whether a code, Coding, CodeableConcept or Quantity takes its code from `value_set`.
pub(super) fn is_bound(value_set: &ValueSet, ty: &str, node: Node<'_>) -> bool {
    match ty {
        "CodeableConcept" => {
            // Text alone says nothing that could be outside of the value set.
            let mut codings = node.get("coding").into_iter().flat_map(Node::items).peekable();
            codings.peek().is_none() || codings.any(|coding| has_bound_code(value_set, coding))
        }
        "Coding" | "Quantity" => node.get("code").is_none() || has_bound_code(value_set, node),
        _ => node.as_str().is_none_or(|code| value_set.contains(None, &code)),
    }
}

fn has_bound_code(value_set: &ValueSet, coding: Node<'_>) -> bool {
    let system = coding.str("system");
    coding.str("code").is_some_and(|code| value_set.contains(system.as_deref(), &code))
}

/// The first codes of a value set, for an error text.
pub(super) fn some_codes(value_set: &ValueSet) -> String {
    const SHOWN: usize = 12;
    let mut text: Vec<&str> = value_set.codes.iter().take(SHOWN).map(|(_, code)| *code).collect();
    if value_set.codes.len() > SHOWN {
        text.push("…");
    }
    text.join(", ")
}

/// What is wrong with `Type/id` in a reference; other forms (`#id`, `urn:…`, absolute URLs, queries) are not looked into.
pub(super) fn reference_problem(defs: &Definitions, targets: &[TypeId], reference: &str) -> Option<String> {
    if reference.contains([':', '?', '#']) {
        return None;
    }
    let mut parts = reference.split('/');
    let (ty, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_plain = match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) => true,
        (Some("_history"), Some(version), None) => is_id(version),
        _ => false,
    };
    if !is_plain || !is_id(id) {
        return Some("reference must be [type]/[id], [type]/[id]/_history/[version] or an absolute URL".to_owned());
    }
    let Some(ty) = defs.resource_by_name(ty) else {
        return Some("reference is to a type that R4 does not have".to_owned());
    };
    if targets.is_empty() || targets.iter().any(|target| defs.is_a(ty, *target)) {
        return None;
    }
    let allowed: Vec<&str> = targets.iter().map(|target| defs.ty(*target).name).collect();
    Some(format!("reference to {} is not allowed here, only to {}", defs.ty(ty).name, allowed.join(", ")))
}
