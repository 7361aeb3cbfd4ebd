//! What Conditions, Observations and AllergyIntolerances mean to a schedule: only what holds on the day counts.

use fhir::json::Node;
use vaccines::{Date, ObservationCode, Observed, Schedule};

/// Systems of codes, with the names that the supporting data has for them.
const SYSTEMS: [(&str, &str); 5] = [
    ("http://snomed.info/sct", "SNOMED"),
    ("http://hl7.org/fhir/sid/cvx", "CVX"),
    ("urn:oid:2.16.840.1.113883.12.292", "CVX"),
    ("https://phinvads.cdc.gov", "CDCPHINVS"),
    ("urn:oid:2.16.840.1.114222.4.5.274", "CDCPHINVS"),
];
/// Values by which an Observation says that what its code names is there: yes, present, positive, detected (SNOMED CT).
const AFFIRMED: [&str; 4] = ["373066001", "52101004", "10828004", "260373001"];

/// What a resource says about the person on the day; of an Immunization what its contained Observations (reactions) say.
pub(super) fn observed(schedule: &Schedule, resource: Node<'_>, today: Date) -> Vec<Observed> {
    let codes = match resource.str("resourceType").as_deref() {
        Some("Condition") if is_active(resource, true) => codes_in(schedule, resource.get("code")),
        // Whoever reports an allergy is believed until it is refuted: the vaccine may do harm.
        Some("AllergyIntolerance") if is_active(resource, false) => codes_in(schedule, resource.get("code")),
        Some("Observation") => of_observation(schedule, resource),
        Some("Immunization") => {
            let contained = resource.get("contained").into_iter().flat_map(Node::items);
            let reactions = contained.filter(|inner| inner.str("resourceType").as_deref() == Some("Observation"));
            return reactions.flat_map(|inner| observed(schedule, inner, today)).collect();
        }
        _ => Vec::new(),
    };
    let date = date(resource);
    let ended = day(resource.str("abatementDateTime").as_deref()).is_some_and(|end| end <= today);
    if ended || date.is_some_and(|date| date > today) {
        return Vec::new();
    }
    codes.into_iter().map(|code| Observed { code, date }).collect()
}

/// Active by its clinical status, and not refuted; if it must be `verified`, not merely suspected either.
fn is_active(resource: Node<'_>, verified: bool) -> bool {
    let status = |element: &str| {
        let codings = resource.get(element).and_then(|concept| concept.get("coding")).into_iter().flat_map(Node::items);
        codings.filter_map(|coding| coding.str("code")).next()
    };
    let clinical = matches!(status("clinicalStatus").as_deref(), None | Some("active" | "recurrence" | "relapse"));
    let verification = match status("verificationStatus").as_deref() {
        None | Some("confirmed") => true,
        Some("refuted" | "entered-in-error") => false,
        Some(_) => !verified,
    };
    clinical && verification
}

fn of_observation(schedule: &Schedule, resource: Node<'_>) -> Vec<ObservationCode> {
    let is_final = matches!(resource.str("status").as_deref(), Some("final" | "amended" | "corrected"));
    let denied = resource.get("valueBoolean").and_then(Node::as_bool) == Some(false);
    if !is_final || denied || resource.get("dataAbsentReason").is_some() {
        return Vec::new();
    }
    let Some(value) = resource.get("valueCodeableConcept") else { return codes_in(schedule, resource.get("code")) };
    // A value is the finding itself, or says of the code whether it is there.
    let mut codes = value.get("coding").into_iter().flat_map(Node::items).filter_map(|coding| coding.str("code"));
    if codes.any(|code| AFFIRMED.contains(&code.as_ref())) {
        codes_in(schedule, resource.get("code"))
    } else {
        codes_in(schedule, Some(value))
    }
}

/// The observations that the codings of a CodeableConcept mean, each once.
fn codes_in(schedule: &Schedule, concept: Option<Node<'_>>) -> Vec<ObservationCode> {
    let mut found = Vec::new();
    for coding in concept.and_then(|concept| concept.get("coding")).into_iter().flat_map(Node::items) {
        let system = coding.str("system").unwrap_or_default();
        let Some((_, name)) = SYSTEMS.iter().find(|(url, _)| *url == system) else { continue };
        let code = coding.str("code").unwrap_or_default();
        // Codes of vaccine types have a leading zero in the supporting data, often not elsewhere.
        let code = if *name == "CVX" { format!("{:0>2}", code.trim()) } else { code.trim().to_owned() };
        found.extend_from_slice(schedule.observations(name, &code));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// When it began or was seen; a date as value (the estimated day of conception) is the finding itself.
fn date(resource: Node<'_>) -> Option<Date> {
    let dates = ["valueDateTime", "onsetDateTime", "effectiveDateTime", "recordedDate", "issued"];
    let period = || resource.path(&["effectivePeriod", "start"]).or_else(|| resource.path(&["onsetPeriod", "start"]));
    let of = |element: &&str| day(resource.str(element).as_deref());
    dates[..3]
        .iter()
        .find_map(of)
        .or_else(|| day(period()?.as_str().as_deref()))
        .or_else(|| dates[3..].iter().find_map(of))
}

fn day(text: Option<&str>) -> Option<Date> {
    text?.get(..10)?.parse().ok()
}
