//! A JSON value that can be changed: for patches and for resources that weir makes itself.

use super::{Document, JsonError, Kind, Limits, Node, write_string};

/// An owned JSON value. Objects keep the order of their members; numbers are text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    pub fn parse(text: &str) -> Result<Value, JsonError> {
        Document::parse(text.as_bytes(), &Limits::default()).map(|document| document.root().into())
    }

    /// Appends the minified text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(text) => out.extend_from_slice(text.as_bytes()),
            Value::String(text) => write_string(out, text),
            Value::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(out, name);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        match self {
            Value::Object(members) => members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Sets or adds a member; does nothing unless this is an object.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Value::Object(members) = self {
            match members.iter_mut().find(|(key, _)| key == name) {
                Some(member) => member.1 = value.into(),
                None => members.push((name.to_owned(), value.into())),
            }
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Follows `names` member by member.
    pub fn path(&self, names: &[&str]) -> Option<&Value> {
        names.iter().try_fold(self, |value, name| value.get(name))
    }

    /// Shorthand for `get(name)` and [`Value::as_str`].
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Items of an array in order; nothing for any other kind.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// Items of the array that the member `name` is; nothing when it is none.
    pub fn list(&self, name: &str) -> &[Value] {
        self.get(name).map_or(&[], Value::items)
    }

    /// The text of a string or number.
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Number(text) => Some(text),
            _ => None,
        }
    }
}

/// The minified text.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl From<Node<'_>> for Value {
    fn from(node: Node<'_>) -> Value {
        match node.kind() {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => Value::Number(node.raw().to_owned()),
            Kind::String => Value::String(node.as_str().unwrap_or_default().into_owned()),
            Kind::Array => Value::Array(node.items().map(Value::from).collect()),
            Kind::Object => {
                Value::Object(node.members().map(|(key, value)| (key.into_owned(), Value::from(value))).collect())
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

macro_rules! from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Value {
            fn from(number: $integer) -> Value {
                Value::Number(number.to_string())
            }
        }
    )*};
}
from_integer!(i32 i64 u16 u32 u64 usize);

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(item: Option<T>) -> Value {
        item.map_or(Value::Null, Into::into)
    }
}

/// Builds a [`Value`] from JSON-like syntax; any expression that is `Into<Value>` may stand for a value.
///
/// ```
/// use fhir::json;
/// let id = "p1";
/// let value = json!({ "resourceType": "Patient", "id": id, "active": true, "name": [{ "family": "Ito" }] });
/// assert_eq!(value.to_string(), r#"{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"Ito"}]}"#);
/// ```
#[macro_export]
macro_rules! json {
    (null) => { $crate::json::Value::Null };
    ([ $($item:tt),* $(,)? ]) => { $crate::json::Value::Array(vec![ $( $crate::json!($item) ),* ]) };
    ({ $($members:tt)* }) => {{
        let mut members: Vec<(String, $crate::json::Value)> = Vec::new();
        members.reserve(4);
        $crate::json_members!(members; $($members)*);
        $crate::json::Value::Object(members)
    }};
    ($other:expr) => { $crate::json::Value::from($other) };
}

/// The members of [`json!`]'s objects.
#[doc(hidden)]
#[macro_export]
macro_rules! json_members {
    ($out:ident; ) => {};
    ($out:ident; $key:literal : { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $out.push(($key.to_string(), $crate::json!({ $($inner)* })));
        $crate::json_members!($out; $($($rest)*)?);
    };
    ($out:ident; $key:literal : [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $out.push(($key.to_string(), $crate::json!([ $($inner)* ])));
        $crate::json_members!($out; $($($rest)*)?);
    };
    ($out:ident; $key:literal : null $(, $($rest:tt)*)?) => {
        $out.push(($key.to_string(), $crate::json::Value::Null));
        $crate::json_members!($out; $($($rest)*)?);
    };
    ($out:ident; $key:literal : $value:expr $(, $($rest:tt)*)?) => {
        $out.push(($key.to_string(), $crate::json::Value::from($value)));
        $crate::json_members!($out; $($($rest)*)?);
    };
}
