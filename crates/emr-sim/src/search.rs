//! Search terms and which records they fit.

use crate::records::{Record, Records, codings, identifiers};
use crate::zone::Zone;
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use std::ops::Range;

/// What a search parameter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Id,
    /// An identifier's value, whatever its system: the EMR's systems are its own.
    Identifier,
    /// An identifier, system and all.
    FullIdentifier,
    Name,
    Telecom,
    /// A code: `gender`, `code`, `category`, `status`.
    Token,
    Patient,
    /// The clinical date.
    Date,
    LastUpdated,
}

impl Meaning {
    /// The type of the parameter in a CapabilityStatement.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Meaning::Id | Meaning::Identifier | Meaning::FullIdentifier | Meaning::Telecom | Meaning::Token => "token",
            Meaning::Name => "string",
            Meaning::Patient => "reference",
            Meaning::Date | Meaning::LastUpdated => "date",
        }
    }
}

/// One parameter of a search; its value may hold alternatives, separated by commas.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) name: String,
    pub(crate) meaning: Meaning,
    pub(crate) modifier: String,
    pub(crate) value: String,
    /// Of dates that name no zone.
    pub(crate) zone: Zone,
}

/// Records among which the terms can be found, in the order of their numbers.
pub(crate) fn candidates<'a>(records: &'a Records, resource_type: &str, terms: &[Term]) -> Vec<&'a Record> {
    let single = |meaning| terms.iter().find(|term| term.meaning == meaning && !term.value.contains(','));
    if let Some(term) = single(Meaning::Id) {
        return records.get(resource_type, &term.value).into_iter().collect();
    }
    if let Some(term) = single(Meaning::Identifier).or_else(|| single(Meaning::FullIdentifier)) {
        let value = term.value.rsplit_once('|').map_or(term.value.as_str(), |(_, value)| value);
        return records.keyed(resource_type, value);
    }
    if let Some(term) = single(Meaning::Patient) {
        return records.of_patient(resource_type, term.value.strip_prefix("Patient/").unwrap_or(&term.value));
    }
    let changes = terms.iter().filter(|term| term.meaning == Meaning::LastUpdated && !term.value.contains(','));
    let changes: Vec<Range<i64>> =
        changes.filter_map(|term| Some(instant_range(&term.value, &term.zone)?.fitting())).collect();
    if changes.is_empty() {
        return records.all(resource_type).collect();
    }
    let start = changes.iter().map(|seconds| seconds.start).max().unwrap_or(i64::MIN);
    let end = changes.iter().map(|seconds| seconds.end).min().unwrap_or(i64::MAX);
    records.changed(resource_type, start..end)
}

/// Whether a record fits one of the term's alternatives.
pub(crate) fn matches(record: &Record, term: &Term) -> bool {
    term.value.split(',').any(|value| fits(record, term, value))
}

fn fits(record: &Record, term: &Term, value: &str) -> bool {
    let body = &record.body;
    match term.meaning {
        Meaning::Id => record.id == value,
        Meaning::Identifier => identifier_fits(body, value, false),
        Meaning::FullIdentifier => identifier_fits(body, value, true),
        Meaning::Name => names(body, &term.name).iter().any(|name| string_fits(name, &term.modifier, value)),
        Meaning::Telecom => {
            let list = body["telecom"].as_array().map_or(&[][..], Vec::as_slice);
            list.iter()
                .any(|telecom| telecom["value"] == value && (term.name == "telecom" || telecom["system"] == *term.name))
        }
        Meaning::Token => token_fits(&body[term.name.as_str()], value),
        Meaning::Patient => record.patient.as_deref() == Some(value.strip_prefix("Patient/").unwrap_or(value)),
        Meaning::Date => clinical_date(body, &term.zone).is_some_and(|date| instant_fits(date, value, &term.zone)),
        Meaning::LastUpdated => instant_fits(record.updated_s(), value, &term.zone),
    }
}

/// `system|value`, `|value` for no system, or `value` for any.
fn identifier_fits(body: &Value, token: &str, full: bool) -> bool {
    let (system, value) = token.rsplit_once('|').map_or((None, token), |(system, value)| (Some(system), value));
    let system = system.filter(|_| full);
    identifiers(body).any(|(of, found)| found == value && system.is_none_or(|system| system == of))
}

fn token_fits(element: &Value, token: &str) -> bool {
    let (system, code) = token.rsplit_once('|').map_or((None, token), |(system, code)| (Some(system), code));
    let concepts = match element {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    concepts.iter().any(|concept| {
        concept == code
            || codings(concept)
                .any(|coding| coding["code"] == code && system.is_none_or(|system| coding["system"] == system))
    })
}

fn names(body: &Value, parameter: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match &body["name"] {
        Value::String(name) => vec![name.clone()],
        Value::Array(list) => {
            let parts = list.iter().flat_map(|name| {
                let given = name["given"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(text);
                let given = given.filter(|_| parameter != "family");
                text(&name["family"]).filter(|_| parameter != "given").into_iter().chain(given).collect::<Vec<_>>()
            });
            parts.collect()
        }
        _ => Vec::new(),
    }
}

fn string_fits(found: &str, modifier: &str, value: &str) -> bool {
    let (lower, wanted) = (found.to_lowercase(), value.to_lowercase());
    match modifier {
        "exact" => found == value,
        "contains" => lower.contains(&wanted),
        _ => lower.starts_with(&wanted),
    }
}

/// Second since 1970 of the date that a type's `date` or `birthdate` looks at.
fn clinical_date(body: &Value, zone: &Zone) -> Option<i64> {
    let members =
        ["birthDate", "start", "date", "effectiveDateTime", "occurrenceDateTime", "recordedDate", "authoredOn"];
    let direct = members.into_iter().find_map(|member| body[member].as_str());
    let text = direct.or_else(|| body["period"]["start"].as_str())?;
    instant_range(text, zone).map(|range| range.begin_s)
}

/// A prefix and the seconds that a date stands for, end excluded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SearchDate {
    prefix: String,
    begin_s: i64,
    end_s: i64,
}

impl SearchDate {
    /// The seconds that fit it.
    fn fitting(&self) -> Range<i64> {
        match self.prefix.as_str() {
            "ge" => self.begin_s..i64::MAX,
            "gt" => self.end_s..i64::MAX,
            "le" => i64::MIN..self.end_s,
            "lt" => i64::MIN..self.begin_s,
            _ => self.begin_s..self.end_s,
        }
    }
}

/// Reads `ge2026-01-01` or `2026-01-01T10:00:00+02:00`. A time needs seconds; without a zone it is the server's.
pub(crate) fn instant_range(text: &str, zone: &Zone) -> Option<SearchDate> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (prefix, rest) = text.split_at(digits);
    if !["", "eq", "ge", "gt", "le", "lt"].contains(&prefix) {
        return None;
    }
    let (begin_s, end_s) = seconds(rest, zone)?;
    Some(SearchDate { prefix: prefix.to_owned(), begin_s, end_s })
}

fn seconds(text: &str, zone: &Zone) -> Option<(i64, i64)> {
    if text.contains('T') {
        // A plus that came through a query unescaped has become a space.
        let text = text.replace(' ', "+");
        let time = text.split_once('T').map_or("", |(_, time)| time);
        if time.len() < 8 || time.as_bytes()[2] != b':' || time.as_bytes()[5] != b':' {
            return None;
        }
        let zoned = text.parse::<Timestamp>().map(Timestamp::as_second);
        let second = zoned.or_else(|_| text.parse::<DateTime>().map(|wall| zone.second(wall))).ok()?;
        return Some((second, second + 1));
    }
    let (begin, end) = match text.len() {
        4 => {
            let begin = format!("{text}-01-01").parse::<Date>().ok()?;
            (begin, begin.checked_add(1.year()).ok()?)
        }
        7 => {
            let begin = format!("{text}-01").parse::<Date>().ok()?;
            (begin, begin.checked_add(1.month()).ok()?)
        }
        _ => {
            let begin = text.parse::<Date>().ok()?;
            (begin, begin.tomorrow().ok()?)
        }
    };
    Some((zone.second(begin.at(0, 0, 0, 0)), zone.second(end.at(0, 0, 0, 0))))
}

fn instant_fits(second: i64, value: &str, zone: &Zone) -> bool {
    instant_range(value, zone).is_some_and(|date| date.fitting().contains(&second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc() -> Zone {
        Zone::named("UTC").expect("a zone")
    }

    fn range(text: &str) -> Option<SearchDate> {
        instant_range(text, &utc())
    }

    #[test]
    fn dates_have_a_precision_and_times_need_seconds() {
        let day = range("ge2026-02-28").map(|range| range.end_s - range.begin_s);
        assert_eq!(day, Some(86_400));
        assert_eq!(range("2026-02").map(|range| range.end_s - range.begin_s), Some(28 * 86_400));
        assert_eq!(range("2026-02-28T10:00"), None);
        assert_eq!(range("ap2026-02-28"), None);
        assert_eq!(range("2026-02-28T10:00:00+02:00"), range("2026-02-28T08:00:00Z"));
        assert_eq!(range("2026-02-28T10:00:00 02:00"), range("2026-02-28T08:00:00"));
    }

    #[test]
    fn prefixes_compare_whole_seconds() {
        let at = range("2026-01-01T00:00:10Z").map_or(0, |range| range.begin_s);
        for (value, fits) in [
            ("ge2026-01-01T00:00:10Z", true),
            ("gt2026-01-01T00:00:10Z", false),
            ("le2026-01-01T00:00:10Z", true),
            ("lt2026-01-01T00:00:10Z", false),
            ("2026-01-01", true),
            ("gt2026-01-01", false),
        ] {
            assert_eq!(instant_fits(at, value, &utc()), fits, "{value}");
        }
    }
}
