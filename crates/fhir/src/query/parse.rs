//! From `(name, value)` pairs to a [`Query`].

use super::{Context, Filter, Handling, Query, Summary, Total, criteria, include, result};
use crate::defs::TypeId;
use crate::nearest::hint;
use crate::outcome::Issue;

/// Longest value of one parameter, in bytes.
const VALUE_BYTES_MAX: usize = 1 << 20;
const PARAMETERS_MAX: usize = 1_000;
/// Parameters about the form of the answer, which are not this module's.
const OF_HTTP: [&str; 2] = ["_format", "_pretty"];

/// Parses decoded `(name, value)` pairs. Errors name the parameter, say why, and offer the nearest valid name. With
/// [`Handling::Lenient`] what cannot be understood is left out and reported in [`Query::warnings`].
pub fn parse(context: Context<'_>, pairs: &[(String, String)]) -> Result<Query, Vec<Issue>> {
    let types = types(&context, pairs).map_err(|issue| vec![issue])?;
    let mut query = Query {
        types,
        filter: Filter::All,
        sort: Vec::new(),
        count: None,
        total: Total::default(),
        summary: Summary::default(),
        elements: Vec::new(),
        includes: Vec::new(),
        applied: Vec::new(),
        warnings: Vec::new(),
    };
    if pairs.len() > PARAMETERS_MAX {
        return Err(vec![Issue::error("too-costly", format!("more than {PARAMETERS_MAX} search parameters"))]);
    }
    let budget = criteria::Budget::new();
    let mut filters = Vec::new();
    let mut refused = Vec::new();
    for (name, value) in pairs.iter().filter(|(name, _)| !OF_HTTP.contains(&name.as_str())) {
        match pair(&context, &budget, &mut query, &mut filters, name, value) {
            Ok(()) => query.applied.push((name.clone(), value.clone())),
            Err(refusal) => refused.push(issue(name, &refusal)),
        }
    }
    query.filter = match filters.len() {
        0 => Filter::All,
        1 => filters.remove(0),
        _ => Filter::And(filters),
    };
    match context.handling {
        Handling::Strict if !refused.is_empty() => Err(refused),
        Handling::Strict => Ok(query),
        Handling::Lenient => {
            query.warnings = refused
                .into_iter()
                .map(|refused| Issue::warning(refused.code, format!("ignored: {}", refused.diagnostics)))
                .collect();
            Ok(query)
        }
    }
}

fn issue(name: &str, refusal: &str) -> Issue {
    // The name comes from outside: shown as it is, but never at any length.
    let name: String = name.chars().take(100).collect();
    let refusal: String = refusal.chars().take(2000).collect();
    Issue::error("invalid", format!("search parameter {name} {refusal}"))
}

/// The types searched: that of the URL, those of `_type`, or all.
fn types(context: &Context<'_>, pairs: &[(String, String)]) -> Result<Vec<TypeId>, Issue> {
    if let Some(ty) = context.resource {
        return Ok(vec![ty]);
    }
    let defs = context.defs;
    let names: Vec<&str> =
        pairs.iter().filter(|(name, _)| name == "_type").flat_map(|(_, value)| value.split(',')).collect();
    if names.is_empty() {
        return Ok(defs.resources().collect());
    }
    let find = |name: &&str| {
        defs.resource_by_name(name).ok_or_else(|| {
            let hint = hint(name, defs.resources().map(|ty| defs.ty(ty).name));
            issue("_type", &format!("names an unknown resource type{hint}"))
        })
    };
    names.iter().map(find).collect()
}

fn pair(
    context: &Context<'_>,
    budget: &criteria::Budget,
    query: &mut Query,
    filters: &mut Vec<Filter>,
    name: &str,
    value: &str,
) -> Result<(), String> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!("is longer than {VALUE_BYTES_MAX} bytes"));
    }
    if value.is_empty() {
        return Err("is empty: leave it out or give it a value".into());
    }
    let (head, modifier) = match name.split_once(':') {
        Some((head, modifier)) => (head, Some(modifier)),
        None => (name, None),
    };
    match head {
        "_include" | "_revinclude" => {
            query.includes.extend(include::includes(context, head == "_revinclude", modifier, value)?);
            return Ok(());
        }
        "_type" if context.resource.is_none() => return Ok(()),
        "_contained" | "_containedType" | "_filter" | "_query" | "_score" => {
            return Err("is not supported by weir".into());
        }
        _ => {}
    }
    if modifier.is_none() && result::apply(context, query, name, value)? {
        return Ok(());
    }
    let filter = criteria::filter(context, &query.types, name, value, 0, budget);
    budget.check()?;
    filters.push(filter?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Comparator, SortBy, SystemTest, TerminologyTest, Test, UnitTest};
    use super::*;
    use crate::defs::r4;

    fn query(ty: Option<&str>, text: &str, handling: Handling) -> Result<Query, Vec<Issue>> {
        let pairs: Vec<(String, String)> = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap())
            .collect();
        let own_bases = ["http://own/fhir".to_owned()];
        let resource = ty.map(|ty| r4().resource_by_name(ty).unwrap());
        parse(Context { defs: r4(), resource, handling, now: 0, own_bases: &own_bases }, &pairs)
    }

    fn filter(ty: &str, text: &str) -> Filter {
        query(Some(ty), text, Handling::Strict).unwrap_or_else(|issues| panic!("{text}: {issues:?}")).filter
    }

    fn test_of(ty: &str, text: &str) -> Test {
        match filter(ty, text) {
            Filter::Match { test, .. } => test,
            other => panic!("{other:?}"),
        }
    }

    fn error(ty: &str, text: &str) -> String {
        query(Some(ty), text, Handling::Strict).unwrap_err()[0].diagnostics.clone()
    }

    #[test]
    fn values_of_every_type() {
        let patient = r4().resource_by_name("Patient");
        let string = |text: &str| text.to_owned();
        let cases = [
            ("Patient", "name=Núñez", Test::StringStarts(string("nunez"))),
            ("Patient", "name:exact=Núñez", Test::StringExact(string("Núñez"))),
            ("Patient", "name:contains=Ñez", Test::StringContains(string("nez"))),
            (
                "Patient",
                r"identifier=http://x|a\|b",
                Test::Token { system: SystemTest::Is(string("http://x")), code: Some(string("a|b")) },
            ),
            ("Patient", "identifier=|1", Test::Token { system: SystemTest::Absent, code: Some(string("1")) }),
            ("Patient", "identifier=http://x|", Test::Token { system: SystemTest::Is(string("http://x")), code: None }),
            ("Observation", "code:text=Weight ", Test::TokenText(string("weight"))),
            (
                "Patient",
                "identifier:of-type=s|MR|7",
                Test::TokenOfType { system: string("s"), code: string("MR"), value: string("7") },
            ),
            ("Observation", "patient=p1", Test::Reference { ty: patient, id: string("p1") }),
            ("Observation", "subject=p1", Test::Reference { ty: None, id: string("p1") }),
            ("Observation", "subject:Patient=p1", Test::Reference { ty: patient, id: string("p1") }),
            ("Observation", "subject=http://own/fhir/Patient/p1", Test::Reference { ty: patient, id: string("p1") }),
            ("Observation", "subject=http://other/Patient/p1", Test::ReferenceUrl(string("http://other/Patient/p1"))),
            (
                "Observation",
                "subject:identifier=s|v",
                Test::ReferenceIdentifier { system: SystemTest::Is(string("s")), value: Some(string("v")) },
            ),
            ("RiskAssessment", "probability=gt0.8", Test::Number { comparator: Comparator::Gt, low: 0.8, high: 0.8 }),
            (
                "Observation",
                "value-quantity=le5||mg",
                Test::Quantity {
                    comparator: Comparator::Le,
                    low: 5.0,
                    high: 5.0,
                    unit: UnitTest::CodeOrUnit(string("mg")),
                },
            ),
            ("ValueSet", "url:below=http://x/", Test::UriBelow(string("http://x/"))),
            ("Location", "near=10|20|5|m", Test::Near { latitude: 10.0, longitude: 20.0, radius_m: 5.0 }),
        ];
        for (ty, text, expected) in cases {
            assert_eq!(test_of(ty, text), expected, "{text}");
        }
        let ucum = test_of("Observation", "value-quantity=5|http://unitsofmeasure.org|mg");
        assert!(
            matches!(ucum, Test::Quantity { unit: UnitTest::System { canonical: Some((unit, ..)), .. }, .. } if unit == "g")
        );
        assert!(
            matches!(test_of("Observation", "code-value-quantity=http://loinc.org|1$gt5"), Test::Composite(parts) if parts.len() == 2)
        );
    }

    #[test]
    fn structure_of_criteria() {
        assert!(matches!(filter("Patient", ""), Filter::All));
        assert!(matches!(filter("Patient", "name=a,b"), Filter::Or(parts) if parts.len() == 2));
        assert!(matches!(filter("Patient", "name=a&name=b"), Filter::And(parts) if parts.len() == 2));
        assert!(matches!(filter("Patient", r"name=a\,b"), Filter::Match { .. }));
        assert!(
            matches!(filter("Patient", "gender:not=male"), Filter::Not(inner) if matches!(*inner, Filter::Match { .. }))
        );
        assert!(matches!(filter("Patient", "gender:missing=true"), Filter::Missing(_)));
        assert!(matches!(filter("Patient", "gender:missing=false"), Filter::Not(_)));
        assert!(matches!(filter("Patient", "_id=a,b"), Filter::Ids(ids) if ids == ["a", "b"]));
        assert!(
            matches!(filter("Patient", "_lastUpdated=gt2020"), Filter::LastUpdated(test) if test.comparator == Comparator::Gt)
        );
        assert!(matches!(filter("Patient", "_list=42"), Filter::InList(id) if id == "42"));
        assert!(matches!(
            filter("Observation", "code:in=http://vs"),
            Filter::Terminology { test: TerminologyTest::InValueSet(_), .. }
        ));
        assert!(
            matches!(filter("Observation", "code:not-in=http://vs"), Filter::Not(inner) if matches!(*inner, Filter::Terminology { .. }))
        );
        assert!(matches!(
            filter("Observation", "code:below=s|c"),
            Filter::Terminology { test: TerminologyTest::Below { .. }, .. }
        ));
    }

    #[test]
    fn chains_and_reverse_chains() {
        let Filter::Chain { target, filter: inner, .. } = filter("Observation", "patient.organization.name=x") else {
            panic!()
        };
        assert_eq!(r4().ty(target).name, "Patient");
        assert!(matches!(*inner, Filter::Chain { .. }));
        assert!(matches!(filter("Observation", "subject:Patient.name=x"), Filter::Chain { .. }));
        assert!(matches!(filter("Observation", "subject.name=x"), Filter::Or(parts) if parts.len() > 1));
        let Filter::Has { filter: inner, .. } =
            filter("Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent=x")
        else {
            panic!()
        };
        assert!(matches!(*inner, Filter::Has { .. }));
        assert!(matches!(filter("Encounter", "patient._has:Observation:patient:code=1"), Filter::Chain { .. }));
    }

    #[test]
    fn result_parameters() {
        let counted = query(Some("Patient"), "_count=0&_totalMethod=count", Handling::Strict).unwrap();
        assert_eq!((counted.total, counted.summary), (Total::Accurate, Summary::Count));
        let query = query(
            Some("Observation"),
            "_sort=-date,_id&_count=5&_total=none&_summary=data&_elements=status,value&_include=Observation:subject:Patient&_revinclude:iterate=Provenance:target&_format=json",
            Handling::Strict,
        )
        .unwrap();
        assert!(query.sort[0].descending && matches!(query.sort[0].by, SortBy::Param(_)));
        assert_eq!(query.sort[1].by, SortBy::Id);
        assert_eq!((query.count, query.total, query.summary), (Some(5), Total::None, Summary::Data));
        assert_eq!(query.elements, ["status", "value"]);
        assert_eq!(query.includes.len(), 2);
        assert!(query.includes[1].reverse && query.includes[1].iterate && query.includes[0].target.is_some());
        assert_eq!(query.applied.len(), 7);
    }

    #[test]
    fn refusals_teach() {
        let cases = [
            (
                "Patient",
                "birthDate=2020",
                "search parameter birthDate is not a search parameter of Patient (did you mean birthdate?)",
            ),
            (
                "Patient",
                "name:exakt=x",
                "search parameter name:exakt does not take the modifier :exakt: use :exact, :contains or :missing",
            ),
            (
                "Patient",
                "birthdate=01.02.2020",
                "search parameter birthdate is not a date: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][zone]",
            ),
            ("Patient", "gender=", "search parameter gender is empty: leave it out or give it a value"),
            ("Patient", "gender:missing=yes", "search parameter gender:missing must be true or false with :missing"),
            ("Patient", "name.given=x", "search parameter name.given cannot be chained: name is not a reference"),
            ("Patient", "_sort=nmae", "search parameter _sort cannot sort Patient by nmae (did you mean name?)"),
            (
                "Patient",
                "_include=Patient:organisation",
                "search parameter _include organisation is not a reference parameter of Patient (did you mean organization?)",
            ),
            (
                "Patient",
                "_has:Observation:code:value=x",
                "search parameter _has:Observation:code:value must be _has:[type]:[reference parameter]:[parameter]: code of Observation is not a reference",
            ),
            ("Patient", "_count=-1", "search parameter _count must be a whole number"),
            (
                "Patient",
                "_text=x",
                "search parameter _text is not supported: weir has no full-text index; search the elements you need",
            ),
            (
                "Observation",
                "code-value-quantity=1",
                "search parameter code-value-quantity must have 2 parts separated by `$`",
            ),
            ("Observation", "value-quantity=lt", "search parameter value-quantity is not a number"),
        ];
        for (ty, text, message) in cases {
            assert_eq!(error(ty, text), message, "{text}");
        }
        let lenient = query(Some("Patient"), "birthDate=2020&gender=male", Handling::Lenient).unwrap();
        assert_eq!((lenient.warnings.len(), lenient.applied.len()), (1, 1));
        let deep = format!("{}name=x", "link:Patient.".repeat(9));
        assert!(error("Patient", &deep).contains("chains more than 8 links"));
        let wide = format!("patient.link:Patient.general-practitioner.name={}", vec!["x"; 9_000].join(","));
        let issues = query(Some("Observation"), &[wide.as_str(); 12].join("&"), Handling::Strict).unwrap_err();
        assert!(issues.iter().any(|issue| issue.diagnostics.contains("too many tests")));
    }

    #[test]
    fn a_search_over_several_types() {
        let all = query(None, "_lastUpdated=gt2020", Handling::Strict).unwrap();
        assert_eq!(all.types.len(), 146);
        let two = query(None, "_type=Patient,Encounter&_tag=x", Handling::Strict).unwrap();
        assert!(matches!(two.filter, Filter::Or(parts) if parts.len() == 2));
        assert!(query(None, "_type=Patient,Encounter&name=x", Handling::Strict).is_err());
        assert!(
            query(None, "_type=Patint", Handling::Strict).unwrap_err()[0].diagnostics.contains("did you mean Patient")
        );
    }
}
