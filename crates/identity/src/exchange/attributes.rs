//! Open Link Token's normal forms of its attributes, in upper case as its rules use them. They differ from weir's own
//! normaliser and must stay as that project defines them.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

const PLACEHOLDERS: &[&str] = &[
    "unknown",
    "n/a",
    "none",
    "test",
    "sample",
    "donor",
    "patient",
    "automation test",
    "automationtest",
    "patient not found",
    "patientnotfound",
    "<masked>",
    "anonymous",
    "zzztrash",
    "missing",
    "unavailable",
    "not available",
    "notavailable",
];
const TITLES: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "miss",
    "dr",
    "prof",
    "capt",
    "sir",
    "col",
    "gen",
    "cmdr",
    "lt",
    "rabbi",
    "father",
    "brother",
    "sister",
    "hon",
    "honorable",
    "reverend",
    "rev",
    "doctor",
];
const SUFFIXES: &[&str] =
    &["jr", "jr.", "junior", "sr", "sr.", "senior", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];
const INVALID_ZIPS: &[&str] =
    &["11111", "22222", "33333", "66666", "77777", "99999", "01234", "12345", "54321", "98765", "000", "555", "888"];
const INVALID_CANADIAN: &[&str] =
    &["A1A1A1", "X0X0X0", "Y0Y0Y0", "Z0Z0Z0", "A0A0A0", "B1B1B1", "C2C2C2", "K1A0A6", "H0H0H0"];
const INVALID_CANADIAN_AREAS: &[&str] = &["K1A", "M7A", "H0H"];
const INVALID_SSNS: &[&str] = &[
    "111111111",
    "222222222",
    "333333333",
    "444444444",
    "555555555",
    "777777777",
    "888888888",
    "001010001",
    "001010101",
    "001019999",
    "001100110",
    "001111111",
    "001122334",
    "001234567",
    "007777777",
    "009999999",
    "010101010",
    "011111111",
    "012345678",
    "022222222",
    "055555555",
    "077777777",
    "087654321",
    "088888888",
    "098765432",
    "099999999",
    "100101000",
    "111111112",
    "111111234",
    "111119999",
    "111221111",
    "111222333",
    "111223333",
    "121212121",
    "123121234",
    "123123123",
    "123451234",
    "123456788",
    "123456789",
    "123456798",
    "123456879",
    "123456987",
    "123457896",
    "123459999",
    "199999999",
    "222334444",
    "299999999",
    "399999999",
    "454545454",
    "499999999",
    "599999999",
    "699999999",
    "799999999",
    "899999999",
];
/// The earliest birth date that counts.
const EARLIEST: &str = "1910-01-01";

pub(super) fn first(given: &str) -> Option<String> {
    let text = valid(given)?;
    let mut text = text.as_str();
    if let Some((title, rest)) = text.split_once(char::is_whitespace) {
        let title = title.strip_suffix('.').unwrap_or(title).to_ascii_lowercase();
        let rest = rest.trim_start();
        text = if TITLES.contains(&title.as_str()) && !rest.is_empty() { rest } else { text };
    }
    text = without_suffix(text);
    // A middle initial.
    if let Some((rest, initial)) = text.rsplit_once(char::is_whitespace) {
        let initial = if initial.chars().count() == 2 { initial.strip_suffix('.').unwrap_or(initial) } else { initial };
        text = if initial.chars().count() == 1 { rest } else { text };
    }
    letters(text)
}

pub(super) fn last(family: &str) -> Option<String> {
    let text = valid(family)?;
    let last = letters(without_suffix(without_suffix(&text)))?;
    let vowel = |letter: &u8| b"AEIOU".contains(letter);
    match last.as_bytes() {
        [_] => None,
        pair @ [one, other] => (vowel(one) || vowel(other) || pair == b"NG").then_some(last),
        _ => Some(last),
    }
}

pub(super) fn sex(text: &str) -> Option<&'static str> {
    match text {
        "M" | "m" | "Male" | "male" => Some("MALE"),
        "F" | "f" | "Female" | "female" => Some("FEMALE"),
        _ => None,
    }
}

/// A day that exists, not before 1910 and not after `today`.
pub(super) fn birth<'a>(text: &'a str, today: &str) -> Option<&'a str> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let digits = |part: &str, len: usize| if part.len() == len { part.parse::<u32>().ok() } else { None };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    ((1..=days).contains(&day) && (EARLIEST..=today).contains(&text)).then_some(text)
}

/// The first three characters of a valid code, all that the rules use.
pub(super) fn postal_code(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let area = text.get(..3)?;
    let us = match text.split_once('-') {
        Some((five, four)) => five.len() == 5 && four.len() == 4 && all_digits(five) && all_digits(four),
        None => matches!(text.len(), 3 | 4 | 5 | 9) && all_digits(&text),
    };
    let valid = if us { !INVALID_ZIPS.iter().any(|invalid| text.starts_with(invalid)) } else { canadian(&text) };
    valid.then(|| area.to_owned())
}

/// A Canadian code or the beginning of one, with or without the space.
fn canadian(text: &str) -> bool {
    let code = match text.as_bytes().get(3) {
        Some(b' ') if text.len() > 4 => text.replacen(' ', "", 1),
        _ => text.to_owned(),
    };
    let shaped =
        code.bytes().enumerate().all(|(at, c)| if at % 2 == 0 { c.is_ascii_alphabetic() } else { c.is_ascii_digit() });
    let invalid_area = INVALID_CANADIAN_AREAS.contains(&&code[..3]);
    shaped
        && code.len() <= 6
        && !INVALID_CANADIAN.contains(&code.as_str())
        && !(invalid_area && (code.len() < 6 || code.ends_with('0')))
}

/// The nine digits of a number that may be one.
pub(super) fn ssn(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    // Spreadsheets write numbers with a decimal point and without leading zeros.
    let digits = text.split('.').next()?;
    if !(7..=9).contains(&digits.len()) || !all_digits(digits) {
        return None;
    }
    let ssn = format!("{digits:0>9}");
    let invalid =
        matches!(&ssn[..3], "000" | "666") || ssn.starts_with('9') || &ssn[3..5] == "00" || &ssn[5..] == "0000";
    (!invalid && !INVALID_SSNS.contains(&ssn.as_str())).then_some(ssn)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit())
}

/// Without accents and surrounding spaces; `None` for a placeholder.
fn valid(text: &str) -> Option<String> {
    let text = text.trim();
    let mut plain = String::with_capacity(text.len());
    for c in text.nfd().filter(|c| !is_combining_mark(*c)) {
        match transliterated(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(c),
        }
    }
    let placeholder = |text: &str| PLACEHOLDERS.contains(&text.to_lowercase().as_str());
    (!placeholder(text)).then_some(plain)
}

/// Letters that no decomposition turns into ASCII.
fn transliterated(c: char) -> Option<&'static str> {
    Some(match c {
        'Æ' | 'æ' => "AE",
        'Ð' | 'ð' | 'Đ' | 'đ' => "D",
        'Ø' | 'ø' => "O",
        'Þ' | 'þ' => "TH",
        'ß' | 'ẞ' => "SS",
        'Ħ' | 'ħ' => "H",
        'ı' => "I",
        'Ł' | 'ł' | 'Ŀ' | 'ŀ' => "L",
        'Ŋ' | 'ŋ' => "NG",
        'ŉ' => "N",
        'Œ' | 'œ' => "OE",
        'Ŧ' | 'ŧ' => "T",
        'ſ' => "S",
        'Ƒ' | 'ƒ' => "F",
        'Ĳ' | 'ĳ' => "IJ",
        _ => return None,
    })
}

fn without_suffix(text: &str) -> &str {
    let Some((rest, suffix)) = text.rsplit_once(char::is_whitespace) else { return text };
    let suffix = suffix.to_ascii_lowercase();
    let ordinal = ["st", "nd", "rd", "th"]
        .iter()
        .any(|end| suffix.strip_suffix(end).is_some_and(|n| !n.is_empty() && all_digits(n)));
    let rest = rest.trim_end();
    if (ordinal || SUFFIXES.contains(&suffix.as_str())) && !rest.is_empty() { rest } else { text }
}

/// The letters in upper case; `None` when there are none or they make a placeholder.
fn letters(text: &str) -> Option<String> {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).collect();
    (!letters.is_empty() && !PLACEHOLDERS.contains(&letters.to_ascii_lowercase().as_str())).then_some(letters)
}
