//! Which elements take part in synchronisation with a kind of EMR: what it cannot keep must not look like a deletion.

use super::canonical::canonical;
use fhir::defs::{TypeId, r4};
use fhir::json;
use fhir::json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keeps everything but the id and the meta.
    Fhir,
    OpenEmr,
}

/// What OpenEMR writes of each type and shows again: what it takes without showing it, such as an end, would look as if staff had removed it.
/// Types that are not here it only shows.
const OPENEMR: [(&str, &[&str]); 9] = [
    ("Patient", &["identifier", "name", "telecom", "gender", "birthDate", "address", "generalPractitioner"]),
    ("Practitioner", &["identifier", "name", "telecom", "address"]),
    ("Organization", &["identifier", "name", "telecom", "address"]),
    ("Appointment", &["status", "start", "end", "participant"]),
    ("Encounter", &["class", "period", "subject"]),
    ("Observation", &["code", "valueQuantity", "component", "effectiveDateTime", "subject"]),
    ("Condition", &["code", "clinicalStatus", "onsetDateTime", "subject"]),
    ("AllergyIntolerance", &["code", "clinicalStatus", "patient"]),
    ("MedicationRequest", &["medicationCodeableConcept", "status", "authoredOn", "subject"]),
];
/// What OpenEMR shows without having kept ours.
const NOT_OPENEMR: [&str; 9] =
    ["communication", "contact", "contained", "extension", "implicitRules", "language", "link", "photo", "text"];
/// Identifiers that OpenEMR has a column for, by system.
const OPENEMR_IDENTIFIERS: [&str; 2] = ["http://hl7.org/fhir/sid/us-npi", "http://hl7.org/fhir/sid/us-ssn"];
const OPENEMR_ADDRESS: [&str; 5] = ["use", "line", "city", "state", "postalCode"];
const OPENEMR_GIVEN_MAX: usize = 2;

/// The part of a resource that is compared, canonical. An element that the EMR cannot keep takes part as far as `theirs` has it:
/// missing there, it says nothing.
pub fn project(kind: Kind, ty: TypeId, resource: &Value, theirs: &Value) -> Value {
    let name = r4().ty(ty).name;
    let Value::Object(members) = resource else { return Value::Object(Vec::new()) };
    let written = OPENEMR.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, elements)| elements);
    let takes_part = |element: &str| match kind {
        _ if matches!(element, "id" | "meta" | "resourceType") => false,
        Kind::Fhir => true,
        Kind::OpenEmr if NOT_OPENEMR.contains(&element.trim_start_matches('_')) => false,
        Kind::OpenEmr => written.contains(&element) || theirs.get(element).is_some(),
    };
    let members = members.iter().filter(|(element, _)| takes_part(element));
    let members = members.map(|(element, value)| match kind {
        Kind::Fhir => (element.clone(), value.clone()),
        Kind::OpenEmr => (element.clone(), openemr(name, element, value)),
    });
    plain_references(canonical(&Value::Object(members.collect())))
}

/// What a reference says beside its target is decoration that comes and goes.
fn plain_references(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(plain_references).collect()),
        Value::Object(members) => {
            let target = members.iter().find(|(name, member)| name == "reference" && member.as_str().is_some());
            match target.cloned() {
                Some((name, target)) => {
                    let id = target.as_str().and_then(|text| Some(text.split_once("/_history/")?.0.to_owned()));
                    Value::Object(vec![(name, id.map_or(target, Value::String))])
                }
                None => {
                    Value::Object(members.into_iter().map(|(name, member)| (name, plain_references(member))).collect())
                }
            }
        }
        scalar => scalar,
    }
}

/// What OpenEMR keeps of one element.
fn openemr(name: &str, element: &str, value: &Value) -> Value {
    match (name, element) {
        ("Patient" | "Practitioner", "name") => official(value.items()),
        (_, "identifier") => filtered(
            value,
            |one| text(one, "system").is_some_and(|system| OPENEMR_IDENTIFIERS.contains(&system)),
            |one| with(one, &["system", "value"]),
        ),
        ("Patient" | "Practitioner" | "Organization", "telecom") => {
            filtered(value, has_column, |one| with(one, &["system", "value", "use"]))
        }
        ("Patient" | "Practitioner" | "Organization", "address") => {
            let address = value.items().first().map(|address| with(address, &OPENEMR_ADDRESS));
            Value::Array(address.into_iter().collect())
        }
        ("Patient", "generalPractitioner") => {
            let first = value.items().first().map(|one| with(one, &["reference", "identifier"]));
            Value::Array(first.into_iter().collect())
        }
        // Others than the patient are chosen by OpenEMR.
        ("Appointment", "participant") => filtered(
            value,
            is_patient,
            |one| json!({ "actor": one.get("actor").map(|actor| with(actor, &["reference"])) }),
        ),
        (_, "subject" | "patient") => with(value, &["reference"]),
        (_, "code" | "medicationCodeableConcept" | "clinicalStatus") => {
            let codings = value.list("coding");
            match codings.is_empty() {
                true => with(value, &["text"]),
                false => {
                    json!({ "coding": codings.iter().map(|one| with(one, &["system", "code"])).collect::<Vec<_>>() })
                }
            }
        }
        _ => value.clone(),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn filtered(list: &Value, keep: impl Fn(&Value) -> bool, part: impl Fn(&Value) -> Value) -> Value {
    Value::Array(list.items().iter().filter(|one| keep(one)).map(part).collect())
}

/// The named members that are there.
fn with(value: &Value, names: &[&str]) -> Value {
    let members = names.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
    Value::Object(members.collect())
}

/// OpenEMR has one name: the official one, with two given names.
fn official(names: &[Value]) -> Value {
    let Some(chosen) = official_among(names).and_then(|at| names.get(at)) else { return Value::Null };
    let mut name = with(chosen, &["family"]);
    name.set("use", "official");
    let given: Vec<Value> =
        chosen.get("given").map_or(&[][..], Value::items).iter().take(OPENEMR_GIVEN_MAX).cloned().collect();
    name.set("given", given);
    name.set(
        "prefix",
        chosen.get("prefix").map_or(&[][..], Value::items).iter().take(1).cloned().collect::<Vec<Value>>(),
    );
    Value::Array(vec![name])
}

fn official_among(names: &[Value]) -> Option<usize> {
    let of = |wanted: Option<&str>| names.iter().position(|name| text(name, "use") == wanted);
    let first = (!names.is_empty()).then_some(0);
    of(Some("official")).or_else(|| of(Some("usual"))).or_else(|| of(None)).or(first)
}

/// Which of the resource's names an EMR with one name has.
pub(super) fn official_name(resource: &Value) -> Option<usize> {
    official_among(resource.list("name"))
}

/// Phones by use, and e-mail.
fn has_column(telecom: &Value) -> bool {
    match text(telecom, "system") {
        Some("email") => true,
        Some("phone") => matches!(text(telecom, "use"), Some("home" | "work" | "mobile")),
        _ => false,
    }
}

fn is_patient(participant: &Value) -> bool {
    let actor = participant.get("actor").and_then(|actor| text(actor, "reference"));
    actor.is_some_and(|actor| actor.starts_with("Patient/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(name: &str) -> TypeId {
        r4().resource_by_name(name).unwrap()
    }

    fn patient(text: &str) -> Value {
        Value::parse(text).unwrap()
    }

    #[test]
    fn what_openemr_drops_is_no_deletion() {
        let ours = patient(
            r#"{"resourceType":"Patient","id":"p","meta":{"tag":[{"code":"x"}]},"language":"de","extension":[{"url":"urn:race"}],
            "identifier":[{"system":"urn:clinic","value":"7"}],"gender":"female","maritalStatus":{"text":"m"},
            "name":[{"use":"nickname","given":["Ai"]},{"use":"official","family":"Ito","given":["Aiko","Rin","Mei"]}],
            "telecom":[{"system":"fax","value":"1"},{"system":"phone","use":"home","value":"2","rank":1}]}"#,
        );
        let theirs = patient(
            r#"{"resourceType":"Patient","id":"77","active":true,"extension":[{"url":"urn:unknown"}],"gender":"female",
            "name":[{"use":"official","family":"Ito","given":["Aiko","Rin"]}],
            "telecom":[{"system":"phone","use":"home","value":"2"}]}"#,
        );
        let of = |resource| project(Kind::OpenEmr, ty("Patient"), resource, &theirs);
        let mut shown = of(&theirs);
        assert!(shown.get("active").is_some());
        if let Value::Object(members) = &mut shown {
            members.retain(|(name, _)| name != "active");
        }
        assert_eq!(shown, of(&ours));
    }

    #[test]
    fn a_fhir_server_keeps_all_but_id_and_meta() {
        let ours = patient(r#"{"resourceType":"Patient","id":"p","meta":{},"language":"de","active":true}"#);
        let projected = project(Kind::Fhir, ty("Patient"), &ours, &json!({}));
        assert_eq!(projected.to_string(), r#"{"active":true,"language":"de"}"#);
    }

    #[test]
    fn an_appointment_counts_only_its_patient() {
        let ours = patient(
            r#"{"resourceType":"Appointment","description":"x","status":"booked",
            "participant":[{"actor":{"reference":"Patient/1","display":"A"},"status":"accepted"},{"actor":{"reference":"Location/2"}}]}"#,
        );
        let projected = project(Kind::OpenEmr, ty("Appointment"), &ours, &json!({}));
        assert_eq!(projected.to_string(), r#"{"participant":[{"actor":{"reference":"Patient/1"}}],"status":"booked"}"#);
    }

    #[test]
    fn the_tables_name_elements_that_exist() {
        for (name, elements) in OPENEMR {
            let def = r4().ty(ty(name));
            assert!(elements.iter().all(|element| def.property(element).is_some()), "{name}");
        }
    }
}
