//! One walk over a resource along its definition.

use super::path::Path;
use super::{ISSUES_MAX, checks, primitive};
use crate::defs::{Definitions, ElementDef, TypeDef, TypeId, TypeKind, choice_name};
use crate::json::{Kind, Node};
use crate::nearest::nearest;
use crate::outcome::Issue;

pub(super) fn check(defs: &Definitions, resource: Node<'_>, strict_targets: bool) -> Vec<Issue> {
    let mut walk = Walk { defs, path: Path::default(), issues: Vec::new(), is_contained: false, strict_targets };
    walk.resource(resource);
    walk.issues
}

struct Walk<'d> {
    defs: &'d Definitions,
    path: Path,
    issues: Vec<Issue>,
    /// Inside of `contained`.
    is_contained: bool,
    /// Wrong reference targets are errors, not warnings.
    strict_targets: bool,
}

/// The elements of a type that have been met, by index. No R4 type has more than 128.
#[derive(Clone, Copy, Default)]
struct Seen(u128);

impl Seen {
    fn has(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }

    /// Whether `index` had been seen before.
    fn set(&mut self, index: usize) -> bool {
        let before = self.has(index);
        self.0 |= 1 << index;
        before
    }
}

impl<'d> Walk<'d> {
    fn issue(&mut self, code: &'static str, text: impl Into<String>) {
        self.push(Issue::error(code, text));
    }

    fn push(&mut self, issue: Issue) {
        if self.issues.len() < ISSUES_MAX {
            // Before the type is known there is no path.
            self.issues.push(if self.path.is_empty() { issue } else { issue.at(self.path.text()) });
        }
    }

    fn resource(&mut self, node: Node<'_>) {
        if !node.is_object() {
            return self.issue("structure", "a resource must be a JSON object");
        }
        let Some(name) = node.str("resourceType") else {
            return self.issue("structure", "resourceType is missing: set it to the name of an R4 resource type");
        };
        let Some(ty) = self.defs.resource_by_name(&name) else {
            let known = self.defs.resources().map(|ty| self.defs.ty(ty).name);
            return match nearest(&name, known) {
                Some(near) => {
                    self.issue("structure", format!("resourceType is no R4 resource type; did you mean {near}?"))
                }
                None => self.issue("structure", "resourceType is no R4 resource type"),
            };
        };
        let is_root = self.path.is_empty();
        if is_root {
            self.path.push(self.defs.ty(ty).name);
        }
        self.object(node, ty);
        if is_root {
            self.path.pop();
        }
    }

    /// The members of a resource, a complex value or the `_` sibling of a primitive.
    fn object(&mut self, node: Node<'_>, ty: TypeId) {
        let defs = self.defs;
        let def = defs.ty(ty);
        let is_resource = def.kind == TypeKind::Resource;
        if node.is_empty() {
            return self.issue("structure", "an object must not be empty: leave the element out");
        }
        let has_siblings = node.members().any(|(name, _)| name.starts_with('_'));
        let mut seen = Seen::default();
        for (name, value) in node.members() {
            if self.issues.len() >= ISSUES_MAX {
                return;
            }
            if is_resource && name == "resourceType" {
                continue;
            }
            let plain = name.strip_prefix('_').unwrap_or(&name);
            let is_sibling = plain.len() < name.len();
            let found = def.member(plain).filter(|(_, ty)| !is_sibling || defs.ty(*ty).kind == TypeKind::Primitive);
            let Some((index, ty)) = found else {
                self.unknown(def, &name);
                continue;
            };
            let (value, sibling) = if !is_sibling {
                (Some(value), if has_siblings { node.get(&format!("_{plain}")) } else { None })
            } else if node.get(plain).is_some() {
                // Checked together with its value.
                continue;
            } else {
                (None, Some(value))
            };
            let element = &def.elements[index];
            self.path.push(element.name);
            if seen.set(index) {
                self.issue("structure", format!("only one of the types of {}[x] may be given", element.name));
            } else {
                self.element(element, ty, value, sibling);
            }
            self.path.pop();
        }
        self.required(def, seen);
    }

    fn required(&mut self, def: &'d TypeDef, seen: Seen) {
        for (index, element) in def.elements.iter().enumerate() {
            if element.min > 0 && !seen.has(index) {
                self.path.push(element.name);
                self.issue("required", format!("{} is required", shown(element)));
                self.path.pop();
            }
        }
        if def.name == "Extension" {
            let has = |name| def.member(name).is_some_and(|(index, _)| seen.has(index));
            if has("extension") == has("valueString") {
                self.issue("structure", "an extension must have either a value[x] or nested extensions, not both");
            }
        }
    }

    fn unknown(&mut self, def: &TypeDef, name: &str) {
        // A strange name may be a value in the wrong place: it is not repeated.
        if name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return self.issue("structure", format!("{} has a member whose name is no element name", def.name));
        }
        let plain = name.strip_prefix('_').unwrap_or(name);
        if plain.len() < name.len() && def.member(plain).is_some() {
            return self.issue(
                "structure",
                format!("{name} is not allowed: {plain} is not primitive and carries its own extensions"),
            );
        }
        let hint = match def.elements.iter().find(|element| element.is_choice && element.name == plain) {
            Some(element) => format!("; name its type, like {}", choices(self.defs, element)),
            None => {
                nearest(plain, def.member_names()).map_or_else(String::new, |near| format!("; did you mean {near}?"))
            }
        };
        self.issue("structure", format!("{} has no element {name}{hint}", def.name));
    }

    fn element(&mut self, element: &'d ElementDef, ty: TypeId, value: Option<Node<'_>>, sibling: Option<Node<'_>>) {
        let is_list = element.max > 1;
        for node in [value, sibling].into_iter().flatten() {
            if is_list && !node.is_array() {
                return self.issue("structure", format!("{} must be an array", element.name));
            }
            if !is_list && node.is_array() {
                return self
                    .issue("structure", format!("{} must not be an array: at most one is allowed", element.name));
            }
        }
        if !is_list {
            return self.value(element, ty, value, sibling);
        }
        let count = value.map_or(0, Node::len).max(sibling.map_or(0, Node::len));
        if value.is_some_and(Node::is_empty) || count == 0 {
            return self.issue("structure", "an array must not be empty: leave the element out");
        }
        if count > usize::from(element.max) {
            self.issue("structure", format!("{} may be given at most {} times", element.name, element.max));
        }
        let mut values = value.into_iter().flat_map(Node::items);
        let mut siblings = sibling.into_iter().flat_map(Node::items);
        for index in 0..count {
            self.path.push_index(index);
            // In the arrays of a primitive, null holds the place of what the other array has.
            let is_paired = sibling.is_some();
            let (value, sibling) = (present(values.next(), is_paired), present(siblings.next(), is_paired));
            if value.is_none() && sibling.is_none() {
                self.issue("structure", "null in both arrays: a value or extensions must be there");
            } else {
                self.value(element, ty, value, sibling);
            }
            self.path.pop();
        }
    }

    /// One value, and the `_` sibling of a primitive.
    fn value(&mut self, element: &'d ElementDef, ty: TypeId, value: Option<Node<'_>>, sibling: Option<Node<'_>>) {
        let def = self.defs.ty(ty);
        if let Some(sibling) = sibling {
            if sibling.is_object() {
                self.object(sibling, ty);
            } else {
                self.issue("structure", "the member with the underscore must be an object with id or extension");
            }
        }
        let Some(value) = value else { return };
        if value.is_null() {
            return self.issue("structure", "null is not allowed: leave the element out");
        }
        match def.kind {
            TypeKind::Primitive => {
                if let Some(problem) = primitive::problem(def.name, value) {
                    return self.issue("value", format!("{} {problem}", def.name));
                }
            }
            _ if value.kind() != Kind::Object => {
                return self.issue("structure", format!("{} must be an object ({})", element.name, def.name));
            }
            TypeKind::Resource if element.name == "contained" => return self.contained(value),
            TypeKind::Resource => return self.resource(value),
            TypeKind::Datatype | TypeKind::Backbone => self.object(value, ty),
        }
        self.meaning(element, def, value);
    }

    fn contained(&mut self, node: Node<'_>) {
        if self.is_contained {
            return self.issue("structure", "a contained resource must not contain resources");
        }
        self.is_contained = true;
        self.resource(node);
        self.is_contained = false;
    }

    fn meaning(&mut self, element: &ElementDef, def: &TypeDef, value: Node<'_>) {
        if let Some(binding) = element.binding {
            let value_set = self.defs.value_set(binding);
            if !checks::is_bound(value_set, def.name, value) {
                let codes = checks::some_codes(value_set);
                self.issue("code-invalid", format!("code must be from {} ({codes})", value_set.url));
            }
        }
        if def.name == "Reference"
            && let Some(reference) = value.str("reference")
            && let Some(problem) = checks::reference_problem(self.defs, &element.targets, &reference)
        {
            self.push(if self.strict_targets {
                Issue::error("value", problem)
            } else {
                Issue::warning("value", problem)
            });
        }
    }
}

fn present(node: Option<Node<'_>>, is_paired: bool) -> Option<Node<'_>> {
    node.filter(|node| !(is_paired && node.is_null()))
}

fn shown(element: &ElementDef) -> String {
    if element.is_choice { format!("{}[x]", element.name) } else { element.name.to_owned() }
}

/// `valueQuantity, valueString`: a few member names of a choice.
fn choices(defs: &Definitions, element: &ElementDef) -> String {
    let names = element.types.iter().take(3).map(|ty| choice_name(element.name, defs.ty(*ty).name));
    names.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn elements_fit_the_bits_of_seen() {
        assert!(crate::defs::r4().types.iter().all(|ty| ty.elements.len() <= 128));
    }
}
