//! Data-quality rules before a resource is sent: what the EMR would refuse is found here, with its place.

use super::project::Kind;
use crate::terminology::{Dictionary, Maps};
use engine::Error;
use fhir::json::Value;
use std::sync::Arc;

/// A rule that a resource breaks. Carries no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// FHIRPath.
    pub path: String,
    pub text: String,
}

/// The rules of one kind of EMR, and the codes that it knows.
#[derive(Clone, Debug)]
pub struct Quality {
    pub kind: Kind,
    pub maps: Option<Arc<Maps>>,
}

impl Quality {
    /// An error when a ConceptMap is not there.
    pub async fn findings(&self, resource: &Value) -> Result<Vec<Finding>, Error> {
        let name = resource.str("resourceType").unwrap_or("Resource");
        let mut findings = Vec::new();
        if self.kind == Kind::OpenEmr
            && let Err(text) = crate::openemr::check(resource)
        {
            findings.push(Finding { path: name.to_owned(), text });
        }
        if let Some(maps) = &self.maps {
            unmapped(&*maps.now().await?, name, resource, &mut findings);
        }
        Ok(findings)
    }
}

/// Concepts none of whose translated codings has a counterpart.
fn unmapped(dictionary: &Dictionary, path: &str, value: &Value, findings: &mut Vec<Finding>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| unmapped(dictionary, path, item, findings)),
        Value::Object(members) => {
            let known = value.list("coding").iter();
            let known = known.filter_map(|coding| dictionary.is_mapped(coding.str("system")?, coding.str("code")?));
            let known: Vec<bool> = known.collect();
            if !known.is_empty() && !known.contains(&true) {
                let text = "no code of it has a counterpart in the EMR: add it to the ConceptMap".to_owned();
                findings.push(Finding { path: path.to_owned(), text });
            }
            for (name, member) in members {
                unmapped(dictionary, &format!("{path}.{name}"), member, findings);
            }
        }
        _ => {}
    }
}

/// All findings in one line.
pub(super) fn text(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{}: {}", finding.path, finding.text)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openemr_refuses_and_codes_without_counterpart_are_findings() {
        let mut patient = Vec::new();
        let resource = Value::parse(r#"{"resourceType":"Patient","name":[{"family":"I","given":["A"]}]}"#).unwrap();
        if let Err(text) = crate::openemr::check(&resource) {
            patient.push(text);
        }
        assert!(patient[0].contains("family"), "{patient:?}");
        let map = r#"{"group":[{"source":"urn:local","target":"cvx","element":[{"code":"a","target":[{"code":"208","equivalence":"equal"}]}]}]}"#;
        let dictionary = Dictionary::of(&Value::parse(map).unwrap());
        let of = |code: &str| {
            let shot = format!(r#"{{"vaccineCode":{{"coding":[{{"system":"urn:local","code":"{code}"}}]}}}}"#);
            let mut findings = Vec::new();
            unmapped(&dictionary, "Immunization", &Value::parse(&shot).unwrap(), &mut findings);
            findings
        };
        assert_eq!(of("a"), []);
        assert_eq!(of("b")[0].path, "Immunization.vaccineCode");
    }
}
