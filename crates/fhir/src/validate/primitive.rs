//! JSON kinds and formats of the primitive types: <http://hl7.org/fhir/R4/datatypes.html>.

use crate::index::is_id;
use crate::json::{Kind, Node};
use crate::temporal::{PartialDateTime, PartialTime, Precision};

const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// "Strings SHALL NOT exceed 1MB (1024*1024 characters) in size."
const STRING_CHARS_MAX: usize = 1024 * 1024;

/// What is wrong with `node` as a value of the primitive `ty`: the end of a sentence that starts with the type.
pub(super) fn problem(ty: &str, node: Node<'_>) -> Option<&'static str> {
    match ty {
        "boolean" => (node.as_bool().is_none()).then_some("must be true or false, without quotes"),
        "integer" | "unsignedInt" | "positiveInt" => number(node).map_or_else(Some, |text| integer(ty, text)),
        "decimal" => number(node).err(),
        _ => {
            if node.kind() != Kind::String {
                return Some("must be a string in double quotes");
            }
            let text = node.as_str().unwrap_or_default();
            if text.is_empty() { Some("must not be empty: leave the element out") } else { string(ty, &text) }
        }
    }
}

fn number(node: Node<'_>) -> Result<&str, &'static str> {
    node.as_number().ok_or("must be a number, without quotes")
}

fn integer(ty: &str, text: &str) -> Option<&'static str> {
    let Ok(value) = text.parse::<i32>() else {
        return Some("must be a whole number of 32 bits, without decimal point or exponent");
    };
    match ty {
        "unsignedInt" if value < 0 => Some("must be 0 or more"),
        "positiveInt" if value < 1 => Some("must be 1 or more"),
        _ => None,
    }
}

/// Formats of the types that are strings in JSON. `text` is not empty.
fn string(ty: &str, text: &str) -> Option<&'static str> {
    let (is_right, problem) = match ty {
        "code" => (is_code(text), "must not start or end with white space nor have two spaces in a row"),
        "uri" | "url" | "canonical" => (!text.chars().any(char::is_whitespace), "must not contain white space"),
        "date" => (is_date(text), "must be YYYY, YYYY-MM or YYYY-MM-DD and exist in the calendar"),
        "dateTime" => (
            is_date_time(text),
            "must be YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone (Z or +hh:mm) and exist in the calendar",
        ),
        "instant" => (is_instant(text), "must be YYYY-MM-DDThh:mm:ss with a time zone (Z or +hh:mm)"),
        "time" => (is_time(text), "must be hh:mm:ss, without time zone"),
        "id" => (is_id(text), "must be 1 to 64 letters, digits, '-' or '.'"),
        "oid" => (is_oid(text), "must be urn:oid: and numbers separated by dots"),
        "uuid" => (is_uuid(text), "must be urn:uuid: and 32 lower-case hexadecimal digits grouped 8-4-4-4-12"),
        "base64Binary" => {
            (is_base64(text), "must be base64: groups of four letters, digits, '+' or '/', padded with '='")
        }
        "xhtml" => return xhtml(text),
        _ => {
            if text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) {
                return Some("must not contain control characters");
            }
            (
                text.len() <= STRING_CHARS_MAX || text.chars().count() <= STRING_CHARS_MAX,
                "must not be longer than 1,048,576 characters",
            )
        }
    };
    (!is_right).then_some(problem)
}

fn is_code(text: &str) -> bool {
    let mut before_space = true;
    for letter in text.chars() {
        let is_space = letter.is_whitespace();
        if is_space && before_space {
            return false;
        }
        before_space = is_space;
    }
    !before_space
}

fn is_date(text: &str) -> bool {
    text.len() <= 10 && PartialDateTime::parse(text).is_some()
}

fn is_date_time(text: &str) -> bool {
    is_date(text) || is_instant(text)
}

fn is_instant(text: &str) -> bool {
    PartialDateTime::parse(text)
        .is_some_and(|value| value.precision == Precision::Second && value.offset_minutes.is_some())
}

fn is_time(text: &str) -> bool {
    PartialTime::parse(text).is_some_and(|value| value.precision == Precision::Second)
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    let mut arcs = arcs.split('.');
    let root = arcs.next().is_some_and(|root| matches!(root, "0" | "1" | "2"));
    let mut count = 0;
    let rest = arcs.all(|arc| {
        count += 1;
        !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    });
    root && rest && count > 0
}

fn is_uuid(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("urn:uuid:") else { return false };
    digits.len() == 36
        && digits.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_base64(text: &str) -> bool {
    let mut digits = 0usize;
    let mut padding = 0usize;
    for byte in text.bytes() {
        match byte {
            b'=' => padding += 1,
            _ if byte.is_ascii_whitespace() => {}
            _ if padding == 0 && (byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')) => digits += 1,
            _ => return false,
        }
    }
    digits > 0 && padding <= 2 && (digits + padding).is_multiple_of(4)
}

/// The cheap half of txt-1 and txt-2; Full validation adds the rest.
fn xhtml(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let head = text.split('>').next().unwrap_or_default();
    if !head.starts_with("<div") || !(text.ends_with("</div>") || text.ends_with("/>")) {
        return Some("must be one <div> element");
    }
    (!head.contains(XHTML)).then_some("must be a <div> with xmlns=\"http://www.w3.org/1999/xhtml\"")
}
