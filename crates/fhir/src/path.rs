//! Search-parameter expressions, compiled against the definitions into plain walks over JSON members.
//!
//! R4 search parameters use a small part of FHIRPath. Because the type at each step is known from the definitions, a
//! choice such as `Observation.value` becomes one walk per type, with the JSON member names worked out beforehand.

use crate::defs::{Definitions, TypeId, ValueSetId, choice_name};
use crate::json::Node;

/// A compiled expression: every walk contributes its nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) walks: Vec<Walk>,
    /// `X.exists() and X != false`: the result is whether any walk finds something other than `false`.
    pub(crate) is_existence: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Walk {
    steps: Vec<Step>,
    /// Type of the nodes at the end.
    pub(crate) ty: TypeId,
    /// The required value set of the last element.
    pub(crate) binding: Option<ValueSetId>,
}

#[derive(Clone, Debug)]
enum Step {
    Member(String),
    /// Only the item with this index of the array just reached.
    Index(usize),
    /// `where(member = 'value')`
    Where(&'static str, &'static str),
    /// `where(resolve() is Type)`
    RefersTo(&'static str),
}

impl Plan {
    /// Compiles `expression`, which begins with the name of `context` (or of an ancestor) or is relative to it.
    pub(crate) fn compile(defs: &Definitions, context: TypeId, expression: &'static str) -> Result<Plan, String> {
        if let Some((subject, rest)) = expression.split_once(".exists() and ")
            && rest.strip_suffix(" != false") == Some(subject)
        {
            return Ok(Plan { is_existence: true, ..Plan::compile(defs, context, subject)? });
        }
        let mut plan = Plan::default();
        for part in expression.split(" | ") {
            plan.walks.extend(compile_part(defs, context, part.trim())?);
        }
        Ok(plan)
    }

    /// Calls `each` with every node the plan reaches from `root` and with the walk that reached it.
    pub(crate) fn visit<'a>(&self, root: Node<'a>, each: &mut dyn FnMut(&Walk, Node<'a>)) {
        for walk in &self.walks {
            walk.visit(root, each);
        }
    }
}

impl Walk {
    /// As [`Plan::visit`], for this walk alone.
    pub(crate) fn visit<'a>(&self, root: Node<'a>, each: &mut dyn FnMut(&Walk, Node<'a>)) {
        visit(self, &self.steps, root, each);
    }
}

fn visit<'a>(walk: &Walk, steps: &[Step], node: Node<'a>, each: &mut dyn FnMut(&Walk, Node<'a>)) {
    let Some((step, rest)) = steps.split_first() else {
        return each(walk, node);
    };
    match step {
        Step::Member(name) => {
            let Some(value) = node.get(name) else { return };
            if let Some((Step::Index(index), rest)) = rest.split_first() {
                if let Some(item) = value.each().nth(*index) {
                    visit(walk, rest, item, each);
                }
                return;
            }
            for item in value.each() {
                visit(walk, rest, item, each);
            }
        }
        Step::Index(_) => {}
        Step::Where(member, value) => {
            if node.str(member).is_some_and(|text| text == *value) {
                visit(walk, rest, node, each);
            }
        }
        Step::RefersTo(name) => {
            if refers_to(node, name) {
                visit(walk, rest, node, each);
            }
        }
    }
}

/// Whether a Reference says that it refers to the type, by its URL or else by its `type`.
fn refers_to(reference: Node<'_>, name: &str) -> bool {
    let by_url = reference.str("reference").and_then(|text| {
        let mut segments = text.split("/_history/").next()?.rsplit('/');
        segments.next()?;
        let ty = segments.next().filter(|ty| ty.starts_with(|letter: char| letter.is_ascii_uppercase()))?;
        Some(ty == name)
    });
    by_url.unwrap_or_else(|| reference.str("type").is_some_and(|ty| ty == name))
}

/// A walk under construction: where it is, and the choice it may stand at.
struct Draft {
    steps: Vec<Step>,
    ty: TypeId,
    binding: Option<ValueSetId>,
}

fn compile_part(defs: &Definitions, context: TypeId, part: &'static str) -> Result<Vec<Walk>, String> {
    let part = unwrapped(part);
    let mut drafts = vec![Draft { steps: Vec::new(), ty: context, binding: None }];
    for (at, call) in calls(part).into_iter().enumerate() {
        let is_root =
            at == 0 && (call == "%resource" || defs.type_by_name(call).is_some_and(|ty| defs.is_a(context, ty)));
        if is_root {
            continue;
        }
        drafts = step(defs, drafts, call)?;
        if drafts.is_empty() {
            return Err(format!("`{call}` leads nowhere in `{part}`"));
        }
    }
    Ok(drafts.into_iter().map(|draft| Walk { steps: draft.steps, ty: draft.ty, binding: draft.binding }).collect())
}

/// `(A.b.ofType(C)).text` → `A.b.ofType(C).text`
fn unwrapped(part: &'static str) -> &'static str {
    match part.strip_prefix('(') {
        Some(inner) if part.ends_with(')') && !inner[..inner.len() - 1].contains("(") => &inner[..inner.len() - 1],
        _ => part,
    }
}

/// Splits at the dots outside parentheses; an opening parenthesis around the head is dropped with its partner.
fn calls(part: &'static str) -> Vec<&'static str> {
    let mut calls = Vec::new();
    let mut depth = 0_i32;
    let mut start = 0;
    // `(Observation.value.ofType(CodeableConcept)).text`: the outer pair only groups the head.
    let base = i32::from(part.starts_with('('));
    let bytes = part.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'.' if depth == base || depth == 0 => {
                calls.push(&part[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    calls.push(&part[start..]);
    calls.into_iter().map(|call| if base == 1 { ungrouped(call) } else { call }).collect()
}

fn ungrouped(call: &'static str) -> &'static str {
    let call = call.strip_prefix('(').unwrap_or(call);
    let opens = call.matches('(').count();
    let closes = call.matches(')').count();
    if closes > opens { &call[..call.len() - 1] } else { call }
}

fn step(defs: &Definitions, drafts: Vec<Draft>, call: &'static str) -> Result<Vec<Draft>, String> {
    if let Some(name) = argument(call, "ofType").or_else(|| argument(call, "as")) {
        let name = if name == "DateTime" { "dateTime" } else { name };
        let ty = defs.type_by_name(name).ok_or_else(|| format!("unknown type {name}"))?;
        return Ok(drafts.into_iter().filter(|draft| draft.ty == ty).collect());
    }
    if let Some(condition) = argument(call, "where") {
        let filter = match condition.strip_prefix("resolve() is ") {
            Some(name) => Step::RefersTo(name),
            None => {
                let (member, value) = condition.split_once('=').ok_or_else(|| format!("cannot compile {call}"))?;
                Step::Where(member.trim(), value.trim().trim_matches('\''))
            }
        };
        return Ok(drafts
            .into_iter()
            .map(|mut draft| {
                draft.steps.push(filter.clone());
                draft
            })
            .collect());
    }
    if call.contains('(') {
        return Err(format!("function {call} is not supported"));
    }
    let (name, index) = match call.split_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse().ok()),
        None => (call, None),
    };
    Ok(drafts.iter().flat_map(|draft| member(defs, draft, name, index)).collect())
}

fn argument(call: &'static str, function: &str) -> Option<&'static str> {
    call.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')
}

fn member(defs: &Definitions, draft: &Draft, name: &str, index: Option<usize>) -> Vec<Draft> {
    let Some(element) = defs.ty(draft.ty).element(name) else { return Vec::new() };
    let one = |ty: TypeId| {
        let json = if element.is_choice { choice_name(name, defs.ty(ty).name) } else { name.to_owned() };
        let mut steps = draft.steps.clone();
        steps.push(Step::Member(json));
        steps.extend(index.map(Step::Index));
        Draft { steps, ty, binding: element.binding }
    };
    element.types.iter().map(|ty| one(*ty)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defs::{ParamType, r4};
    use crate::json::{Document, Limits};

    #[test]
    fn every_expression_of_r4_compiles() {
        let defs = r4();
        let mut compiled = 0;
        for param in defs.params.iter().filter(|param| !param.expression.is_empty()) {
            let plan = Plan::compile(defs, param.resource, param.expression);
            let plan = plan.unwrap_or_else(|error| panic!("{} {}: {error}", defs.ty(param.resource).name, param.code));
            assert!(!plan.walks.is_empty());
            if param.ty == ParamType::Composite {
                for component in &param.components {
                    for walk in &plan.walks {
                        let from = if component.expression.starts_with("%resource") { param.resource } else { walk.ty };
                        let inner = Plan::compile(defs, from, component.expression);
                        inner.unwrap_or_else(|error| panic!("{} {}: {error}", param.code, component.expression));
                    }
                }
            }
            compiled += 1;
        }
        assert!(compiled > 2_500, "{compiled}");
    }

    #[test]
    fn walks_follow_choices_filters_and_indexes() {
        let defs = r4();
        let found = |ty: &str, expression: &'static str, json: &str| -> Vec<String> {
            let document = Document::parse(json.as_bytes(), &Limits::default()).unwrap();
            let plan = Plan::compile(defs, defs.type_by_name(ty).unwrap(), expression).unwrap();
            let mut found = Vec::new();
            plan.visit(document.root(), &mut |walk, node| {
                found.push(format!("{} {}", defs.ty(walk.ty).name, node.raw()))
            });
            found
        };
        assert_eq!(
            found(
                "Observation",
                "(Observation.value.ofType(string)) | (Observation.value.ofType(CodeableConcept)).text",
                r#"{"valueCodeableConcept":{"text":"t"}}"#
            ),
            ["string \"t\""]
        );
        assert_eq!(found("Observation", "Observation.effective", r#"{"effectivePeriod":{}}"#), ["Period {}"]);
        assert_eq!(
            found(
                "Patient",
                "Patient.telecom.where(system='phone')",
                r#"{"telecom":[{"system":"email"},{"system":"phone","value":"1"}]}"#
            ),
            [r#"ContactPoint {"system":"phone","value":"1"}"#]
        );
        assert_eq!(
            found(
                "Encounter",
                "Encounter.subject.where(resolve() is Patient)",
                r#"{"subject":{"reference":"http://x/fhir/Patient/1/_history/2"}}"#
            )
            .len(),
            1
        );
        assert_eq!(
            found(
                "Encounter",
                "Encounter.subject.where(resolve() is Patient)",
                r#"{"subject":{"reference":"Group/1"}}"#
            ),
            [""; 0]
        );
        assert_eq!(
            found("Bundle", "Bundle.entry[0].resource", r#"{"entry":[{"resource":{}},{"resource":{"a":1}}]}"#),
            ["Resource {}"]
        );
    }
}
