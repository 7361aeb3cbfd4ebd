//! The little of XML that the supporting data uses: elements with text, as a tree.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deeper than any supporting data.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    text: String,
    pub(crate) children: Vec<Node>,
}

/// The document is not XML of the kind the supporting data is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not well-formed XML at byte {at}")]
pub struct BadXml {
    /// Where reading stopped.
    pub at: u64,
}

impl Node {
    /// The root element of the document.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BadXml> {
        let mut reader = Reader::from_reader(bytes);
        let mut open = vec![Node::default()];
        loop {
            let event = reader.read_event().map_err(|_| BadXml { at: reader.error_position() })?;
            let bad = BadXml { at: reader.buffer_position() };
            match event {
                Event::Start(start) if open.len() < MAX_DEPTH => open.push(Node::named(start.name().as_ref())),
                Event::Start(_) => return Err(bad),
                Event::Empty(empty) => close(&mut open, Node::named(empty.name().as_ref())),
                Event::End(_) => {
                    let node = open.pop().ok_or_else(|| bad.clone())?;
                    if open.is_empty() {
                        return Err(bad);
                    }
                    close(&mut open, node);
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|_| bad.clone())?;
                    if let Some(node) = open.last_mut() {
                        node.text.push_str(text.trim());
                    }
                }
                Event::Eof => break,
                // Entities occur in texts for people only, which the engine does not read.
                _ => {}
            }
        }
        let bad = BadXml { at: reader.buffer_position() };
        let [root] = &mut open[..] else { return Err(bad) };
        root.children.pop().ok_or(bad)
    }

    fn named(name: &[u8]) -> Self {
        Self { name: String::from_utf8_lossy(name).into_owned(), ..Self::default() }
    }

    /// The elements of that name directly below that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name && !child.is_empty())
    }

    pub(crate) fn first(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name && !child.is_empty())
    }

    /// The text of the first element of that name; empty and `n/a` are none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.first(name).and_then(Node::value)
    }

    /// The text of this element; empty and `n/a` are none.
    pub(crate) fn value(&self) -> Option<&str> {
        (!self.text.is_empty() && !self.text.eq_ignore_ascii_case("n/a")).then_some(&self.text)
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.children.is_empty()
    }
}

fn close(open: &mut [Node], node: Node) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_and_not_applicable_are_none() {
        let node = Node::read(b"<a><b/><b>n/a</b><c> 4 weeks </c><d><e>1</e></d></a>").unwrap();
        assert_eq!(node.get("b"), None);
        assert_eq!(node.get("c"), Some("4 weeks"));
        assert_eq!(node.first("d").and_then(|d| d.get("e")), Some("1"));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in ["", "<a>", "<a></b>", "</a>", "<a><b></a>", "plain"] {
            assert!(Node::read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Node::read("<a>".repeat(1000).as_bytes()).is_err());
    }
}
