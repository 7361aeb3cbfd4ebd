//! What FHIR resources say, for all who read them here.

use crate::day;
use fhir::json::Node;
use vaccines::{Cvx, Date};

pub(crate) const CVX: [&str; 2] = ["http://hl7.org/fhir/sid/cvx", "urn:oid:2.16.840.1.113883.12.292"];
const MVX: [&str; 2] = ["http://hl7.org/fhir/sid/mvx", "urn:oid:2.16.840.1.113883.12.227"];
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
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

/// The vaccine type.
pub(crate) fn cvx(resource: Node<'_>) -> Option<Cvx> {
    let codings = resource.path(&["vaccineCode", "coding"]).into_iter().flat_map(Node::items);
    let of_system = |coding: &Node<'_>| coding.str("system").is_some_and(|system| CVX.contains(&system.as_ref()));
    codings.filter(of_system).find_map(|coding| coding.str("code")?.trim().parse().ok())
}

/// The manufacturer: its Identifier, or that of the contained Organization.
pub(crate) fn mvx(resource: Node<'_>) -> Option<String> {
    let manufacturer = resource.get("manufacturer")?;
    let reference = manufacturer.str("reference").unwrap_or_default();
    let contained = resource.get("contained").into_iter().flat_map(Node::items).find(|organization| {
        reference.strip_prefix('#').is_some_and(|id| organization.str("id").as_deref() == Some(id))
    });
    let identifiers = contained.and_then(|organization| organization.get("identifier"));
    let identifiers = manufacturer.get("identifier").into_iter().chain(identifiers.into_iter().flat_map(Node::items));
    let of_system = |one: &Node<'_>| one.str("system").is_some_and(|system| MVX.contains(&system.as_ref()));
    identifiers.filter(of_system).find_map(|one| Some(one.str("value")?.trim().to_uppercase()))
}

/// Whether a Patient says that the person has died.
pub(crate) fn has_died(patient: Node<'_>) -> bool {
    patient.get("deceasedDateTime").is_some() || patient.get("deceasedBoolean").and_then(Node::as_bool).unwrap_or(false)
}

/// By the extension of the birth place.
pub(crate) fn born_in_us(patient: Node<'_>) -> bool {
    let extensions = patient.get("extension").into_iter().flat_map(Node::items);
    extensions.filter(|extension| extension.str("url").as_deref() == Some(BIRTH_PLACE)).any(|place| {
        let country = place.path(&["valueAddress", "country"]).and_then(Node::as_str);
        country.is_some_and(|country| matches!(country.trim().to_uppercase().as_str(), "US" | "USA" | "UNITED STATES"))
    })
}

/// What a Condition, Observation or AllergyIntolerance finds, whatever schedule it is for.
pub(crate) struct Finding {
    /// Names of the schedule's systems with their codes, each once.
    pub(crate) codes: Vec<(String, String)>,
    /// When it began or was seen.
    pub(crate) date: Option<Date>,
    /// When it was over.
    pub(crate) until: Option<Date>,
}

/// Whether a body names a system of [`SYSTEMS`] at all: most measurements do not, and need not be parsed.
pub(crate) fn may_find(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| SYSTEMS.iter().any(|(url, _)| body.contains(url)))
}

/// What a resource finds; of an Immunization what its contained Observations (reactions) find.
pub(crate) fn findings(resource: Node<'_>) -> Vec<Finding> {
    let codes = match resource.str("resourceType").as_deref() {
        Some("Condition") if is_active(resource, true) => codes_in(resource.get("code")),
        // Whoever reports an allergy is believed until it is refuted: the vaccine may do harm.
        Some("AllergyIntolerance") if is_active(resource, false) => codes_in(resource.get("code")),
        Some("Observation") => of_observation(resource),
        Some("Immunization") => {
            let contained = resource.get("contained").into_iter().flat_map(Node::items);
            let reactions = contained.filter(|inner| inner.str("resourceType").as_deref() == Some("Observation"));
            return reactions.flat_map(findings).collect();
        }
        _ => Vec::new(),
    };
    if codes.is_empty() {
        return Vec::new();
    }
    let until = resource.str("abatementDateTime").and_then(|text| day::of_fhir(&text));
    vec![Finding { codes, date: date(resource), until }]
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

fn of_observation(resource: Node<'_>) -> Vec<(String, String)> {
    let is_final = matches!(resource.str("status").as_deref(), Some("final" | "amended" | "corrected"));
    let denied = resource.get("valueBoolean").and_then(Node::as_bool) == Some(false);
    if !is_final || denied || resource.get("dataAbsentReason").is_some() {
        return Vec::new();
    }
    let Some(value) = resource.get("valueCodeableConcept") else { return codes_in(resource.get("code")) };
    // A value is the finding itself, or says of the code whether it is there.
    let mut codes = value.get("coding").into_iter().flat_map(Node::items).filter_map(|coding| coding.str("code"));
    if codes.any(|code| AFFIRMED.contains(&code.as_ref())) {
        codes_in(resource.get("code"))
    } else {
        codes_in(Some(value))
    }
}

/// The codings of a CodeableConcept that a schedule may know.
fn codes_in(concept: Option<Node<'_>>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for coding in concept.and_then(|concept| concept.get("coding")).into_iter().flat_map(Node::items) {
        let system = coding.str("system").unwrap_or_default();
        let Some((_, name)) = SYSTEMS.iter().find(|(url, _)| *url == system) else { continue };
        let code = coding.str("code").unwrap_or_default();
        // Codes of vaccine types have a leading zero in the supporting data, often not elsewhere.
        let code = if *name == "CVX" { format!("{:0>2}", code.trim()) } else { code.trim().to_owned() };
        found.push(((*name).to_owned(), code));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// When it began or was seen; a date as value (the estimated day of conception) is the finding itself.
fn date(resource: Node<'_>) -> Option<Date> {
    let dates = ["valueDateTime", "onsetDateTime", "effectiveDateTime", "recordedDate", "issued"];
    let period = || resource.path(&["effectivePeriod", "start"]).or_else(|| resource.path(&["onsetPeriod", "start"]));
    let of = |element: &&str| resource.str(element).and_then(|text| day::of_fhir(&text));
    dates[..3]
        .iter()
        .find_map(of)
        .or_else(|| day::of_fhir(&period()?.as_str()?))
        .or_else(|| dates[3..].iter().find_map(of))
}
