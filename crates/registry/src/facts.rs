//! What status and counts need to know of a person, from a Patient resource.

use crate::{day, read};
use fhir::json::Node;
use serde::{Deserialize, Serialize};
use vaccines::Date;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    Female,
    Male,
    #[default]
    Unknown,
}

impl Sex {
    pub fn code(self) -> &'static str {
        match self {
            Sex::Female => "female",
            Sex::Male => "male",
            Sex::Unknown => "unknown",
        }
    }
}

/// The facts of one record. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) birth: Option<Date>,
    #[serde(default)]
    pub(crate) sex: Sex,
    /// The first three digits of a postal code, else the state, else the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) born_in_us: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) deceased: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

impl Facts {
    pub(crate) fn of(patient: Node<'_>) -> Facts {
        let sex = match patient.str("gender").as_deref() {
            Some("female") => Sex::Female,
            Some("male") => Sex::Male,
            _ => Sex::Unknown,
        };
        Facts {
            birth: patient.str("birthDate").and_then(|text| day::of_fhir(&text)),
            sex,
            region: patient.get("address").into_iter().flat_map(Node::items).find_map(region),
            born_in_us: read::born_in_us(patient),
            deceased: read::has_died(patient),
        }
    }

    /// How many of birth date, sex and region are known.
    pub(crate) fn known(&self) -> u8 {
        u8::from(self.birth.is_some()) + u8::from(self.sex != Sex::Unknown) + u8::from(self.region.is_some())
    }

    /// Of several records the first that knows a fact says it; one that says the person has died is believed.
    pub(crate) fn merged<'a>(believed_first: impl Iterator<Item = &'a Facts>) -> Facts {
        let mut merged = Facts::default();
        for facts in believed_first {
            merged.birth = merged.birth.or(facts.birth);
            if merged.sex == Sex::Unknown {
                merged.sex = facts.sex;
            }
            merged.region = merged.region.or_else(|| facts.region.clone());
            merged.born_in_us |= facts.born_in_us;
            merged.deceased |= facts.deceased;
        }
        merged
    }
}

fn region(address: Node<'_>) -> Option<String> {
    let country = address.str("country").unwrap_or_default().trim().to_uppercase();
    let is_us = matches!(country.as_str(), "" | "US" | "USA" | "UNITED STATES");
    let zip = address.str("postalCode").unwrap_or_default();
    let zip = zip.trim();
    if is_us && zip.len() >= 5 && zip.as_bytes()[..5].iter().all(u8::is_ascii_digit) {
        return Some(zip[..3].to_owned());
    }
    let place = |name| address.str(name).map(|text| text.trim().to_uppercase()).filter(|text| !text.is_empty());
    // A name that somebody typed is no region: a state or country is short, and must not carry the separators of counters.
    place("state")
        .or_else(|| place("country"))
        .filter(|text| text.chars().count() <= 32 && !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json::{Document, Limits};

    fn facts(json: &str) -> Facts {
        Facts::of(Document::parse(json.as_bytes(), &Limits::default()).unwrap().root())
    }

    #[test]
    fn facts_of_a_patient() {
        let found = facts(
            r#"{"resourceType":"Patient","gender":"female","birthDate":"1980-02-03","deceasedBoolean":false,
            "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"country":"US"}}],
            "address":[{"city":"x"},{"postalCode":"02139-1234","state":"MA"}]}"#,
        );
        assert_eq!((found.birth.unwrap().to_string(), found.sex), ("1980-02-03".into(), Sex::Female));
        assert_eq!((found.region.as_deref(), found.born_in_us, found.deceased), (Some("021"), true, false));
        assert_eq!(facts(r#"{"deceasedDateTime":"2020","birthDate":"1980"}"#).birth, None);
        assert!(facts(r#"{"deceasedDateTime":"2020"}"#).deceased);
    }

    #[test]
    fn a_foreign_postal_code_is_no_region() {
        let region = |address: &str| facts(&format!(r#"{{"address":[{address}]}}"#)).region;
        assert_eq!(region(r#"{"postalCode":"10115","country":"DE","state":"be"}"#).as_deref(), Some("BE"));
        assert_eq!(region(r#"{"country":"de"}"#).as_deref(), Some("DE"));
        assert_eq!(region(r#"{"postalCode":"021"}"#), None);
    }

    #[test]
    fn the_newest_record_that_knows_says_it() {
        let newest = Facts { sex: Sex::Male, ..Facts::default() };
        let older = Facts { sex: Sex::Female, region: Some("021".into()), deceased: true, ..Facts::default() };
        let merged = Facts::merged([&newest, &older].into_iter());
        assert_eq!((merged.sex, merged.region.as_deref(), merged.deceased), (Sex::Male, Some("021"), true));
    }
}
