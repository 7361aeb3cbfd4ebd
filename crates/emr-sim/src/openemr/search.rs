//! FHIR search as OpenEMR does it. What it does not know empties the bundle instead of failing.

use super::read::resource;
use crate::http::{Reply, Request};
use crate::options::Profile;
use crate::records::Record;
use crate::search::{Meaning, Term, instant_range, matches};
use crate::state::{Emr, State};
use crate::zone::Zone;
use serde_json::{Value, json};

type Parameters = &'static [(&'static str, Meaning)];

const PATIENT: Parameters = &[
    ("_id", Meaning::Id),
    ("identifier", Meaning::Identifier),
    ("name", Meaning::Name),
    ("family", Meaning::Name),
    ("given", Meaning::Name),
    ("birthdate", Meaning::Date),
    ("gender", Meaning::Token),
    ("phone", Meaning::Telecom),
    ("email", Meaning::Telecom),
    ("telecom", Meaning::Telecom),
    ("_lastUpdated", Meaning::LastUpdated),
];
const NAMED: Parameters = &[
    ("_id", Meaning::Id),
    ("name", Meaning::Name),
    ("phone", Meaning::Telecom),
    ("email", Meaning::Telecom),
    ("telecom", Meaning::Telecom),
    ("_lastUpdated", Meaning::LastUpdated),
];
const PERSON: Parameters = &[
    ("_id", Meaning::Id),
    ("name", Meaning::Name),
    ("family", Meaning::Name),
    ("given", Meaning::Name),
    ("phone", Meaning::Telecom),
    ("email", Meaning::Telecom),
    ("telecom", Meaning::Telecom),
    ("_lastUpdated", Meaning::LastUpdated),
];
const PLACE: Parameters = &[("_id", Meaning::Id), ("name", Meaning::Name), ("_lastUpdated", Meaning::LastUpdated)];
const DATED: Parameters = &[
    ("_id", Meaning::Id),
    ("patient", Meaning::Patient),
    ("date", Meaning::Date),
    ("_lastUpdated", Meaning::LastUpdated),
];
const CODED: Parameters = &[
    ("_id", Meaning::Id),
    ("patient", Meaning::Patient),
    ("code", Meaning::Token),
    ("category", Meaning::Token),
    ("date", Meaning::Date),
    ("_lastUpdated", Meaning::LastUpdated),
];
const OWNED: Parameters =
    &[("_id", Meaning::Id), ("patient", Meaning::Patient), ("_lastUpdated", Meaning::LastUpdated)];
static IDENTIFIED: (&str, Meaning) = ("identifier", Meaning::Identifier);

/// Search parameters of a type, beside `identifier` where a profile that writes more adds it.
fn parameters(resource_type: &str) -> Parameters {
    match resource_type {
        "Patient" => PATIENT,
        "Practitioner" => PERSON,
        "Organization" => NAMED,
        "Location" => PLACE,
        "Encounter" | "Appointment" => DATED,
        "Observation" | "DocumentReference" | "DiagnosticReport" => CODED,
        _ => OWNED,
    }
}

/// All search parameters of a type in a profile.
pub(super) fn all_parameters(
    profile: Profile,
    resource_type: &str,
) -> impl Iterator<Item = &'static (&'static str, Meaning)> {
    let own = parameters(resource_type);
    let more = profile.writes_more() && !own.iter().any(|(name, _)| *name == IDENTIFIED.0);
    own.iter().chain(more.then_some(&IDENTIFIED))
}

/// What becomes of a parameter.
enum Use {
    Term(Term),
    Page,
    Ignored,
    Unknown,
}

fn use_of(profile: Profile, zone: &Zone, resource_type: &str, name: &str, value: &str) -> Use {
    let pages = profile != Profile::OpenEmr702;
    let (base, modifier) = name.split_once(':').unwrap_or((name, ""));
    if matches!(base, "_format" | "_pretty") {
        return Use::Ignored;
    }
    if matches!(base, "_count" | "_offset" | "_sort") {
        return match (pages, resource_type) {
            (false, _) => Use::Unknown,
            (true, "Patient") => Use::Page,
            (true, _) => Use::Ignored,
        };
    }
    let known = all_parameters(profile, resource_type).find(|(known, _)| *known == base);
    match known {
        Some((_, meaning)) if modifier.is_empty() || *meaning == Meaning::Name => Use::Term(Term {
            name: base.to_owned(),
            meaning: *meaning,
            modifier: modifier.to_owned(),
            value: value.to_owned(),
            zone: zone.clone(),
        }),
        _ => Use::Unknown,
    }
}

pub(super) fn search(
    emr: &Emr,
    state: &mut State,
    request: &Request,
    resource_type: &str,
    query: &[(String, String)],
) -> Reply {
    let mut terms = Vec::new();
    let mut page = Vec::new();
    let mut known = true;
    for (name, value) in query {
        match use_of(emr.options.profile, &state.zone, resource_type, name, value) {
            Use::Term(term) => terms.push(term),
            Use::Page => page.push((name.as_str(), value.as_str())),
            Use::Ignored => {}
            Use::Unknown => known = false,
        }
    }
    let bad = terms.iter().find(|term| {
        let date = matches!(term.meaning, Meaning::Date | Meaning::LastUpdated);
        date && term.value.split(',').any(|value| instant_range(value, &term.zone).is_none())
    });
    if let Some(bad) = bad {
        return Reply::json(400, &json!({ "validationErrors": { bad.name.as_str(): { "Datetime": "invalid date" } } }));
    }
    state.searches += 1;
    let found = if known { found(state, resource_type, &terms) } else { Vec::new() };
    let found = paged(found, &page, state.searches);
    Reply::fhir(200, &bundle(request, &found, &state.zone, emr.clock.wall_us()))
}

/// Records that fit all terms, oldest first. A key or a patient spares the walk through the table.
fn found<'a>(state: &'a State, resource_type: &str, terms: &[Term]) -> Vec<&'a Record> {
    let candidates = crate::search::candidates(&state.records, resource_type, terms);
    candidates.into_iter().filter(|record| terms.iter().all(|term| matches(record, term))).collect()
}

const MAX_PAGE: usize = 200;

/// The page of Patients that was asked for. Without `_sort` the database promises no order between two requests, and two
/// pages may share a record.
fn paged<'a>(mut found: Vec<&'a Record>, page: &[(&str, &str)], searches: u64) -> Vec<&'a Record> {
    let value = |wanted: &str| page.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let number = |wanted: &str| value(wanted).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let (count, offset) = (number("_count").min(MAX_PAGE), number("_offset"));
    match value("_sort") {
        Some(sort) => {
            let (field, down) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
            found.sort_by_cached_key(|record| (sort_key(record, field), record.number));
            if down {
                found.reverse();
            }
        }
        None if count > 0 && !found.is_empty() => {
            let shift = searches as usize % found.len().min(7);
            found.rotate_left(shift);
        }
        None => {}
    }
    let rest = found.into_iter().skip(offset);
    if count == 0 { rest.collect() } else { rest.take(count).collect() }
}

/// A time, which is compared by whole seconds, and a text.
fn sort_key(record: &Record, field: &str) -> (i64, String) {
    match field {
        "_lastUpdated" => (record.updated_s(), String::new()),
        "birthdate" => (0, record.body["birthDate"].as_str().unwrap_or_default().to_owned()),
        "name" | "family" => (0, record.body["name"][0]["family"].as_str().unwrap_or_default().to_lowercase()),
        "_id" => (0, record.id.clone()),
        _ => (0, String::new()),
    }
}

/// A collection with only a `self` link, whose total is the number of entries.
fn bundle(request: &Request, found: &[&Record], zone: &Zone, now_us: i64) -> Value {
    let base = format!("{}/apis/default/fhir", request.origin());
    let entries: Vec<Value> = found
        .iter()
        .map(|record| {
            let resource_type = record.body["resourceType"].as_str().unwrap_or_default();
            json!({ "fullUrl": format!("{base}/{resource_type}/{}", record.id), "resource": resource(record, zone, now_us) })
        })
        .collect();
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
    let query = if query.is_empty() { query } else { format!("?{query}") };
    json!({
        "resourceType": "Bundle",
        "type": "collection",
        "total": entries.len(),
        "link": [{ "relation": "self", "url": format!("{}{}{query}", request.origin(), request.path) }],
        "entry": entries,
    })
}
