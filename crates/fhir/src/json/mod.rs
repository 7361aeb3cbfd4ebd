//! JSON as FHIR needs it: a span tree over the exact minified bytes.
//!
//! A [`Document`] owns the minified bytes of one JSON text and a flat table of spans into them. Nothing is converted:
//! numbers stay text (`1.10` stays `1.10`), members keep their order, strings are unescaped only when they are asked for.
//! Duplicate member names, invalid UTF-8, lone surrogates, excessive depth and excessive size are errors with a line and a column.

mod parse;
mod pretty;
mod value;
mod write;

pub use parse::{JsonError, JsonErrorKind, Limits};
pub use pretty::pretty;
pub use value::Value;
pub use write::{Writer, write_string};

use std::borrow::Cow;
use std::ops::Range;

/// What a [`Node`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

/// One node of the tape. Objects hold key and value slots in turn; `next` is the slot after the whole subtree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) next: u32,
    /// Number of members or items.
    pub(crate) count: u32,
    pub(crate) kind: Kind,
    /// A string with at least one escape sequence.
    pub(crate) escaped: bool,
}

/// A parsed JSON text: minified bytes and the spans of its nodes.
#[derive(Clone, Debug)]
pub struct Document {
    text: String,
    slots: Vec<Slot>,
}

impl Document {
    /// Parses `input`, dropping insignificant white space. See [`Limits`] for what is bounded.
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Document, JsonError> {
        parse::parse(input, limits)
    }

    pub fn root(&self) -> Node<'_> {
        Node { doc: self, at: 0 }
    }

    /// The minified text. Byte for byte the input without insignificant white space.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub fn into_string(self) -> String {
        self.text
    }
}

/// A node of a [`Document`]. Cheap to copy; equality is identity (same document, same place).
#[derive(Clone, Copy)]
pub struct Node<'a> {
    doc: &'a Document,
    at: u32,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.doc, other.doc) && self.at == other.at
    }
}

impl Eq for Node<'_> {}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.raw())
    }
}

impl<'a> Node<'a> {
    fn slot(self) -> Slot {
        self.doc.slots[self.at as usize]
    }

    pub fn kind(self) -> Kind {
        self.slot().kind
    }

    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    pub fn is_array(self) -> bool {
        self.kind() == Kind::Array
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Byte range in [`Document::as_bytes`], quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        let slot = self.slot();
        slot.start as usize..slot.end as usize
    }

    /// The node's own JSON text.
    pub fn raw(self) -> &'a str {
        &self.doc.text[self.span()]
    }

    /// Number of members of an object or items of an array; 0 otherwise.
    pub fn len(self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object => self.slot().count as usize,
            _ => 0,
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The member called `name`, if this is an object that has one.
    pub fn get(self, name: &str) -> Option<Node<'a>> {
        let slots = &self.doc.slots;
        let mut at = self.at as usize + 1;
        let end = if self.is_object() { self.slot().next as usize } else { 0 };
        while at < end {
            let key = &slots[at];
            // Without escapes the bytes between the quotes are the name.
            let is_named = if key.escaped {
                Node { doc: self.doc, at: at as u32 }.unquoted() == name
            } else {
                self.doc.text.as_bytes()[key.start as usize + 1..key.end as usize - 1] == *name.as_bytes()
            };
            if is_named {
                return Some(Node { doc: self.doc, at: at as u32 + 1 });
            }
            at = slots[at + 1].next as usize;
        }
        None
    }

    /// Follows `names` member by member.
    pub fn path(self, names: &[&str]) -> Option<Node<'a>> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    /// Shorthand for `get(name)` and [`Node::as_str`].
    pub fn str(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    /// Members of an object in document order; nothing for any other kind.
    pub fn members(self) -> Members<'a> {
        let end = if self.is_object() { self.slot().next } else { 0 };
        Members { doc: self.doc, at: self.at + 1, end }
    }

    /// Items of an array in document order; nothing for any other kind.
    pub fn items(self) -> Items<'a> {
        let end = if self.is_array() { self.slot().next } else { 0 };
        Items { doc: self.doc, at: self.at + 1, end }
    }

    /// Items of an array, or the node itself when it is anything but an array or null.
    pub fn each(self) -> Items<'a> {
        match self.kind() {
            Kind::Array => self.items(),
            Kind::Null => Items { doc: self.doc, at: 1, end: 0 },
            _ => Items { doc: self.doc, at: self.at, end: self.slot().next },
        }
    }

    /// The unescaped value of a string.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| self.unquoted())
    }

    /// The text of a number, exactly as written.
    pub fn as_number(self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    fn unquoted(self) -> Cow<'a, str> {
        let slot = self.slot();
        let inner = &self.doc.text[slot.start as usize + 1..slot.end as usize - 1];
        if slot.escaped { Cow::Owned(parse::unescape(inner)) } else { Cow::Borrowed(inner) }
    }
}

/// Iterator over the members of an object. See [`Node::members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    doc: &'a Document,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let key = Node { doc: self.doc, at: self.at };
        let value = Node { doc: self.doc, at: self.at + 1 };
        self.at = value.slot().next;
        Some((key.unquoted(), value))
    }
}

/// Iterator over the items of an array. See [`Node::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    doc: &'a Document,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let node = Node { doc: self.doc, at: self.at };
        self.at = node.slot().next;
        Some(node)
    }
}
