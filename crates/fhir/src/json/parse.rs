//! Bytes to span tree, in one pass that also minifies.

use super::{Document, Kind, Slot};
use std::fmt;

/// Bounds for a JSON text from outside.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes_max: usize,
    /// Nested arrays and objects.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_max: 64 << 20, depth_max: 128 }
    }
}

/// What is wrong with a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    TooLarge {
        bytes_max: usize,
    },
    TooDeep {
        depth_max: usize,
    },
    InvalidUtf8,
    UnexpectedEnd,
    /// What was expected at this place.
    Expected(&'static str),
    DuplicateMember(String),
    InvalidEscape,
    LoneSurrogate,
    ControlCharacter,
    TrailingText,
}

/// A JSON text that cannot be read. Lines and columns count from 1, columns in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub kind: JsonErrorKind,
    pub offset: usize,
    pub line: usize,
    pub column: usize,
}

impl std::error::Error for JsonError {}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            JsonErrorKind::TooLarge { bytes_max } => return write!(f, "text is larger than {bytes_max} bytes"),
            JsonErrorKind::TooDeep { depth_max } => write!(f, "more than {depth_max} levels of nesting")?,
            JsonErrorKind::InvalidUtf8 => f.write_str("invalid UTF-8")?,
            JsonErrorKind::UnexpectedEnd => f.write_str("text ends too early")?,
            JsonErrorKind::Expected(what) => write!(f, "expected {what}")?,
            JsonErrorKind::DuplicateMember(name) => write!(f, "member \"{name}\" appears twice in one object")?,
            JsonErrorKind::InvalidEscape => f.write_str("invalid escape sequence in a string")?,
            JsonErrorKind::LoneSurrogate => f.write_str("\\u escape is half of a surrogate pair")?,
            JsonErrorKind::ControlCharacter => f.write_str("control character in a string must be escaped")?,
            JsonErrorKind::TrailingText => f.write_str("text after the end of the JSON value")?,
        }
        write!(f, " at line {}, column {}", self.line, self.column)
    }
}

/// Objects with more members than this are checked for duplicates with a set instead of pairwise.
const PAIRWISE_MEMBERS_MAX: usize = 24;

struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    slots: Vec<Slot>,
    depth_max: usize,
}

/// An open array or object.
struct Frame {
    slot: u32,
    count: u32,
    /// Slots of the keys seen so far; only for objects.
    keys: Vec<u32>,
    object: bool,
}

type Step<T> = Result<T, (JsonErrorKind, usize)>;

pub(super) fn parse(input: &[u8], limits: &Limits) -> Result<Document, JsonError> {
    let fail = |(kind, offset): (JsonErrorKind, usize)| {
        let before = &input[..offset.min(input.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        JsonError { kind, offset, line, column }
    };
    let bytes_max = limits.bytes_max.min(u32::MAX as usize / 2);
    if input.len() > bytes_max {
        return Err(fail((JsonErrorKind::TooLarge { bytes_max }, 0)));
    }
    if let Err(error) = std::str::from_utf8(input) {
        return Err(fail((JsonErrorKind::InvalidUtf8, error.valid_up_to())));
    }
    let start = if input.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut parser = Parser {
        input,
        at: start,
        out: Vec::with_capacity(input.len()),
        slots: Vec::with_capacity(input.len() / 12 + 4),
        depth_max: limits.depth_max,
    };
    parser.document().map_err(fail)?;
    let text = String::from_utf8(parser.out).map_err(|_| fail((JsonErrorKind::InvalidUtf8, 0)))?;
    Ok(Document { text, slots: parser.slots })
}

impl Parser<'_> {
    fn document(&mut self) -> Step<()> {
        let mut open: Vec<Frame> = Vec::new();
        loop {
            self.space();
            // One value; containers push a frame and continue with their first member.
            match self.peek()? {
                b'{' => self.open(&mut open, Kind::Object)?,
                b'[' => self.open(&mut open, Kind::Array)?,
                _ => self.scalar()?,
            }
            // Close what ends here, then find the start of the next value.
            loop {
                let Some(frame) = open.last_mut() else {
                    self.space();
                    return if self.at == self.input.len() {
                        Ok(())
                    } else {
                        Err((JsonErrorKind::TrailingText, self.at))
                    };
                };
                self.space();
                let closer = if frame.object { b'}' } else { b']' };
                let byte = self.peek()?;
                let fresh = self.slots.len() as u32 == frame.slot + 1;
                if byte == closer {
                    self.at += 1;
                    self.out.push(closer);
                    let slot = &mut self.slots[frame.slot as usize];
                    slot.end = self.out.len() as u32;
                    slot.count = frame.count;
                    let next = self.slots.len() as u32;
                    self.slots[frame.slot as usize].next = next;
                    open.pop();
                    continue;
                }
                if !fresh {
                    if byte != b',' {
                        let what = if frame.object { "',' or '}'" } else { "',' or ']'" };
                        return Err((JsonErrorKind::Expected(what), self.at));
                    }
                    self.at += 1;
                    self.out.push(b',');
                    self.space();
                }
                frame.count += 1;
                if frame.object {
                    self.key(open.last_mut().map(|frame| &mut frame.keys))?;
                }
                break;
            }
        }
    }

    fn open(&mut self, open: &mut Vec<Frame>, kind: Kind) -> Step<()> {
        if open.len() >= self.depth_max {
            return Err((JsonErrorKind::TooDeep { depth_max: self.depth_max }, self.at));
        }
        let slot = self.slots.len() as u32;
        let start = self.out.len() as u32;
        self.slots.push(Slot { start, end: 0, next: 0, count: 0, kind, escaped: false });
        self.out.push(self.input[self.at]);
        self.at += 1;
        open.push(Frame { slot, count: 0, keys: Vec::new(), object: kind == Kind::Object });
        Ok(())
    }

    fn key(&mut self, keys: Option<&mut Vec<u32>>) -> Step<()> {
        let at = self.at;
        if self.peek()? != b'"' {
            return Err((JsonErrorKind::Expected("a member name in double quotes"), at));
        }
        let slot = self.slots.len() as u32;
        self.string()?;
        if let Some(keys) = keys {
            if self.is_duplicate(keys, slot) {
                let name = self.text_of(slot);
                return Err((JsonErrorKind::DuplicateMember(name), at));
            }
            keys.push(slot);
        }
        self.space();
        if self.peek()? != b':' {
            return Err((JsonErrorKind::Expected("':'"), self.at));
        }
        self.at += 1;
        self.out.push(b':');
        Ok(())
    }

    fn text_of(&self, slot: u32) -> String {
        let slot = self.slots[slot as usize];
        let inner = String::from_utf8_lossy(&self.out[slot.start as usize + 1..slot.end as usize - 1]);
        if slot.escaped { unescape(&inner) } else { inner.into_owned() }
    }

    fn is_duplicate(&self, keys: &[u32], new: u32) -> bool {
        let bytes = |slot: u32| {
            let slot = self.slots[slot as usize];
            (&self.out[slot.start as usize..slot.end as usize], slot.escaped)
        };
        let (new_bytes, new_escaped) = bytes(new);
        // Wide objects do not occur in FHIR; past the bound we pay a linear scan over lengths first, which stays cheap.
        let wide = keys.len() > PAIRWISE_MEMBERS_MAX;
        keys.iter().any(|key| {
            let (old, old_escaped) = bytes(*key);
            if new_escaped || old_escaped {
                return self.text_of(*key) == self.text_of(new);
            }
            if wide && old.len() != new_bytes.len() {
                return false;
            }
            old == new_bytes
        })
    }

    fn scalar(&mut self) -> Step<()> {
        match self.input[self.at] {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => Err((JsonErrorKind::Expected("a JSON value"), self.at)),
        }
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Step<()> {
        if !self.input[self.at..].starts_with(word) {
            return Err((JsonErrorKind::Expected("a JSON value"), self.at));
        }
        self.copy(word.len(), kind, false);
        Ok(())
    }

    fn number(&mut self) -> Step<()> {
        let rest = &self.input[self.at..];
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut len = usize::from(rest[0] == b'-');
        match rest.get(len) {
            Some(b'0') => len += 1,
            Some(b'1'..=b'9') => len += digits(len),
            _ => return Err((JsonErrorKind::Expected("a digit"), self.at + len)),
        }
        if rest.get(len) == Some(&b'.') {
            let fraction = digits(len + 1);
            if fraction == 0 {
                return Err((JsonErrorKind::Expected("a digit after the decimal point"), self.at + len + 1));
            }
            len += 1 + fraction;
        }
        if matches!(rest.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
            let exponent = digits(len + 1 + sign);
            if exponent == 0 {
                return Err((JsonErrorKind::Expected("a digit in the exponent"), self.at + len + 1 + sign));
            }
            len += 1 + sign + exponent;
        }
        if matches!(rest.get(len), Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-')) {
            return Err((JsonErrorKind::Expected("a number without leading zeros or letters"), self.at + len));
        }
        self.copy(len, Kind::Number, false);
        Ok(())
    }

    fn string(&mut self) -> Step<()> {
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            match self.input.get(at) {
                None => return Err((JsonErrorKind::UnexpectedEnd, self.input.len())),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(0..=0x1F) => return Err((JsonErrorKind::ControlCharacter, at)),
                Some(_) => at += 1,
            }
        }
        self.copy(at + 1 - self.at, Kind::String, escaped);
        Ok(())
    }

    /// Checks the escape sequence at `at` and answers the offset after it.
    fn escape(&self, at: usize) -> Step<usize> {
        match self.input.get(at + 1) {
            None => Err((JsonErrorKind::UnexpectedEnd, self.input.len())),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.hex(at + 2)? {
                0xD800..=0xDBFF => {
                    let low = self.input.get(at + 6) == Some(&b'\\') && self.input.get(at + 7) == Some(&b'u');
                    if low && (0xDC00..=0xDFFF).contains(&self.hex(at + 8)?) {
                        Ok(at + 12)
                    } else {
                        Err((JsonErrorKind::LoneSurrogate, at))
                    }
                }
                0xDC00..=0xDFFF => Err((JsonErrorKind::LoneSurrogate, at)),
                _ => Ok(at + 6),
            },
            Some(_) => Err((JsonErrorKind::InvalidEscape, at)),
        }
    }

    fn hex(&self, at: usize) -> Step<u32> {
        let digits = self.input.get(at..at + 4).ok_or((JsonErrorKind::UnexpectedEnd, self.input.len()))?;
        digits.iter().try_fold(0, |sum, byte| {
            (*byte as char).to_digit(16).map(|digit| sum * 16 + digit).ok_or((JsonErrorKind::InvalidEscape, at))
        })
    }

    fn copy(&mut self, len: usize, kind: Kind, escaped: bool) {
        let start = self.out.len() as u32;
        self.out.extend_from_slice(&self.input[self.at..self.at + len]);
        self.at += len;
        let next = self.slots.len() as u32 + 1;
        self.slots.push(Slot { start, end: self.out.len() as u32, next, count: 0, kind, escaped });
    }

    fn space(&mut self) {
        while matches!(self.input.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Step<u8> {
        self.input.get(self.at).copied().ok_or((JsonErrorKind::UnexpectedEnd, self.input.len()))
    }
}

/// Resolves the escapes of a string that the parser has accepted.
pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        match code {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let unit = |text: &str| u32::from_str_radix(&text[..4], 16).unwrap_or(0xFFFD);
                let mut scalar = unit(rest);
                rest = &rest[4..];
                if (0xD800..=0xDBFF).contains(&scalar) {
                    scalar = 0x10000 + ((scalar - 0xD800) << 10) + (unit(&rest[2..]).wrapping_sub(0xDC00) & 0x3FF);
                    rest = &rest[6..];
                }
                out.push(char::from_u32(scalar).unwrap_or('\u{FFFD}'));
            }
            other => out.push(other as char),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document, JsonError> {
        Document::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn keeps_order_decimals_and_drops_white_space() {
        let document = read(" { \"b\" : [ 1.10 , -0.0e+3 ] ,\n \"a\":\"x\\u00e9\\ud83d\\ude00\\n\" } ").unwrap();
        assert_eq!(document.as_str(), r#"{"b":[1.10,-0.0e+3],"a":"x\u00e9\ud83d\ude00\n"}"#);
        let root = document.root();
        let numbers: Vec<_> = root.get("b").unwrap().items().filter_map(Node2::number).collect();
        assert_eq!(numbers, ["1.10", "-0.0e+3"]);
        assert_eq!(root.str("a").unwrap(), "xé😀\n");
        assert_eq!(root.len(), 2);
    }

    trait Node2<'a> {
        fn number(self) -> Option<&'a str>;
    }

    impl<'a> Node2<'a> for super::super::Node<'a> {
        fn number(self) -> Option<&'a str> {
            self.as_number()
        }
    }

    #[test]
    fn refuses_what_is_not_json_and_says_where() {
        let cases = [
            ("", "text ends too early at line 1, column 1"),
            ("{\"a\":1,\"a\":2}", "member \"a\" appears twice in one object at line 1, column 8"),
            ("{\"a\":1,\"\\u0061\":2}", "member \"a\" appears twice in one object at line 1, column 8"),
            ("[1,]", "expected a JSON value at line 1, column 4"),
            ("{\"a\":1,}", "expected a member name in double quotes at line 1, column 8"),
            ("{\"a\" 1}", "expected ':' at line 1, column 6"),
            ("[1 2]", "expected ',' or ']' at line 1, column 4"),
            ("01", "expected a number without leading zeros or letters at line 1, column 2"),
            ("1.", "expected a digit after the decimal point at line 1, column 3"),
            ("\"\t\"", "control character in a string must be escaped at line 1, column 2"),
            ("\"\\ud800x\"", "\\u escape is half of a surrogate pair at line 1, column 2"),
            ("\"\\q\"", "invalid escape sequence in a string at line 1, column 2"),
            ("[1]\n x", "text after the end of the JSON value at line 2, column 2"),
            ("tru", "expected a JSON value at line 1, column 1"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn bounds_depth_and_size() {
        let limits = Limits { bytes_max: 1000, depth_max: 4 };
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Document::parse(deep(4).as_bytes(), &limits).is_ok());
        assert_eq!(
            Document::parse(deep(5).as_bytes(), &limits).unwrap_err().kind,
            JsonErrorKind::TooDeep { depth_max: 4 }
        );
        let large = format!("\"{}\"", "x".repeat(1000));
        assert_eq!(
            Document::parse(large.as_bytes(), &limits).unwrap_err().kind,
            JsonErrorKind::TooLarge { bytes_max: 1000 }
        );
        assert!(read("\"\u{80}\"").is_ok());
        assert_eq!(Document::parse(b"\"\xff\"", &limits).unwrap_err().to_string(), "invalid UTF-8 at line 1, column 2");
    }

    #[test]
    fn empty_containers_close() {
        let document = read("{\"a\":{},\"b\":[],\"c\":[[],{}]}").unwrap();
        assert_eq!(document.root().len(), 3);
        assert!(document.root().get("a").unwrap().is_empty());
        assert_eq!(document.root().get("c").unwrap().items().count(), 2);
        assert_eq!(document.root().get("b").unwrap().each().count(), 0);
        assert_eq!(document.root().get("a").unwrap().each().count(), 1);
    }
}
