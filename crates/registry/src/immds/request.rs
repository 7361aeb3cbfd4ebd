//! What the operation is asked, read strictly: all problems are collected, each with its place and a remedy.

use super::finding;
use crate::read::{CVX, born_in_us, cvx, mvx};
use fhir::json::{Node, Value};
use fhir::outcome::Issue;
use vaccines::dedupe::{Completion, Given, Source};
use vaccines::{Date, Dose, Observed, Person, Schedule, Sex};

/// The parameters and the types of their resources.
const RESOURCES: [(&str, &str); 5] = [
    ("patient", "Patient"),
    ("immunization", "Immunization"),
    ("condition", "Condition"),
    ("observation", "Observation"),
    ("allergy", "AllergyIntolerance"),
];
const DAY: &str = "write the whole day, as YYYY-MM-DD";

/// A request that makes sense.
pub(super) struct Asked {
    pub(super) assessment: Date,
    pub(super) person: Person,
    /// A Reference to the patient.
    pub(super) patient: Value,
    /// For each dose a Reference to its Immunization.
    pub(super) immunizations: Vec<Value>,
}

/// A parameter with its place.
struct Parameter<'a> {
    name: String,
    at: String,
    node: Node<'a>,
}

impl Asked {
    pub(super) fn read(schedule: &Schedule, root: Node<'_>) -> Result<Asked, Vec<Issue>> {
        let mut issues = Vec::new();
        let all = parameters(root, &mut issues);
        let named = |name: &'static str| all.iter().filter(move |parameter| parameter.name == name);
        let assessment = only(&all, "assessmentDate", &mut issues).and_then(|parameter| {
            let date = parameter.node.str("valueDate").and_then(|text| text.parse().ok());
            complain(date, &mut issues, || {
                Issue::error("value", format!("assessmentDate is no day in valueDate: {DAY}")).at(parameter.at.clone())
            })
        });
        let patient = only(&all, "patient", &mut issues);
        let born = patient.and_then(|parameter| {
            let date = parameter.node.path(&["resource", "birthDate"]).and_then(Node::as_str);
            complain(date.and_then(|text| text.parse::<Date>().ok()), &mut issues, || {
                let text = format!("without a whole birthDate nothing can be forecast: {DAY}");
                Issue::error("required", text).at(format!("{}.resource.birthDate", parameter.at))
            })
        });
        let (mut doses, mut immunizations) = (Vec::new(), Vec::new());
        for parameter in named("immunization") {
            let Some(resource) = parameter.node.get("resource") else { continue };
            match given(resource) {
                Ok(given) if given.completion == Completion::Completed => {
                    doses.push(dose(given));
                    immunizations.push(reference(resource, "Immunization", &parameter.at));
                }
                Ok(_) => {}
                Err((element, text)) => {
                    issues.push(Issue::error("value", text).at(format!("{}.resource.{element}", parameter.at)));
                }
            }
        }
        let (Some(assessment), Some(patient), Some(birth), true) = (assessment, patient, born, issues.is_empty())
        else {
            return Err(issues);
        };
        let findings = all.iter().filter_map(|parameter| parameter.node.get("resource"));
        let observations =
            findings.flat_map(|resource| finding::observed(schedule, resource, assessment)).collect::<Vec<Observed>>();
        let resource = patient.node.get("resource").unwrap_or(root);
        let person = Person { birth, sex: sex(resource), born_in_us: born_in_us(resource), doses, observations };
        Ok(Asked { assessment, person, patient: reference(resource, "Patient", &patient.at), immunizations })
    }
}

/// All parameters that the operation knows; what it does not know is a problem.
fn parameters<'a>(root: Node<'a>, issues: &mut Vec<Issue>) -> Vec<Parameter<'a>> {
    let mut known = Vec::new();
    for (position, node) in root.get("parameter").into_iter().flat_map(Node::items).enumerate() {
        let at = format!("Parameters.parameter[{position}]");
        let name = node.str("name").unwrap_or_default().into_owned();
        let expected = RESOURCES.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty);
        if expected.is_none() && name != "assessmentDate" {
            let hint = fhir::nearest::hint(&name, RESOURCES.iter().map(|(name, _)| *name).chain(["assessmentDate"]));
            let text =
                "$immds-forecast takes assessmentDate, patient, immunization, condition, observation and allergy";
            issues.push(Issue::error("not-supported", format!("unknown parameter{hint}: {text}")).at(at + ".name"));
            continue;
        }
        let is = node.path(&["resource", "resourceType"]).and_then(Node::as_str);
        if let Some(expected) = expected.filter(|expected| is.as_deref() != Some(expected)) {
            let text = format!("{name} is no {expected}: send one as `resource` of the parameter");
            issues.push(Issue::error("value", text).at(at + ".resource"));
            continue;
        }
        known.push(Parameter { name, at, node });
    }
    known
}

/// The one parameter of the name; none or several are a problem.
fn only<'p, 'a>(all: &'p [Parameter<'a>], name: &str, issues: &mut Vec<Issue>) -> Option<&'p Parameter<'a>> {
    let mut named = all.iter().filter(|parameter| parameter.name == name);
    let first = named.next();
    if let Some(second) = named.next() {
        issues.push(Issue::error("value", format!("{name} is there twice: send it once")).at(second.at.clone()));
    } else if first.is_none() && !issues.iter().any(|issue| issue.diagnostics.starts_with(&format!("{name} is no "))) {
        issues.push(Issue::error("required", format!("{name} is missing: send it once")).at("Parameters.parameter"));
    }
    first
}

fn complain<T>(found: Option<T>, issues: &mut Vec<Issue>, problem: impl FnOnce() -> Issue) -> Option<T> {
    if found.is_none() {
        issues.push(problem());
    }
    found
}

/// An Immunization as the engine wants it, or the element that is wrong and why.
pub(super) fn given(resource: Node<'_>) -> Result<Given, (&'static str, String)> {
    let completion = match resource.str("status").as_deref() {
        Some("not-done") => Completion::NotDone,
        Some("entered-in-error") => Completion::EnteredInError,
        _ => Completion::Completed,
    };
    let day = |element: &str| resource.str(element).and_then(|text| text.get(..10)?.parse::<Date>().ok());
    let mut cvx = cvx(resource);
    let mut date = day("occurrenceDateTime");
    if completion != Completion::Completed {
        // Nothing was given: what it would have been does not matter.
        cvx = cvx.or(Some(0));
        date = date.or(Date::new(1, 1, 1));
    }
    let no_type = || ("vaccineCode", format!("no vaccine type: send a coding of {} with its number", CVX[0]));
    let no_day = || ("occurrenceDateTime", format!("not the day of the dose: {DAY}, with or without a time"));
    let text = |element: &str| resource.str(element).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(Given {
        date: date.ok_or_else(no_day)?,
        cvx: cvx.ok_or_else(no_type)?,
        mvx: mvx(resource),
        lot: text("lotNumber"),
        source: match resource.get("primarySource").and_then(Node::as_bool) {
            Some(true) => Source::Administered,
            _ => Source::Historical,
        },
        completion,
        subpotent: resource.get("isSubpotent").and_then(Node::as_bool).unwrap_or(false),
        expires: day("expirationDate"),
    })
}

fn dose(given: Given) -> Dose {
    let substandard = given.is_substandard();
    Dose { date: given.date, cvx: given.cvx, mvx: given.mvx, substandard }
}

fn sex(patient: Node<'_>) -> Sex {
    match patient.str("gender").as_deref() {
        Some("female") => Sex::Female,
        Some("male") => Sex::Male,
        _ => Sex::Unknown,
    }
}

/// A Reference to what was sent; by its place if it has no id.
fn reference(resource: Node<'_>, ty: &str, at: &str) -> Value {
    match resource.str("id") {
        Some(id) => fhir::json!({ "reference": format!("{ty}/{id}") }),
        None => fhir::json!({ "type": ty, "display": format!("{at} of the request") }),
    }
}
