//! `application/x-www-form-urlencoded`, for URLs and for `_search` bodies.

use crate::error::Failure;
use axum::http::StatusCode;

/// Decoded `(name, value)` pairs in order.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, Failure> {
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn pair(part: &str) -> Result<(String, String), Failure> {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    match (decode(name), decode(value)) {
        (Some(name), Some(value)) => Ok((name, value)),
        _ => Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "the query string is not valid percent-encoded UTF-8: write % as %25",
        )),
    }
}

fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| (byte as char).to_digit(16));
                bytes.push((digit()? * 16 + digit()?) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A path with its percent-encoding resolved; a `+` stands for itself there.
pub(crate) fn decode_path(text: &str) -> Option<String> {
    decode(&text.replace('+', "%2B"))
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
    fn pairs_are_decoded_and_encoded() {
        let read = pairs("name=N%C3%BA%C3%B1ez&code=http://x|1&&flag&date=ge2020+x").unwrap();
        assert_eq!(read[0], ("name".into(), "Núñez".into()));
        assert_eq!(read[2], ("flag".into(), String::new()));
        let text = to_string(read.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(text, "name=N%C3%BA%C3%B1ez&code=http://x|1&flag=&date=ge2020%20x");
        assert!(pairs("a=%zz").is_err() && pairs("a=%ff").is_err() && pairs("a=%2").is_err());
    }
}
