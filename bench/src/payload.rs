//! Our own resources of nine types, as templates that are filled with ids.

use anyhow::{Context, Result};
use fhir::json::{Document, Limits};

/// Types in the order in which they are created: each refers only to earlier ones.
pub(crate) const TYPES: [(&str, &str); 9] = [
    ("Organization", include_str!("../payloads/Organization.json")),
    ("Practitioner", include_str!("../payloads/Practitioner.json")),
    ("Location", include_str!("../payloads/Location.json")),
    ("Patient", include_str!("../payloads/Patient.json")),
    ("Encounter", include_str!("../payloads/Encounter.json")),
    ("Observation", include_str!("../payloads/Observation.json")),
    ("MedicationRequest", include_str!("../payloads/MedicationRequest.json")),
    ("Claim", include_str!("../payloads/Claim.json")),
    ("ExplanationOfBenefit", include_str!("../payloads/ExplanationOfBenefit.json")),
];

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    /// The id of the resource of this type.
    Id(usize),
    /// A number that makes the resource different from all others.
    Number,
}

#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// The nine templates, in the order of [`TYPES`].
pub(crate) fn templates() -> Result<Vec<Template>> {
    TYPES.iter().map(|(name, text)| Template::parse(text).with_context(|| format!("payload {name}"))).collect()
}

impl Template {
    /// Takes `@Patient@` for the id of the patient and `@n@` for a number.
    fn parse(text: &str) -> Result<Template> {
        let text = Document::parse(text.as_bytes(), &Limits::default())?.into_string();
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text.as_str());
        while let Some(at) = rest.find('@') {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            let found = TYPES.iter().enumerate().find_map(|(type_at, (name, _))| {
                let after = rest[1..].strip_prefix(name)?.strip_prefix('@')?;
                Some((Part::Id(type_at), after))
            });
            if let Some((part, after)) = found.or_else(|| Some((Part::Number, rest.strip_prefix("@n@")?))) {
                parts.extend([Part::Text(std::mem::take(&mut literal)), part]);
                rest = after;
            } else {
                literal.push('@');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        Ok(Template { parts })
    }

    /// The resource with the ids of the types in place.
    pub(crate) fn fill(&self, ids: &[String], number: u64) -> String {
        let mut out = String::with_capacity(8 << 10);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Id(at) => out.push_str(ids.get(*at).map_or("none", String::as_str)),
                Part::Number => out.push_str(&number.to_string()),
            }
        }
        out
    }
}

/// `body` as an update of `id`: with the id, and one element changed.
pub(crate) fn changed(body: &str, id: &str) -> String {
    body.replacen('{', &format!("{{\"id\":\"{id}\","), 1).replacen("\"language\":\"en\"", "\"language\":\"en-US\"", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let template = Template::parse(r#"{"a":"@Patient@/x@y.z","b":"@n@@n@"}"#).expect("a template");
        let ids: Vec<String> = (0..9).map(|n| format!("id{n}")).collect();
        assert_eq!(template.fill(&ids, 7), r#"{"a":"id3/x@y.z","b":"77"}"#);
    }

    #[test]
    fn payloads_refer_to_earlier_types_and_can_be_changed() {
        for (at, template) in templates().expect("templates").iter().enumerate() {
            for part in &template.parts {
                assert!(!matches!(part, Part::Id(other) if *other >= at), "{}", TYPES[at].0);
            }
            let body = template.fill(&[], 1);
            let changed = changed(&body, "i");
            let document = Document::parse(changed.as_bytes(), &Limits::default()).expect("JSON");
            assert_eq!(document.root().str("id").as_deref(), Some("i"));
            assert_eq!(document.root().str("language").as_deref(), Some("en-US"));
            assert!(document.root().str("resourceType").is_some_and(|name| name == TYPES[at].0));
        }
    }
}
