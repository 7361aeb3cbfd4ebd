//! American Soundex: names that sound alike share a code.

/// Letter and three digits; `None` for a name without a letter.
pub(crate) fn soundex(name: &str) -> Option<[u8; 4]> {
    let mut letters = name.bytes().filter(u8::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase());
    let first = letters.next()?;
    let mut code = [first, b'0', b'0', b'0'];
    let (mut place, mut previous) = (1, digit(first));
    for letter in letters {
        let this = digit(letter);
        if this != b'0' && this != previous && place < code.len() {
            code[place] = this;
            place += 1;
        }
        // h and w do not part equal sounds, vowels do.
        if !matches!(letter, b'h' | b'w') {
            previous = this;
        }
    }
    Some(code)
}

fn digit(letter: u8) -> u8 {
    match letter {
        b'b' | b'f' | b'p' | b'v' => b'1',
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => b'2',
        b'd' | b't' => b'3',
        b'l' => b'4',
        b'm' | b'n' => b'5',
        b'r' => b'6',
        _ => b'0',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes() {
        for (name, code) in [
            ("robert", b"r163"),
            ("rupert", b"r163"),
            ("ashcraft", b"a261"),
            ("tymczak", b"t522"),
            ("pfister", b"p236"),
        ] {
            assert_eq!(soundex(name), Some(*code), "{name}");
        }
        assert_eq!(soundex(""), None);
    }
}
