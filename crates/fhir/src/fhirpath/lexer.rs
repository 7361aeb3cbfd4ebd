//! Characters to tokens.

use super::Error;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, keyword or unit word; `delimited` when written in backticks.
    Name {
        text: String,
        delimited: bool,
    },
    String(String),
    /// Digits, and a fraction when there is a `.`.
    Number(String),
    /// Without `@`; a `T` at the start for a time.
    Temporal(String),
    /// `$this`, `$index`, `$total`, without `$`.
    Special(String),
    /// `%name`, without `%`.
    Variable(String),
    Symbol(&'static str),
    End,
}

/// A token and the byte offset it starts at.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) offset: usize,
}

/// Longest first: `<=` must win over `<`.
const SYMBOLS: [&str; 23] = [
    "<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "=", "~", "<", ">", "+", "-", "*", "/", "&", "|",
    ":",
];

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

pub(super) fn tokenize(source: &str) -> Result<Vec<Lexeme>, Error> {
    let mut lexer = Lexer { source, at: 0 };
    let mut lexemes = Vec::with_capacity(source.len() / 3 + 2);
    loop {
        lexer.space()?;
        let offset = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        lexemes.push(Lexeme { token, offset });
        if end {
            return Ok(lexemes);
        }
    }
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn fail<T>(&self, offset: usize, message: &'static str) -> Result<T, Error> {
        Err(Error::Syntax { offset, message })
    }

    /// Takes characters as long as `accept` holds.
    fn take(&mut self, accept: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let length = self.rest().find(|c| !accept(c)).unwrap_or(self.rest().len());
        self.at += length;
        &self.source[start..self.at]
    }

    /// White space and comments.
    fn space(&mut self) -> Result<(), Error> {
        loop {
            self.take(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.take(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(length) => self.at += length + 2,
                    None => return self.fail(self.at, "comment without end"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, Error> {
        let start = self.at;
        match self.peek() {
            None => Ok(Token::End),
            Some('\'') => self.quoted('\'').map(Token::String),
            Some('`') => Ok(Token::Name { text: self.quoted('`')?, delimited: true }),
            Some('@') => self.temporal(),
            Some('$') => {
                self.at += 1;
                Ok(Token::Special(self.take(is_name_char).to_owned()))
            }
            Some('%') => {
                self.at += 1;
                match self.peek() {
                    Some(quote @ ('`' | '\'')) => self.quoted(quote).map(Token::Variable),
                    Some(c) if is_name_char(c) => Ok(Token::Variable(self.take(is_name_char).to_owned())),
                    _ => self.fail(start, "expected the name of a variable after %"),
                }
            }
            Some(c) if c.is_ascii_digit() => Ok(self.number()),
            Some(c) if is_name_char(c) => {
                Ok(Token::Name { text: self.take(is_name_char).to_owned(), delimited: false })
            }
            Some(_) => match SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Ok(Token::Symbol(symbol))
                }
                None => self.fail(start, "unexpected character"),
            },
        }
    }

    fn digits(&mut self) {
        self.take(|c| c.is_ascii_digit());
    }

    fn next_are(&self, pattern: &[u8]) -> bool {
        let bytes = self.rest().as_bytes();
        bytes.len() >= pattern.len()
            && pattern.iter().zip(bytes).all(|(want, have)| match want {
                b'0' => have.is_ascii_digit(),
                _ => want == have,
            })
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        self.digits();
        if self.next_are(b".0") {
            self.at += 1;
            self.digits();
        }
        Token::Number(self.source[start..self.at].to_owned())
    }

    fn temporal(&mut self) -> Result<Token, Error> {
        let at_sign = self.at;
        self.at += 1;
        let start = self.at;
        if !self.next_are(b"T0") {
            if !self.next_are(b"0000") {
                return self.fail(at_sign, "expected a date or a time after @");
            }
            self.at += 4;
            for _ in 0..2 {
                if self.next_are(b"-00") {
                    self.at += 3;
                }
            }
        }
        if self.rest().starts_with('T') {
            self.at += 1;
            self.time_of_day();
            let has_zone = !self.source[start..].starts_with('T');
            if has_zone && self.rest().starts_with('Z') {
                self.at += 1;
            } else if has_zone && (self.next_are(b"+00:00") || self.next_are(b"-00:00")) {
                self.at += 6;
            }
        }
        Ok(Token::Temporal(self.source[start..self.at].to_owned()))
    }

    fn time_of_day(&mut self) {
        if !self.next_are(b"00") {
            return;
        }
        self.at += 2;
        for _ in 0..2 {
            if self.next_are(b":00") {
                self.at += 3;
            }
        }
        if self.next_are(b".0") {
            self.at += 1;
            self.digits();
        }
    }

    /// The text between two `quote`s, escapes resolved.
    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return self.fail(start, "text without closing quote");
            };
            self.at += c.len_utf8();
            match c {
                '\\' => text.push(self.escape()?),
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        let Some(c) = self.peek() else {
            return self.fail(start, "text without closing quote");
        };
        self.at += c.len_utf8();
        Ok(match c {
            '\'' | '"' | '`' | '\\' | '/' => c,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'u' => {
                let high = self.hex4(start)?;
                match high {
                    0xD800..=0xDBFF if self.rest().starts_with("\\u") => {
                        self.at += 2;
                        let low = self.hex4(start)?;
                        let combined = 0x10000 + ((high - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
                        match (low & 0xFC00 == 0xDC00, char::from_u32(combined)) {
                            (true, Some(c)) => c,
                            _ => return self.fail(start, "\\u escape is half of a surrogate pair"),
                        }
                    }
                    _ => match char::from_u32(high) {
                        Some(c) => c,
                        None => return self.fail(start, "\\u escape is half of a surrogate pair"),
                    },
                }
            }
            _ => return self.fail(start, "unknown escape sequence"),
        })
    }

    fn hex4(&mut self, start: usize) -> Result<u32, Error> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => self.fail(start, "\\u needs four hexadecimal digits"),
        }
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
