//! The vaccine tracker's REST, on a registry that follows every commit.

mod bad_input;
mod decisions;
mod intake;
mod numbers;
mod operations;
mod persons;
mod resources;
mod vaccinations;

use crate::harness::{Reply, World};
use api::Config;

use ::fhir::json;
use ::fhir::json::Value;

/// The day of the tests' clock.
pub(crate) const TODAY: &str = "2025-10-09";
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// A world with the clinic `north` and the provider `rosa`.
pub(crate) async fn world() -> World {
    let world = World::tracking(Config::default()).await;
    furnish(&world, "").await;
    world
}

pub(crate) async fn furnish(world: &World, prefix: &str) {
    put(world, &format!("{prefix}/clinics/north"), &json!({ "name": "North Clinic" })).await.is(201);
    put(world, &format!("{prefix}/providers/rosa"), &json!({ "given": "Rosa", "family": "Finley" })).await.is(201);
}

pub(crate) async fn put(world: &World, path: &str, body: &Value) -> Reply {
    world.ask("PUT", path, &[JSON], body.to_string()).await
}

pub(crate) async fn post(world: &World, path: &str, body: &Value) -> Reply {
    world.ask("POST", path, &[JSON], body.to_string()).await
}

pub(crate) fn ada() -> Value {
    json!({ "given": "Adelaide", "family": "Lovelock", "birthDate": "1975-12-10", "sex": "female", "phone": "617-555-0143",
        "address": { "line": "12 Cedar Lane", "city": "Springfield", "state": "MA", "postalCode": "02139" } })
}

pub(crate) fn bob() -> Value {
    json!({ "given": "Robert", "family": "Quimby", "birthDate": "1990-03-04", "sex": "male", "phone": "413-555-0188",
        "address": { "line": "7 Mill Road", "city": "Amherst", "state": "MA", "postalCode": "01002" } })
}

/// A vaccination with Comirnaty.
pub(crate) fn dose(phi: Value, date: &str) -> Value {
    json!({ "vaccine": "208", "provider": "rosa", "clinic": "north", "date": date, "lot": "EK5730", "phi": phi })
}

/// The text of a member.
pub(crate) fn text(value: &Value, path: &[&str]) -> String {
    value.path(path).and_then(Value::scalar).unwrap_or_default().to_owned()
}

/// Status in the COVID-19 programme, of any answer with programmes.
pub(crate) fn covid(value: &Value) -> String {
    let of = |one: &&Value| one.str("programme") == Some("covid-19-primary");
    value.list("programmes").iter().find(of).map_or_else(String::new, |one| text(one, &["status"]))
}
