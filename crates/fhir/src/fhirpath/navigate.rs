//! From an element to its children, with their types.

use super::item::{Element, Item};
use crate::defs::{Definitions, ElementDef, TypeId, TypeKind, is_capitalised};
use crate::json::Node;

/// Appends the children of `element` called `name` (without `[x]`).
pub(super) fn member<'a>(defs: &Definitions, element: &Element<'a>, name: &str, out: &mut Vec<Item<'a>>) {
    if element.is_primitive(defs) {
        if let Some(sibling) = element.sibling {
            primitive_member(defs, element.ty, sibling, name, out);
        }
        return;
    }
    let Some(node) = element.node else {
        return;
    };
    let definition = element.ty.and_then(|ty| defs.ty(ty).element(name));
    match definition {
        Some(definition) if definition.is_choice => choice(defs, node, definition, out),
        Some(definition) => {
            let ty = id_type(defs, element.ty, name).or(definition.types.first().copied());
            append(defs, node.get(name), sibling_of(node, name, ty, defs), ty, out);
        }
        // A type that the definitions know has no other elements.
        None if element.ty.is_some() => {}
        None => untyped_member(defs, node, name, out),
    }
}

/// R4 declares `Resource.id` as a System.String and means the type `id`.
fn id_type(defs: &Definitions, ty: Option<TypeId>, name: &str) -> Option<TypeId> {
    (name == "id" && ty.is_some_and(|ty| defs.ty(ty).kind == TypeKind::Resource))
        .then(|| defs.type_by_name("id"))
        .flatten()
}

/// Whether the type of `element` has a child called `name`; `true` when nothing is known about it.
pub(super) fn may_have(defs: &Definitions, element: &Element<'_>, name: &str) -> bool {
    element.ty.is_none_or(|ty| defs.ty(ty).element(name).is_some())
        || (element.is_primitive(defs) && matches!(name, "id" | "extension"))
}

/// `_name`, looked up only where one can exist.
fn sibling_of<'a>(node: Node<'a>, name: &str, ty: Option<TypeId>, defs: &Definitions) -> Option<Node<'a>> {
    if ty.is_some_and(|ty| defs.ty(ty).kind != TypeKind::Primitive) {
        return None;
    }
    node.members().find(|(key, _)| key.strip_prefix('_') == Some(name)).map(|(_, value)| value)
}

/// `id` and `extension` of a primitive.
fn primitive_member<'a>(
    defs: &Definitions,
    ty: Option<TypeId>,
    sibling: Node<'a>,
    name: &str,
    out: &mut Vec<Item<'a>>,
) {
    if !matches!(name, "id" | "extension") {
        return;
    }
    let definition = ty.and_then(|ty| defs.ty(ty).element(name));
    let ty = match definition {
        Some(definition) => definition.types.first().copied(),
        None => defs.type_by_name(if name == "id" { "string" } else { "Extension" }),
    };
    append(defs, sibling.get(name), None, ty, out);
}

fn choice<'a>(defs: &Definitions, node: Node<'a>, definition: &ElementDef, out: &mut Vec<Item<'a>>) {
    for (key, value) in node.members() {
        let (member, is_sibling) = match key.strip_prefix('_') {
            Some(member) => (member, true),
            None => (&*key, false),
        };
        let Some(suffix) = member.strip_prefix(definition.name) else {
            continue;
        };
        let Some(ty) = definition.types.iter().copied().find(|ty| is_capitalised(defs.ty(*ty).name, suffix)) else {
            continue;
        };
        if !is_sibling {
            append(defs, Some(value), sibling_of(node, member, Some(ty), defs), Some(ty), out);
        } else if node.get(member).is_none() {
            append(defs, None, Some(value), Some(ty), out);
        }
    }
}

/// Without a definition: the member itself, or a choice recognised by its shape.
fn untyped_member<'a>(defs: &Definitions, node: Node<'a>, name: &str, out: &mut Vec<Item<'a>>) {
    let value = node.get(name);
    let sibling = sibling_of(node, name, None, defs);
    if value.is_some() || sibling.is_some() {
        append(defs, value, sibling, None, out);
        return;
    }
    for (key, value) in node.members() {
        let Some(suffix) = key.strip_prefix(name).filter(|suffix| suffix.starts_with(|c: char| c.is_ascii_uppercase()))
        else {
            continue;
        };
        let ty = defs.types.iter().position(|ty| is_capitalised(ty.name, suffix));
        if let Some(ty) = ty.and_then(|index| u16::try_from(index).ok()).map(TypeId) {
            append(defs, Some(value), sibling_of(node, &key, Some(ty), defs), Some(ty), out);
        }
    }
}

/// All children in document order, ids and extensions of primitives included.
pub(super) fn children<'a>(defs: &Definitions, element: &Element<'a>, out: &mut Vec<Item<'a>>) {
    let is_primitive = element.is_primitive(defs);
    let Some(node) = (if is_primitive { element.sibling } else { element.node }) else {
        return;
    };
    for (key, value) in node.members() {
        if is_primitive {
            primitive_member(defs, element.ty, node, &key, out);
            continue;
        }
        let (member, is_sibling) = match key.strip_prefix('_') {
            Some(member) => (member, true),
            None => (&*key, false),
        };
        if member == "resourceType" {
            continue;
        }
        let ty = id_type(defs, element.ty, member)
            .or_else(|| element.ty.and_then(|ty| defs.ty(ty).property(member)).map(|property| property.ty));
        if !is_sibling {
            append(defs, Some(value), sibling_of(node, member, ty, defs), ty, out);
        } else if node.get(member).is_none() {
            append(defs, None, Some(value), ty, out);
        }
    }
}

/// Appends a JSON value and its sibling as items: arrays item by item.
fn append<'a>(
    defs: &Definitions,
    value: Option<Node<'a>>,
    sibling: Option<Node<'a>>,
    ty: Option<TypeId>,
    out: &mut Vec<Item<'a>>,
) {
    let is_list = value.is_some_and(Node::is_array) || sibling.is_some_and(Node::is_array);
    if !is_list {
        push(defs, value, sibling, ty, out);
        return;
    }
    let mut values = value.into_iter().flat_map(Node::items);
    let mut siblings = sibling.into_iter().flat_map(Node::items);
    loop {
        match (values.next(), siblings.next()) {
            (None, None) => return,
            (value, sibling) => push(defs, value, sibling, ty, out),
        }
    }
}

fn push<'a>(
    defs: &Definitions,
    value: Option<Node<'a>>,
    sibling: Option<Node<'a>>,
    ty: Option<TypeId>,
    out: &mut Vec<Item<'a>>,
) {
    let node = value.filter(|node| !node.is_null());
    let sibling = sibling.filter(|node| !node.is_null());
    if node.is_none() && sibling.is_none() {
        return;
    }
    // `contained`, `Bundle.entry.resource`: the definitions say Resource, the JSON says which.
    let ty = match (node, ty) {
        (Some(node), Some(ty)) if defs.ty(ty).kind == TypeKind::Resource => {
            node.str("resourceType").and_then(|name| defs.resource_by_name(&name)).or(Some(ty))
        }
        (Some(node), None) => node.str("resourceType").and_then(|name| defs.resource_by_name(&name)),
        (_, ty) => ty,
    };
    out.push(Item::Element(Element { node, sibling, ty }));
}
