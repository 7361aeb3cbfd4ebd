//! JSON for people.

/// Indents minified JSON; strings are left as they are.
pub fn pretty(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let newline = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 2));
    };
    for (at, byte) in json.iter().enumerate() {
        if in_string {
            out.push(*byte);
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        let is_empty = matches!(json.get(at + 1), Some(b'}' | b']'));
        let was_empty = at > 0 && matches!(json[at - 1], b'{' | b'[');
        match byte {
            b'{' | b'[' => {
                out.push(*byte);
                depth += 1;
                if !is_empty {
                    newline(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !was_empty {
                    newline(&mut out, depth);
                }
                out.push(*byte);
            }
            b',' => {
                out.push(b',');
                newline(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                in_string = true;
                out.push(b'"');
            }
            byte => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_json_is_the_same_json() {
        let text = r#"{"a":[1,{"b":"x,\"{y"}],"c":{},"d":[]}"#;
        let pretty = String::from_utf8(pretty(text.as_bytes())).unwrap();
        assert!(pretty.starts_with("{\n  \"a\": [\n    1,"));
        assert!(pretty.contains("\"c\": {},"));
        let again = crate::json::Document::parse(pretty.as_bytes(), &crate::json::Limits::default()).unwrap();
        assert_eq!(again.as_str(), text);
    }
}
