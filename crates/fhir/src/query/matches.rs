//! A filter on one resource in memory: for subscriptions and for lists that are at hand.

use super::{Comparator, DateTest, Filter, SystemTest, Test, UnitTest};
use crate::index::{Entry, Quantity, Value};

/// A resource by what it is found by.
#[derive(Clone, Copy, Debug)]
pub struct Indexed<'a> {
    pub id: &'a str,
    pub last_updated_us: i64,
    pub entries: &'a [Entry],
}

/// Whether the resource passes; `None` when that depends on other resources or on terminology.
pub fn matches(resource: &Indexed<'_>, filter: &Filter) -> Option<bool> {
    match filter {
        Filter::All => Some(true),
        Filter::Nothing => Some(false),
        Filter::And(filters) => fold(resource, filters, false),
        Filter::Or(filters) => fold(resource, filters, true),
        Filter::Not(filter) => matches(resource, filter).map(|passes| !passes),
        Filter::Match { param, test } => {
            let mut values = resource.entries.iter().filter(|entry| entry.param == *param);
            Some(values.any(|entry| passes(&entry.value, test)))
        }
        Filter::Missing(param) => Some(resource.entries.iter().all(|entry| entry.param != *param)),
        Filter::Ids(ids) => Some(ids.iter().any(|id| id == resource.id)),
        Filter::LastUpdated(test) => Some(date(test, resource.last_updated_us, resource.last_updated_us)),
        Filter::Chain { .. } | Filter::Has { .. } | Filter::InList(_) | Filter::Terminology { .. } => None,
    }
}

/// The first that decides does; otherwise one unknown makes all unknown.
fn fold(resource: &Indexed<'_>, filters: &[Filter], deciding: bool) -> Option<bool> {
    let mut result = Some(!deciding);
    for filter in filters {
        match matches(resource, filter) {
            Some(passes) if passes == deciding => return Some(deciding),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// Whether one value passes one test.
pub fn passes(value: &Value, test: &Test) -> bool {
    match (test, value) {
        (Test::Token { system, code }, Value::Token { system: of, code: found }) => {
            same_system(system, of.as_deref()) && code.as_ref().is_none_or(|code| code == found)
        }
        (Test::Token { system: SystemTest::Is(system), code: None }, Value::TokenSystem { system: of }) => system == of,
        (Test::TokenText(text), Value::TokenText(found)) => found.starts_with(text),
        (Test::TokenOfType { system, code, value }, Value::TokenOfType { system: of, code: found, value: held }) => {
            system == of && code == found && value == held
        }
        (Test::Reference { ty, id }, Value::Reference { ty: of, id: found }) => {
            ty.is_none_or(|ty| ty == *of) && id == found
        }
        (Test::ReferenceUrl(url), Value::ReferenceUrl(found)) => is_version_of(found, url),
        (Test::ReferenceIdentifier { system, value }, Value::ReferenceIdentifier { system: of, value: found }) => {
            same_system(system, of.as_deref()) && value.as_ref().is_none_or(|value| value == found)
        }
        (Test::StringStarts(text), Value::String { normalized, .. }) => normalized.starts_with(text),
        (Test::StringContains(text), Value::String { normalized, .. }) => normalized.contains(text),
        (Test::StringExact(text), Value::String { exact, .. }) => exact == text,
        (Test::Date(test), Value::Date { start, end }) => date(test, *start, *end),
        (Test::Number { comparator, low, high }, Value::Number { low: from, high: to }) => {
            compare(*comparator, (*low, *high), (*from, *to))
        }
        (Test::Quantity { comparator, low, high, unit }, Value::Quantity(found)) => {
            quantity(*comparator, (*low, *high), unit, found)
        }
        (Test::Uri(uri), Value::Uri(found)) => uri == found,
        (Test::UriBelow(uri), Value::Uri(found)) => is_below(found, uri),
        (Test::UriAbove(uri), Value::Uri(found)) => is_below(uri, found),
        (Test::Composite(tests), Value::Composite(values)) => {
            tests.len() == values.len() && tests.iter().zip(values).all(|(test, value)| passes(value, test))
        }
        (
            Test::Near { latitude, longitude, radius_m },
            Value::Position { latitude: at_latitude, longitude: at_longitude },
        ) => distance_m((*latitude, *longitude), (*at_latitude, *at_longitude)) <= *radius_m,
        _ => false,
    }
}

fn same_system(test: &SystemTest, system: Option<&str>) -> bool {
    match test {
        SystemTest::Any => true,
        SystemTest::Absent => system.is_none(),
        SystemTest::Is(wanted) => system == Some(wanted),
    }
}

fn date(test: &DateTest, start: i64, end: i64) -> bool {
    compare(test.comparator, (test.start, test.end), (start, end))
}

/// The comparisons of the specification between the range searched for and the range of a value, ends included.
pub fn compare<T: PartialOrd + Copy>(comparator: Comparator, (low, high): (T, T), (from, to): (T, T)) -> bool {
    let is_contained = low <= from && to <= high;
    match comparator {
        Comparator::Eq => is_contained,
        Comparator::Ne => !is_contained,
        Comparator::Lt => from < low,
        Comparator::Gt => to > high,
        Comparator::Le => from < low || is_contained,
        Comparator::Ge => to > high || is_contained,
        Comparator::Sa => from > high,
        Comparator::Eb => to < low,
        Comparator::Ap => from <= high && low <= to,
    }
}

fn quantity(comparator: Comparator, range: (f64, f64), unit: &UnitTest, found: &Quantity) -> bool {
    let same_unit = match unit {
        UnitTest::Any => true,
        UnitTest::CodeOrUnit(unit) => found.code.as_ref() == Some(unit) || found.unit.as_ref() == Some(unit),
        UnitTest::System { canonical: Some((unit, low, high)), .. } => {
            let canonical = found.canonical.as_ref().filter(|(base, _, _)| base == unit);
            return canonical.is_some_and(|(_, from, to)| compare(comparator, (*low, *high), (*from, *to)));
        }
        UnitTest::System { system, code, canonical: None } => {
            found.system.as_ref() == Some(system) && found.code.as_ref() == Some(code)
        }
    };
    same_unit && compare(comparator, range, (found.low, found.high))
}

/// `found` is `url`, or any version of it when `url` names none.
fn is_version_of(found: &str, url: &str) -> bool {
    found.strip_prefix(url).is_some_and(|rest| rest.is_empty() || (rest.starts_with('|') && !url.contains('|')))
}

/// `uri` is `base` or starts with it at a path boundary.
fn is_below(uri: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    uri.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Great-circle distance on a sphere.
fn distance_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    const RADIUS_M: f64 = 6_371_008.8;
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let half = ((b - a) / 2.0).sin().powi(2) + a.cos() * b.cos() * ((to.1 - from.1).to_radians() / 2.0).sin().powi(2);
    2.0 * RADIUS_M * half.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defs::r4;
    use crate::index::extract;
    use crate::json::{Document, Limits};
    use crate::query::{Context, Handling, parse};

    /// Whether an observation of a fixed content is found by one `name=value`.
    fn is_found(name: &str, value: &str) -> Option<bool> {
        let text = r#"{"resourceType":"Observation","id":"o1","status":"final",
            "code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body weight"}]},
            "subject":{"reference":"Patient/p1","identifier":{"system":"s","value":"v"}},
            "effectivePeriod":{"start":"2024-03-01","end":"2024-03-05"},
            "valueQuantity":{"value":72.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"#;
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        let ty = r4().resource_by_name("Observation").unwrap();
        let entries = extract(r4(), ty, document.root());
        let resource = Indexed { id: "o1", last_updated_us: 1_700_000_000_000_000, entries: &entries };
        let context = Context { defs: r4(), resource: Some(ty), handling: Handling::Strict, now: 0, own_bases: &[] };
        let query = parse(context, &[(name.to_owned(), value.to_owned())]).unwrap();
        matches(&resource, &query.filter)
    }

    #[test]
    fn finds_what_is_there() {
        for (name, value) in [
            ("_id", "x,o1"),
            ("_lastUpdated", "2023-11"),
            ("code", "29463-7"),
            ("code", "http://loinc.org|29463-7"),
            ("code", "http://loinc.org|"),
            ("code:text", "body WEI"),
            ("code:not", "1"),
            ("subject", "Patient/p1"),
            ("patient", "p1"),
            ("subject:identifier", "s|v"),
            ("date", "2024-03"),
            ("date", "gt2024-03-04"),
            ("date", "ap2024-03-05"),
            ("date", "sa2024-02"),
            ("value-quantity", "72.5"),
            ("value-quantity", "72500|http://unitsofmeasure.org|g"),
            ("value-quantity", "ge72.5||kg"),
            ("code-value-quantity", "29463-7$lt80"),
            ("value-string:missing", "true"),
            ("code:missing", "false"),
        ] {
            assert_eq!(is_found(name, value), Some(true), "{name}={value}");
        }
    }

    #[test]
    fn does_not_find_what_is_not_there() {
        for (name, value) in [
            ("_id:not", "o1"),
            ("code", "|29463-7"),
            ("code:not", "29463-7"),
            ("subject", "Group/p1"),
            ("date", "2024-03-02"),
            ("date", "eb2024-03-05"),
            ("value-quantity", "gt72.5"),
            ("value-quantity", "gt72500|http://unitsofmeasure.org|g"),
            ("value-quantity", "72.5||lb"),
            ("code-value-quantity", "29463-7$gt80"),
            ("code:missing", "true"),
        ] {
            assert_eq!(is_found(name, value), Some(false), "{name}={value}");
        }
        assert_eq!(is_found("subject:Patient.name", "x"), None);
        assert_eq!(is_found("code:in", "http://vs"), None);
    }

    #[test]
    fn near_is_a_great_circle() {
        let paris_to_london = distance_m((48.8566, 2.3522), (51.5074, -0.1278));
        assert!((paris_to_london - 343_500.0).abs() < 1_000.0);
        assert!(is_version_of("u|1", "u") && is_version_of("u|1", "u|1") && !is_version_of("u", "u|1"));
        assert!(is_below("http://a/b/c", "http://a/b") && !is_below("http://a/bc", "http://a/b"));
    }
}
