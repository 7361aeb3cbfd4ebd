//! What was given: a CVX code, a product that is kept here, or a brand name.

use super::Tracker;
use super::fields::{is_id, refused};
use engine::{Error, Session};
use fhir::defs::{TypeId, r4};
use fhir::json;
use fhir::json::{Document, Limits, Node, Value};

pub(super) const CVX: &str = "http://hl7.org/fhir/sid/cvx";
pub(super) const MVX: &str = "http://hl7.org/fhir/sid/mvx";
const WAYS: &str =
    "send a CVX code such as 208, the id of a product from GET /vaccines, or a brand name such as Comirnaty";

/// A vaccine of the schedule.
pub(super) struct Vaccine {
    pub(super) cvx: u16,
    /// As it was called: a brand, or the schedule's name of the type.
    pub(super) name: String,
    /// Its manufacturer, if that is known.
    pub(super) mvx: Option<String>,
}

impl Vaccine {
    /// A CodeableConcept.
    pub(super) fn concept(&self) -> Value {
        json!({ "coding": [{ "system": CVX, "code": format!("{:02}", self.cvx) }], "text": self.name.clone() })
    }
}

/// A vaccine type of the schedule by its code.
pub(super) fn by_code(tracker: &Tracker, text: &str, at: &str) -> Result<Vaccine, Error> {
    let definitions = tracker.registry.definitions();
    let code = text.parse().ok().filter(|_| text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit()));
    let known = code.and_then(|cvx| Some((cvx, definitions.schedule().vaccine_name(cvx)?.to_owned())));
    let (cvx, name) =
        known.ok_or_else(|| refused(at, "is no CVX code of the schedule: see https://www2.cdc.gov/vaccines/iis"))?;
    Ok(Vaccine { cvx, name, mvx: None })
}

/// What the member `vaccine` means.
pub(super) async fn find(tracker: &Tracker, session: &Session, text: &str) -> Result<Vaccine, Error> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return by_code(tracker, text, "vaccine");
    }
    if let Some(brand) = by_brand(tracker, text) {
        return Ok(brand);
    }
    let id = text.strip_prefix("Medication/").unwrap_or(text);
    if is_id(id) {
        match tracker.engine.read(session, medication(), id).await {
            Ok(resource) => {
                let document = Document::parse(&resource.json, &Limits::default())?;
                return of_product(tracker, document.root());
            }
            Err(error) if matches!(error.status, 404 | 410) => {}
            Err(error) => return Err(error),
        }
    }
    let definitions = tracker.registry.definitions();
    let hint = fhir::nearest::hint(text, definitions.brands().map(|(name, ..)| name));
    Err(refused("vaccine", format!("is no vaccine that is known here{hint}: {WAYS}")))
}

pub(super) fn medication() -> TypeId {
    r4().resource_by_name("Medication").expect("R4 has Medication")
}

/// Of a brand that was given as several types the first: who knows better sends the code.
fn by_brand(tracker: &Tracker, text: &str) -> Option<Vaccine> {
    let definitions = tracker.registry.definitions();
    let (name, types, mvx) = definitions.brands().find(|(name, ..)| name.eq_ignore_ascii_case(text))?;
    Some(Vaccine { cvx: *types.first()?, name: name.to_owned(), mvx: mvx.map(str::to_owned) })
}

fn of_product(tracker: &Tracker, medication: Node<'_>) -> Result<Vaccine, Error> {
    let codings = medication.path(&["code", "coding"]).into_iter().flat_map(Node::items);
    let mut codes = codings.filter(|coding| coding.str("system").as_deref() == Some(CVX));
    let code = codes.find_map(|coding| coding.str("code"));
    let code =
        code.ok_or_else(|| refused("vaccine", "this product has no CVX code: PUT /vaccines/{id} with its cvx"))?;
    let vaccine = by_code(tracker, &code, "vaccine")?;
    let identifier = medication.path(&["manufacturer", "identifier"]);
    let mvx = identifier.filter(|identifier| identifier.str("system").as_deref() == Some(MVX));
    let mvx = mvx.and_then(|identifier| identifier.str("value")).map(|value| value.into_owned());
    let name = medication.path(&["code", "text"]).and_then(Node::as_str);
    Ok(Vaccine { name: name.map_or(vaccine.name, |name| name.into_owned()), mvx, ..vaccine })
}
