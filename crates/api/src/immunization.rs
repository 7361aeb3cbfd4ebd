//! FHIR operations about persons: `Patient/$match` and `Patient/{id}/$immunization-status`.

use crate::error::Failure;
use crate::http::{Answer, Request};
use crate::tracker::Buckets;
use axum::http::StatusCode;
use engine::{Engine, Error};
use fhir::defs::r4;
use fhir::json;
use fhir::json::{Document, Limits, Node, Value};
use fhir::nearest::hint;
use fhir::outcome::{Issue, Severity};
use fhir::validate::{Level, validate};
use registry::{Match, Programme, Registry};

const GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";
const COUNT_DEFAULT: usize = 10;
const COUNT_MAX: usize = 50;

struct Asked<'a> {
    patient: Node<'a>,
    only_certain: bool,
    count: usize,
}

fn wrong(at: &str, text: impl Into<String>) -> Failure {
    Failure::issues(StatusCode::BAD_REQUEST, &[Issue::error("value", text).at(at)])
}

fn parsed(body: &[u8]) -> Result<Document, Failure> {
    let document = Document::parse(body, &Limits::default()).map_err(Error::from)?;
    if document.root().str("resourceType").as_deref() != Some("Parameters") {
        return Err(wrong("resourceType", "the body is no Parameters resource"));
    }
    let mut issues = validate(r4(), document.root(), Level::Structure);
    issues.retain(|issue| issue.severity >= Severity::Error);
    if issues.is_empty() { Ok(document) } else { Err(Failure::issues(StatusCode::BAD_REQUEST, &issues)) }
}

impl<'a> Asked<'a> {
    fn read(root: Node<'a>) -> Result<Asked<'a>, Failure> {
        const KNOWN: [&str; 3] = ["resource", "onlyCertainMatches", "count"];
        let (mut patient, mut only_certain, mut count) = (None, false, COUNT_DEFAULT);
        for (position, parameter) in root.get("parameter").into_iter().flat_map(Node::items).enumerate() {
            let (at, name) = (format!("Parameters.parameter[{position}]"), parameter.str("name").unwrap_or_default());
            match name.as_ref() {
                "resource" => patient = parameter.get("resource"),
                "onlyCertainMatches" => {
                    let flag = parameter.get("valueBoolean").and_then(Node::as_bool);
                    only_certain = flag.ok_or_else(|| wrong(&at, "onlyCertainMatches has no valueBoolean"))?;
                }
                "count" => {
                    let number = parameter.get("valueInteger").and_then(Node::as_number);
                    let number = number.and_then(|text| text.parse().ok()).filter(|n| (1..=COUNT_MAX).contains(n));
                    let text = format!("count must be a valueInteger from 1 to {COUNT_MAX}");
                    count = number.ok_or_else(|| wrong(&at, text))?;
                }
                name => {
                    let text = format!("unknown parameter{}: $match takes {}", hint(name, KNOWN), KNOWN.join(", "));
                    return Err(wrong(&at, text));
                }
            }
        }
        let is_patient = |node: &Node<'_>| node.str("resourceType").as_deref() == Some("Patient");
        let patient = patient.filter(is_patient);
        let text = "send a Patient as `resource` of the parameter named resource";
        Ok(Asked { patient: patient.ok_or_else(|| wrong("Parameters.parameter", text))?, only_certain, count })
    }
}

/// Every question is audited, also one that is refused, and nobody may ask without end.
pub(crate) async fn find(
    engine: &Engine,
    registry: &Registry,
    buckets: &Buckets,
    request: &Request,
) -> Result<Answer, Failure> {
    let session = &request.session;
    let result = find_in(engine, registry, buckets, request).await;
    let status = match &result {
        Ok(answer) => answer.status.as_u16(),
        Err(failure) => failure.status().as_u16(),
    };
    let record = engine.audit_record(session, "$match", "Patient".into(), None, status);
    engine.note_access(session, vec![record]).await?;
    result
}

async fn find_in(
    engine: &Engine,
    registry: &Registry,
    buckets: &Buckets,
    request: &Request,
) -> Result<Answer, Failure> {
    let session = &request.session;
    let key = format!("{} {}", session.tenant.0, session.who.id);
    buckets.take(&key, engine.now_us()).map_err(|seconds| {
        let text = "too many questions of who is known here: wait, or search by an identifier";
        Failure::new(StatusCode::TOO_MANY_REQUESTS, "throttled", text).retry_after(seconds)
    })?;
    let document = parsed(&request.body)?;
    let asked = Asked::read(document.root())?;
    let wanted = |one: &Match| match one.grade.code() {
        "certain" => true,
        "certainly-not" => false,
        _ => !asked.only_certain,
    };
    let patient = r4().resource_by_name("Patient").expect("R4 has Patient");
    let mut entries = Vec::new();
    for one in registry.find(session, asked.patient)?.into_iter().filter(wanted).take(asked.count) {
        let resource = match engine.read(session, patient, &one.record).await {
            Ok(resource) => resource,
            // Deleted at the same moment.
            Err(error) if matches!(error.status, 404 | 410) => continue,
            Err(error) => return Err(error.into()),
        };
        let resource = Value::from(Document::parse(&resource.json, &Limits::default()).map_err(Error::from)?.root());
        entries.push(json!({
            "fullUrl": format!("{}/Patient/{}", session.base, one.record),
            "resource": resource,
            "search": {
                "extension": [{ "url": GRADE, "valueCode": (one.grade.code()) }],
                "mode": "match", "score": (Value::Number(one.score.to_string()))
            }
        }));
    }
    let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset", "total": entries.len() });
    if !entries.is_empty() {
        bundle.set("entry", entries);
    }
    Ok(Answer::json(StatusCode::OK, bundle.to_string().into_bytes()))
}

/// `pairs`: `programme` any number of times, `asOf` once.
pub(crate) async fn status(
    engine: &Engine,
    registry: &Registry,
    request: &Request,
    id: &str,
    pairs: &[(String, String)],
) -> Result<Answer, Failure> {
    const KNOWN: [&str; 2] = ["programme", "asOf"];
    let all = registry.definitions().list();
    let (mut programmes, mut as_of) = (Vec::new(), None);
    for (name, text) in pairs {
        match name.as_str() {
            "programme" if all.iter().any(|one| one.id == *text) => programmes.push(text.as_str()),
            "programme" => {
                let hint = hint(text, all.iter().map(|one| one.id.as_str()));
                return Err(wrong("programme", format!("programme: there is none of this id{hint}")));
            }
            "asOf" => {
                let date = text.parse().map_err(|_| wrong("asOf", "asOf must be a whole day, as YYYY-MM-DD"))?;
                as_of = Some(date);
            }
            "_format" | "_pretty" => {}
            name => {
                let text = format!("unknown parameter{}: this operation takes programme and asOf", hint(name, KNOWN));
                return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", text));
            }
        }
    }
    let (whole, evaluations, recommendation) = registry.evaluated(engine, &request.session, id, as_of).await?;
    let mut parameters = vec![
        json!({ "name": "person", "valueString": (whole.id.to_string()) }),
        json!({ "name": "asOf", "valueDate": (whole.as_of.clone()) }),
    ];
    let asked = |one: &&Programme| programmes.is_empty() || programmes.contains(&one.programme.as_str());
    parameters.extend(whole.programmes.iter().filter(asked).map(part));
    parameters.extend(recommendation.map(|one| json!({ "name": "recommendation", "resource": one })));
    parameters.extend(evaluations.into_iter().map(|one| json!({ "name": "evaluation", "resource": one })));
    let answer = json!({ "resourceType": "Parameters", "parameter": parameters });
    Ok(Answer::json(StatusCode::OK, answer.to_string().into_bytes()))
}

fn part(programme: &Programme) -> Value {
    let mut parts = vec![
        json!({ "name": "id", "valueString": (programme.programme.clone()) }),
        json!({ "name": "status", "valueCode": (programme.status) }),
        json!({ "name": "validDoses", "valueInteger": (programme.valid_doses) }),
        json!({ "name": "recordedDoses", "valueInteger": (programme.recorded_doses) }),
    ];
    parts.extend(programme.marks.iter().map(|mark| json!({ "name": "mark", "valueCode": (*mark) })));
    let dates = [
        ("firstOn", &programme.first_on),
        ("fullOn", &programme.full_on),
        ("boostedOn", &programme.boosted_on),
        ("earliest", &programme.earliest),
        ("recommended", &programme.recommended),
        ("pastDue", &programme.past_due),
    ];
    let date = |(name, date): (&str, &Option<String>)| Some(json!({ "name": name, "valueDate": (date.clone()?) }));
    parts.extend(dates.into_iter().filter_map(date));
    json!({ "name": "programme", "part": parts })
}
