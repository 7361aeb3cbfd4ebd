//! `phi`: what identifies a person, in a few plain members, from and to a Patient resource.

use super::fields::{Fields, Problems};
use fhir::json;
use fhir::json::{Document, Limits, Node, Value};
use registry::Date;

pub(crate) const MEMBERS: [&str; 8] =
    ["given", "family", "birthDate", "sex", "phone", "email", "address", "identifiers"];
const ADDRESS: [&str; 5] = ["line", "city", "state", "postalCode", "country"];
const NAME_MAX: usize = 200;
const IDENTIFIERS_MAX: usize = 20;
/// Nobody has become older.
const YEARS_MAX: i32 = 130;

#[derive(Default)]
struct Address {
    line: Option<String>,
    city: Option<String>,
    state: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
}

/// See the module documentation. Has a name and a birth date.
pub(crate) struct Phi {
    given: Option<String>,
    family: String,
    birth: Date,
    sex: Option<&'static str>,
    phone: Option<String>,
    email: Option<String>,
    address: Address,
    /// System and value.
    identifiers: Vec<(String, String)>,
}

/// Says nothing of the person.
impl std::fmt::Debug for Phi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phi")
    }
}

impl Phi {
    /// The member `phi` of `body`; `None` when a problem was noted.
    pub(crate) fn read(body: &Fields<'_, '_>, today: Date) -> Option<Phi> {
        if !body.has("phi") {
            body.missing("phi");
        }
        let phi = body.object("phi", &MEMBERS)?;
        let (given, family, birth) =
            (phi.text("given", NAME_MAX), phi.required("family", NAME_MAX), phi.date("birthDate"));
        if !phi.has("birthDate") {
            phi.missing("birthDate");
        }
        let birth = birth.filter(|birth| {
            let possible = *birth <= today && birth.parts().0 >= today.parts().0 - YEARS_MAX;
            if !possible {
                phi.wrong("birthDate", "must not be in the future or more than 130 years ago");
            }
            possible
        });
        let address = phi.object("address", &ADDRESS);
        let address = address.map(|address| Address {
            line: address.text("line", NAME_MAX),
            city: address.text("city", NAME_MAX),
            state: address.text("state", 40),
            postal_code: address.text("postalCode", 20),
            country: address.text("country", 60),
        });
        let identifiers = phi.objects("identifiers", &["system", "value"], IDENTIFIERS_MAX).into_iter();
        let identifiers =
            identifiers.filter_map(|one| Some((one.required("system", 400)?, one.required("value", 200)?)));
        let identifiers = identifiers.collect();
        let phone = phi.text("phone", 40);
        if phone.as_ref().is_some_and(|phone| phone.bytes().filter(u8::is_ascii_digit).count() < 5) {
            phi.wrong("phone", "must have at least 5 digits");
        }
        let email = phi.text("email", NAME_MAX);
        if email.as_ref().is_some_and(|email| !is_email(email)) {
            phi.wrong("email", "must be an address such as name@example.org");
        }
        let sex = phi.code("sex", &["female", "male", "other", "unknown"]);
        Some(Phi {
            given,
            family: family?,
            birth: birth?,
            sex,
            phone,
            email,
            address: address.unwrap_or_default(),
            identifiers,
        })
    }

    /// A Patient resource.
    pub(crate) fn patient(&self) -> Value {
        let mut name = json!({ "family": self.family.clone() });
        if let Some(given) = &self.given {
            name.set("given", given.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        }
        let mut patient = json!({ "resourceType": "Patient", "name": [name], "birthDate": self.birth.to_string() });
        if let Some(sex) = self.sex {
            patient.set("gender", sex);
        }
        let telecom = [("phone", &self.phone), ("email", &self.email)];
        let telecom = telecom.into_iter().filter_map(|(system, value)| Some((system, value.clone()?)));
        let telecom: Vec<Value> = telecom.map(|(system, value)| json!({ "system": system, "value": value })).collect();
        if !telecom.is_empty() {
            patient.set("telecom", telecom);
        }
        let mut address = json!({});
        let lines = self.address.line.clone().map(|line| vec![line]);
        if let Some(lines) = lines {
            address.set("line", lines);
        }
        let Address { city, state, postal_code, country, .. } = &self.address;
        for (name, value) in [("city", city), ("state", state), ("postalCode", postal_code), ("country", country)] {
            if let Some(value) = value {
                address.set(name, value.clone());
            }
        }
        if address != json!({}) {
            patient.set("address", vec![address]);
        }
        let identifier =
            |(system, value): &(String, String)| json!({ "system": system.clone(), "value": value.clone() });
        if !self.identifiers.is_empty() {
            patient.set("identifier", self.identifiers.iter().map(identifier).collect::<Vec<_>>());
        }
        patient
    }

    /// The same for whoever may be the same, as far as spelling goes: what is written about one key is written in order.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.family.to_lowercase(), self.birth)
    }
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.contains('@') && !text.contains(char::is_whitespace)
    })
}

/// A resource as a document: what matching reads.
pub(crate) fn document(resource: &Value) -> Document {
    let text = resource.to_string();
    Document::parse(text.as_bytes(), &Limits::default()).expect("what a Value writes is JSON")
}

fn words(node: Node<'_>, member: &str) -> Option<String> {
    let items = node.get(member)?.items().filter_map(Node::as_str);
    let text = items.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn first<'a>(patient: Node<'a>, member: &str, is: impl Fn(&Node<'a>) -> bool) -> Option<Node<'a>> {
    patient.get(member)?.items().find(is)
}

/// `given` and `family` of a Patient, for a list.
pub(crate) fn names(patient: Node<'_>) -> (Option<String>, Option<String>) {
    let name = first(patient, "name", |name| name.str("use").as_deref() != Some("old"));
    (name.and_then(|name| words(name, "given")), name.and_then(|name| name.str("family").map(|text| text.into_owned())))
}

/// The `phi` of a Patient: the first of everything.
pub(crate) fn of(patient: Node<'_>) -> serde_json::Value {
    let text = |node: Node<'_>, member: &str| node.str(member).map(|text| text.into_owned());
    let telecom = |system: &str| {
        first(patient, "telecom", |one| one.str("system").as_deref() == Some(system)).and_then(|one| text(one, "value"))
    };
    let (given, family) = names(patient);
    let address = first(patient, "address", |_| true).map(|address| {
        without_nulls(serde_json::json!({
            "line": words(address, "line"), "city": text(address, "city"), "state": text(address, "state"),
            "postalCode": text(address, "postalCode"), "country": text(address, "country"),
        }))
    });
    let identifiers: Vec<serde_json::Value> = patient
        .get("identifier")
        .into_iter()
        .flat_map(Node::items)
        .map(|one| without_nulls(serde_json::json!({ "system": text(one, "system"), "value": text(one, "value") })))
        .collect();
    without_nulls(serde_json::json!({
        "given": given, "family": family, "birthDate": text(patient, "birthDate"), "sex": text(patient, "gender"),
        "phone": telecom("phone"), "email": telecom("email"), "address": address, "identifiers": identifiers,
    }))
}

pub(crate) fn without_nulls(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// A body that has only `phi`.
pub(crate) fn only(body: &Document, today: Date) -> Result<Phi, engine::Error> {
    let problems = Problems::default();
    let phi = Fields::new(body.root(), "", &["phi"], &problems).and_then(|fields| Phi::read(&fields, today));
    problems.into_result()?;
    phi.ok_or_else(|| super::fields::refused("phi", "is not complete"))
}
