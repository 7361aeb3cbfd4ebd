//! Data-quality rules before a resource is sent: what the EMR would refuse is found here, with its place.

use super::project::Kind;
use fhir::json::Value;
use std::sync::Arc;

/// A rule that a resource breaks. Carries no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// FHIRPath.
    pub path: String,
    pub text: String,
}

/// Looks codes up in ConceptMaps.
pub trait Mapped: Send + Sync + std::fmt::Debug {
    /// Whether a code of an element has a counterpart in the EMR's code system. `None`: the element is not mapped.
    fn is_mapped(&self, path: &str, system: &str, code: &str) -> Option<bool>;
}

/// The rules of one kind of EMR.
#[derive(Clone, Debug)]
pub struct Quality {
    pub kind: Kind,
    pub mapped: Option<Arc<dyn Mapped>>,
}

impl Quality {
    pub fn findings(&self, resource: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.kind == Kind::OpenEmr
            && let Err(text) = crate::openemr::check(resource)
        {
            let path = resource.str("resourceType").unwrap_or("Resource").to_owned();
            findings.push(Finding { path, text });
        }
        if let Some(mapped) = &self.mapped {
            unmapped(&**mapped, resource.str("resourceType").unwrap_or("Resource"), resource, &mut findings);
        }
        findings
    }
}

/// Concepts none of whose codings has a counterpart.
fn unmapped(mapped: &dyn Mapped, path: &str, value: &Value, findings: &mut Vec<Finding>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| unmapped(mapped, path, item, findings)),
        Value::Object(members) => {
            let codings = value.get("coding").map_or(&[][..], Value::items);
            let known =
                codings.iter().filter_map(|coding| mapped.is_mapped(path, coding.str("system")?, coding.str("code")?));
            let known: Vec<bool> = known.collect();
            if !known.is_empty() && !known.contains(&true) {
                let text = "no code of it has a counterpart in the EMR: add it to the ConceptMap".to_owned();
                findings.push(Finding { path: path.to_owned(), text });
            }
            for (name, member) in members {
                unmapped(mapped, &format!("{path}.{name}"), member, findings);
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

    #[derive(Debug)]
    struct Cvx;

    impl Mapped for Cvx {
        fn is_mapped(&self, path: &str, _system: &str, code: &str) -> Option<bool> {
            (path == "Immunization.vaccineCode").then_some(code == "208")
        }
    }

    #[test]
    fn what_openemr_refuses_and_codes_without_counterpart_are_findings() {
        let quality = Quality { kind: Kind::OpenEmr, mapped: Some(Arc::new(Cvx)) };
        let of = |text: &str| quality.findings(&Value::parse(text).unwrap());
        let patient = of(r#"{"resourceType":"Patient","name":[{"family":"I","given":["A"]}]}"#);
        assert_eq!(patient.len(), 1);
        assert!(patient[0].text.contains("family"), "{patient:?}");
        let shot = |code: &str| {
            format!(
                r#"{{"resourceType":"Immunization","vaccineCode":{{"coding":[{{"system":"cvx","code":"{code}"}}]}}}}"#
            )
        };
        assert_eq!(of(&shot("208")), []);
        assert_eq!(of(&shot("999"))[0].path, "Immunization.vaccineCode");
        assert_eq!(Quality { kind: Kind::Fhir, mapped: None }.findings(&Value::Null), []);
    }
}
