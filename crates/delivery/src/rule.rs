//! Which resources a destination takes.

use engine::Resource;
use fhir::defs::{TypeId, r4};
use fhir::fhirpath::{Element, Environment, Expression, Item};
use fhir::index::is_golden_body;
use fhir::json::{Document, Limits};
use store::Op;

/// Priority of a rule that names none; lower goes first.
pub const PRIORITY: u8 = 100;

#[derive(Debug)]
pub struct Rule {
    pub types: Vec<TypeId>,
    /// Only resources for which it is true.
    pub filter: Option<Expression>,
    pub priority: u8,
}

/// The first rule that fits decides. A resource that fits none is not delivered.
#[derive(Debug, Default)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    pub(crate) fn types(&self) -> Vec<TypeId> {
        let mut types: Vec<TypeId> = self.0.iter().flat_map(|rule| rule.types.iter().copied()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    pub(crate) fn takes_type(&self, ty: TypeId) -> bool {
        self.0.iter().any(|rule| rule.types.contains(&ty))
    }

    /// The priority when the resource is taken. Of a deletion only the type is known.
    pub fn takes(&self, resource: &Resource, now_us: i64) -> Option<u8> {
        let mut rules = self.0.iter().filter(|rule| rule.types.contains(&resource.ty));
        if resource.op == Op::Delete {
            return rules.next().map(|rule| rule.priority);
        }
        // What weir writes about a person beside the records: the destination has those.
        if is_golden_body(&resource.json) {
            return None;
        }
        let mut parsed = None;
        let fits = rules.find(|rule| {
            let Some(filter) = &rule.filter else { return true };
            let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
            let document = parsed.get_or_insert_with(|| Document::parse(&resource.json, &limits).ok());
            document.as_ref().is_some_and(|document| is_true(filter, document, now_us))
        });
        fits.map(|rule| rule.priority)
    }
}

/// An expression that fails is not true.
fn is_true(filter: &Expression, document: &Document, now_us: i64) -> bool {
    let environment = Environment::new(r4(), document.root(), now_us);
    let resource = Item::Element(Element::resource(r4(), document.root()));
    filter.evaluate_bool(&environment, resource).is_ok_and(|answer| answer == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::index::GOLDEN;

    fn resource(json: &str) -> Resource {
        let document = Document::parse(json.as_bytes(), &Limits::default()).unwrap();
        let ty = r4().resource_by_name(&document.root().str("resourceType").unwrap()).unwrap();
        Resource { ty, id: "x".into(), version: 1, last_updated_us: 0, op: Op::Create, json: json.into() }
    }

    #[test]
    fn a_golden_record_is_not_delivered() {
        let rules =
            Rules(vec![Rule { types: vec![r4().resource_by_name("Patient").unwrap()], filter: None, priority: 1 }]);
        let tagged = format!(
            r#"{{"resourceType":"Patient","meta":{{"tag":[{{"system":"{}","code":"{}"}}]}}}}"#,
            GOLDEN.0, GOLDEN.1
        );
        assert_eq!(rules.takes(&resource(&tagged), 0), None);
        assert_eq!(rules.takes(&resource(r#"{"resourceType":"Patient","id":"golden-record"}"#), 0), Some(1));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let ty = |name: &str| r4().resource_by_name(name).unwrap();
        let rules = Rules(vec![
            Rule {
                types: vec![ty("Appointment")],
                filter: Some(Expression::parse("status = 'booked'").unwrap()),
                priority: 1,
            },
            Rule { types: vec![ty("Patient"), ty("Appointment")], filter: None, priority: 9 },
        ]);
        let takes = |json: &str| rules.takes(&resource(json), 0);
        assert_eq!(takes(r#"{"resourceType":"Appointment","status":"booked"}"#), Some(1));
        assert_eq!(takes(r#"{"resourceType":"Appointment","status":"cancelled"}"#), Some(9));
        assert_eq!(takes(r#"{"resourceType":"Patient"}"#), Some(9));
        assert_eq!(takes(r#"{"resourceType":"Basic"}"#), None);
        let deleted = Resource { op: Op::Delete, json: Vec::new(), ..resource(r#"{"resourceType":"Patient"}"#) };
        assert_eq!(rules.takes(&deleted, 0), Some(9));
        assert_eq!(rules.types().len(), 2);
    }
}
