//! `_include` and `_revinclude`.

use super::test::Refusal;
use super::{Context, Include};
use crate::defs::{Definitions, ParamDef, ParamType, TypeId};
use crate::nearest::hint;

/// `Source:param[:Target]`, `Source:*` or `*`: the last, in reverse, is one for each type that may refer to those searched for.
pub(super) fn includes(
    context: &Context<'_>,
    reverse: bool,
    modifier: Option<&str>,
    value: &str,
) -> Result<Vec<Include>, Refusal> {
    let iterate = match modifier {
        None => false,
        Some("iterate" | "recurse") => true,
        Some(other) => return Err(format!("does not take the modifier :{other}: use :iterate")),
    };
    let defs = context.defs;
    if value == "*" {
        // What is found on the way may be of any type.
        let target = context.resource.filter(|_| !iterate);
        let sources: Vec<TypeId> = if reverse {
            defs.resources().filter(|source| may_refer(defs, *source, target)).collect()
        } else {
            vec![context.resource.ok_or("must name a type: [type]:*")?]
        };
        let all = |source| Include { reverse, iterate, param: None, source, target: None };
        return Ok(sources.into_iter().map(all).collect());
    }
    let mut parts = value.split(':');
    let (source, param, target) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
    if param.is_empty() || parts.next().is_some() {
        return Err("must be [type]:[reference parameter] or [type]:[reference parameter]:[target type]".into());
    }
    let resource = |name: &str| -> Result<TypeId, Refusal> {
        let names = || defs.resources().map(|ty| defs.ty(ty).name);
        defs.resource_by_name(name).ok_or_else(|| format!("names the unknown type {name}{}", hint(name, names())))
    };
    let source = resource(source)?;
    let target = target.map(resource).transpose()?;
    if param == "*" {
        return Ok(vec![Include { reverse, iterate, param: None, source, target }]);
    }
    let references = || {
        defs.params_of(source).map(|id| defs.param(id)).filter(|def| def.ty == ParamType::Reference).map(|def| def.code)
    };
    let id =
        defs.param_by_code(source, param).filter(|id| defs.param(*id).ty == ParamType::Reference).ok_or_else(|| {
            format!("{param} is not a reference parameter of {}{}", defs.ty(source).name, hint(param, references()))
        })?;
    Ok(vec![Include { reverse, iterate, param: Some(id), source, target }])
}

/// Whether a reference parameter of `source` may point to `target`, or to anything when that is not given.
fn may_refer(defs: &Definitions, source: TypeId, target: Option<TypeId>) -> bool {
    let may = |def: &ParamDef| match target {
        Some(target) => def.targets.is_empty() || def.targets.contains(&target),
        None => true,
    };
    defs.params_of(source).map(|id| defs.param(id)).any(|def| def.ty == ParamType::Reference && may(def))
}
