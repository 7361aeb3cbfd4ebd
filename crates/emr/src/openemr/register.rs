//! Practitioner and Organization by FHIR. The staff has most of them already: one with the same National Provider Identifier is
//! linked, not written again.

use super::answer::scalar;
use super::push::{Looked, Push, Written, by_fhir};
use ::fhir::json::Value;
use delivery::{Outcome, Problem, Remote};

const NPI: &str = "http://hl7.org/fhir/sid/us-npi";
/// The member of [`Remote::more`] that holds the number of a user or facility.
pub(super) const NUMBER: &str = "id";
/// Elements that OpenEMR keeps of either.
const KEPT: [&str; 5] = ["identifier", "active", "name", "telecom", "address"];

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let resource = resource(&push.item.name, body).map_err(|text| push.refuse(text))?;
    if push.item.remote.is_none() && push.plan.searches(&push.item.name, parameter(&push.item.name)) {
        match look(push, Some(body)).await {
            Ok(Some(there)) => return Ok(there),
            Ok(None) => {}
            Err(problem) => return Err(Outcome::Retry { problem, after: None }),
        }
    }
    by_fhir(push, &resource, |row| {
        let number = scalar(row, "id").map(|number| (NUMBER.to_owned(), number));
        Some(Remote { id: scalar(row, "uuid")?, more: number.into_iter().collect() })
    })
    .await
}

/// Looks for one of the same name and compares the provider identifier, by which OpenEMR cannot search.
pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let unknown = || Problem::new(0, "without its name it cannot be looked for");
    let body = body.ok_or_else(unknown)?;
    let npi = npi(body).ok_or_else(unknown)?;
    let text = match push.item.name.as_str() {
        "Practitioner" => official_name(body).and_then(|name| name.str("family")),
        _ => body.str("name"),
    };
    let text = text.ok_or_else(unknown)?;
    let found = push.search(&push.item.name, &[(parameter(&push.item.name), text)]).await?;
    let same = found.iter().find(|one| self::npi(one) == Some(npi));
    let Some(id) = same.and_then(|one| one.str("id")) else { return Ok(None) };
    let number = number(push, id, npi).await.map_err(crate::outcome::problem_of)?;
    Ok(Some(Remote { id: id.to_owned(), more: number.map(|number| (NUMBER.to_owned(), number)).into_iter().collect() }))
}

/// The search parameter that looks at the name.
fn parameter(name: &str) -> &'static str {
    if name == "Practitioner" { "family" } else { "name" }
}

/// The number of the user or facility with this FHIR id: appointments name it.
async fn number(push: &Push<'_>, uuid: &str, npi: &str) -> Written<Option<String>> {
    let path = match push.item.name.as_str() {
        "Practitioner" => format!("/practitioner?npi={npi}"),
        _ => format!("/facility?facility_npi={npi}"),
    };
    let rows = push.rows(&path).await?;
    Ok(rows.iter().find(|row| scalar(row, "uuid").as_deref() == Some(uuid)).and_then(|row| scalar(row, "id")))
}

fn npi(body: &Value) -> Option<&str> {
    let mut identifiers = body.list("identifier").iter();
    identifiers.find(|one| one.str("system") == Some(NPI))?.str("value")
}

fn official_name(body: &Value) -> Option<&Value> {
    let names = body.list("name");
    names.iter().find(|name| name.str("use") == Some("official")).or(names.first())
}

/// What OpenEMR would refuse of a Practitioner or Organization.
pub(super) fn check(name: &str, body: &Value) -> Result<(), String> {
    resource(name, body).map(drop)
}

fn resource(name: &str, body: &Value) -> Result<Value, String> {
    let is_npi = |npi: &str| (10..=15).contains(&npi.len()) && npi.bytes().all(|byte| byte.is_ascii_digit());
    if npi(body).is_none_or(|npi| !is_npi(npi)) {
        return Err(format!("a {name} needs an identifier of the system {NPI} with 10 to 15 digits"));
    }
    let two = |text: Option<&str>| text.is_some_and(|text| text.chars().count() >= 2);
    let mut resource = Value::Object(vec![("resourceType".to_owned(), Value::from(name))]);
    for element in KEPT {
        if let Some(value) = body.get(element) {
            resource.set(element, value.clone());
        }
    }
    if name == "Practitioner" {
        let mut official = official_name(body).cloned().unwrap_or_default();
        if !two(official.str("family")) || !two(official.list("given").first().and_then(Value::as_str)) {
            return Err("name.family and name.given must have 2 characters or more".to_owned());
        }
        official.set("use", "official");
        resource.set("name", Value::Array(vec![official]));
    } else if !two(body.str("name")) {
        return Err("name must have 2 characters or more".to_owned());
    }
    Ok(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openemr_would_refuse_is_refused_here() {
        let doctor = r#"{"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1234567890"}],
            "name":[{"family":"Okafor","given":["Ada"]}]}"#;
        let sent = |name: &str, text: &str| resource(name, &Value::parse(text).unwrap());
        assert_eq!(sent("Practitioner", doctor).unwrap().list("name")[0].str("use"), Some("official"));
        assert!(sent("Practitioner", &doctor.replace("1234567890", "12")).unwrap_err().contains("us-npi"));
        assert!(sent("Practitioner", &doctor.replace("Ada", "A")).unwrap_err().contains("given"));
        assert!(sent("Organization", doctor).unwrap_err().starts_with("name must"));
    }
}
