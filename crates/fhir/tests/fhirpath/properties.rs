//! No input makes the engine panic, hang or run out of stack.

use fhir::defs;
use fhir::fhirpath::{Environment, Error, Expression};
use fhir::json::{Document, Limits};
use proptest::prelude::*;

const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,"_active":{"id":"a"},
"contained":[{"resourceType":"Organization","id":"o","name":"Org"}],"managingOrganization":{"reference":"#o"},
"birthDate":"1974-12","_birthDate":{"extension":[{"url":"http://example.org/t","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
"name":[{"given":["Jim",null],"_given":[null,{"id":"x"}],"family":"Ito","period":{"end":"2002"}},{"given":["\u00e9\ud83d\ude00"]}],
"multipleBirthInteger":3,"extension":[{"url":"http://example.org/q","valueQuantity":{"value":1.50,"code":"mg","system":"http://unitsofmeasure.org"}}]}"##;

/// Pieces that make likely expressions when strung together.
const TOKENS: &[&str] = &[
    "name",
    "given",
    "Patient",
    "birthDate",
    "active",
    "extension",
    "value",
    "period",
    "contained",
    "id",
    "descendants()",
    "children()",
    "type()",
    "resolve()",
    "first()",
    "last()",
    "count()",
    "trace('x')",
    "not()",
    "exists()",
    "empty()",
    "where(",
    "select(",
    "all(",
    "repeat(",
    "aggregate(",
    "iif(",
    "sort(",
    "sort(-",
    "ofType(",
    "as(",
    "is(",
    "contains(",
    "substring(",
    "replace(",
    "replaceMatches(",
    "matches(",
    "split(",
    "join(",
    "encode(",
    "decode(",
    "escape('json')",
    "unescape('json')",
    "indexOf(",
    "round(",
    "power(",
    "log(",
    "sqrt()",
    "exp()",
    "lowBoundary(",
    "highBoundary(",
    "precision()",
    "toQuantity()",
    "toInteger()",
    "toDecimal()",
    "toDate()",
    "toString()",
    "combine(",
    "union(",
    "intersect(",
    "exclude(",
    "skip(",
    "take(",
    "memberOf(",
    "conformsTo(",
    "htmlChecks()",
    "now()",
    "today()",
    ")",
    "(",
    "[",
    "]",
    "{}",
    ".",
    ".",
    ".",
    ".",
    ",",
    "+",
    "-",
    "*",
    "/",
    "div",
    "mod",
    "&",
    "|",
    "=",
    "~",
    "!=",
    "!~",
    "<",
    ">=",
    "and",
    "or",
    "xor",
    "implies",
    "in",
    "contains",
    "is",
    "as",
    "$this",
    "$index",
    "$total",
    "%resource",
    "%context",
    "%`vs-x`",
    "%nothing",
    "0",
    "1",
    "7",
    "-1",
    "2147483647",
    "0.00000000000000000001",
    "79228162514264337593543950335.5",
    "'a'",
    "'[a-z]+'",
    "'('",
    "'base64'",
    "''",
    "'\\u00e9'",
    "@2012-02-29",
    "@2012",
    "@T10:30",
    "@9999-12-31T23:59:59.999Z",
    "@0001-01-01",
    "1 'mg'",
    "5 days",
    "2 years",
    "3 'kg/m2'",
    "1 'Cel'",
    "String",
    "Quantity",
    "string",
    "System.String",
    "FHIR.Patient",
    "true",
    "false",
    " ",
    "`given`",
    "// c\n",
    "/*",
    "'",
    "@",
    "%",
    "$",
    "\u{e9}",
];

fn parse_and_evaluate(source: &str) {
    let document = Document::parse(PATIENT.as_bytes(), &Limits::default()).unwrap();
    let Ok(expression) = Expression::parse(source) else {
        return;
    };
    let defs = defs::r4();
    for strict in [false, true] {
        let env = Environment { strict, steps_max: 20_000, ..Environment::new(defs, document.root(), 1 << 50) };
        let items = expression.evaluate(&env, document.root()).unwrap_or_default();
        for item in &items {
            item.to_text();
            item.type_name(defs);
        }
    }
    let patient = defs.resource_by_name("Patient").unwrap();
    drop(expression.check(defs, patient));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_soups_do_not_panic(tokens in prop::collection::vec(prop::sample::select(TOKENS), 1..14)) {
        parse_and_evaluate(&tokens.concat());
        parse_and_evaluate(&tokens.join(" "));
    }

    #[test]
    fn functions_of_everything_do_not_panic(
        head in prop::sample::select(TOKENS),
        calls in prop::collection::vec((prop::sample::select(TOKENS), prop::sample::select(TOKENS)), 1..4),
    ) {
        let mut source = head.to_owned();
        for (function, argument) in calls {
            source.push('.');
            source.push_str(function);
            if function.ends_with('(') {
                source.push_str(argument);
                source.push(')');
            }
        }
        parse_and_evaluate(&source);
    }

    #[test]
    fn arbitrary_units_do_not_panic(left in "[a-zA-Z0-9/.*()\\[\\]{}%_+-]{1,12}", right in "\\PC{1,8}", number in "-?[0-9]{1,12}(\\.[0-9]{1,18})?") {
        let right = right.replace(['\'', '\\'], "");
        for operator in ["=", "~", "<", "+", "-", "*", "/"] {
            parse_and_evaluate(&format!("({number} '{left}') {operator} 2.5 '{right}'"));
            parse_and_evaluate(&format!("({number} '{left}') {operator} 2.5 'kg.m/s2'"));
            parse_and_evaluate(&format!("@2020-01-01T10:00:00Z {operator} {number} days"));
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(source in "\\PC{0,40}") {
        parse_and_evaluate(&source);
    }
}

fn outcome(source: &str) -> Result<usize, Error> {
    let document = Document::parse(PATIENT.as_bytes(), &Limits::default()).unwrap();
    let env = Environment::new(defs::r4(), document.root(), 0);
    Expression::parse(source)?.evaluate(&env, document.root()).map(|items| items.len())
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for (open, close) in
        [("(", ")"), ("-", ""), ("iif(true, ", ")"), ("name.where(", ")"), ("1 + (", ")"), ("name[", "]")]
    {
        assert!(!matches!(outcome(&nested(open, close, 20)), Err(Error::Limit(_))), "{open}");
        assert!(matches!(outcome(&nested(open, close, 5000)), Err(Error::Limit(_))), "{open}");
        // The deepest that is accepted must be evaluated without running out of stack.
        for depth in 20..60 {
            drop(outcome(&nested(open, close, depth)));
        }
    }
}

#[test]
fn long_chains_are_no_deep_nesting() {
    assert_eq!(outcome(&format!("1{}", " + 1".repeat(5000))), Ok(1));
    assert_eq!(outcome(&format!("name{}", ".where(true)".repeat(2000))), Ok(2));
}

#[test]
fn values_without_an_order_can_be_sorted() {
    let dates: Vec<String> =
        (0..200).map(|n| ["@2020", "@2020-06", "@2020-03-01", "@2021"][n * 7 % 4].to_owned()).collect();
    let source = format!("{}.sort()", dates.iter().fold("{}".to_owned(), |all, date| format!("{all}.combine({date})")));
    assert_eq!(outcome(&source), Ok(200));
    assert!(matches!(outcome("(1 | 'a').sort()"), Err(Error::Evaluation(_))));
}

#[test]
fn growth_is_bounded() {
    let doubling = ".combine($this)".repeat(3);
    let source = format!("name{}", format!(".select($this{doubling})").repeat(12));
    assert!(matches!(outcome(&source), Err(Error::Limit(_))));
    let text = format!("'0123456789'{}", ".replace('', '0123456789')".repeat(12));
    assert!(matches!(outcome(&text), Err(Error::Limit(_))));
    let total = "(1|2|3|4|5|6|7|8|9|10).select((1|2|3|4|5|6|7|8|9|10)).aggregate($total & 'x' & $total)";
    assert!(matches!(outcome(total), Err(Error::Limit(_))));
    assert_eq!(outcome("(1|2|3|4|5|6|7|8|9|10|11|12).aggregate($total * $total, 1 'm')"), Ok(0));
    assert!(matches!(outcome("'a'.matches('(a{1000}){1000}')"), Err(Error::Evaluation(_))));
}
