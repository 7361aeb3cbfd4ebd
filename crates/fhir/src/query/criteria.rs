//! What a resource must be: parameters, modifiers, chains, `_has`.

use super::split::{split, unescape};
use super::test::{self, Refusal};
use super::{Context, Filter, TerminologyTest, Test};
use crate::defs::{ParamId, ParamType, TypeId};
use crate::index::normalize;
use crate::nearest::hint;
use std::cell::Cell;

/// Links of a chain, or nested `_has`.
const DEPTH_MAX: u8 = 8;
/// Values joined by commas in one parameter.
const VALUES_MAX: usize = 10_000;

/// Tests that a whole query may expand to: types times chain targets times values.
const TESTS_MAX: usize = 100_000;

/// What is left of [`TESTS_MAX`]; nothing once it was overdrawn.
pub(super) struct Budget(Cell<Option<usize>>);

impl Budget {
    pub(super) fn new() -> Budget {
        Budget(Cell::new(Some(TESTS_MAX)))
    }

    fn spend(&self, tests: usize) -> Result<(), Refusal> {
        self.0.set(self.0.get().and_then(|left| left.checked_sub(tests)));
        self.check()
    }

    /// A chain forgives the targets that refuse it; this one refusal must not be forgotten.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.0.get() {
            Some(_) => Ok(()),
            None => Err("expands to too many tests: name the types of chained references, or give fewer values".into()),
        }
    }
}

/// The filter of one `name=value`, for any of `types`. `name` is everything before the `=`.
pub(super) fn filter(
    context: &Context<'_>,
    types: &[TypeId],
    name: &str,
    value: &str,
    depth: u8,
    budget: &Budget,
) -> Result<Filter, Refusal> {
    if depth > DEPTH_MAX {
        return Err(format!("chains more than {DEPTH_MAX} links"));
    }
    if let Some(rest) = name.strip_prefix("_has:") {
        return has(context, types, rest, value, depth, budget);
    }
    let (head, chain) = match name.split_once('.') {
        Some((head, chain)) => (head, Some(chain)),
        None => (name, None),
    };
    let (code, modifier) = match head.split_once(':') {
        Some((code, modifier)) => (code, Some(modifier)),
        None => (head, None),
    };
    if chain.is_none() && matches!(code, "_id" | "_lastUpdated" | "_list") {
        return special(context, code, modifier, value);
    }
    let params = params(context, types, code)?;
    match chain {
        Some(chain) => {
            any(params.into_iter().map(|param| chained(context, param, modifier, chain, value, depth, budget)))
        }
        None if modifier == Some("missing") => missing(&params, value),
        None => match negated(modifier) {
            Some(positive) => Ok(Filter::Not(Box::new(matching(context, &params, positive, value, budget)?))),
            None => matching(context, &params, modifier, value, budget),
        },
    }
}

/// `:not` and `:not-in` are the complement of their positive forms: resources without any value match.
fn negated(modifier: Option<&str>) -> Option<Option<&'static str>> {
    match modifier {
        Some("not") => Some(None),
        Some("not-in") => Some(Some("in")),
        _ => None,
    }
}

/// The parameter called `code` of each of `types`: all must have it.
fn params(context: &Context<'_>, types: &[TypeId], code: &str) -> Result<Vec<ParamId>, Refusal> {
    let find = |ty: &TypeId| {
        let defs = context.defs;
        defs.param_by_code(*ty, code).ok_or_else(|| {
            let names = defs.params_of(*ty).map(|param| defs.param(param).code);
            format!("is not a search parameter of {}{}", defs.ty(*ty).name, hint(code, names))
        })
    };
    let params: Vec<ParamId> = types.iter().map(find).collect::<Result<_, _>>()?;
    if matches!(code, "_text" | "_content" | "_query" | "_filter") {
        return Err("is not supported: weir has no full-text index; search the elements you need".into());
    }
    Ok(params)
}

fn special(context: &Context<'_>, code: &str, modifier: Option<&str>, value: &str) -> Result<Filter, Refusal> {
    let positive = match modifier {
        None | Some("not") => match code {
            "_id" => Filter::Ids(split(value, ',').into_iter().map(unescape).collect()),
            "_lastUpdated" => {
                any(split(value, ',').into_iter().map(|part| test::date(part, context.now).map(Filter::LastUpdated)))?
            }
            _ => any(split(value, ',').into_iter().map(|id| Ok(Filter::InList(unescape(id)))))?,
        },
        // Every resource has an id and a time.
        Some("missing") if code != "_list" => return Ok(if boolean(value)? { Filter::Nothing } else { Filter::All }),
        Some(modifier) => return Err(format!("does not take the modifier :{modifier}")),
    };
    Ok(if modifier == Some("not") { Filter::Not(Box::new(positive)) } else { positive })
}

fn boolean(value: &str) -> Result<bool, Refusal> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false with :missing".into()),
    }
}

fn missing(params: &[ParamId], value: &str) -> Result<Filter, Refusal> {
    let all: Vec<Filter> = params.iter().map(|param| Filter::Missing(*param)).collect();
    let all = if let [one] = all.as_slice() { one.clone() } else { Filter::And(all) };
    Ok(if boolean(value)? { all } else { Filter::Not(Box::new(all)) })
}

/// `Or`, or the one filter there is; the first refusal if there is any.
fn any(filters: impl Iterator<Item = Result<Filter, Refusal>>) -> Result<Filter, Refusal> {
    let mut filters: Vec<Filter> = filters.collect::<Result<_, _>>()?;
    Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) })
}

fn matching(
    context: &Context<'_>,
    params: &[ParamId],
    modifier: Option<&str>,
    value: &str,
    budget: &Budget,
) -> Result<Filter, Refusal> {
    let values = split(value, ',');
    if values.len() > VALUES_MAX {
        return Err(format!("has more than {VALUES_MAX} values"));
    }
    budget.spend(params.len() * values.len())?;
    any(params.iter().flat_map(|param| values.iter().map(move |value| one(context, *param, modifier, value))))
}

/// One value under one parameter with a modifier that its type allows.
fn one(context: &Context<'_>, param: ParamId, modifier: Option<&str>, value: &str) -> Result<Filter, Refusal> {
    let matches = |test: Test| Ok(Filter::Match { param, test });
    let terminology = |test| Ok(Filter::Terminology { param, test });
    let def = context.defs.param(param);
    if value.is_empty() {
        return Err("is empty".into());
    }
    let Some(modifier) = modifier else { return matches(test::test(context, param, value)?) };
    match (def.ty, modifier) {
        (ParamType::String, "exact") => matches(Test::StringExact(unescape(value))),
        (ParamType::String, "contains") => matches(Test::StringContains(normalize(&unescape(value)))),
        (ParamType::Token, "text" | "code-text") => matches(Test::TokenText(normalize(&unescape(value)))),
        (ParamType::Token, "of-type") => matches(test::of_type(value)?),
        (ParamType::Token, "in") => terminology(TerminologyTest::InValueSet(unescape(value))),
        (ParamType::Token, "above" | "below") => match split(value, '|').as_slice() {
            [system, code] if !system.is_empty() && !code.is_empty() => {
                let (system, code) = (unescape(system), unescape(code));
                terminology(if modifier == "above" {
                    TerminologyTest::Above { system, code }
                } else {
                    TerminologyTest::Below { system, code }
                })
            }
            _ => Err(format!("must be [system]|[code] with :{modifier}")),
        },
        (ParamType::Uri, "below") => matches(Test::UriBelow(unescape(value))),
        (ParamType::Uri, "above") => matches(Test::UriAbove(unescape(value))),
        (ParamType::Reference, "identifier") => {
            let (system, value) = test::system_and_code(value)?;
            matches(Test::ReferenceIdentifier { system, value })
        }
        (ParamType::Reference, name) => match context.defs.resource_by_name(name) {
            Some(ty) => matches(typed_reference(context, ty, value)?),
            None => Err(format!("does not take the modifier :{name}: use :identifier, :missing or a resource type")),
        },
        (ty, _) => Err(format!("does not take the modifier :{modifier}: use {}", modifiers(ty))),
    }
}

fn modifiers(ty: ParamType) -> &'static str {
    match ty {
        ParamType::String => ":exact, :contains or :missing",
        ParamType::Token => ":not, :text, :in, :not-in, :above, :below, :of-type or :missing",
        ParamType::Uri => ":below, :above or :missing",
        _ => ":missing only",
    }
}

/// `subject:Patient=23`
fn typed_reference(context: &Context<'_>, ty: TypeId, value: &str) -> Result<Test, Refusal> {
    match test::reference(context, &[ty], value)? {
        Test::Reference { ty: Some(other), .. } if other != ty => {
            Err("names another type in its value than in its modifier".into())
        }
        test => Ok(test),
    }
}

fn chained(
    context: &Context<'_>,
    param: ParamId,
    modifier: Option<&str>,
    chain: &str,
    value: &str,
    depth: u8,
    budget: &Budget,
) -> Result<Filter, Refusal> {
    let defs = context.defs;
    let def = defs.param(param);
    if def.ty != ParamType::Reference {
        return Err(format!("cannot be chained: {} is not a reference", def.code));
    }
    let targets: Vec<TypeId> = match modifier {
        Some(name) => match defs.resource_by_name(name) {
            Some(ty) => vec![ty],
            None => return Err(format!("chains through {name}, which is not a resource type")),
        },
        None if def.targets.is_empty() => {
            return Err(format!(
                "chains through {}, which may refer to any type: name one, {}:Patient",
                def.code, def.code
            ));
        }
        None => def.targets.clone(),
    };
    // Every possible target multiplies the work, so that an open link counts more.
    let depth = depth + if targets.len() > 1 { 2 } else { 0 };
    let chains = targets.iter().map(|target| {
        let inner = filter(context, &[*target], chain, value, depth + 1, budget)?;
        Ok(Filter::Chain { param, target: *target, filter: Box::new(inner) })
    });
    let mut refusal: Option<Refusal> = None;
    let mut filters = Vec::new();
    for chain in chains {
        match chain {
            Ok(filter) => filters.push(filter),
            Err(error) => refusal = Some(error),
        }
    }
    match (filters.is_empty(), refusal) {
        // Of several possible targets only those count that know the rest of the chain.
        (true, Some(refusal)) => Err(format!("after {}.: {chain} {refusal}", def.code)),
        _ => any(filters.into_iter().map(Ok)),
    }
}

/// `_has:Observation:patient:code=1234`, without the first five characters.
fn has(
    context: &Context<'_>,
    types: &[TypeId],
    rest: &str,
    value: &str,
    depth: u8,
    budget: &Budget,
) -> Result<Filter, Refusal> {
    const SHAPE: &str = "must be _has:[type]:[reference parameter]:[parameter]";
    let defs = context.defs;
    let mut parts = rest.splitn(3, ':');
    let (Some(name), Some(code), Some(inner)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SHAPE.into());
    };
    let source = defs.resource_by_name(name).ok_or_else(|| {
        format!("names the unknown type {name}{}", hint(name, defs.resources().map(|ty| defs.ty(ty).name)))
    })?;
    let param = params(context, &[source], code)?[0];
    let def = defs.param(param);
    if def.ty != ParamType::Reference {
        return Err(format!("{SHAPE}: {code} of {name} is not a reference"));
    }
    if let Some(ty) = types.iter().find(|ty| !def.targets.is_empty() && !def.targets.contains(ty)) {
        return Err(format!("cannot match: {code} of {name} never refers to {}", defs.ty(*ty).name));
    }
    let inner = filter(context, &[source], inner, value, depth + 1, budget)?;
    Ok(Filter::Has { source, param, filter: Box::new(inner) })
}
