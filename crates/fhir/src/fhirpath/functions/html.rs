//! `htmlChecks()`: whether a narrative is the safe XHTML that FHIR allows.

/// Elements of HTML 4.0 chapters 7 to 11 (without 9.3.4 forms and the like) and 15, links, images.
const ELEMENTS: [&str; 55] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "font",
];

const ATTRIBUTES: [&str; 59] = [
    "title",
    "style",
    "class",
    "id",
    "idref",
    "lang",
    "xml:lang",
    "dir",
    "accesskey",
    "tabindex",
    "xmlns",
    "span",
    "width",
    "align",
    "valign",
    "char",
    "charoff",
    "abbr",
    "axis",
    "headers",
    "scope",
    "rowspan",
    "colspan",
    "summary",
    "border",
    "frame",
    "rules",
    "cellspacing",
    "cellpadding",
    "bgcolor",
    "height",
    "nowrap",
    "noshade",
    "size",
    "compact",
    "start",
    "value",
    "type",
    "cite",
    "datetime",
    "name",
    "href",
    "rel",
    "rev",
    "target",
    "charset",
    "hreflang",
    "shape",
    "coords",
    "src",
    "alt",
    "longdesc",
    "usemap",
    "ismap",
    "color",
    "face",
    "clear",
    "xml:space",
    "background",
];

/// Well-formed, one `div` at the root, only known elements and attributes, no scripts, and some content.
pub(super) fn is_narrative(html: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut has_content = false;
    let mut is_done = false;
    let mut rest = html.trim();
    while !rest.is_empty() {
        let text_end = rest.find('<').unwrap_or(rest.len());
        let text = &rest[..text_end];
        if !text.trim().is_empty() {
            if open.is_empty() {
                return false;
            }
            has_content = true;
        }
        rest = &rest[text_end..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let Some(end) = comment.find("-->") else {
                return false;
            };
            rest = &comment[end + 3..];
        } else if !rest.is_empty() {
            let Some((tag, after)) = tag(rest) else {
                return false;
            };
            rest = after;
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name.trim()) {
                    return false;
                }
                is_done |= open.is_empty();
                continue;
            }
            let is_closed = tag.ends_with('/');
            let Some(name) = element(tag.trim_end_matches('/')) else {
                return false;
            };
            if is_done || (open.is_empty() && name != "div") {
                return false;
            }
            has_content |= name == "img";
            if is_closed {
                is_done |= open.is_empty();
            } else {
                open.push(name);
            }
        }
    }
    open.is_empty() && is_done && has_content
}

/// The inside of the tag at the start of `text`, and what follows it. `>` in quotes does not end it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match (quote, byte) {
            (None, b'>') => return Some((&text[1..at], &text[at + 1..])),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'<') => return None,
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The name of an allowed element with allowed attributes.
fn element(tag: &str) -> Option<&str> {
    let end = tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len());
    let (name, mut attributes) = tag.split_at(end);
    if !ELEMENTS.contains(&name) {
        return None;
    }
    loop {
        attributes = attributes.trim_start();
        if attributes.is_empty() {
            return Some(name);
        }
        let (attribute, value) = attributes.split_once('=')?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let end = value[1..].find(quote)? + 1;
        let is_script = value[1..end].trim_start().to_ascii_lowercase().starts_with("javascript:");
        if !ATTRIBUTES.contains(&attribute.trim()) || is_script {
            return None;
        }
        attributes = &value[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::is_narrative;

    #[test]
    fn safe_narratives_pass() {
        assert!(is_narrative(r#"<div xmlns="http://www.w3.org/1999/xhtml"><p>a <b>b</b><br/></p><!-- c --></div>"#));
        assert!(is_narrative("<div><img src='#a'/></div>"));
    }

    #[test]
    fn unsafe_or_broken_narratives_fail() {
        for html in [
            "",
            "text",
            "<div/>",
            "<div>  </div>",
            "<p>a</p>",
            "<div>a",
            "<div>a</p></div>",
            "<div>a</div><div>b</div>",
            "<div><script>a</script></div>",
            "<div onclick='a'>a</div>",
            "<div><a href=' JavaScript:a'>a</a></div>",
            "<div a",
            "<div class>a</div>",
            "<div>a</div>b",
            "<div class='a>a</div>",
        ] {
            assert!(!is_narrative(html), "{html}");
        }
    }
}
