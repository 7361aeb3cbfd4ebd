//! What expressions evaluate to.

use super::quantity::Quantity;
use crate::decimal;
use crate::defs::{Definitions, TypeId, TypeKind};
use crate::index::UCUM;
use crate::json::{Kind, Node};
use crate::temporal::{PartialDateTime, PartialTime};
use rust_decimal::Decimal;
use std::borrow::Cow;

/// One item of a collection: a place in a document, or a computed value.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    Element(Element<'a>),
    Boolean(bool),
    /// 32 bits are guaranteed by the operations; wider only inside of them.
    Integer(i64),
    Decimal(Decimal),
    String(Cow<'a, str>),
    Date(PartialDateTime),
    DateTime(PartialDateTime),
    Time(PartialTime),
    Quantity(Quantity<'a>),
    /// What `type()` returns.
    Type {
        namespace: &'static str,
        name: Cow<'a, str>,
    },
}

/// An element of a resource: the JSON value, its `_` sibling, and its FHIR type as far as the path tells it.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Absent for a primitive that has only an id or extensions.
    pub node: Option<Node<'a>>,
    /// The object with `id` and `extension` of a primitive.
    pub sibling: Option<Node<'a>>,
    /// Absent where the definitions do not know the element.
    pub ty: Option<TypeId>,
}

/// The System type that stands for a FHIR primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SystemType {
    Boolean,
    Integer,
    Decimal,
    String,
    Date,
    DateTime,
    Time,
    Quantity,
}

impl SystemType {
    pub(super) fn of_fhir(name: &str) -> Option<SystemType> {
        Some(match name {
            "boolean" => SystemType::Boolean,
            "integer" | "positiveInt" | "unsignedInt" => SystemType::Integer,
            "decimal" => SystemType::Decimal,
            "date" => SystemType::Date,
            "dateTime" | "instant" => SystemType::DateTime,
            "time" => SystemType::Time,
            "Quantity" | "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity" | "SimpleQuantity" => {
                SystemType::Quantity
            }
            "string" | "code" | "id" | "markdown" | "uri" | "url" | "canonical" | "oid" | "uuid" | "base64Binary"
            | "xhtml" => SystemType::String,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            SystemType::Boolean => "Boolean",
            SystemType::Integer => "Integer",
            SystemType::Decimal => "Decimal",
            SystemType::String => "String",
            SystemType::Date => "Date",
            SystemType::DateTime => "DateTime",
            SystemType::Time => "Time",
            SystemType::Quantity => "Quantity",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<SystemType> {
        const ALL: [SystemType; 8] = [
            SystemType::Boolean,
            SystemType::Integer,
            SystemType::Decimal,
            SystemType::String,
            SystemType::Date,
            SystemType::DateTime,
            SystemType::Time,
            SystemType::Quantity,
        ];
        ALL.into_iter().find(|ty| ty.name() == name)
    }
}

impl<'a> Element<'a> {
    /// A resource; its type is its `resourceType`.
    pub fn resource(defs: &Definitions, node: Node<'a>) -> Element<'a> {
        let ty = node.str("resourceType").and_then(|name| defs.resource_by_name(&name));
        Element { node: Some(node), sibling: None, ty }
    }

    /// Same place in the same document.
    pub(super) fn is_same(&self, other: &Element<'_>) -> bool {
        self.node == other.node && self.sibling == other.sibling
    }

    pub(super) fn system_type(&self, defs: &Definitions) -> Option<SystemType> {
        match self.ty {
            Some(ty) => SystemType::of_fhir(defs.ty(ty).name),
            None => match self.node?.kind() {
                Kind::True | Kind::False => Some(SystemType::Boolean),
                Kind::String => Some(SystemType::String),
                Kind::Number => Some(SystemType::Decimal),
                Kind::Null | Kind::Array | Kind::Object => None,
            },
        }
    }

    pub(super) fn is_primitive(&self, defs: &Definitions) -> bool {
        match self.ty {
            Some(ty) => defs.ty(ty).kind == TypeKind::Primitive,
            None => !self.node.is_some_and(Node::is_object),
        }
    }

    /// The text of a primitive: what stands in the JSON, unescaped.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        let node = self.node?;
        match node.kind() {
            Kind::String => node.as_str(),
            Kind::Number | Kind::True | Kind::False => Some(Cow::Borrowed(node.raw())),
            Kind::Null | Kind::Array | Kind::Object => None,
        }
    }

    /// The System value of a primitive or a Quantity; nothing for other elements and for values that cannot be read.
    pub(super) fn value(&self, defs: &Definitions) -> Option<Item<'a>> {
        let node = self.node?;
        Some(match self.system_type(defs)? {
            SystemType::Boolean => Item::Boolean(node.as_bool()?),
            SystemType::Integer => Item::Integer(node.as_number()?.parse::<i32>().ok()?.into()),
            SystemType::Decimal => Item::Decimal(decimal::parse(node.as_number()?)?),
            SystemType::String => Item::String(node.as_str()?),
            SystemType::Date => Item::Date(PartialDateTime::parse(&node.as_str()?)?),
            SystemType::DateTime => Item::DateTime(PartialDateTime::parse(&node.as_str()?)?),
            SystemType::Time => Item::Time(PartialTime::parse(&node.as_str()?)?),
            SystemType::Quantity => Item::Quantity(quantity(node)?),
        })
    }
}

/// A FHIR Quantity as a System.Quantity. One with a comparator is a range and has no value.
fn quantity<'a>(node: Node<'a>) -> Option<Quantity<'a>> {
    if node.get("comparator").is_some() {
        return None;
    }
    let value = decimal::parse(node.get("value")?.as_number()?)?;
    let is_ucum = node.str("system").is_none_or(|system| system == UCUM);
    let unit = node.str("code").filter(|_| is_ucum).or_else(|| node.str("unit")).unwrap_or(Cow::Borrowed("1"));
    Some(Quantity { value, unit })
}

impl<'a> Item<'a> {
    /// The item itself, or the System value behind an element.
    pub(super) fn to_value(&self, defs: &Definitions) -> Option<Item<'a>> {
        match self {
            Item::Element(element) => element.value(defs),
            other => Some(other.clone()),
        }
    }

    pub fn as_element(&self) -> Option<&Element<'a>> {
        match self {
            Item::Element(element) => Some(element),
            _ => None,
        }
    }

    /// The JSON node of an element.
    pub fn node(&self) -> Option<Node<'a>> {
        self.as_element()?.node
    }

    /// Namespace and name of the type, as `type()` shows them.
    pub fn type_name(&self, defs: &Definitions) -> (&'static str, &'static str) {
        let system = |ty: SystemType| ("System", ty.name());
        match self {
            Item::Element(element) => match element.ty {
                Some(ty) => ("FHIR", defs.ty(ty).name),
                None => ("FHIR", element.system_type(defs).map_or("Element", SystemType::name)),
            },
            Item::Boolean(_) => system(SystemType::Boolean),
            Item::Integer(_) => system(SystemType::Integer),
            Item::Decimal(_) => system(SystemType::Decimal),
            Item::String(_) => system(SystemType::String),
            Item::Date(_) => system(SystemType::Date),
            Item::DateTime(_) => system(SystemType::DateTime),
            Item::Time(_) => system(SystemType::Time),
            Item::Quantity(_) => system(SystemType::Quantity),
            Item::Type { .. } => ("System", "TypeInfo"),
        }
    }

    /// What `toString()` gives; nothing for complex elements. For a primitive element the text exactly as in the JSON.
    pub fn to_text(&self) -> Option<Cow<'a, str>> {
        Some(match self {
            Item::Element(element) => element.text()?,
            Item::Boolean(true) => Cow::Borrowed("true"),
            Item::Boolean(false) => Cow::Borrowed("false"),
            Item::Integer(integer) => Cow::Owned(integer.to_string()),
            Item::Decimal(decimal) => Cow::Owned(decimal.to_string()),
            Item::String(text) => text.clone(),
            Item::Date(date) | Item::DateTime(date) => Cow::Owned(date.to_string()),
            Item::Time(time) => Cow::Owned(time.to_string()),
            Item::Quantity(quantity) => Cow::Owned(quantity.to_string()),
            Item::Type { namespace, name } => Cow::Owned(format!("{namespace}.{name}")),
        })
    }
}
