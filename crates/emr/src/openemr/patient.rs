//! Patient by FHIR. Our key is an identifier of type `PT`, the `pubpid` column, which is searchable and comes back.

use super::answer::scalar;
use super::push::{Looked, Push, Subject, Written, by_fhir, remote};
use ::fhir::json;
use ::fhir::json::Value;
use delivery::{Identifier, Remote};

/// The member of [`Remote::more`] that holds the number of a patient.
pub(super) const NUMBER: &str = "pid";
pub(super) const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
/// Elements that OpenEMR keeps. Others are lost, or upset it.
const KEPT: [&str; 6] = ["name", "telecom", "gender", "birthDate", "address", "generalPractitioner"];

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let resource = resource(body, &push.item.identifier).map_err(|text| push.refuse(text))?;
    // The answer to a creation is no Patient: it has the numbers of the new row.
    by_fhir(push, &resource, |row| Some(of(&scalar(row, "uuid")?, &scalar(row, "pid")?))).await
}

fn of(uuid: &str, pid: &str) -> Remote {
    let subject = Subject { uuid: uuid.to_owned(), pid: pid.to_owned() };
    remote(uuid, &[(NUMBER, pid)], &subject)
}

pub(super) async fn look(push: &Push<'_>) -> Looked {
    let found = push.search("Patient", &[("identifier", push.key())]).await?;
    let is_ours = |patient: &&Value| patient.list("identifier").iter().any(|one| one.str("value") == Some(push.key()));
    let Some(id) = found.iter().find(is_ours).and_then(|patient| patient.str("id")) else { return Ok(None) };
    let pid = push.pid(id).await.map_err(crate::outcome::problem_of)?;
    Ok(Some(of(id, &pid)))
}

/// What OpenEMR would refuse of a Patient.
pub(super) fn check(body: &Value) -> Result<(), String> {
    let ours = Identifier { system: String::new(), value: String::new() };
    resource(body, &ours).map(drop).map_err(str::to_owned)
}

/// What is sent: the elements that OpenEMR keeps, as its validator wants them. The error says what it would refuse.
fn resource(body: &Value, ours: &Identifier) -> Result<Value, &'static str> {
    let mut resource = json!({ "resourceType": "Patient", "identifier": identifiers(body, ours) });
    for name in KEPT {
        if let Some(element) = body.get(name) {
            resource.set(name, element.clone());
        }
    }
    let name = official_name(body).ok_or("a Patient needs a name")?;
    let family = name.str("family").map_or(0, |family| family.chars().count());
    if !(2..=255).contains(&family) {
        return Err("name.family must have 2 to 255 characters");
    }
    if name.list("given").first().and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("name.given is needed");
    }
    resource.set("name", Value::Array(vec![name]));
    // Both are set by every write, also by one that does not name them.
    if body.str("gender").is_none_or(|gender| !(4..=30).contains(&gender.len())) {
        return Err("gender is needed");
    }
    if body.str("birthDate").is_none_or(|date| date.parse::<jiff::civil::Date>().is_err()) {
        return Err("birthDate is needed, with month and day");
    }
    let emails = body.list("telecom").iter().filter(|telecom| telecom.str("system") == Some("email"));
    if emails.into_iter().any(|email| email.str("value").is_none_or(|address| !address.contains('@'))) {
        return Err("an e-mail address in telecom is none");
    }
    // A practitioner that is not there has no reference any more.
    let practitioners = body.list("generalPractitioner").iter().filter(|one| one.str("reference").is_some());
    resource.set("generalPractitioner", practitioners.cloned().collect::<Vec<Value>>());
    Ok(without_empty(resource))
}

fn without_empty(mut resource: Value) -> Value {
    if let Value::Object(members) = &mut resource {
        members.retain(|(_, member)| !matches!(member, Value::Array(items) if items.is_empty()));
    }
    resource
}

/// OpenEMR reads the official name and no other.
fn official_name(body: &Value) -> Option<Value> {
    let names = body.list("name");
    let with_use = |wanted: &str| names.iter().find(|name| name.str("use") == Some(wanted));
    let without_use = || names.iter().find(|name| name.get("use").is_none());
    let mut name = with_use("official").or_else(|| with_use("usual")).or_else(without_use).or(names.first())?.clone();
    name.set("use", "official");
    Some(name)
}

/// Every identifier needs a type, or PHP meets a null. Ours is the only one of type `PT`: the last of them becomes `pubpid`.
fn identifiers(body: &Value, ours: &Identifier) -> Value {
    let others = body.list("identifier").iter().filter(|one| one.str("value").is_some_and(|value| value != ours.value));
    let typed = others.map(|one| {
        let mut one = one.clone();
        let coding = one.path(&["type"]).map_or(&[][..], |of| of.list("coding"));
        let code = coding.first().and_then(|coding| coding.str("code"));
        match (code, one.str("system")) {
            (_, Some("http://hl7.org/fhir/sid/us-ssn")) => one.set("type", kind("SS")),
            (None | Some("PT"), _) => one.set("type", kind("PI")),
            _ => {}
        }
        one
    });
    let mut all: Vec<Value> = typed.collect();
    all.push(json!({
        "use": "official",
        "type": kind("PT"),
        "system": ours.system.as_str(),
        "value": ours.value.as_str()
    }));
    Value::Array(all)
}

fn kind(code: &str) -> Value {
    json!({ "coding": [{ "system": IDENTIFIER_TYPES, "code": code }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Result<Value, &'static str> {
        let ours = Identifier { system: "urn:weir".into(), value: "Patient-p1".into() };
        resource(&Value::parse(text).unwrap(), &ours)
    }

    #[test]
    fn every_identifier_gets_a_type_and_ours_is_the_only_pubpid() {
        let patient = sent(
            r#"{"identifier":[{"system":"urn:clinic","value":"7"},{"type":{"coding":[{"code":"PT"}]},"value":"8"},
            {"system":"http://hl7.org/fhir/sid/us-ssn","value":"9"}],"name":[{"family":"Ito","given":["Aiko"]}],
            "gender":"female","birthDate":"1990-05-01","contact":[{"name":{"text":"x"}}],"extension":[{"url":"urn:x"}]}"#,
        )
        .unwrap();
        let types = patient.list("identifier").iter().map(|one| {
            one.path(&["type"]).unwrap().list("coding")[0].str("code").unwrap().to_owned()
                + " "
                + one.str("value").unwrap()
        });
        assert_eq!(types.collect::<Vec<_>>(), ["PI 7", "PI 8", "SS 9", "PT Patient-p1"]);
        assert_eq!(patient.list("name")[0].str("use"), Some("official"));
        assert!(patient.get("contact").is_none() && patient.get("extension").is_none());
    }

    #[test]
    fn what_openemr_would_refuse_is_refused_here() {
        let whole = r#"{"name":[{"family":"Ito","given":["Aiko"]}],"gender":"female","birthDate":"1990-05-01"}"#;
        assert!(sent(whole).is_ok());
        for (from, to, part) in [
            ("Ito", "I", "family"),
            (r#","given":["Aiko"]"#, "", "given"),
            (r#","gender":"female""#, "", "gender"),
            ("1990-05-01", "1990-05", "birthDate"),
            (r#""gender""#, r#""telecom":[{"system":"email","value":"none"}],"gender""#, "e-mail"),
        ] {
            let error = sent(&whole.replace(from, to)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
