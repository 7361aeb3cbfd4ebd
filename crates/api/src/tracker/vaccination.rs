//! `POST /vaccines`: somebody was vaccinated. Finds the person or makes one, and records the dose, in one commit.

use super::fields::{Fields, Problems, is_id, refused};
use super::params::Params;
use super::phi::{Phi, document, without_nulls};
use super::vaccine::{self, MVX, Vaccine};
use super::{Tracker, body, json};
use crate::error::Failure;
use crate::http::{Answer, Request};
use axum::http::{HeaderName, StatusCode, header};
use engine::{Error, Search, Session};
use fhir::defs::r4;
use fhir::json;
use fhir::json::{Document, Limits, Node, Value};
use registry::{Date, Link};

const MEMBERS: [&str; 11] = [
    "vaccine",
    "provider",
    "clinic",
    "phi",
    "date",
    "lot",
    "expiry",
    "manufacturer",
    "notes",
    "historical",
    "idempotency_key",
];
const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Identifiers of an Immunization by which a repeated request is known: what the key hashes to, and what the request does.
const KEY_SYSTEM: &str = "https://weir.dev/fhir/idempotency-key";
const REQUEST_SYSTEM: &str = "https://weir.dev/fhir/idempotent-request";

/// A vaccination as it was sent.
#[derive(Debug)]
pub(super) struct Vaccination {
    vaccine: String,
    provider: Option<String>,
    clinic: Option<String>,
    pub(super) phi: Phi,
    date: Date,
    lot: Option<String>,
    expiry: Option<Date>,
    manufacturer: Option<String>,
    notes: Option<String>,
    /// Somebody else gave it, and it is told here.
    historical: bool,
    pub(super) key: Option<String>,
    /// Of all that was sent.
    fingerprint: String,
}

impl Vaccination {
    pub(super) fn read(node: Node<'_>, today: Date) -> Result<Vaccination, Error> {
        let problems = Problems::default();
        let read = Fields::new(node, "", &MEMBERS, &problems).and_then(|fields| Vaccination::of(&fields, node, today));
        problems.into_result()?;
        read.ok_or_else(|| refused("body", "is not complete"))
    }

    fn of(fields: &Fields<'_, '_>, node: Node<'_>, today: Date) -> Option<Vaccination> {
        let historical = fields.flag("historical").unwrap_or(false);
        for name in ["provider", "clinic"] {
            if !historical && !fields.has(name) {
                fields.missing(name);
            }
        }
        let vaccine = fields.required("vaccine", 100);
        let phi = Phi::read(fields, today);
        let date = fields.date("date").unwrap_or(today);
        if date > today {
            fields.wrong("date", "must not be in the future: a dose is recorded when it was given");
        }
        let manufacturer = fields.text("manufacturer", 3).map(|code| code.to_uppercase());
        if manufacturer
            .as_ref()
            .is_some_and(|code| !(2..=3).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            fields.wrong("manufacturer", "must be an MVX code such as PFR");
        }
        let key = fields.text("idempotency_key", 200);
        Some(Vaccination {
            provider: fields.text("provider", 100),
            clinic: fields.text("clinic", 100),
            lot: fields.text("lot", 20),
            expiry: fields.date("expiry"),
            notes: fields.text("notes", 1_000),
            vaccine: vaccine?,
            phi: phi?,
            date,
            manufacturer,
            historical,
            key,
            fingerprint: seal::fingerprint(node.raw().as_bytes()),
        })
    }
}

/// What became of it.
pub(super) struct Recorded {
    pub(super) answer: serde_json::Value,
    /// The same was recorded before under this key.
    pub(super) replayed: bool,
}

pub(super) async fn post(tracker: &Tracker, request: &Request, prefix: &str) -> Result<Answer, Failure> {
    Params::new(&request.pairs, &[])?;
    let mut asked = Vaccination::read(body(request)?.root(), tracker.registry.today())?;
    if let Some(key) = request.headers.get(KEY_HEADER) {
        let key = key.to_str().ok().filter(|key| (1..=200).contains(&key.len()));
        let wrong = || refused("Idempotency-Key", "must be 1 to 200 visible ASCII characters");
        asked.key = Some(key.ok_or_else(wrong)?.to_owned());
    }
    let recorded = record(tracker, &request.session, &asked).await?;
    let status = if recorded.replayed { StatusCode::OK } else { StatusCode::CREATED };
    let answer = json(status, &recorded.answer);
    let answer = if recorded.replayed { answer.with(REPLAYED, "true") } else { answer };
    let person = recorded.answer["person"].as_str().unwrap_or_default();
    Ok(answer.with(header::LOCATION, &format!("{prefix}/patients/{person}")))
}

/// Records a vaccination, once for each key.
pub(super) async fn record(tracker: &Tracker, session: &Session, asked: &Vaccination) -> Result<Recorded, Error> {
    let vaccine = vaccine::find(tracker, session, &asked.vaccine).await?;
    let provider =
        reference(tracker, session, asked.provider.as_deref(), "provider", &["Practitioner", "Organization"]).await?;
    let clinic = reference(tracker, session, asked.clinic.as_deref(), "clinic", &["Location"]).await?;
    let key = asked.key.as_ref().map(|key| seal::fingerprint(key.as_bytes()));
    let person_key = asked.phi.key();
    // Whoever comes at the same time with the same person or the same key waits, and then finds what was made.
    let keys: Vec<&str> = key.as_deref().into_iter().chain([person_key.as_str()]).collect();
    let _held = tracker.lock(session, &keys).await;
    if let Some(key) = &key
        && let Some(immunization) = recorded_under(tracker, session, key).await?
    {
        return replay(tracker, session, asked, &vaccine, &immunization).await;
    }
    let patient = asked.phi.patient();
    let known = tracker.registry.sure(session, document(&patient).root())?;
    let subject = known.as_ref().map_or_else(|| NEW.to_owned(), |(record, _)| format!("Patient/{record}"));
    let immunization = immunization(asked, &vaccine, &subject, provider, clinic, key.as_deref());
    let ids = commit(tracker, session, known.is_none().then_some(patient), immunization).await?;
    let was_known = known.is_some();
    let record = known.map_or_else(|| ids.first().cloned().unwrap_or_default(), |(record, _)| record);
    let id = ids.last().cloned().unwrap_or_default();
    let answer = answer(tracker, session, &id, &record, &vaccine, was_known).await?;
    Ok(Recorded { answer, replayed: false })
}

/// Names the new Patient within its transaction.
const NEW: &str = "urn:uuid:00000000-0000-4000-8000-000000000001";

/// A reference to a resource that is there, from an id or a reference.
async fn reference(
    tracker: &Tracker,
    session: &Session,
    text: Option<&str>,
    at: &str,
    types: &[&str],
) -> Result<Option<String>, Error> {
    let Some(text) = text else { return Ok(None) };
    let (named, id) = text.split_once('/').map_or((None, text), |(ty, id)| (Some(ty), id));
    for name in types.iter().filter(|name| named.is_none_or(|named| named == **name) && is_id(id)) {
        let ty = r4().resource_by_name(name).expect("a type of R4");
        match tracker.engine.read(session, ty, id).await {
            Ok(_) => return Ok(Some(format!("{name}/{id}"))),
            Err(error) if matches!(error.status, 404 | 410) => {}
            Err(error) => return Err(error),
        }
    }
    Err(refused(
        at,
        format!("there is no {} of this id: GET /{at}s lists them, POST /{at}s makes one", types.join(" or ")),
    ))
}

fn immunization(
    asked: &Vaccination,
    vaccine: &Vaccine,
    patient: &str,
    provider: Option<String>,
    clinic: Option<String>,
    key: Option<&str>,
) -> Value {
    let mut resource = json!({
        "resourceType": "Immunization", "status": "completed", "vaccineCode": vaccine.concept(),
        "patient": { "reference": patient }, "occurrenceDateTime": asked.date.to_string(),
        "primarySource": !asked.historical
    });
    if let Some(key) = key {
        let request = asked.fingerprint.clone();
        resource.set(
            "identifier",
            json!([{ "system": KEY_SYSTEM, "value": key }, { "system": REQUEST_SYSTEM, "value": request }]),
        );
    }
    if let Some(clinic) = clinic {
        resource.set("location", json!({ "reference": clinic }));
    }
    if let Some(provider) = provider {
        resource.set("performer", json!([{ "actor": { "reference": provider } }]));
    }
    if let Some(lot) = &asked.lot {
        resource.set("lotNumber", lot.clone());
    }
    if let Some(expiry) = asked.expiry {
        resource.set("expirationDate", expiry.to_string());
    }
    if let Some(mvx) = asked.manufacturer.as_ref().or(vaccine.mvx.as_ref()) {
        resource.set("manufacturer", json!({ "identifier": { "system": MVX, "value": mvx.clone() } }));
    }
    if let Some(notes) = &asked.notes {
        resource.set("note", json!([{ "text": notes.clone() }]));
    }
    resource
}

/// Writes the Patient, if it is new, and the Immunization; answers their ids.
async fn commit(
    tracker: &Tracker,
    session: &Session,
    patient: Option<Value>,
    dose: Value,
) -> Result<Vec<String>, Error> {
    let mut entries = Vec::new();
    if let Some(patient) = patient {
        entries.push(json!({ "fullUrl": NEW, "resource": patient, "request": { "method": "POST", "url": "Patient" } }));
    }
    entries.push(json!({ "resource": dose, "request": { "method": "POST", "url": "Immunization" } }));
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string();
    let response = tracker.engine.bundle(session, bundle.as_bytes()).await?;
    let response = Document::parse(&response.json, &Limits::default())?;
    let entries = response.root().get("entry").into_iter().flat_map(Node::items);
    let id = |location: &str| location.split('/').nth(1).map(str::to_owned);
    let location = entries.filter_map(|entry| entry.path(&["response", "location"]).and_then(Node::as_str));
    Ok(location.filter_map(|location| id(&location)).collect())
}

/// The Immunization that was made under a key.
async fn recorded_under(tracker: &Tracker, session: &Session, key: &str) -> Result<Option<Document>, Error> {
    let ty = r4().resource_by_name("Immunization").expect("R4 has Immunization");
    let pairs = [("identifier".to_owned(), format!("{KEY_SYSTEM}|{key}"))];
    let search = Search { ty: Some(ty), compartment: None, pairs: &pairs, lenient: false, cursor: None };
    let page = tracker.engine.search(session, &search).await?;
    let found = page.matches.into_iter().next();
    found.map(|resource| Document::parse(&resource.json, &Limits::default()).map_err(Error::from)).transpose()
}

async fn replay(
    tracker: &Tracker,
    session: &Session,
    asked: &Vaccination,
    vaccine: &Vaccine,
    immunization: &Document,
) -> Result<Recorded, Error> {
    let root = immunization.root();
    let mut identifiers = root.get("identifier").into_iter().flat_map(Node::items);
    let same = identifiers.any(|identifier| identifier.str("value").as_deref() == Some(asked.fingerprint.as_str()));
    if !same {
        return Err(refused("Idempotency-Key", "was used for another vaccination: a new one needs a new key"));
    }
    let (id, record) =
        (root.str("id").unwrap_or_default(), root.path(&["patient", "reference"]).and_then(Node::as_str));
    let record = record.as_deref().and_then(|text| text.strip_prefix("Patient/")).unwrap_or_default();
    Ok(Recorded { answer: answer(tracker, session, &id, record, vaccine, true).await?, replayed: true })
}

/// The vaccination with what it has made of the person.
async fn answer(
    tracker: &Tracker,
    session: &Session,
    id: &str,
    record: &str,
    vaccine: &Vaccine,
    was_known: bool,
) -> Result<serde_json::Value, Error> {
    let whole = tracker.registry.whole(&tracker.engine, session, record, None).await?;
    let definitions = tracker.registry.definitions();
    let dose = whole.doses.iter().find(|dose| dose.id == id);
    let programmes: Vec<_> =
        whole.programmes.iter().filter(|one| definitions.belongs(&one.programme, vaccine.cvx)).collect();
    let recognised = was_known || whole.records.iter().any(|one| one.id == record && one.link != Link::Own);
    Ok(without_nulls(serde_json::json!({
        "id": id, "person": whole.id, "patient": record, "recognised": recognised,
        "vaccine": { "cvx": format!("{:02}", vaccine.cvx), "name": vaccine.name },
        "date": dose.and_then(|dose| dose.date.as_deref()), "lot": dose.and_then(|dose| dose.lot.as_deref()),
        "clinic": dose.and_then(|dose| dose.clinic.as_deref()), "provider": dose.and_then(|dose| dose.provider.as_deref()),
        "standing": dose.map(|dose| dose.standing), "evaluations": dose.map(|dose| &dose.evaluations),
        "programmes": programmes,
    })))
}
