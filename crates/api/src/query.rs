//! `application/x-www-form-urlencoded`, for URLs and for `_search` bodies.

use crate::error::Failure;
use axum::http::StatusCode;
use fhir::query::form;

/// Decoded `(name, value)` pairs in order.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let wrong = "the query string is not valid percent-encoded UTF-8: write % as %25";
    form::pairs(text).ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "invalid", wrong))
}

/// A path with its percent-encoding resolved; a `+` stands for itself there.
pub(crate) fn decode_path(text: &str) -> Option<String> {
    form::decode(&text.replace('+', "%2B"))
}

/// Percent-encodes everything but unreserved characters and those that FHIR values use freely.
pub(crate) fn encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/|,$*".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)] as char);
            out.push(HEX[usize::from(byte & 15)] as char);
        }
    }
}

/// `name=value&…`
pub(crate) fn to_string<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode(&mut out, name);
        out.push('=');
        encode(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_encoded() {
        let read = pairs("name=N%C3%BA%C3%B1ez&code=http://x|1&&flag&date=ge2020+x").unwrap();
        let text = to_string(read.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(text, "name=N%C3%BA%C3%B1ez&code=http://x|1&flag=&date=ge2020%20x");
    }
}
