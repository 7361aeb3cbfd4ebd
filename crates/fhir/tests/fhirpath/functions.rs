//! What the official suite leaves open: functions of FHIR, partial dates, units, errors.

use fhir::defs;
use fhir::fhirpath::{Environment, Error, Expression, Item, Resolver};
use fhir::json::{Document, Limits, Node};

const BUNDLE: &str = r##"{"resourceType":"Bundle","entry":[
{"fullUrl":"http://example.org/fhir/Patient/p","resource":{"resourceType":"Patient","id":"p","gender":"male",
 "contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"},
 "generalPractitioner":[{"reference":"Practitioner/x"},{"reference":"Practitioner/y/_history/2"},{"reference":"Organization/z"}],
 "maritalStatus":{"coding":[{"system":"http://example.org","code":"other"}]},
 "modifierExtension":[{"url":"http://example.org/m","valueCode":"a"}],
 "birthDate":"1974-12","deceasedBoolean":false,
 "extension":[{"url":"http://example.org/weight","valueQuantity":{"value":1.50,"unit":"g","system":"http://unitsofmeasure.org","code":"g"}},
  {"url":"http://example.org/below","valueQuantity":{"value":2,"comparator":"<","unit":"g"}}]}},
{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Observation","id":"1","status":"final","subject":{"reference":"Patient/p"}}},
{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Observation","id":"2","subject":{"reference":"Patient/outside"},
 "derivedFrom":[{"reference":"urn:uuid:1"}]}}]}"##;

struct Outside(Document);

impl<'a> Resolver<'a> for &'a Outside {
    fn resolve(&self, reference: &str) -> Option<Node<'a>> {
        (reference == "Patient/outside").then(|| self.0.root())
    }

    fn member_of(&self, value_set: &str, _system: Option<&str>, code: &str) -> Option<bool> {
        (value_set == "http://example.org/vs").then_some(code == "other")
    }
}

fn evaluate(source: &str, strict: bool) -> Result<Vec<String>, Error> {
    let document = Document::parse(BUNDLE.as_bytes(), &Limits::default()).unwrap();
    let outside = br#"{"resourceType":"Patient","id":"outside"}"#;
    let outside = Outside(Document::parse(outside, &Limits::default()).unwrap());
    let resolver = &outside;
    // 2024-06-01T12:34:56.789Z
    let base = Environment::new(defs::r4(), document.root(), 1_717_245_296_789_000);
    let env = Environment {
        strict,
        resolver: Some(&resolver),
        variables: vec![("limit".to_owned(), vec![Item::Integer(5)])],
        ..base
    };
    let items = Expression::parse(source)?.evaluate(&env, document.root())?;
    Ok(items.iter().map(|item| item.to_text().map_or_else(|| "{}".to_owned(), |text| text.into_owned())).collect())
}

#[track_caller]
fn gives(source: &str, expected: &[&str]) {
    assert_eq!(
        evaluate(source, false).as_deref().map_err(Clone::clone),
        Ok(expected.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().as_slice()),
        "{source}"
    );
}

#[track_caller]
fn fails(source: &str) {
    assert!(evaluate(source, false).is_err(), "{source}");
}

#[test]
fn references_are_resolved_inside_and_outside() {
    gives("entry.resource.ofType(Observation).subject.resolve().id", &["p", "outside"]);
    gives("entry.resource.derivedFrom.resolve().status", &["final"]);
    gives("entry[0].resource.generalPractitioner.resolve()", &[]);
    gives("entry[0].resource.generalPractitioner.getReferenceKey()", &["x", "y", "z"]);
    gives("entry[0].resource.generalPractitioner.getReferenceKey(Practitioner)", &["x", "y"]);
    gives("entry.resource.getResourceKey()", &["p", "1", "2"]);
}

#[test]
fn contained_resources_are_found_from_their_container() {
    let document = Document::parse(BUNDLE.as_bytes(), &Limits::default()).unwrap();
    let patient = document.root().get("entry").unwrap().items().next().unwrap().get("resource").unwrap();
    let env = Environment::new(defs::r4(), patient, 0);
    let expression = Expression::parse("managingOrganization.resolve() is Organization").unwrap();
    let context = Item::Element(fhir::fhirpath::Element::resource(defs::r4(), patient));
    assert_eq!(expression.evaluate_bool(&env, context), Ok(Some(true)));
}

#[test]
fn codes_are_looked_up_in_value_sets() {
    gives("entry[0].resource.gender.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", &["true"]);
    gives("'x'.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1')", &["false"]);
    gives("entry[0].resource.maritalStatus.memberOf('http://example.org/vs')", &["true"]);
    gives("entry[0].resource.maritalStatus.memberOf('http://example.org/unknown')", &[]);
}

#[test]
fn fhir_types_shape_paths() {
    gives("entry[0].resource.deceased", &["false"]);
    gives("entry[0].resource.deceased.type().name", &["boolean"]);
    gives("entry[0].resource.deceasedBoolean", &[]);
    assert!(matches!(evaluate("entry[0].resource.deceasedBoolean", true), Err(Error::Semantic(_))));
    gives("entry.resource.id.type().name", &["id", "id", "id"]);
    gives("entry[0].resource.extension('http://example.org/weight').value > 1400 'mg'", &["true"]);
    gives("entry[0].resource.extension('http://example.org/weight').value + 500 'mg'", &["2.00 'g'"]);
    gives("entry[0].resource.extension('http://example.org/below').value > 1 'g'", &[]);
    gives("entry[0].resource.checkModifiers('http://example.org/m')", &["true"]);
    gives("entry[0].resource.checkModifiers()", &["false"]);
    gives("entry[0].resource.birthDate.hasValue()", &["true"]);
    gives("entry[0].resource.birthDate.getValue() is System.Date", &["true"]);
    gives("%limit + 1", &["6"]);
    fails("%nothing");
    fails("nonsense()");
    fails("name.exists(1, 2)");
}

#[test]
fn partial_dates_add_and_compare() {
    gives("@2014 + 24 months", &["2016"]);
    gives("@2014 + 23 months", &["2015"]);
    gives("@2016-02 + 29 days", &["2016-02"]);
    gives("@2016-01-31 + 1 month", &["2016-02-29"]);
    gives("@2016-02-29 - 1 year", &["2015-02-28"]);
    gives("@2016-02-28 + 25 hours", &["2016-02-29"]);
    gives("@T23:30 + 45 minutes", &["00:15"]);
    gives("@2020-01-01T00:00:00.000Z + 0.5 seconds", &["2020-01-01T00:00:00.500Z"]);
    gives("@9999-12-31 + 1 day", &[]);
    gives("@0001-01-01 - 1 day", &[]);
    fails("@T10:00 + 1 day");
    fails("@2020-01-01 + 1 'mo'");
    gives("@2020-01-01T00:00:00Z < @2020-01-05T00:00:00", &["true"]);
    gives("@2020-01-01T00:00:00Z < @2020-01-01T05:00:00", &[]);
    gives("@2020 < @2021-05", &["true"]);
    gives("entry[0].resource.birthDate < @1974-12-25", &[]);
    gives("now()", &["2024-06-01T12:34:56.789Z"]);
    gives("today()", &["2024-06-01"]);
    gives("timeOfDay()", &["12:34:56.789"]);
    gives("@2014.highBoundary()", &["2014-12-31"]);
    gives("@2016-02T.highBoundary()", &["2016-02-29T23:59:59.999-12:00"]);
    gives("@T10.lowBoundary()", &["10:00:00.000"]);
    gives("@T10:30:15.5.highBoundary()", &["10:30:15.599"]);
}

#[test]
fn numbers_stay_in_their_bounds() {
    gives("2147483647 + 1", &[]);
    fails("2147483648");
    gives("79228162514264337593543950335.0 * 10", &[]);
    gives("2.power(-1)", &["0.5"]);
    gives("2.power(40)", &[]);
    gives("(1 | 2 | 3).sum()", &["6"]);
    gives("(1 'g').combine(500 'mg').sum()", &["1.5 'g'"]);
    gives("(1 | 2 | 4).avg()", &["2.3333333333333333333333333333"]);
    gives("('b' | 'a' | 'c').max()", &["c"]);
    gives("5 'mg' * 2", &["10 'mg'"]);
    gives("1 year ~ 1 'a'", &["true"]);
    gives("37 'Cel' = 310.15 'K'", &["true"]);
}

#[test]
fn texts_count_characters() {
    gives("'é😀x'.substring(1, 1)", &["😀"]);
    gives("'é😀x'.indexOf('x')", &["2"]);
    gives("'\\ud83d\\ude00'.length()", &["1"]);
    gives("'a&lt;&amp;lt;'.unescape('html')", &["a<&lt;"]);
    gives("'é'.encode('base64').decode('base64')", &["é"]);
    fails("'!'.decode('base64')");
    gives("'x'.replaceMatches('(?<l>x)', '[${l}]')", &["[x]"]);
}
