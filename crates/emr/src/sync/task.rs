//! Tasks that ask people to decide. They are stored resources and may hold the values; logs may not.

use super::merge::Conflict;
use delivery::{TASK_SYSTEM, hash_of};
use engine::{Engine, Error, Precondition, Session};
use fhir::defs::r4;
use fhir::json;
use fhir::json::Value;

/// System of the identifiers of these Tasks.
pub const SYNC_SYSTEM: &str = "urn:weir:sync";

/// Asks which value of each element is right. The same conflict asks once.
pub(super) async fn conflict(
    engine: &Engine,
    session: &Session,
    name: &str,
    key: &str,
    conflicts: &[Conflict],
) -> Result<(), Error> {
    let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "(removed)".to_owned(), Value::to_string);
    let inputs: Vec<Value> = conflicts
        .iter()
        .flat_map(|conflict| {
            let input = |side: &str, value: &Option<Value>| {
                json!({
                    "type": { "coding": [{ "system": SYNC_SYSTEM, "code": side }], "text": conflict.path.as_str() },
                    "valueString": text(value)
                })
            };
            [input("ours", &conflict.ours), input("theirs", &conflict.theirs)]
        })
        .collect();
    let inputs = Value::from(inputs);
    let value = format!("{name}-{}-{:016x}", key.replace('/', "-"), hash_of(&inputs));
    let reason = format!("changed differently here and in {name}: change either side to what is right");
    let mut task = task(&value, "sync-conflict", &reason);
    task.set("focus", json!({ "reference": key }));
    task.set("input", inputs);
    report(engine, session, &value, &task).await
}

/// Asks about a record of the EMR for which there is no resource here.
pub(super) async fn remote(
    engine: &Engine,
    session: &Session,
    code: &str,
    reason: &str,
    place: &str,
) -> Result<(), Error> {
    let value = format!("{code}-{}", place.replace('/', "-"));
    let mut task = task(&value, code, reason);
    task.set("focus", json!({ "identifier": { "system": SYNC_SYSTEM, "value": place } }));
    report(engine, session, &value, &task).await
}

/// The code's system is delivery's: its Tasks are never delivered.
fn task(identifier: &str, code: &str, reason: &str) -> Value {
    json!({
        "resourceType": "Task",
        "identifier": [{ "system": SYNC_SYSTEM, "value": identifier }],
        "status": "requested",
        "statusReason": { "text": reason },
        "intent": "order",
        "code": { "coding": [{ "system": TASK_SYSTEM, "code": code }] }
    })
}

async fn report(engine: &Engine, session: &Session, value: &str, task: &Value) -> Result<(), Error> {
    let missing = || Error { status: 500, issues: Vec::new(), version: None };
    let ty = r4().resource_by_name("Task").ok_or_else(missing)?;
    let criteria = Some(format!("identifier={SYNC_SYSTEM}|{value}"));
    let precondition = Precondition { criteria, ..Precondition::default() };
    engine.create(session, ty, task.to_string().as_bytes(), &precondition).await?;
    Ok(())
}
