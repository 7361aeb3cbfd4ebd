//! Search with pages. Parameters that are not known are left out, as the `self` link shows.

use super::{outcome, resource};
use crate::http::{Reply, Request};
use crate::records::{Record, Records};
use crate::search::{Meaning, Term, candidates, instant_range, matches};
use crate::state::State;
use crate::zone::Zone;
use serde_json::{Value, json};

pub(super) const PARAMETERS: [(&str, Meaning); 10] = [
    ("_id", Meaning::Id),
    ("_lastUpdated", Meaning::LastUpdated),
    ("identifier", Meaning::FullIdentifier),
    ("patient", Meaning::Patient),
    ("name", Meaning::Name),
    ("family", Meaning::Name),
    ("birthdate", Meaning::Date),
    ("date", Meaning::Date),
    ("status", Meaning::Token),
    ("code", Meaning::Token),
];

const PAGE: usize = 50;
const MAX_PAGE: usize = 1_000;

fn term(zone: &Zone, name: &str, value: &str) -> Option<Term> {
    let (_, meaning) = PARAMETERS.iter().find(|(known, _)| *known == name)?;
    Some(Term {
        name: name.to_owned(),
        meaning: *meaning,
        modifier: String::new(),
        value: value.to_owned(),
        zone: zone.clone(),
    })
}

/// Records that fit every parameter of a condition; `None` when it has none or one that is not known.
pub(super) fn condition<'a>(state: &'a State, resource_type: &str, query: &str) -> Option<Vec<&'a Record>> {
    let query = query.rsplit_once('?').map_or(query, |(_, query)| query);
    let terms = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| term(&state.zone, &name, &value));
    let terms = terms.collect::<Option<Vec<Term>>>().filter(|terms| !terms.is_empty())?;
    Some(found(&state.records, resource_type, &terms))
}

fn found<'a>(records: &'a Records, resource_type: &str, terms: &[Term]) -> Vec<&'a Record> {
    let candidates = candidates(records, resource_type, terms).into_iter();
    candidates.filter(|record| terms.iter().all(|term| matches(record, term))).collect()
}

pub(super) fn search(state: &State, request: &Request, resource_type: &str, query: &[(String, String)]) -> Reply {
    let terms: Vec<Term> = query.iter().filter_map(|(name, value)| term(&state.zone, name, value)).collect();
    let bad = terms.iter().any(|term| {
        matches!(term.meaning, Meaning::Date | Meaning::LastUpdated)
            && term.value.split(',').any(|value| instant_range(value, &term.zone).is_none())
    });
    if bad {
        return outcome(400, "invalid", "not a date");
    }
    let found = found(&state.records, resource_type, &terms);
    let number =
        |wanted: &str| query.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| value.parse::<usize>().ok());
    let (count, offset) = (number("_count").unwrap_or(PAGE).min(MAX_PAGE), number("_offset").unwrap_or(0));
    let base = format!("{}/fhir/{resource_type}", request.origin());
    let link = |relation: &str, offset: usize| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(terms.iter().map(|term| (&term.name, &term.value)));
        query.append_pair("_count", &count.to_string()).append_pair("_offset", &offset.to_string());
        json!({ "relation": relation, "url": format!("{base}?{}", query.finish()) })
    };
    let mut links = vec![link("self", offset)];
    if count > 0 && offset + count < found.len() {
        links.push(link("next", offset + count));
    }
    let entries: Vec<Value> = found
        .iter()
        .skip(offset)
        .take(count)
        .map(|record| {
            json!({ "fullUrl": format!("{base}/{}", record.id), "resource": resource(record), "search": { "mode": "match" } })
        })
        .collect();
    let bundle = json!({
        "resourceType": "Bundle", "type": "searchset", "total": found.len(), "link": links, "entry": entries,
    });
    Reply::fhir(200, &bundle)
}
