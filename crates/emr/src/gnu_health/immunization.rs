//! Immunization: a vaccination that nobody has signed yet. Our key is a line of its observations. GNU Health knows a vaccine as a
//! medicament whose product carries the vaccine's code, and keeps (patient, vaccine, dose) unique.

use super::answer::{Failure, created};
use super::field::{date, date_time};
use super::push::{Push, Written, clause, id_of, remote, row_id};
use delivery::Remote;
use fhir::json;
use fhir::json::Value;

const MODEL: &str = "gnuhealth.vaccination";
const GIVEN_ALREADY: &str = "This vaccine dose has been given already to the patient";
const SIGNED: &str = "health.can_not_modify_vaccination";

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    if body.str("status") != Some("completed") {
        return Err(push.refuse("GNU Health has no place for a vaccination that was not given"));
    }
    let values = columns(push, body).await?;
    if let Some(there) = &push.item.remote {
        let parameters = [Value::Array(vec![id_of(push, there)?.into()]), values];
        return match push.call("gnuhealth.vaccination.write", &parameters).await {
            Ok(_) => Ok(there.clone()),
            Err(Failure::Refused(text)) if text == SIGNED => {
                Err(push.refuse("the vaccination has been signed in GNU Health, which lets nobody change it any more"))
            }
            Err(failure) => Err(failure.of_change()),
        };
    }
    match push.call("gnuhealth.vaccination.create", &[Value::Array(vec![values])]).await {
        Ok(made) => created(&made).map(|id| remote(id, &[])),
        // By an attempt before this one, or by somebody else.
        Err(Failure::Refused(text)) if text == GIVEN_ALREADY => {
            look(push).await?.ok_or_else(|| Failure::Refused(text).of_write())
        }
        Err(failure) => Err(failure.of_write()),
    }
}

pub(super) async fn look(push: &Push<'_>) -> Written<Option<Remote>> {
    let like = clause("observations", "like", format!("%{}%", push.key()));
    let rows = push.search(MODEL, vec![like], 100, &["id", "observations"]).await?;
    let is_ours =
        |row: &&Value| row.str("observations").is_some_and(|text| text.lines().any(|line| line == push.key()));
    Ok(rows.iter().find(is_ours).and_then(row_id).map(|id| remote(id, &[])))
}

async fn columns(push: &Push<'_>, body: &Value) -> Written<Value> {
    let patient = push.patient(body.path(&["patient", "reference"]).and_then(Value::as_str))?;
    let given = body.str("occurrenceDateTime").and_then(date_time);
    let given = given.ok_or_else(|| push.refuse("occurrenceDateTime is needed, with a day"))?;
    let dose = body.list("protocolApplied").first().and_then(|protocol| protocol.get("doseNumberPositiveInt"));
    let performers = body.list("performer").iter().filter_map(|one| one.path(&["actor", "reference"])?.as_str());
    let notes = body.list("note").iter().filter_map(|note| note.str("text"));
    let observations = notes.chain([push.key()]).collect::<Vec<_>>().join("\n");
    let mut values = json!({
        "patient": patient,
        "vaccine": vaccine(push, body).await?,
        "date": given,
        // Null, too: its default is the first dose.
        "dose": dose.cloned(),
        "vaccine_lot": body.str("lotNumber"),
        "vaccine_expiration_date": body.str("expirationDate").and_then(date).map(|(day, _)| day),
        "admin_route": code(body, "route").find_map(route),
        "admin_site": code(body, "site").find_map(site),
        "amount": millilitres(body),
        "observations": observations
    });
    // Without one, the health professional of the service user has recorded it.
    if let Some(professional) = push.professional(performers) {
        values.set("healthprof", professional);
    }
    Ok(values)
}

/// The number of the vaccine whose product has one of the codes.
async fn vaccine(push: &Push<'_>, body: &Value) -> Written<i64> {
    let codes: Vec<Value> = code(body, "vaccineCode").map(Value::from).collect();
    let domain = vec![clause("is_vaccine", "=", true), clause("product.code", "in", Value::Array(codes))];
    let rows = push.search("gnuhealth.medicament", domain, 1, &["id"]).await?;
    rows.first().and_then(row_id).ok_or_else(|| {
        push.refuse("no vaccine in GNU Health has a product with a code of vaccineCode: enter it there and replay")
    })
}

/// The codes of a concept.
fn code<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    body.get(name).map_or(&[][..], |concept| concept.list("coding")).iter().filter_map(|coding| coding.str("code"))
}

/// Of HL7's RouteOfAdministration.
fn route(code: &str) -> Option<&'static str> {
    Some(match code {
        "IM" => "im",
        "SQ" => "sc",
        "IDINJ" => "id",
        "NASINHLC" => "nas",
        "PO" => "po",
        _ => return None,
    })
}

/// Of HL7's ActSite.
fn site(code: &str) -> Option<&'static str> {
    Some(match code {
        "LVL" => "lvl",
        "RVL" => "rvl",
        "LD" => "ld",
        "RD" => "rd",
        "LLFA" => "lfa",
        "RLFA" => "rfa",
        _ => return None,
    })
}

fn millilitres(body: &Value) -> Option<Value> {
    let quantity = body.get("doseQuantity")?;
    let unit = quantity.str("code").or(quantity.str("unit"))?;
    (unit == "mL").then(|| quantity.get("value").cloned())?
}
