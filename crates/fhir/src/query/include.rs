//! `_include` and `_revinclude`.

use super::test::Refusal;
use super::{Context, Include};
use crate::defs::{ParamType, TypeId};
use crate::nearest::hint;

/// `Source:param[:Target]`, `Source:*` or `*`.
pub(super) fn include(
    context: &Context<'_>,
    reverse: bool,
    modifier: Option<&str>,
    value: &str,
) -> Result<Include, Refusal> {
    let iterate = match modifier {
        None => false,
        Some("iterate" | "recurse") => true,
        Some(other) => return Err(format!("does not take the modifier :{other}: use :iterate")),
    };
    let defs = context.defs;
    if value == "*" {
        let source = context.resource.filter(|_| !reverse).ok_or("must name a type: [type]:*")?;
        return Ok(Include { reverse, iterate, param: None, source, target: None });
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
        return Ok(Include { reverse, iterate, param: None, source, target });
    }
    let references = || {
        defs.params_of(source).map(|id| defs.param(id)).filter(|def| def.ty == ParamType::Reference).map(|def| def.code)
    };
    let id =
        defs.param_by_code(source, param).filter(|id| defs.param(*id).ty == ParamType::Reference).ok_or_else(|| {
            format!("{param} is not a reference parameter of {}{}", defs.ty(source).name, hint(param, references()))
        })?;
    Ok(Include { reverse, iterate, param: Some(id), source, target })
}
