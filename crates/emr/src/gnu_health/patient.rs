//! Patient: a party that is a person, and its patient record. Our key is the PUID, which the database keeps unique.

use super::answer::{Failure, created, number};
use super::field::{added, date};
use super::push::{Push, Written, clause, id_of, remote, row_id};
use delivery::{Outcome, Problem, Remote};
use fhir::json;
use fhir::json::Value;

/// The member of [`Remote::more`] that holds the number of the party.
const PARTY: &str = "party";
const TAKEN: &str = "The PUID must be unique";
const READ: [&str; 7] = [
    "active",
    "contact_mechanisms.type",
    "contact_mechanisms.value",
    "addresses.street",
    "addresses.postal_code",
    "addresses.city",
    "alternative_ids.code",
];

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let values = columns(push, body)?;
    if let Some(there) = &push.item.remote {
        return change(push, body, values, there).await;
    }
    match create(push, body, &values).await {
        Ok(_) => look(push).await.map_err(unknown)?.ok_or_else(|| push.refuse("the person was made, but no patient")),
        // By an attempt before this one, whose answer was lost, or it was deactivated: it becomes what is sent now.
        Err(Failure::Refused(text)) if text == TAKEN => {
            let there = look(push).await?;
            let there = there.ok_or_else(|| push.refuse("a person who is no patient has its PUID"))?;
            change(push, body, values, &there).await
        }
        Err(failure) => Err(failure.of_write()),
    }
}

/// One call: Tryton makes the patient of a party in the same transaction.
async fn create(push: &Push<'_>, body: &Value, values: &Value) -> Result<i64, Failure> {
    let mut values = values.clone();
    for (name, value) in [("is_person", true), ("is_patient", true), ("create_target", true)] {
        values.set(name, value);
    }
    values.set("ref", push.key());
    values.set("fed_country", push.emr.country.as_str());
    add_lists(&mut values, body, &Value::Null);
    let made = push.call("party.party.create", &[Value::Array(vec![values])]).await?;
    created(&made).map_err(Failure::Other)
}

async fn change(push: &Push<'_>, body: &Value, mut values: Value, there: &Remote) -> Written<Remote> {
    let (patient, party) = (id_of(push, there)?, party_of(push, there)?);
    let fields = Value::Array(READ.iter().map(|field| (*field).into()).collect());
    let parameters = [Value::Array(vec![party.into()]), fields];
    let read = push.call("party.party.read", &parameters).await.map_err(|failure| match failure.is_gone() {
        true => failure.of_change(),
        false => failure.of_read(),
    })?;
    let shown = read.items().first().cloned().unwrap_or_default();
    let active = body.get("active") != Some(&Value::Bool(false));
    if shown.get("active") != Some(&Value::Bool(active)) {
        push.change("gnuhealth.patient", patient, json!({ "active": active })).await?;
        values.set("active", active);
    }
    add_lists(&mut values, body, &shown);
    push.change("party.party", party, values).await?;
    Ok(there.clone())
}

/// Deleting is not for people who have records: it becomes inactive.
pub(super) async fn deactivate(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    let (patient, party) = (id_of(push, there)?, party_of(push, there)?);
    for (model, id) in [("gnuhealth.patient", patient), ("party.party", party)] {
        match push.change(model, id, json!({ "active": false })).await {
            Ok(()) | Err(Outcome::Gone(_)) => {}
            Err(outcome) => return Err(outcome),
        }
    }
    Ok(there.clone())
}

/// The patient with our key, whether it is active or not.
pub(super) async fn look(push: &Push<'_>) -> Written<Option<Remote>> {
    let any = Value::Array(vec![true.into(), false.into()]);
    let domain = vec![clause("puid", "=", push.key()), clause("active", "in", any)];
    let rows = push.search("gnuhealth.patient", domain, 1, &["id", "party"]).await?;
    let of_row = |row: &Value| Some(remote(row_id(row)?, &[(PARTY, row.get("party").and_then(number)?)]));
    Ok(rows.first().and_then(of_row))
}

/// It is written: what becomes of the look for its number leaves that as it is.
fn unknown(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Retry { problem, .. } | Outcome::Refused(problem) => Outcome::Unknown(problem),
        other => other,
    }
}

fn party_of(push: &Push<'_>, there: &Remote) -> Written<i64> {
    let party = there.more.iter().find(|(name, _)| name == PARTY).and_then(|(_, id)| id.parse().ok());
    party.ok_or_else(|| push.refuse("what is known of its patient record does not name the party"))
}

/// The columns of the party.
fn columns(push: &Push<'_>, body: &Value) -> Written<Value> {
    let name = official(body.list("name")).ok_or_else(|| push.refuse("a Patient needs a name"))?;
    let given = name.list("given").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let family = name.str("family").filter(|family| !family.is_empty());
    let (given, family) = match (given.is_empty(), name.str("text"), family) {
        (false, _, family) => (given, family),
        (true, Some(text), _) => (text.to_owned(), None),
        // Tryton insists on the first of the two.
        (true, None, Some(family)) => (family.to_owned(), None),
        (true, None, None) => return Err(push.refuse("name.given, name.family or name.text is needed")),
    };
    let gender = match body.str("gender") {
        Some("male") => "m",
        Some("female") => "f",
        Some("other") => "other",
        _ => "u",
    };
    let born = body
        .str("birthDate")
        .map(|text| date(text).ok_or_else(|| Outcome::Refused(Problem::new(0, "birthDate is no date"))));
    let (born, estimated) = born.transpose()?.unwrap_or_default();
    Ok(json!({
        "name": given,
        "lastname": family,
        "gender": gender,
        "dob": born,
        "est_dob": estimated,
        "marital_status": marital_status(body)
    }))
}

/// The official name, or the first that is in use.
fn official(names: &[Value]) -> Option<&Value> {
    let used = |name: &&Value| !matches!(name.str("use"), Some("old" | "maiden"));
    names.iter().find(|name| name.str("use") == Some("official")).or_else(|| names.iter().find(used))
}

fn marital_status(body: &Value) -> Option<&'static str> {
    let codes = body.get("maritalStatus")?.list("coding").iter().filter_map(|coding| coding.str("code"));
    codes.into_iter().find_map(|code| {
        Some(match code {
            "S" => "s",
            "M" => "m",
            "W" => "w",
            "D" => "d",
            "L" => "x",
            "C" => "c",
            _ => return None,
        })
    })
}

/// Adds telecoms, addresses and identifiers that `shown` does not have. Those of GNU Health stay: they are unions.
fn add_lists(values: &mut Value, body: &Value, shown: &Value) {
    let has = |list: &str, row: &Value, fields: &[&str]| {
        shown.list(list).iter().any(|other| fields.iter().all(|field| other.str(field) == row.str(field)))
    };
    let mut add = |name: &str, rows: Vec<Value>, fields: &[&str]| {
        let shown = format!("{name}.");
        let rows: Vec<Value> = rows.into_iter().filter(|row| !has(&shown, row, fields)).collect();
        if !rows.is_empty() {
            values.set(name, added(rows));
        }
    };
    let telecoms = body.list("telecom").iter().filter(|telecom| telecom.str("use") != Some("old"));
    add("contact_mechanisms", telecoms.filter_map(contact).collect(), &["type", "value"]);
    let addresses = body.list("address").iter().filter(|address| address.str("use") != Some("old"));
    add("addresses", addresses.map(address).collect(), &["street", "postal_code", "city"]);
    let others: Vec<Value> = body.list("identifier").iter().filter_map(alternative_id).collect();
    if !others.is_empty() {
        add("alternative_ids", others, &["code"]);
        values.set("alternative_identification", true);
    }
}

fn contact(telecom: &Value) -> Option<Value> {
    let kind = match (telecom.str("system")?, telecom.str("use")) {
        ("phone", Some("mobile")) | ("sms", _) => "mobile",
        ("phone", _) => "phone",
        ("fax", _) => "fax",
        ("email", _) => "email",
        ("url", _) => "website",
        _ => "other",
    };
    Some(json!({ "type": kind, "value": telecom.str("value")? }))
}

fn address(address: &Value) -> Value {
    let lines: Vec<&str> = address.list("line").iter().filter_map(Value::as_str).collect();
    let street = if lines.is_empty() { address.str("text").map(str::to_owned) } else { Some(lines.join("\n")) };
    json!({
        "street": street,
        "postal_code": address.str("postalCode"),
        "city": address.str("city")
    })
}

/// An identifier of somebody else. Its system goes to the comments.
fn alternative_id(identifier: &Value) -> Option<Value> {
    let value = identifier.str("value")?;
    let codes = identifier.get("type").map_or(&[][..], |kind| kind.list("coding")).iter();
    let kind = codes.filter_map(|coding| coding.str("code")).find_map(|code| match code {
        "PPN" => Some("passport"),
        "MR" => Some("medical_record"),
        _ => None,
    });
    Some(json!({
        "code": value,
        "alternative_id_type": kind.unwrap_or("other"),
        "comments": identifier.str("system")
    }))
}
