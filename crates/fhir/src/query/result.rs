//! Parameters that shape the result: `_sort`, `_count`, `_total`, `_summary`, `_elements`, `_type`.

use super::test::Refusal;
use super::{Context, Query, Sort, SortBy, Summary, Total};
use crate::defs::{ParamType, TypeId};
use crate::nearest::hint;

/// Applies a result parameter to the query; `false` when `name` is none.
pub(super) fn apply(context: &Context<'_>, query: &mut Query, name: &str, value: &str) -> Result<bool, Refusal> {
    match name {
        "_sort" => {
            query.sort = value.split(',').map(|part| sort(context, &query.types, part)).collect::<Result<_, _>>()?
        }
        "_count" => {
            let count: u32 = value.parse().map_err(|_| "must be a whole number")?;
            if count == 0 {
                query.summary = Summary::Count;
            }
            query.count = Some(count);
        }
        "_total" => {
            query.total = match value {
                "accurate" => Total::Accurate,
                "estimate" => Total::Estimate,
                "none" => Total::None,
                _ => return Err("must be none, estimate or accurate".into()),
            }
        }
        // The name by which fhirpy's count() asks for a total.
        "_totalMethod" => {
            query.total = match value {
                "count" => Total::Accurate,
                _ => return Err("must be count: use _total".into()),
            }
        }
        "_summary" => {
            query.summary = match value {
                "true" => Summary::True,
                "false" => Summary::False,
                "text" => Summary::Text,
                "data" => Summary::Data,
                "count" => Summary::Count,
                _ => return Err("must be true, false, text, data or count".into()),
            }
        }
        "_elements" => {
            for element in value.split(',').map(str::trim).filter(|element| !element.is_empty()) {
                query.elements.push(known_element(context, &query.types, element)?);
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn sort(context: &Context<'_>, types: &[TypeId], part: &str) -> Result<Sort, Refusal> {
    let part = part.trim();
    let (descending, code) = match part.strip_prefix('-') {
        Some(code) => (true, code),
        None => (false, part),
    };
    let by = match code {
        "_lastUpdated" => SortBy::LastUpdated,
        "_id" => SortBy::Id,
        _ => {
            let [ty] = types else {
                return Err("can only be _lastUpdated or _id in a search over several types".into());
            };
            let defs = context.defs;
            let sortable = |ty| !matches!(ty, ParamType::Composite | ParamType::Special);
            let names =
                || defs.params_of(*ty).map(|id| defs.param(id)).filter(|def| sortable(def.ty)).map(|def| def.code);
            let param = defs
                .param_by_code(*ty, code)
                .filter(|id| sortable(defs.param(*id).ty) && !defs.param(*id).expression.is_empty())
                .ok_or_else(|| format!("cannot sort {} by {code}{}", defs.ty(*ty).name, hint(code, names())))?;
            SortBy::Param(param)
        }
    };
    Ok(Sort { by, descending })
}

/// `_elements` names top-level elements, choices without their type; `Type.element` is accepted too.
fn known_element(context: &Context<'_>, types: &[TypeId], element: &str) -> Result<String, Refusal> {
    let name = element.rsplit('.').next().unwrap_or(element);
    let defs = context.defs;
    if types.iter().any(|ty| defs.ty(*ty).element(name).is_some()) {
        return Ok(name.to_owned());
    }
    let names = types.iter().flat_map(|ty| defs.ty(*ty).elements.iter().map(|element| element.name));
    Err(format!("names the unknown element {name}{}", hint(name, names)))
}
