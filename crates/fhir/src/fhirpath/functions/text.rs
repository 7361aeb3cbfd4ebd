//! Strings.

use super::super::Error;
use super::super::ast::{Call, Expr};
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::Item;
use super::super::operators::{TEXT_MAX, integer};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Text {
    IndexOf,
    LastIndexOf,
    Substring,
    StartsWith,
    EndsWith,
    Contains,
    Upper,
    Lower,
    Replace,
    Matches,
    MatchesFull,
    ReplaceMatches,
    Length,
    ToChars,
    Split,
    Join,
    Encode,
    Decode,
    Escape,
    Unescape,
    Trim,
}

/// Bytes a compiled pattern may take.
const REGEX_SIZE_MAX: usize = 1 << 20;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn string(
        &self,
        function: Text,
        call: &Call,
        input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        if function == Text::Join {
            return self.join(call, &input, frame);
        }
        let Some(text) = self.text(&input)? else {
            return Ok(Vec::new());
        };
        self.spend(text.len() as u64 / 64)?;
        match function {
            Text::Upper => self.text_result(text.to_uppercase()),
            Text::Lower => self.text_result(text.to_lowercase()),
            Text::Length => Ok(integer(i64::try_from(text.chars().count()).ok())),
            Text::Trim => self.text_result(text.trim().to_owned()),
            Text::ToChars => {
                self.spend(text.len() as u64)?;
                Ok(text.chars().map(|c| Item::String(c.to_string().into())).collect())
            }
            Text::Substring => self.substring(call, &text, frame),
            Text::Matches | Text::MatchesFull | Text::ReplaceMatches => self.pattern(function, call, &text, frame),
            Text::Replace => {
                let (Some(from), Some(to)) = (self.text_argument(call, 0, frame)?, self.text_argument(call, 1, frame)?)
                else {
                    return Ok(Vec::new());
                };
                self.bounded(text.len().saturating_add(1).saturating_mul(to.len().saturating_add(1)))?;
                self.text_result(text.replace(&*from, &to))
            }
            _ => match self.text_argument(call, 0, frame)? {
                Some(argument) => self.with_argument(function, &text, &argument),
                None => Ok(Vec::new()),
            },
        }
    }

    fn with_argument(&self, function: Text, text: &str, argument: &str) -> Result<Items<'a>, Error> {
        let truth = |truth| Ok(vec![Item::Boolean(truth)]);
        let position = |offset: Option<usize>| {
            let count = offset.map_or(Some(-1), |offset| i64::try_from(text[..offset].chars().count()).ok());
            Ok(integer(count))
        };
        match function {
            Text::IndexOf => position(text.find(argument)),
            Text::LastIndexOf => position(text.rfind(argument)),
            Text::StartsWith => truth(text.starts_with(argument)),
            Text::EndsWith => truth(text.ends_with(argument)),
            Text::Contains => truth(text.contains(argument)),
            Text::Split => {
                self.spend(text.len() as u64)?;
                Ok(text.split(argument).map(|part| Item::String(part.to_owned().into())).collect())
            }
            Text::Encode => match argument {
                "hex" => self.text_result(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
                "base64" => self.text_result(base64(text.as_bytes(), BASE64)),
                "urlbase64" => self.text_result(base64(text.as_bytes(), BASE64_URL)),
                _ => Ok(Vec::new()),
            },
            Text::Decode => {
                let bytes = match argument {
                    "hex" => unhex(text),
                    "base64" => unbase64(text, BASE64),
                    "urlbase64" => unbase64(text, BASE64_URL),
                    _ => return Ok(Vec::new()),
                };
                match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                    Some(text) => self.text_result(text),
                    None => Err(Error::Evaluation("the text cannot be decoded")),
                }
            }
            Text::Escape => match argument {
                "html" => self.text_result(escape_html(text)),
                "json" => self.text_result(escape_json(text)),
                _ => Ok(Vec::new()),
            },
            Text::Unescape => match argument {
                "html" => self.text_result(unescape_html(text)),
                "json" => match crate::json::Value::parse(&format!("\"{}\"", text.replace('"', "\\\"")))
                    .or_else(|_| crate::json::Value::parse(&format!("\"{text}\"")))
                {
                    Ok(crate::json::Value::String(text)) => self.text_result(text),
                    _ => Err(Error::Evaluation("the text is not escaped as JSON")),
                },
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn bounded(&self, length: usize) -> Result<(), Error> {
        // The product above is the worst case; only texts that could really grow that far are refused.
        if length > 64 * TEXT_MAX { Err(Error::Limit("the expression builds a text that is too long")) } else { Ok(()) }
    }

    fn join(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let separator = self.text_argument(call, 0, frame)?.unwrap_or_default();
        let mut out = String::new();
        let mut is_first = true;
        for item in input {
            let Some(text) = self.text(std::slice::from_ref(item))? else {
                continue;
            };
            if !is_first {
                out.push_str(&separator);
            }
            is_first = false;
            out.push_str(&text);
            if out.len() > TEXT_MAX {
                return Err(Error::Limit("the expression builds a text that is too long"));
            }
        }
        if input.is_empty() { Ok(Vec::new()) } else { self.text_result(out) }
    }

    /// Positions count characters. A start outside of the text gives nothing.
    fn substring(&self, call: &Call, text: &str, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let Some(start) = self.integer_argument(call, 0, frame)? else {
            return Ok(Vec::new());
        };
        let length = self.integer_argument(call, 1, frame)?;
        let Some((from, _)) = usize::try_from(start).ok().and_then(|start| text.char_indices().nth(start)) else {
            return Ok(Vec::new());
        };
        let rest = &text[from..];
        let part = match length {
            Some(length) => {
                let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
                rest.char_indices().nth(length).map_or(rest, |(end, _)| &rest[..end])
            }
            None => rest,
        };
        self.text_result(part.to_owned())
    }

    fn pattern(&self, function: Text, call: &Call, text: &str, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let regex = match call.arguments.first() {
            Some(Expr::Literal(Item::String(pattern))) => {
                call.regex.get_or_init(|| compile(function, pattern)).as_ref().map(Cow::Borrowed)
            }
            _ => match self.text_argument(call, 0, frame)? {
                Some(pattern) => {
                    // Compilation is the expensive part of a pattern that is not known beforehand.
                    self.spend(20_000 + pattern.len() as u64)?;
                    compile(function, &pattern).map(Cow::Owned)
                }
                None => return Ok(Vec::new()),
            },
        };
        let Some(regex): Option<Cow<'_, Regex>> = regex else {
            return Err(Error::Evaluation("the regular expression is not valid or too large"));
        };
        self.spend(text.len() as u64)?;
        if function != Text::ReplaceMatches {
            return Ok(vec![Item::Boolean(regex.is_match(text))]);
        }
        match self.text_argument(call, 1, frame)? {
            // An empty pattern replaces nothing.
            Some(_) if regex.as_str() == "(?s)" => self.text_result(text.to_owned()),
            Some(substitution) => {
                self.bounded(text.len().saturating_add(1).saturating_mul(substitution.len().saturating_add(1)))?;
                self.text_result(regex.replace_all(text, &*substitution).into_owned())
            }
            None => Ok(Vec::new()),
        }
    }
}

/// `.` matches line ends too. `matchesFull` must match the whole text.
fn compile(function: Text, pattern: &str) -> Option<Regex> {
    let pattern = if function == Text::MatchesFull { format!("(?s)^(?:{pattern})$") } else { format!("(?s){pattern}") };
    RegexBuilder::new(&pattern).size_limit(REGEX_SIZE_MAX).dfa_size_limit(REGEX_SIZE_MAX).build().ok()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            if position > chunk.len() {
                out.push('=');
            } else {
                out.push(char::from(alphabet[(group >> (18 - 6 * position) & 63) as usize]));
            }
        }
    }
    out
}

fn unbase64(text: &str, alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    for chunk in digits.as_bytes().chunks(4) {
        let mut group = 0u32;
        for byte in chunk {
            group = group << 6 | u32::try_from(alphabet.iter().position(|digit| digit == byte)?).ok()?;
        }
        group <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

const HTML_ENTITIES: [(&str, &str); 5] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];

fn escape_html(text: &str) -> String {
    HTML_ENTITIES.iter().fold(text.to_owned(), |text, (plain, entity)| text.replace(plain, entity))
}

fn unescape_html(text: &str) -> String {
    // `&amp;` last: `&amp;lt;` is the text `&lt;`.
    HTML_ENTITIES.iter().rev().fold(text.to_owned(), |text, (plain, entity)| text.replace(entity, plain))
}

fn escape_json(text: &str) -> String {
    let mut out = Vec::new();
    crate::json::write_string(&mut out, text);
    let quoted = String::from_utf8_lossy(&out);
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}
