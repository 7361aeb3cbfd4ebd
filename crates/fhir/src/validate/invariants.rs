//! The invariants of the specification that are errors, as FHIRPath.

use super::ISSUES_MAX;
use super::path::Path;
use crate::defs::{self, Definitions, InvariantId, TypeId, TypeKind};
use crate::fhirpath::{Element, Environment, Expression, Item};
use crate::json::Node;
use crate::outcome::Issue;
use std::sync::LazyLock;

/// Invariants that are not evaluated, and why.
const SKIPPED: [(&str, &str); 2] = [
    ("ext-1", "the structure check has done it"),
    ("dom-2", "contained.contained cannot be: the structure check refuses it"),
];

/// By [`InvariantId`]; nothing for warnings and skipped ones.
static COMPILED: LazyLock<Vec<Option<Expression>>> = LazyLock::new(|| {
    let compile = |invariant: &defs::Invariant| {
        let is_wanted = invariant.is_error && SKIPPED.iter().all(|(key, _)| *key != invariant.key);
        // The table is part of the build, and a test reads all of them.
        is_wanted.then(|| Expression::parse(invariant.expression).ok()).flatten()
    };
    defs::r4().invariants.iter().map(compile).collect()
});

/// No invariant of R4 asks for the time (a test holds that), so any will do.
const NOW_US: i64 = 0;

pub(super) fn check(defs: &Definitions, resource: Node<'_>) -> Vec<Issue> {
    let mut walk = Walk { defs, path: Path::default(), issues: Vec::new() };
    walk.resource(resource, resource);
    walk.issues
}

struct Walk<'d> {
    defs: &'d Definitions,
    path: Path,
    issues: Vec<Issue>,
}

impl<'d> Walk<'d> {
    /// `root` is the resource that contains `node`, or `node` itself.
    fn resource<'a>(&mut self, node: Node<'a>, root: Node<'a>)
    where
        'd: 'a,
    {
        let element = Element::resource(self.defs, node);
        let Some(ty) = element.ty else { return };
        let is_outermost = self.path.is_empty();
        if is_outermost {
            self.path.push(self.defs.ty(ty).name);
        }
        let mut env = Environment::new(self.defs, node, NOW_US);
        env.root_resource = Some(root);
        self.evaluate(&env, element, &self.defs.ty(ty).invariants, &[]);
        self.members(&env, node, ty, root);
        if is_outermost {
            self.path.pop();
        }
    }

    fn members<'a>(&mut self, env: &Environment<'a>, node: Node<'a>, ty: TypeId, root: Node<'a>)
    where
        'd: 'a,
    {
        let defs = self.defs;
        let def = defs.ty(ty);
        for (name, value) in node.members() {
            let Some(property) = def.property(&name) else { continue };
            let child = defs.ty(property.ty);
            if child.kind == TypeKind::Primitive && property.element.invariants.is_empty() {
                continue;
            }
            self.path.push(property.element.name);
            for (index, item) in value.each().enumerate() {
                if value.is_array() {
                    self.path.push_index(index);
                }
                if child.kind == TypeKind::Resource {
                    // A resource in a Bundle or in Parameters stands for itself; a contained one belongs to its root.
                    self.resource(item, if property.element.name == "contained" { root } else { item });
                } else if !item.is_null() {
                    let element = Element { node: Some(item), sibling: None, ty: Some(property.ty) };
                    self.evaluate(env, element, &property.element.invariants, &child.invariants);
                    self.members(env, item, property.ty, root);
                }
                if value.is_array() {
                    self.path.pop();
                }
            }
            self.path.pop();
        }
    }

    /// Those of the element, and those of its type that the element does not repeat.
    fn evaluate<'a>(
        &mut self,
        env: &Environment<'a>,
        element: Element<'a>,
        of_element: &[InvariantId],
        of_type: &[InvariantId],
    ) {
        let of_type = of_type.iter().filter(|id| !of_element.contains(id));
        for id in of_element.iter().chain(of_type) {
            let Some(expression) = &COMPILED[usize::from(id.0)] else { continue };
            if self.issues.len() >= ISSUES_MAX {
                return;
            }
            let invariant = self.defs.invariant(*id);
            let text = match expression.evaluate_bool(env, Item::Element(element)) {
                Ok(Some(true) | None) => continue,
                Ok(Some(false)) => format!("{}: {}", invariant.key, invariant.human),
                Err(error) => format!("{} could not be evaluated: {error}", invariant.key),
            };
            self.issues.push(Issue::error("invariant", text).at(self.path.text()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_are_compiled_or_skipped() {
        for (invariant, compiled) in defs::r4().invariants.iter().zip(COMPILED.iter()) {
            let is_skipped = SKIPPED.iter().any(|(key, _)| *key == invariant.key);
            assert_eq!(compiled.is_some(), invariant.is_error && !is_skipped, "{}", invariant.key);
        }
    }

    #[test]
    fn none_asks_for_the_time() {
        let asks = |text: &str| ["now()", "today()", "timeOfDay()"].iter().any(|function| text.contains(function));
        assert!(defs::r4().invariants.iter().all(|invariant| !asks(invariant.expression)));
    }
}
