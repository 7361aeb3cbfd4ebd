//! FHIRPath Patch: <https://hl7.org/fhir/R4/fhirpatch.html>.
//!
//! Paths are evaluated on a document made from the current state; what they find is located by its span, and the edit is
//! made on the value tree.

use super::way::{Spot, Step, Way, drop_nulls, get_mut, list_mut, put, sibling_way, take, value_way, way_to};
use super::{OPERATIONS_MAX, PatchError};
use crate::defs::{Definitions, ElementDef, TypeId, TypeKind, choice_name};
use crate::fhirpath::{Element, Environment, Expression, Item};
use crate::json::{Document, Limits, Node, Value};

/// Work that the path of one operation may always do.
const STEPS_MIN: u64 = 20_000;

/// Applies a Parameters resource of operations in order and returns the new resource.
pub fn fhirpath_patch(defs: &Definitions, resource: &Value, parameters: Node<'_>) -> Result<Value, PatchError> {
    if parameters.str("resourceType").as_deref() != Some("Parameters") {
        return Err(PatchError::Shape(
            "send Parameters for a FHIRPath patch, or an array of operations as application/json-patch+json; \
             part of a resource is no patch",
        ));
    }
    let operations = parameters.get("parameter").map(Node::items);
    if operations.as_ref().is_some_and(|operations| operations.clone().count() > OPERATIONS_MAX) {
        return Err(PatchError::Shape("the patch has too many operations"));
    }
    // All paths together get about as much work as one expression elsewhere.
    let count = operations.as_ref().map_or(0, |operations| operations.clone().count() as u64);
    let steps_max = (Environment::STEPS_MAX / count.max(1)).max(STEPS_MIN);
    let mut result = resource.clone();
    for (index, parameter) in operations.into_iter().flatten().enumerate() {
        if parameter.str("name").as_deref() != Some("operation") {
            return Err(PatchError::Operation { index, problem: "the parameter is not called operation" });
        }
        let operation = Operation { defs, index, node: parameter, steps_max };
        result = operation.apply(result)?;
    }
    Ok(result)
}

/// What the path of an operation found.
struct Found<'d> {
    path: &'d str,
    root: Node<'d>,
    elements: Vec<Element<'d>>,
}

struct Operation<'p> {
    defs: &'p Definitions,
    index: usize,
    node: Node<'p>,
    steps_max: u64,
}

/// A value to write: what stands at `name`, and at `_name`.
struct New {
    value: Value,
    /// Type suffix of the `value[x]` the value came in; nothing for parts.
    suffix: Option<String>,
    sibling: Option<Value>,
}

impl<'p> Operation<'p> {
    fn fail<T>(&self, problem: &'static str) -> Result<T, PatchError> {
        Err(PatchError::Operation { index: self.index, problem })
    }

    fn part(&self, name: &str) -> Option<Node<'p>> {
        self.node.get("part")?.items().find(|part| part.str("name").as_deref() == Some(name))
    }

    /// The text of a primitive part, whatever its type.
    fn text(&self, name: &str) -> Option<String> {
        let part = self.part(name)?;
        let (_, value) = part.members().find(|(key, _)| key.starts_with("value"))?;
        value.as_str().map(|text| text.into_owned()).or_else(|| Some(value.raw().to_owned()))
    }

    fn place<T>(&self, place: &str, problem: &'static str) -> Result<T, PatchError> {
        Err(PatchError::Place { index: self.index, place: without_texts(place), problem })
    }

    fn number(&self, name: &'static str, problem: &'static str) -> Result<usize, PatchError> {
        match self.text(name).and_then(|text| text.parse().ok()) {
            Some(number) => Ok(number),
            None => self.fail(problem),
        }
    }

    fn apply(&self, resource: Value) -> Result<Value, PatchError> {
        let Some(path) = self.text("path") else {
            return self.fail("path is missing");
        };
        let document = Document::parse(resource.to_string().as_bytes(), &Limits::default());
        let Ok(document) = document else {
            return Err(PatchError::TooLarge);
        };
        let root = document.root();
        let found = Found { path: &path, root, elements: self.evaluate(&path, root)? };
        let mut result = resource;
        match self.text("type").as_deref() {
            Some("add") => self.add(&mut result, &found)?,
            Some("insert") => self.insert(&mut result, &found)?,
            Some("delete") => self.delete(&mut result, &found)?,
            Some("replace") => self.replace(&mut result, &found)?,
            Some("move") => self.reorder(&mut result, &found)?,
            Some(_) => return self.fail("type is none of add, insert, delete, replace, move"),
            None => return self.fail("type is missing"),
        }
        Ok(result)
    }

    fn evaluate<'d>(&self, path: &str, root: Node<'d>) -> Result<Vec<Element<'d>>, PatchError>
    where
        'p: 'd,
    {
        // A patch must not depend on the time, so `now()` is a constant.
        let env = Environment { steps_max: self.steps_max, ..Environment::new(self.defs, root, 0) };
        let items = Expression::parse(path)
            .and_then(|expression| expression.evaluate(&env, root))
            .map_err(|source| PatchError::Path { index: self.index, source })?;
        let elements = items.into_iter().map(|item| match item {
            Item::Element(element) => Ok(element),
            _ => self.place(path, "the path gives a computed value, not an element"),
        });
        elements.collect()
    }

    /// The only element, and the way to it.
    fn one<'d>(&self, found: &Found<'d>) -> Result<(Element<'d>, Way), PatchError> {
        match found.elements.as_slice() {
            [element] => Ok((*element, self.locate(found, element)?)),
            [] => self.place(found.path, "there is no element"),
            _ => self.place(found.path, "there are several elements"),
        }
    }

    /// The way to an element; for a primitive without value the way its value would have.
    fn locate(&self, found: &Found<'_>, element: &Element<'_>) -> Result<Way, PatchError> {
        let way = match (element.node, element.sibling) {
            (Some(node), _) => way_to(found.root, node),
            (None, Some(sibling)) => way_to(found.root, sibling).map(value_way),
            (None, None) => None,
        };
        way.map_or_else(|| self.place(found.path, "the element is not part of the resource"), Ok)
    }

    fn parent<'v>(&self, found: &Found<'_>, result: &'v mut Value, way: &[Step]) -> Result<&'v mut Value, PatchError> {
        get_mut(result, way).map_or_else(|| self.place(found.path, "there is no element"), Ok)
    }

    fn add(&self, result: &mut Value, found: &Found<'_>) -> Result<(), PatchError> {
        let (element, mut way) = self.one(found)?;
        let Some(name) = self.text("name") else {
            return self.fail("name is missing");
        };
        let definition = self.element(element.ty, &name);
        if element.ty.is_some() && definition.is_none() {
            return self.place(found.path, "the type has no element of this name");
        }
        let primitive = element.ty.is_some_and(|ty| self.defs.ty(ty).kind == TypeKind::Primitive);
        if primitive {
            let at = sibling_way(&way);
            if get_mut(result, &at).is_none_or(|sibling| *sibling == Value::Null) {
                put(result, &at, Value::Object(Vec::new()));
            }
            way = at;
        }
        let new = self.new_value(definition, &name)?;
        let member = member_name(definition, &name, &new);
        let is_list = definition.is_some_and(|definition| definition.max > 1);
        let parent = self.parent(found, result, &way)?;
        if is_list {
            let length = match parent.get(&member) {
                Some(Value::Array(items)) => items.len(),
                _ => 0,
            };
            self.insert_at(parent, &member, length, new);
        } else {
            if parent.get(&member).is_some() {
                return self.place(found.path, "the element exists already");
            }
            set_pair(parent, &member, new);
        }
        Ok(())
    }

    fn insert(&self, result: &mut Value, found: &Found<'_>) -> Result<(), PatchError> {
        let at = self.number("index", "index is missing or no whole number")?;
        let (way, member, ty, length) = self.list(found)?;
        if at > length {
            return self.place(found.path, "the index is beyond the end of the list");
        }
        let new = self.new_of_type(ty)?;
        let parent = self.parent(found, result, &way)?;
        self.insert_at(parent, &member, at, new);
        Ok(())
    }

    /// The list all of `found` are in: way to its parent, member name, type, length.
    fn list(&self, found: &Found<'_>) -> Result<(Way, String, Option<TypeId>, usize), PatchError> {
        let Some(first) = found.elements.first() else {
            return self.place(found.path, "there is no list");
        };
        let first_way = self.locate(found, first)?;
        let Some(list) = Spot::of(&first_way).filter(|spot| spot.index.is_some()) else {
            return self.place(found.path, "the element is not in a list");
        };
        for element in &found.elements[1..] {
            let way = self.locate(found, element)?;
            let is_here = |spot: Spot<'_>| spot.index.is_some() && Spot { index: list.index, ..spot } == list;
            if !Spot::of(&way).is_some_and(is_here) {
                return self.place(found.path, "the elements are not in one list");
            }
        }
        Ok((list.parent.to_vec(), list.member.to_owned(), first.ty, found.elements.len()))
    }

    fn insert_at(&self, parent: &mut Value, member: &str, at: usize, new: New) {
        let sibling_name = format!("_{member}");
        let has_siblings = new.sibling.is_some() || parent.get(&sibling_name).is_some();
        for (name, value) in
            [(member, Some(new.value)), (&sibling_name, has_siblings.then(|| new.sibling.unwrap_or_default()))]
        {
            if let Some(value) = value
                && let Some(items) = list_mut(parent, name, at)
            {
                items.insert(at, value);
            }
        }
        drop_nulls(parent, member);
    }

    fn delete(&self, result: &mut Value, found: &Found<'_>) -> Result<(), PatchError> {
        if found.elements.is_empty() {
            // Nothing to delete is no error: the specification wants the element to be gone.
            return Ok(());
        }
        let (element, mut way) = self.one(found)?;
        if way.is_empty() {
            return self.place(found.path, "the whole resource cannot be deleted");
        }
        let is_primitive = element.ty.is_none_or(|ty| self.defs.ty(ty).kind == TypeKind::Primitive);
        if is_primitive {
            take(result, &sibling_way(&way));
        }
        take(result, &way);
        if let Some(Spot { parent, member, index: Some(_) }) = Spot::of(&way)
            && let Some(parent) = get_mut(result, parent)
        {
            drop_nulls(parent, member);
        }
        // Objects and lists that became empty are no FHIR.
        while way.pop().is_some() && !way.is_empty() {
            match get_mut(result, &way) {
                Some(Value::Array(items)) if items.iter().all(|item| *item == Value::Null) => take(result, &way),
                Some(Value::Object(members)) if members.is_empty() => take(result, &way),
                None => {}
                Some(_) => break,
            }
        }
        Ok(())
    }

    fn replace(&self, result: &mut Value, found: &Found<'_>) -> Result<(), PatchError> {
        let (element, way) = self.one(found)?;
        let Some(Spot { parent, member, index }) = Spot::of(&way) else {
            return self.place(found.path, "the whole resource cannot be replaced");
        };
        let parent = self.parent(found, result, parent)?;
        let mut new = self.new_of_type(element.ty)?;
        match index {
            Some(at) => {
                for (name, value) in
                    [(member.to_owned(), new.value), (format!("_{member}"), new.sibling.unwrap_or_default())]
                {
                    if let Some(Value::Array(items)) = parent.get_mut(&name)
                        && let Some(item) = items.get_mut(at)
                    {
                        *item = value;
                    }
                }
                drop_nulls(parent, member);
            }
            None => {
                let renamed = self.renamed(element.ty, member, &new);
                if let Value::Object(members) = parent {
                    members.retain(|(name, _)| name.strip_prefix('_') != Some(member));
                    if let Some((name, value)) = members.iter_mut().find(|(name, _)| name == member) {
                        name.clone_from(&renamed);
                        *value = std::mem::take(&mut new.value);
                        if let Some(sibling) = new.sibling {
                            members.push((format!("_{renamed}"), sibling));
                        }
                        return Ok(());
                    }
                }
                set_pair(parent, &renamed, new);
            }
        }
        Ok(())
    }

    /// The member name of a choice changes with the type of its value.
    fn renamed(&self, ty: Option<TypeId>, member: &str, new: &New) -> String {
        let old = ty.map(|ty| self.defs.ty(ty).name).unwrap_or_default();
        match (&new.suffix, choice_name("", old)) {
            (Some(suffix), old) if !old.is_empty() && member.len() > old.len() => match member.strip_suffix(&*old) {
                Some(stem) => format!("{stem}{suffix}"),
                None => member.to_owned(),
            },
            _ => member.to_owned(),
        }
    }

    fn reorder(&self, result: &mut Value, found: &Found<'_>) -> Result<(), PatchError> {
        let source = self.number("source", "source is missing or no whole number")?;
        let destination = self.number("destination", "destination is missing or no whole number")?;
        let (way, member, _, length) = self.list(found)?;
        if source >= length || destination >= length {
            return self.place(found.path, "source or destination is beyond the end of the list");
        }
        let parent = self.parent(found, result, &way)?;
        for name in [member.clone(), format!("_{member}")] {
            if let Some(Value::Array(items)) = parent.get_mut(&name) {
                while items.len() < length {
                    items.push(Value::Null);
                }
                let item = items.remove(source);
                items.insert(destination, item);
            }
        }
        drop_nulls(parent, &member);
        Ok(())
    }

    fn element(&self, ty: Option<TypeId>, name: &str) -> Option<&'p ElementDef> {
        let ty = self.defs.ty(ty?);
        ty.element(name).or_else(|| ty.property(name).map(|property| property.element))
    }

    fn new_value(&self, definition: Option<&ElementDef>, name: &str) -> Result<New, PatchError> {
        let is_plain = definition.is_some_and(|definition| !definition.is_choice);
        let ty = definition.filter(|_| is_plain).and_then(|definition| definition.types.first().copied());
        let new = self.new_of_type(ty)?;
        if definition.is_some_and(|definition| definition.is_choice && definition.name == name) && new.suffix.is_none()
        {
            return self.fail("the value of a choice needs a type");
        }
        Ok(new)
    }

    /// The part `value`: a `value[x]`, a resource, or parts that make up an element of type `ty`.
    fn new_of_type(&self, ty: Option<TypeId>) -> Result<New, PatchError> {
        match self.part("value") {
            Some(part) => self.part_value(part, ty),
            None => self.fail("value is missing"),
        }
    }

    fn part_value(&self, part: Node<'p>, ty: Option<TypeId>) -> Result<New, PatchError> {
        if let Some(resource) = part.get("resource") {
            return Ok(New { value: resource.into(), suffix: None, sibling: None });
        }
        if let Some(parts) = part.get("part") {
            let mut object = Value::Object(Vec::new());
            for part in parts.items() {
                let Some(name) = part.str("name") else {
                    return self.fail("a part of the value has no name");
                };
                let definition = self.element(ty, &name);
                if ty.is_some() && definition.is_none() {
                    return self.fail("a part of the value has a name that its type does not know");
                }
                let plain = definition.filter(|definition| !definition.is_choice);
                let new = self.part_value(part, plain.and_then(|definition| definition.types.first().copied()))?;
                let member = member_name(definition, &name, &new);
                if definition.is_some_and(|definition| definition.max > 1) {
                    let at = object.get(&member).map_or(0, |items| match items {
                        Value::Array(items) => items.len(),
                        _ => 0,
                    });
                    self.insert_at(&mut object, &member, at, new);
                } else {
                    set_pair(&mut object, &member, new);
                }
            }
            return Ok(New { value: object, suffix: None, sibling: None });
        }
        let member = |prefix: &str| {
            part.members().find_map(|(key, value)| {
                let suffix = key.strip_prefix(prefix)?.to_owned();
                suffix.starts_with(|c: char| c.is_ascii_uppercase()).then_some((suffix, value))
            })
        };
        let (value, sibling) = (member("value"), member("_value"));
        let Some(suffix) = value.as_ref().or(sibling.as_ref()).map(|(suffix, _)| suffix.clone()) else {
            return self.fail("value is missing");
        };
        Ok(New {
            value: value.map(|(_, value)| value.into()).unwrap_or_default(),
            suffix: Some(suffix),
            sibling: sibling.map(|(_, value)| value.into()),
        })
    }
}

/// A path without what stands in its quotes: `where(value = '…')` may name a patient.
fn without_texts(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut is_text = false;
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                out.push_str(if is_text { "…'" } else { "'" });
                is_text = !is_text;
            }
            '\\' if is_text => drop(chars.next()),
            c if !is_text => out.push(c),
            _ => {}
        }
    }
    out
}

/// The JSON member for an element: a choice carries its type in the name.
fn member_name(definition: Option<&ElementDef>, name: &str, new: &New) -> String {
    match (definition, &new.suffix) {
        (Some(definition), Some(suffix)) if definition.is_choice => format!("{}{suffix}", definition.name),
        _ => name.to_owned(),
    }
}

fn set_pair(parent: &mut Value, member: &str, new: New) {
    if new.value != Value::Null {
        parent.set(member, new.value);
    }
    if let Some(sibling) = new.sibling {
        parent.set(&format!("_{member}"), sibling);
    }
}
