//! Query strings: `application/x-www-form-urlencoded`, as in URLs, `_search` bodies and criteria of conditional interactions.

/// Decoded `(name, value)` pairs in their order. `None` when the text is not valid percent-encoded UTF-8.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Resolves `%XX` and `+`.
pub fn decode(text: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_or_refused() {
        let read = pairs("name=N%C3%BA%c3%b1ez&code%3Aexact=http://x|1&&flag&date=ge2020+x").unwrap();
        let expected = [("name", "Núñez"), ("code:exact", "http://x|1"), ("flag", ""), ("date", "ge2020 x")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for wrong in ["a=%zz", "a=%ff", "a=%2", "%=1"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }
}
