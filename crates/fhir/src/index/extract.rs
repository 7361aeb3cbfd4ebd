//! From the nodes of a parameter's expression to indexable values.

use super::{Quantity, UCUM, Value, canonical, normalize, reference};
use crate::defs::{Definitions, ParamDef, ParamId, ParamType, TypeId, TypeKind, ValueSetId, r4};
use crate::json::{Kind, Node};
use crate::path::{Plan, Walk};
use crate::temporal::PartialDateTime;
use std::borrow::Cow;
use std::sync::LazyLock;

/// The compiled expressions of all parameters, by [`ParamId`].
static PLANS: LazyLock<Vec<ParamPlan>> =
    LazyLock::new(|| r4().params.iter().map(|param| ParamPlan::new(r4(), param)).collect());

#[derive(Default)]
struct ParamPlan {
    plan: Plan,
    /// For a composite: per walk of the plan, one plan per component, and whether it starts at the resource.
    components: Vec<Vec<(Plan, bool)>>,
}

impl ParamPlan {
    fn new(defs: &Definitions, param: &'static ParamDef) -> ParamPlan {
        let expression = match (defs.ty(param.resource).name, param.code) {
            // R4 writes it without the name of the type, so that the table has no part of it for the type.
            ("InsurancePlan", "name") => "name | alias",
            (_, "_id" | "_lastUpdated") => "",
            _ => param.expression,
        };
        if expression.is_empty() {
            return ParamPlan::default();
        }
        // All expressions of the table compile: a test in `path` says so.
        let plan = Plan::compile(defs, param.resource, expression).unwrap_or_default();
        let components = plan.walks.iter().map(|walk| components(defs, param, walk.ty)).collect();
        ParamPlan { plan, components }
    }
}

fn components(defs: &Definitions, param: &'static ParamDef, base: TypeId) -> Vec<(Plan, bool)> {
    param
        .components
        .iter()
        .map(|component| {
            let from_resource = component.expression.starts_with("%resource");
            let context = if from_resource { param.resource } else { base };
            (Plan::compile(defs, context, component.expression).unwrap_or_default(), from_resource)
        })
        .collect()
}

/// Calls `each` with every value of `param` in `resource`.
pub(super) fn each_value(defs: &Definitions, param: ParamId, resource: Node<'_>, each: &mut dyn FnMut(Value)) {
    let def = defs.param(param);
    let ParamPlan { plan, components } = &PLANS[usize::from(param.0)];
    if plan.is_existence {
        let mut found = false;
        plan.visit(resource, &mut |_, node| found |= node.kind() != Kind::False);
        return each(Value::Token { system: None, code: found.to_string() });
    }
    if def.ty == ParamType::Composite {
        for (walk, components) in plan.walks.iter().zip(components) {
            walk.visit(resource, &mut |_, base| composite(defs, def, components, resource, base, each));
        }
        return;
    }
    plan.visit(resource, &mut |walk, node| value(defs, def.ty, walk, node, each));
}

/// Combinations within one base element; more are not indexed.
const COMBINATIONS_MAX: usize = 1_000;

/// Every combination of the components' values within one base element.
fn composite(
    defs: &Definitions,
    def: &ParamDef,
    components: &[(Plan, bool)],
    resource: Node<'_>,
    base: Node<'_>,
    each: &mut dyn FnMut(Value),
) {
    // From the last to the first: the value is what most often is missing, and then nothing more is looked at.
    let mut columns = Vec::with_capacity(components.len());
    for (component, (plan, from_resource)) in def.components.iter().zip(components).rev() {
        let ty = defs.param(component.param).ty;
        let mut values = Vec::new();
        plan.visit(if *from_resource { resource } else { base }, &mut |walk, node| {
            value(defs, ty, walk, node, &mut |value| {
                let is_searchable =
                    !matches!(value, Value::TokenText(_) | Value::TokenOfType { .. } | Value::TokenSystem { .. });
                if is_searchable {
                    values.push(value);
                }
            });
        });
        if values.is_empty() {
            return;
        }
        columns.push(values);
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::with_capacity(columns.len())];
    while let Some(mut values) = columns.pop() {
        if let (1, [row]) = (values.len(), rows.as_mut_slice()) {
            row.append(&mut values);
            continue;
        }
        rows = rows
            .into_iter()
            .flat_map(|row| values.iter().map(move |value| [row.as_slice(), std::slice::from_ref(value)].concat()))
            .take(COMBINATIONS_MAX)
            .collect();
    }
    for row in rows {
        each(Value::Composite(row));
    }
}

fn value(defs: &Definitions, ty: ParamType, walk: &Walk, node: Node<'_>, each: &mut dyn FnMut(Value)) {
    let datatype = defs.ty(walk.ty);
    let is_primitive = datatype.kind == TypeKind::Primitive;
    match ty {
        ParamType::Token => token(defs, datatype.name, is_primitive, walk.binding, node, each),
        ParamType::Reference => reference_values(defs, datatype.name, is_primitive, node, each),
        ParamType::String => strings(datatype.name, is_primitive, node, each),
        ParamType::Date => dates(datatype.name, is_primitive, node, each),
        ParamType::Number => {
            if let Some((low, high)) = if is_primitive { number(node).map(|n| (n, n)) } else { range(node) } {
                each(Value::Number { low, high });
            }
        }
        ParamType::Quantity => quantity(datatype.name, node, each),
        ParamType::Uri => {
            if let Some(text) = node.as_str() {
                each(Value::Uri(text.into_owned()));
            }
        }
        ParamType::Special => position(node, each),
        ParamType::Composite => {}
    }
}

fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned).filter(|text| !text.is_empty())
}

fn token(
    defs: &Definitions,
    datatype: &str,
    is_primitive: bool,
    binding: Option<ValueSetId>,
    node: Node<'_>,
    each: &mut dyn FnMut(Value),
) {
    if is_primitive {
        let code = match node.kind() {
            Kind::True => "true".to_owned(),
            Kind::False => "false".to_owned(),
            _ => node.as_str().map_or_else(|| node.raw().to_owned(), Cow::into_owned),
        };
        // The system of a code is implied by its required value set.
        let system = binding.and_then(|id| {
            let codes = &defs.value_set(id).codes;
            let at = codes.binary_search_by(|(_, candidate)| (*candidate).cmp(code.as_str())).ok()?;
            Some(codes[at].0.to_owned())
        });
        return each(Value::Token { system, code });
    }
    match datatype {
        "CodeableConcept" => {
            for coding in node.get("coding").into_iter().flat_map(Node::each) {
                coded(coding, "code", each);
                text_token(coding.str("display"), each);
            }
            text_token(node.str("text"), each);
        }
        "Coding" => {
            coded(node, "code", each);
            text_token(node.str("display"), each);
        }
        "Identifier" => {
            coded(node, "value", each);
            let Some(ty) = node.get("type") else { return };
            text_token(ty.str("text"), each);
            for coding in ty.get("coding").into_iter().flat_map(Node::each) {
                if let (Some(system), Some(code), Some(value)) =
                    (owned(coding.str("system")), owned(coding.str("code")), owned(node.str("value")))
                {
                    each(Value::TokenOfType { system, code, value });
                }
            }
        }
        // The system of a contact point is a kind of channel, not a namespace of its value.
        "ContactPoint" => {
            if let Some(code) = owned(node.str("value")) {
                each(Value::Token { system: None, code });
            }
        }
        _ => {}
    }
}

fn coded(node: Node<'_>, member: &str, each: &mut dyn FnMut(Value)) {
    match (owned(node.str("system")), owned(node.str(member))) {
        (system, Some(code)) => each(Value::Token { system, code }),
        (Some(system), None) => each(Value::TokenSystem { system }),
        (None, None) => {}
    }
}

fn text_token(text: Option<Cow<'_, str>>, each: &mut dyn FnMut(Value)) {
    let normalized = text.map(|text| normalize(&text)).unwrap_or_default();
    if !normalized.is_empty() {
        each(Value::TokenText(normalized));
    }
}

fn reference_values(
    defs: &Definitions,
    datatype: &str,
    is_primitive: bool,
    node: Node<'_>,
    each: &mut dyn FnMut(Value),
) {
    if is_primitive {
        let Some(url) = node.as_str() else { return };
        // A canonical is found with and without its version.
        if let Some((plain, _)) = url.split_once('|').filter(|_| datatype == "canonical") {
            each(Value::ReferenceUrl(plain.to_owned()));
        }
        if let Some(value) = reference::value(defs, &url) {
            each(value);
        }
        return;
    }
    if datatype == "Resource" {
        // Bundle's `composition` and `message`: the resource itself stands in the bundle.
        if let (Some(name), Some(id)) = (node.str("resourceType"), owned(node.str("id")))
            && let Some(ty) = defs.resource_by_name(&name)
        {
            each(Value::Reference { ty, id });
        }
        return;
    }
    if let Some(value) = node.str("reference").and_then(|url| reference::value(defs, &url)) {
        each(value);
    }
    if let Some(identifier) = node.get("identifier")
        && let Some(value) = owned(identifier.str("value"))
    {
        each(Value::ReferenceIdentifier { system: owned(identifier.str("system")), value });
    }
}

fn strings(datatype: &str, is_primitive: bool, node: Node<'_>, each: &mut dyn FnMut(Value)) {
    let mut push = |text: Option<Cow<'_, str>>| {
        if let Some(exact) = owned(text) {
            each(Value::String { normalized: normalize(&exact), exact });
        }
    };
    let parts: &[&str] = match datatype {
        "HumanName" => &["text", "family", "given", "prefix", "suffix"],
        "Address" => &["text", "line", "city", "district", "state", "postalCode", "country"],
        "CodeableConcept" => &["text"],
        _ if is_primitive => return push(node.as_str()),
        _ => &[],
    };
    for part in parts {
        for item in node.get(part).into_iter().flat_map(Node::each) {
            push(item.as_str());
        }
    }
    if datatype == "CodeableConcept" {
        for coding in node.get("coding").into_iter().flat_map(Node::each) {
            push(coding.str("display"));
        }
    }
}

fn date_range(node: Option<Node<'_>>) -> Option<(i64, i64)> {
    PartialDateTime::parse(&node?.as_str()?).map(|date| date.range_us())
}

fn dates(datatype: &str, is_primitive: bool, node: Node<'_>, each: &mut dyn FnMut(Value)) {
    let range = match datatype {
        _ if is_primitive => date_range(Some(node)),
        "Period" => period_range(node),
        "Timing" => timing_range(node),
        _ => None,
    };
    if let Some((start, end)) = range {
        each(Value::Date { start, end });
    }
}

/// A missing end is open.
fn period_range(node: Node<'_>) -> Option<(i64, i64)> {
    let (start, end) = (date_range(node.get("start")), date_range(node.get("end")));
    (start.is_some() || end.is_some())
        .then(|| (start.map_or(i64::MIN, |(start, _)| start), end.map_or(i64::MAX, |(_, end)| end)))
}

/// From the first to the last moment that is named: the schedule between them does not count.
fn timing_range(node: Node<'_>) -> Option<(i64, i64)> {
    let events = node.get("event").into_iter().flat_map(Node::each).filter_map(|event| date_range(Some(event)));
    let bounds = node.path(&["repeat", "boundsPeriod"]).and_then(period_range);
    events.chain(bounds).reduce(|(first, last), (start, end)| (first.min(start), last.max(end)))
}

fn number(node: Node<'_>) -> Option<f64> {
    node.as_number()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `Range` and its open ends.
fn range(node: Node<'_>) -> Option<(f64, f64)> {
    let end = |name| node.path(&[name, "value"]).and_then(number);
    let (low, high) = (end("low"), end("high"));
    (low.is_some() || high.is_some()).then(|| (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY)))
}

fn quantity(datatype: &str, node: Node<'_>, each: &mut dyn FnMut(Value)) {
    let (unit_of, low, high) = match datatype {
        "Range" => {
            let Some((low, high)) = range(node) else { return };
            (node.get("low").or_else(|| node.get("high")).unwrap_or(node), low, high)
        }
        "SampledData" => return,
        _ => {
            let Some(value) = node.get("value").and_then(number) else { return };
            match node.str("comparator").as_deref() {
                Some("<" | "<=") => (node, f64::NEG_INFINITY, value),
                Some(">" | ">=") => (node, value, f64::INFINITY),
                _ => (node, value, value),
            }
        }
    };
    let (system, code) = match datatype {
        "Money" => (Some("urn:iso:std:iso:4217".to_owned()), owned(node.str("currency"))),
        _ => (owned(unit_of.str("system")), owned(unit_of.str("code"))),
    };
    let is_ucum = system.as_deref() == Some(UCUM);
    let canonical = code.as_deref().filter(|_| is_ucum).and_then(|code| canonical(code, low, high));
    each(Value::Quantity(Quantity { low, high, system, code, unit: owned(unit_of.str("unit")), canonical }));
}

fn position(node: Node<'_>, each: &mut dyn FnMut(Value)) {
    let degrees = |name| node.get(name).and_then(number);
    if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) {
        each(Value::Position { latitude, longitude });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{extract, extract_param};
    use super::*;
    use crate::json::{Document, Limits};

    /// `code: value` lines of a resource's entries.
    fn entries(json: &str) -> Vec<String> {
        let document = Document::parse(json.as_bytes(), &Limits::default()).unwrap();
        let ty = r4().resource_by_name(&document.root().str("resourceType").unwrap()).unwrap();
        let entries = extract(r4(), ty, document.root());
        entries.iter().map(|entry| format!("{}: {:?}", r4().param(entry.param).code, entry.value)).collect()
    }

    fn assert_has(entries: &[String], expected: &[&str]) {
        for line in expected {
            assert!(entries.iter().any(|entry| entry == line), "{line} not in {entries:#?}");
        }
    }

    #[test]
    fn a_patient_is_found_by_what_it_says() {
        let entries = entries(
            r#"{"resourceType":"Patient","meta":{"tag":[{"system":"s","code":"t"}],"profile":["http://p"]},
            "identifier":[{"system":"urn:mrn","value":"7","type":{"coding":[{"system":"v2","code":"MR"}]}}],
            "name":[{"family":"Núñez-O'Hara","given":["Ana"]}],"gender":"female","birthDate":"1990-05",
            "telecom":[{"system":"phone","value":"555"}],"address":[{"city":"Ålesund"}],
            "managingOrganization":{"reference":"Organization/o1"},"generalPractitioner":[{"identifier":{"value":"x"}}]}"#,
        );
        assert_has(
            &entries,
            &[
                r#"_tag: Token { system: Some("s"), code: "t" }"#,
                r#"_profile: Uri("http://p")"#,
                r#"identifier: Token { system: Some("urn:mrn"), code: "7" }"#,
                r#"identifier: TokenOfType { system: "v2", code: "MR", value: "7" }"#,
                r#"family: String { normalized: "nunez o hara", exact: "Núñez-O'Hara" }"#,
                r#"name: String { normalized: "ana", exact: "Ana" }"#,
                r#"gender: Token { system: Some("http://hl7.org/fhir/administrative-gender"), code: "female" }"#,
                r#"phone: Token { system: None, code: "555" }"#,
                r#"deceased: Token { system: None, code: "false" }"#,
                r#"general-practitioner: ReferenceIdentifier { system: None, value: "x" }"#,
                r#"birthdate: Date { start: 641520000000000, end: 644198399999999 }"#,
            ],
        );
        assert!(entries.iter().any(|entry| entry.starts_with("organization: Reference {")));
        assert!(entries.iter().any(|entry| entry.contains("alesund")));
    }

    #[test]
    fn an_observation_has_quantities_and_composites() {
        let entries = entries(
            r#"{"resourceType":"Observation","status":"final","code":{"text":"Body Weight","coding":[{"system":"http://loinc.org","code":"29463-7"}]},
            "subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":"2020-01-01"},
            "valueQuantity":{"value":70.5,"unit":"kilo","system":"http://unitsofmeasure.org","code":"kg"}}"#,
        );
        assert_has(
            &entries,
            &[
                r#"code: TokenText("body weight")"#,
                r#"date: Date { start: 1577836800000000, end: 9223372036854775807 }"#,
                r#"value-quantity: Quantity(Quantity { low: 70.5, high: 70.5, system: Some("http://unitsofmeasure.org"), code: Some("kg"), unit: Some("kilo"), canonical: Some(("g", 70500.0, 70500.0)) })"#,
            ],
        );
        let composite = entries.iter().find(|entry| entry.starts_with("code-value-quantity")).unwrap();
        assert!(composite.contains("29463-7") && composite.contains("70.5"));
        assert!(entries.iter().any(|entry| entry.starts_with("patient: Reference")));
    }

    #[test]
    fn a_timing_is_what_lies_between_its_outer_limits() {
        let date = |timing: &str| {
            let request = format!(r#"{{"resourceType":"ServiceRequest","occurrenceTiming":{timing}}}"#);
            let found = entries(&request).into_iter().filter(|entry| entry.starts_with("occurrence:"));
            found.map(|entry| entry.trim_start_matches("occurrence: ").to_owned()).collect::<Vec<_>>()
        };
        let day = |from: &str, to: &str| {
            let range = |text| PartialDateTime::parse(text).unwrap().range_us();
            vec![format!("Date {{ start: {}, end: {} }}", range(from).0, range(to).1)]
        };
        assert_eq!(date(r#"{"event":["2013-02-10","2013-01-31","2013-03-24"]}"#), day("2013-01-31", "2013-03-24"));
        let bounds = r#""repeat":{"boundsPeriod":{"start":"2013-02-01","end":"2013-04-01"}}"#;
        assert_eq!(date(&format!("{{{bounds}}}")), day("2013-02-01", "2013-04-01"));
        assert_eq!(date(&format!(r#"{{"event":["2013-01-31"],{bounds}}}"#)), day("2013-01-31", "2013-04-01"));
        assert!(date(r#"{"code":{"text":"daily"}}"#).is_empty());
    }

    #[test]
    fn one_parameter_alone() {
        let json = r#"{"resourceType":"Account","subject":[{"reference":"Patient/1"},{"reference":"Device/2"}]}"#;
        let document = Document::parse(json.as_bytes(), &Limits::default()).unwrap();
        let account = r4().resource_by_name("Account").unwrap();
        let values = |code| extract_param(r4(), r4().param_by_code(account, code).unwrap(), document.root()).len();
        assert_eq!((values("subject"), values("patient")), (2, 1));
    }

    #[test]
    fn strings_are_folded() {
        assert_eq!(normalize("  Núñez--O'Hara,  JR. "), "nunez o hara jr");
        assert_eq!(normalize("ﬁancé ＡＢＣ"), "fiance abc");
        assert_eq!(normalize("!?"), "");
    }

    #[test]
    fn comparators_open_a_quantity_and_combinations_are_bounded() {
        let many = r#"{"code":"c0","system":"s0"}"#;
        let codings: Vec<String> = (0..60).map(|at| many.replace('0', &at.to_string())).collect();
        let concept = format!(r#"{{"coding":[{}]}}"#, codings.join(","));
        let entries = entries(&format!(
            r#"{{"resourceType":"Observation","code":{concept},"valueCodeableConcept":{concept},
            "component":[{{"valueQuantity":{{"comparator":"<","value":5,"unit":"mg"}}}}]}}"#
        ));
        let quantity = "low: -inf, high: 5.0, system: None, code: None, unit: Some(\"mg\"), canonical: None";
        assert_has(&entries, &[&format!("component-value-quantity: Quantity(Quantity {{ {quantity} }})")]);
        let pairs = entries.iter().filter(|entry| entry.starts_with("code-value-concept: ")).count();
        assert_eq!(pairs, COMBINATIONS_MAX);
    }

    #[test]
    fn an_insurance_plan_has_a_name() {
        let entries = entries(r#"{"resourceType":"InsurancePlan","name":"Gold","alias":["Au"]}"#);
        let found = |name: &str, exact: &str| format!("name: String {{ normalized: \"{name}\", exact: \"{exact}\" }}");
        assert_has(&entries, &[&found("gold", "Gold"), &found("au", "Au")]);
    }
}
