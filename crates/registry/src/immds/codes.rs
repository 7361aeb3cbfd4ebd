//! Codings of HL7's terminology for what the engine says.

use fhir::json;
use fhir::json::Value;
use vaccines::{DoseReason, DoseStatus, ForecastReason, Status};

const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";
const IMMDS: &str = "http://hl7.org/fhir/us/immds/CodeSystem";
const HL7: &str = "http://terminology.hl7.org/CodeSystem";

/// Diseases by the name of the antigen.
const DISEASES: [(&str, &str); 27] = [
    ("Chikungunya", "111864006"),
    ("Cholera", "63650001"),
    ("COVID-19", "840539006"),
    ("Dengue", "38362002"),
    ("Diphtheria", "397430003"),
    ("Ebola", "37109004"),
    ("HepA", "40468003"),
    ("HepB", "66071002"),
    ("Hib", "709410003"),
    ("HPV", "240532009"),
    ("Influenza", "6142004"),
    ("Japanese Encephalitis", "52947006"),
    ("Measles", "14189004"),
    ("Meningococcal", "23511006"),
    ("Mumps", "36989005"),
    ("Pertussis", "27836007"),
    ("Pneumococcal", "16814004"),
    ("Polio", "398102009"),
    ("Rabies", "14168008"),
    ("Rotavirus", "18624000"),
    ("RSV", "55735004"),
    ("Rubella", "36653000"),
    ("TBE", "712986001"),
    ("Tetanus", "76902006"),
    ("Typhoid", "4834000"),
    ("Varicella", "38907003"),
    ("Yellow Fever", "16541001"),
];

/// A CodeableConcept with the diseases of antigens, under a name for people.
pub(super) fn disease(antigens: &[&str], text: &str) -> Value {
    let code = |antigen: &&str| DISEASES.iter().find(|(name, _)| name == antigen).map(|(_, code)| *code);
    let codings: Vec<Value> =
        antigens.iter().filter_map(code).map(|code| json!({ "system": SNOMED, "code": code })).collect();
    if codings.is_empty() { json!({ "text": text }) } else { json!({ "coding": codings, "text": text }) }
}

/// `doseStatus`: HL7 knows valid and not; the guide tells the kinds apart.
pub(super) fn dose_status(status: DoseStatus) -> Value {
    let (code, text) = match status {
        DoseStatus::Valid => ("valid", "Valid"),
        DoseStatus::NotValid => ("notvalid", "Not Valid"),
        DoseStatus::Extraneous => ("notvalid", "Extraneous"),
        DoseStatus::SubStandard => ("notvalid", "Sub standard"),
    };
    json!({ "coding": [
        { "system": format!("{HL7}/immunization-evaluation-dose-status"), "code": code },
        { "system": format!("{IMMDS}/EvaluationStatus"), "code": text, "display": text }
    ], "text": text })
}

/// `doseStatusReason`: HL7's value set knows storage, recall and "outside the schedule"; the guide's has more, and the text
/// says what the engine means.
pub(super) fn dose_reason(reason: DoseReason) -> Value {
    let code = match reason {
        DoseReason::TooYoung => Some("tooyoung"),
        DoseReason::TooOld => Some("tooold"),
        DoseReason::TooSoon | DoseReason::SameDay => Some("toosoon"),
        DoseReason::VaccineConflict => Some("productconflict"),
        DoseReason::NotPreferableOrAllowable | DoseReason::VaccineOutOfAgeRange | DoseReason::Inadvertent => {
            Some("inappropriate")
        }
        _ => None,
    };
    let scheduled = !matches!(reason, DoseReason::TooYoung | DoseReason::TooOld | DoseReason::TooSoon);
    let mut codings = Vec::new();
    codings.extend((!scheduled).then(
        || json!({ "system": format!("{HL7}/immunization-evaluation-dose-status-reason"), "code": "outsidesched" }),
    ));
    codings.extend(code.map(|code| json!({ "system": format!("{IMMDS}/StatusReason"), "code": code })));
    if codings.is_empty() {
        return json!({ "text": reason.text() });
    }
    json!({ "coding": codings, "text": reason.text() })
}

/// `forecastStatus`; of what is not complete HL7 and LOINC know whether it is late.
pub(super) fn forecast_status(status: Status, overdue: bool) -> Value {
    let (immds, text) = match status {
        Status::NotComplete => ("notComplete", "Not Complete"),
        Status::Contraindicated => ("contraindicated", "Contraindicated"),
        Status::Immune => ("immune", "Immune"),
        Status::Complete => ("complete", "Complete"),
        Status::NotRecommended => ("notRecommended", "Not Recommended"),
        Status::AgedOut => ("agedOut", "Aged Out"),
    };
    let (hl7, loinc) = match status {
        Status::NotComplete if overdue => (Some("overdue"), Some("LA13423-1")),
        Status::NotComplete => (Some("due"), Some("LA13422-3")),
        Status::Contraindicated => (Some("contraindicated"), None),
        Status::Immune => (Some("immune"), None),
        Status::Complete => (Some("complete"), Some("LA13421-5")),
        Status::NotRecommended => (None, None),
        Status::AgedOut => (None, Some("LA13424-9")),
    };
    let mut codings = Vec::new();
    codings
        .extend(hl7.map(|code| json!({ "system": format!("{HL7}/immunization-recommendation-status"), "code": code })));
    codings.push(json!({ "system": format!("{IMMDS}/ForecastStatus"), "code": immds, "display": text }));
    codings.extend(loinc.map(|code| json!({ "system": LOINC, "code": code })));
    json!({ "coding": codings, "text": text })
}

/// `forecastReason`, for people.
pub(super) fn forecast_reason(reason: ForecastReason) -> Value {
    let text = match reason {
        ForecastReason::DoseNeeded => "another dose is needed",
        ForecastReason::SeriesComplete => "all doses are there",
        ForecastReason::PastImmunizationHistory => "the doses given make others needless for now",
        ForecastReason::EvidenceOfImmunity => "there is evidence of immunity",
        ForecastReason::Contraindication => "there is a contraindication",
        ForecastReason::PastSeason => "the season is over",
        ForecastReason::ExceededMaximumAge => "too old",
        ForecastReason::UnableToFinish => "the next dose cannot be given before the maximum age",
    };
    json!({ "text": text })
}

/// Code and display of a date of a forecast.
pub(super) fn date_code(code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": LOINC, "code": code, "display": display }] })
}
