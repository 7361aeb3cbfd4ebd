//! What the simulated EMR holds: one table per type, with the indexes that its searches need.

use crate::random::Random;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// One record of the EMR.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The EMR's FHIR id.
    pub id: String,
    /// The EMR's own number within the type: pid, eid, mid.
    pub number: u64,
    /// Order of creation over all types.
    pub seq: u64,
    /// Business key: the first identifier's value, `pc_website`, `external_id`, a file name.
    pub key: Option<String>,
    /// The EMR's id of the patient it belongs to.
    pub patient: Option<String>,
    /// Wall clock of the creation, microseconds since 1970.
    pub created_us: i64,
    /// What the EMR believes to be the last change; an edit does not move it for every type.
    pub updated_us: i64,
    /// Versions so far.
    pub version: u64,
    /// The resource without `id` and `meta`.
    pub body: Value,
    /// Columns of the EMR's own REST API, `Null` for types without.
    pub row: Value,
}

impl Record {
    /// The column of the last change holds whole seconds.
    pub(crate) fn updated_s(&self) -> i64 {
        self.updated_us.div_euclid(1_000_000)
    }
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<u64, Record>,
    by_id: HashMap<String, u64>,
    by_key: HashMap<String, Vec<u64>>,
    by_patient: HashMap<String, Vec<u64>>,
    /// Second of the last change and number, as the index on the column holds them.
    by_second: BTreeSet<(i64, u64)>,
    edits: u64,
    /// Highest number ever given: numbers are not used again.
    last: u64,
}

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Records {
    tables: BTreeMap<String, Table>,
    seq: u64,
}

/// How well a type's `_lastUpdated` follows its edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timekeeping {
    /// A column that the database updates itself.
    Always,
    /// A column that the code sets, in most places.
    Mostly,
    /// The time of creation or a clinical date.
    Never,
}

fn timekeeping(resource_type: &str, body: &Value) -> Timekeeping {
    match resource_type {
        "Appointment" | "Immunization" | "MedicationRequest" => Timekeeping::Mostly,
        "Observation" if !is_vital_sign(body) => Timekeeping::Never,
        "CarePlan" | "Goal" | "DiagnosticReport" | "DocumentReference" | "Coverage" | "ServiceRequest"
        | "Provenance" => Timekeeping::Never,
        _ => Timekeeping::Always,
    }
}

fn is_vital_sign(body: &Value) -> bool {
    let categories = body["category"].as_array().map_or(&[][..], Vec::as_slice);
    categories.iter().flat_map(codings).any(|coding| coding["code"] == "vital-signs")
}

/// Codings of a CodeableConcept.
pub(crate) fn codings(concept: &Value) -> impl Iterator<Item = &Value> {
    concept["coding"].as_array().map_or(&[][..], Vec::as_slice).iter()
}

/// One edit in so many misses the column of a type whose time is kept by code.
const MISSED_EDIT: u64 = 8;

/// What a new record is made of.
#[derive(Debug, Default)]
pub(crate) struct New {
    pub(crate) id: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) patient: Option<String>,
    pub(crate) body: Value,
    pub(crate) row: Value,
}

impl Records {
    /// Adds a record and returns it; `id` is made up unless given.
    pub(crate) fn add(&mut self, resource_type: &str, new: New, now_us: i64, random: &mut Random) -> &Record {
        self.seq += 1;
        let seq = self.seq;
        let table = self.tables.entry(resource_type.to_owned()).or_default();
        table.last += 1;
        let number = table.last;
        let id = new.id.unwrap_or_else(|| random.uuid());
        let record = Record {
            id,
            number,
            seq,
            key: new.key.or_else(|| first_identifier(&new.body)),
            patient: new.patient.or_else(|| patient_of(&new.body)),
            created_us: now_us,
            updated_us: now_us,
            version: 1,
            body: new.body,
            row: new.row,
        };
        table.index(&record);
        table.rows.entry(number).or_insert(record)
    }

    pub(crate) fn get(&self, resource_type: &str, id: &str) -> Option<&Record> {
        let table = self.tables.get(resource_type)?;
        table.rows.get(table.by_id.get(id)?)
    }

    pub(crate) fn numbered(&self, resource_type: &str, number: u64) -> Option<&Record> {
        self.tables.get(resource_type)?.rows.get(&number)
    }

    pub(crate) fn all(&self, resource_type: &str) -> impl Iterator<Item = &Record> {
        self.tables.get(resource_type).into_iter().flat_map(|table| table.rows.values())
    }

    /// Records with this business key or identifier value.
    pub(crate) fn keyed(&self, resource_type: &str, key: &str) -> Vec<&Record> {
        self.tables.get(resource_type).map_or_else(Vec::new, |table| table.listed(&table.by_key, key))
    }

    /// Records of this patient, by the EMR's id of the patient.
    pub(crate) fn of_patient(&self, resource_type: &str, patient: &str) -> Vec<&Record> {
        self.tables.get(resource_type).map_or_else(Vec::new, |table| table.listed(&table.by_patient, patient))
    }

    /// Records whose last change is in these seconds, in the order of their numbers.
    pub(crate) fn changed(&self, resource_type: &str, seconds: Range<i64>) -> Vec<&Record> {
        let Some(table) = self.tables.get(resource_type).filter(|_| !seconds.is_empty()) else { return Vec::new() };
        let places = table.by_second.range((seconds.start, 0)..(seconds.end, 0));
        let mut numbers: Vec<u64> = places.map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        numbers.iter().filter_map(|number| table.rows.get(number)).collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.rows.len())).collect()
    }

    /// Changes a record as a write by the API does: its time is the present.
    pub(crate) fn change(
        &mut self,
        resource_type: &str,
        id: &str,
        now_us: i64,
        change: impl FnOnce(&mut Record),
    ) -> Option<&Record> {
        let table = self.tables.get_mut(resource_type)?;
        let number = *table.by_id.get(id)?;
        let mut record = table.rows.get(&number)?.clone();
        table.forget(&record);
        let by_identifier = record.key == first_identifier(&record.body);
        change(&mut record);
        if by_identifier {
            record.key = first_identifier(&record.body);
        }
        record.patient = patient_of(&record.body).or(record.patient);
        record.updated_us = now_us;
        record.version += 1;
        table.index(&record);
        table.rows.insert(number, record);
        table.rows.get(&number)
    }

    /// Changes a record as the EMR's staff does on its screens: the time may stay what it was.
    pub(crate) fn edit(&mut self, resource_type: &str, id: &str, now_us: i64, change: impl FnOnce(&mut Value)) -> bool {
        let Some(before) = self.get(resource_type, id) else { return false };
        let (keeping, time_us) = (timekeeping(resource_type, &before.body), before.updated_us);
        let edits = self.tables.get_mut(resource_type).map_or(0, |table| {
            table.edits += 1;
            table.edits
        });
        let moves = match keeping {
            Timekeeping::Always => true,
            Timekeeping::Mostly => !edits.is_multiple_of(MISSED_EDIT),
            Timekeeping::Never => false,
        };
        let at_us = if moves { now_us } else { time_us };
        self.change(resource_type, id, at_us, |record| change(&mut record.body)).is_some()
    }

    pub(crate) fn remove(&mut self, resource_type: &str, id: &str) -> bool {
        let Some(table) = self.tables.get_mut(resource_type) else { return false };
        let Some(number) = table.by_id.get(id) else { return false };
        let Some(record) = table.rows.remove(number) else { return false };
        table.forget(&record);
        true
    }
}

impl Table {
    fn index(&mut self, record: &Record) {
        self.by_id.insert(record.id.clone(), record.number);
        self.by_second.insert((record.updated_s(), record.number));
        for key in keys(record) {
            self.by_key.entry(key).or_default().push(record.number);
        }
        if let Some(patient) = &record.patient {
            self.by_patient.entry(patient.clone()).or_default().push(record.number);
        }
    }

    fn forget(&mut self, record: &Record) {
        self.by_id.remove(&record.id);
        self.by_second.remove(&(record.updated_s(), record.number));
        for key in keys(record) {
            drop_from(&mut self.by_key, &key, record.number);
        }
        if let Some(patient) = &record.patient {
            drop_from(&mut self.by_patient, patient, record.number);
        }
    }

    fn listed(&self, index: &HashMap<String, Vec<u64>>, key: &str) -> Vec<&Record> {
        let numbers = index.get(key).map_or(&[][..], Vec::as_slice);
        numbers.iter().filter_map(|number| self.rows.get(number)).collect()
    }
}

fn drop_from(index: &mut HashMap<String, Vec<u64>>, key: &str, number: u64) {
    if let Some(numbers) = index.get_mut(key) {
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

/// Every key of a record, each once.
fn keys(record: &Record) -> Vec<String> {
    let mut keys: Vec<String> = identifiers(&record.body).map(|(_, value)| value.to_owned()).collect();
    keys.extend(record.key.clone());
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// System and value of every identifier.
pub(crate) fn identifiers(body: &Value) -> impl Iterator<Item = (&str, &str)> {
    let list = match &body["identifier"] {
        Value::Array(list) => list.as_slice(),
        single @ Value::Object(_) => std::slice::from_ref(single),
        _ => &[],
    };
    list.iter().filter_map(|identifier| {
        Some((identifier["system"].as_str().unwrap_or_default(), identifier["value"].as_str()?))
    })
}

fn first_identifier(body: &Value) -> Option<String> {
    identifiers(body).next().map(|(_, value)| value.to_owned())
}

/// The id of the patient that a resource belongs to.
pub(crate) fn patient_of(body: &Value) -> Option<String> {
    let direct = ["patient", "subject", "beneficiary"].into_iter().map(|member| &body[member]["reference"]);
    let actors = body["participant"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let actors = actors.map(|participant| &participant["actor"]["reference"]);
    direct.chain(actors).find_map(|reference| reference.as_str()?.strip_prefix("Patient/").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn records() -> (Records, String) {
        let mut records = Records::default();
        let body = json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:x", "value": "k1" }] });
        let id = records.add("Patient", New { body, ..New::default() }, 10, &mut Random::new(1)).id.clone();
        (records, id)
    }

    #[test]
    fn keys_follow_changes_and_removals() {
        let (mut records, id) = records();
        assert_eq!(records.keyed("Patient", "k1").len(), 1);
        records.change("Patient", &id, 20, |record| {
            record.body["identifier"][0]["value"] = json!("k2");
        });
        assert!(records.keyed("Patient", "k1").is_empty());
        assert_eq!(records.keyed("Patient", "k2")[0].key.as_deref(), Some("k2"));
        assert_eq!(records.keyed("Patient", "k2")[0].updated_us, 20);
        records.change("Patient", &id, 3_999_999, |_| {});
        assert!(records.changed("Patient", 0..3).is_empty() && records.changed("Patient", 4..9).is_empty());
        assert_eq!(records.changed("Patient", 3..4).len(), 1);
        assert!(records.remove("Patient", &id) && !records.remove("Patient", &id));
        assert!(records.keyed("Patient", "k2").is_empty() && records.changed("Patient", 0..9).is_empty());
    }

    #[test]
    fn an_edit_moves_the_time_only_where_the_type_keeps_it() {
        let (mut records, patient) = records();
        assert!(records.edit("Patient", &patient, 99, |body| body["active"] = json!(false)));
        assert_eq!(records.get("Patient", &patient).map(|record| record.updated_us), Some(99));
        let mut random = Random::new(2);
        let report = json!({ "resourceType": "DiagnosticReport" });
        let id = records.add("DiagnosticReport", New { body: report, ..New::default() }, 10, &mut random).id.clone();
        assert!(records.edit("DiagnosticReport", &id, 99, |body| body["status"] = json!("amended")));
        let report = records.get("DiagnosticReport", &id);
        assert_eq!(report.map(|record| (record.updated_us, record.version)), Some((10, 2)));
    }
}
