//! The small objects of providers, clinics and products, from and to their resources.

use super::Tracker;
use super::fields::Fields;
use super::phi::without_nulls;
use super::resources::Kind;
use super::vaccine::{self, CVX, MVX};
use fhir::json;
use fhir::json::Value;
use serde_json::json as value;

const NPI: &str = "http://hl7.org/fhir/sid/us-npi";
const ADDRESS: [&str; 5] = ["line", "city", "state", "postalCode", "country"];

pub(super) fn members(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Provider => &["id", "kind", "given", "family", "name", "npi", "phone", "email", "active"],
        Kind::Clinic => &["id", "name", "phone", "email", "address", "active"],
        Kind::Product => &["id", "name", "cvx", "mvx", "manufacturer", "active"],
    }
}

fn unset(resource: &mut Value, name: &str) {
    if let Value::Object(members) = resource {
        members.retain(|(member, _)| member != name);
    }
}

/// Sets a member, or takes it away.
fn put(resource: &mut Value, name: &str, value: Option<Value>) {
    match value {
        Some(value) => resource.set(name, value),
        None => unset(resource, name),
    }
}

/// Replaces the item of a list by whose `system` it is known; the others stay.
fn put_item(resource: &mut Value, name: &str, system: &str, item: Option<Value>) {
    let mut items: Vec<Value> =
        resource.list(name).iter().filter(|one| one.str("system") != Some(system)).cloned().collect();
    items.extend(item);
    put(resource, name, (!items.is_empty()).then_some(Value::Array(items)));
}

fn contact(resource: &mut Value, fields: &Fields<'_, '_>) {
    for system in ["phone", "email"] {
        let item = fields.text(system, 200).map(|value| json!({ "system": system, "value": value }));
        put_item(resource, "telecom", system, item);
    }
}

/// The resource that an object makes of what was there. Problems are noted by `fields`.
pub(super) fn made(
    tracker: &Tracker,
    kind: Kind,
    fields: &Fields<'_, '_>,
    before: Option<Value>,
) -> (&'static str, Value) {
    let provider = fields.has("kind").then(|| fields.code("kind", &["practitioner", "organization"])).flatten();
    let name = match kind {
        Kind::Provider if provider == Some("organization") => "Organization",
        kind => kind.types()[0],
    };
    let mut resource = before.unwrap_or_else(|| json!({ "resourceType": name }));
    let active = fields.flag("active").unwrap_or(true);
    match name {
        "Practitioner" => practitioner(&mut resource, fields, active),
        "Organization" => organization(&mut resource, fields, active),
        "Location" => location(&mut resource, fields, active),
        _ => medication(tracker, &mut resource, fields, active),
    }
    (name, resource)
}

fn npi(resource: &mut Value, fields: &Fields<'_, '_>) {
    let npi = fields.text("npi", 10);
    if npi.as_ref().is_some_and(|npi| npi.len() != 10 || !npi.bytes().all(|byte| byte.is_ascii_digit())) {
        fields.wrong("npi", "must be 10 digits");
    }
    put_item(resource, "identifier", NPI, npi.map(|npi| json!({ "system": NPI, "value": npi })));
}

fn practitioner(resource: &mut Value, fields: &Fields<'_, '_>, active: bool) {
    if fields.has("name") {
        fields.wrong("name", "is an organization's: send given and family, or kind organization");
    }
    let (given, family) = (fields.text("given", 200), fields.required("family", 200).unwrap_or_default());
    let mut name = json!({ "family": family });
    if let Some(given) = given {
        name.set("given", given.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    }
    resource.set("active", active);
    resource.set("name", vec![name]);
    npi(resource, fields);
    contact(resource, fields);
}

fn organization(resource: &mut Value, fields: &Fields<'_, '_>, active: bool) {
    for name in ["given", "family"] {
        if fields.has(name) {
            fields.wrong(name, "is a practitioner's: send name");
        }
    }
    resource.set("active", active);
    resource.set("name", fields.required("name", 200).unwrap_or_default());
    npi(resource, fields);
    contact(resource, fields);
}

fn location(resource: &mut Value, fields: &Fields<'_, '_>, active: bool) {
    resource.set("status", if active { "active" } else { "inactive" });
    resource.set("name", fields.required("name", 200).unwrap_or_default());
    contact(resource, fields);
    let address = fields.object("address", &ADDRESS).map(|address| {
        let mut value = json!({});
        for name in ADDRESS {
            match (name, address.text(name, 200)) {
                ("line", Some(line)) => value.set("line", vec![line]),
                (name, Some(text)) => value.set(name, text),
                (_, None) => {}
            }
        }
        value
    });
    put(resource, "address", address.filter(|address| *address != json!({})));
}

fn medication(tracker: &Tracker, resource: &mut Value, fields: &Fields<'_, '_>, active: bool) {
    let cvx = fields.required("cvx", 3).unwrap_or_default();
    let found = vaccine::by_code(tracker, &cvx, "cvx");
    if found.is_err() && fields.has("cvx") {
        fields.wrong("cvx", "is no CVX code of the schedule: see https://www2.cdc.gov/vaccines/iis");
    }
    let name = fields.required("name", 200).unwrap_or_default();
    let code = found.map_or(cvx, |vaccine| format!("{:02}", vaccine.cvx));
    resource.set("status", if active { "active" } else { "inactive" });
    resource.set("code", json!({ "coding": [{ "system": CVX, "code": code }], "text": name }));
    let mvx = fields.text("mvx", 3).map(|code| code.to_uppercase());
    let manufacturer = fields.text("manufacturer", 200);
    let mut value = json!({});
    if let Some(mvx) = mvx {
        value.set("identifier", json!({ "system": MVX, "value": mvx }));
    }
    if let Some(manufacturer) = manufacturer {
        value.set("display", manufacturer);
    }
    put(resource, "manufacturer", (value != json!({})).then_some(value));
}

/// The object of a resource.
pub(super) fn shown(kind: Kind, resource: &Value) -> serde_json::Value {
    let text = |names: &[&str]| resource.path(names).and_then(Value::as_str);
    let by_system = |list: &str, system: &str| {
        let found = resource.list(list).iter().find(|one| one.str("system") == Some(system));
        found.and_then(|one| one.str("value"))
    };
    let (phone, email) = (by_system("telecom", "phone"), by_system("telecom", "email"));
    let active = match resource.get("active") {
        Some(Value::Bool(active)) => *active,
        _ => !matches!(text(&["status"]), Some("inactive" | "suspended" | "entered-in-error")),
    };
    let id = text(&["id"]);
    without_nulls(match kind {
        Kind::Provider => {
            let is_person = text(&["resourceType"]) == Some("Practitioner");
            let person = resource.list("name").first();
            let given: Vec<&str> =
                person.map_or(&[][..], |name| name.list("given")).iter().filter_map(Value::as_str).collect();
            value!({
                "id": id, "kind": if is_person { "practitioner" } else { "organization" },
                "given": (!given.is_empty()).then(|| given.join(" ")), "family": person.and_then(|name| name.str("family")),
                "name": text(&["name"]), "npi": by_system("identifier", NPI), "phone": phone, "email": email, "active": active,
            })
        }
        Kind::Clinic => value!({
            "id": id, "name": text(&["name"]), "phone": phone, "email": email, "active": active,
            "address": resource.get("address").map(address),
        }),
        Kind::Product => {
            let codings = resource.path(&["code", "coding"]).map_or(&[][..], Value::items);
            let cvx =
                codings.iter().find(|coding| coding.str("system") == Some(CVX)).and_then(|coding| coding.str("code"));
            value!({
                "id": id, "name": text(&["code", "text"]), "cvx": cvx, "mvx": text(&["manufacturer", "identifier", "value"]),
                "manufacturer": text(&["manufacturer", "display"]), "active": active,
            })
        }
    })
}

fn address(address: &Value) -> serde_json::Value {
    let line: Vec<&str> = address.list("line").iter().filter_map(Value::as_str).collect();
    without_nulls(value!({
        "line": (!line.is_empty()).then(|| line.join(" ")), "city": address.str("city"), "state": address.str("state"),
        "postalCode": address.str("postalCode"), "country": address.str("country"),
    }))
}
