//! FHIR XML to FHIR JSON, driven by the definitions.

use fhir::defs::{Definitions, TypeId, TypeKind};
use fhir::json::Value;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An XML element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    /// The text directly in this element.
    pub(crate) text: String,
    /// The element as written, tags included.
    pub(crate) raw: String,
}

impl Element {
    pub(crate) fn parse(source: &str) -> Element {
        let mut reader = Reader::from_str(source);
        let mut open: Vec<(Element, usize)> = vec![(Element::default(), 0)];
        loop {
            let before = usize::try_from(reader.buffer_position()).unwrap();
            let event = reader.read_event().expect("well-formed XML");
            let after = usize::try_from(reader.buffer_position()).unwrap();
            match event {
                Event::Start(start) => open.push((Element::start(&start), before)),
                Event::Empty(start) => {
                    let element = Element { raw: source[before..after].to_owned(), ..Element::start(&start) };
                    open.last_mut().unwrap().0.children.push(element);
                }
                Event::End(_) => {
                    let (mut element, from) = open.pop().unwrap();
                    element.raw = source[from..after].to_owned();
                    open.last_mut().unwrap().0.children.push(element);
                }
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    let text = quick_xml::escape::unescape(&source[before..after]).expect("known entities");
                    open.last_mut().unwrap().0.text.push_str(&text);
                }
                Event::Eof => return open.pop().unwrap().0.children.pop().expect("a root element"),
                _ => {}
            }
        }
    }

    fn start(start: &BytesStart<'_>) -> Element {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("well-formed attributes");
            let name = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            let raw = std::str::from_utf8(&attribute.value).unwrap();
            (name, quick_xml::escape::unescape(raw).expect("known entities").into_owned())
        });
        let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
        Element { name, attributes: attributes.collect(), ..Element::default() }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn children<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// A resource element as JSON.
pub(crate) fn resource(defs: &Definitions, xml: &Element) -> Value {
    let ty = defs.resource_by_name(&xml.name).unwrap_or_else(|| panic!("{} is no resource", xml.name));
    let mut object = vec![("resourceType".to_owned(), Value::from(xml.name.as_str()))];
    members(defs, ty, xml, &mut object);
    Value::Object(object)
}

fn members(defs: &Definitions, ty: TypeId, xml: &Element, out: &mut Vec<(String, Value)>) {
    for name in ["id", "url"] {
        if let Some(value) = xml.attribute(name) {
            out.push((name.to_owned(), value.into()));
        }
    }
    let mut done: Vec<&str> = Vec::new();
    for child in &xml.children {
        if done.contains(&child.name.as_str()) {
            continue;
        }
        done.push(&child.name);
        let property = defs.ty(ty).property(&child.name);
        let property = property.unwrap_or_else(|| panic!("{} has no {}", defs.ty(ty).name, child.name));
        let (values, siblings): (Vec<_>, Vec<_>) =
            xml.children(&child.name).map(|child| value(defs, property.ty, child)).unzip();
        let is_list = property.element.max > 1;
        let mut member = |name: String, values: Vec<Option<Value>>| {
            if values.iter().any(Option::is_some) {
                let mut values: Vec<Value> = values.into_iter().map(Option::unwrap_or_default).collect();
                out.push((name, if is_list { Value::Array(values) } else { values.remove(0) }));
            }
        };
        member(child.name.clone(), values);
        member(format!("_{}", child.name), siblings);
    }
}

/// The value of an element and, for a primitive, the object with its id and extensions.
fn value(defs: &Definitions, ty: TypeId, xml: &Element) -> (Option<Value>, Option<Value>) {
    let definition = defs.ty(ty);
    match definition.kind {
        TypeKind::Resource => (xml.children.first().map(|child| resource(defs, child)), None),
        TypeKind::Primitive if definition.name == "xhtml" => (Some(xml.raw.as_str().into()), None),
        TypeKind::Primitive => {
            let value = xml.attribute("value").map(|text| match definition.name {
                "boolean" => Value::Bool(text == "true"),
                "integer" | "positiveInt" | "unsignedInt" | "decimal" => Value::Number(text.to_owned()),
                _ => Value::from(text),
            });
            let mut sibling = Vec::new();
            let without_value = Element {
                attributes: xml.attributes.iter().filter(|(name, _)| name == "id").cloned().collect(),
                ..Element::default()
            };
            members(defs, ty, &without_value, &mut sibling);
            if xml.children.iter().any(|child| child.name == "extension") {
                let extension = defs.type_by_name("Extension").unwrap();
                let extensions = xml.children("extension").filter_map(|child| value_of(defs, extension, child));
                sibling.push(("extension".to_owned(), Value::Array(extensions.collect())));
            }
            (value, (!sibling.is_empty()).then_some(Value::Object(sibling)))
        }
        TypeKind::Datatype | TypeKind::Backbone => (value_of(defs, ty, xml), None),
    }
}

fn value_of(defs: &Definitions, ty: TypeId, xml: &Element) -> Option<Value> {
    let mut object = Vec::new();
    members(defs, ty, xml, &mut object);
    Some(Value::Object(object))
}
