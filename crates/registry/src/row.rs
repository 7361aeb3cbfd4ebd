//! A person as kept: the records, what they say, and what counts. One sealed row, written whole.

use crate::clinical::{Dose, Finding};
use crate::day;
use crate::facts::Facts;
use crate::programme::Definitions;
use crate::summary::Summary;
use engine::Error;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use vaccines::Date;

/// Where rows are kept.
pub(crate) const PERSONS: &str = "person";
/// Doses and findings of patients who are not there (yet): `patient/resource`.
pub(crate) const ORPHANS: &str = "orphan";

/// A person: a UUID, which is also the id of the golden Patient.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(u128);

impl PersonId {
    pub(crate) fn of(uuid: uuid::Uuid) -> PersonId {
        PersonId(uuid.as_u128())
    }

    pub fn parse(text: &str) -> Option<PersonId> {
        uuid::Uuid::try_parse(text).ok().map(PersonId::of)
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> PersonId {
        PersonId(u128::from_be_bytes(bytes))
    }

    pub(crate) fn hash(self) -> u64 {
        (self.0 ^ (self.0 >> 64)) as u64
    }
}

impl std::fmt::Display for PersonId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", uuid::Uuid::from_u128(self.0))
    }
}

impl std::fmt::Debug for PersonId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PersonId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<PersonId, &'static str> {
        PersonId::parse(&text).ok_or("a person's id is a UUID")
    }
}

impl From<PersonId> for String {
    fn from(person: PersonId) -> String {
        person.to_string()
    }
}

/// How a record came to its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// The first record of the person.
    Own,
    /// By matching.
    Auto,
    /// Somebody said so: matching does not touch it.
    Manual,
}

/// One Patient resource of the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) link: Link,
    /// When it was written last, in microseconds since 1970: of two records the newer one is believed.
    pub(crate) at_us: i64,
    /// Of a source that is believed before others, however old the record is.
    #[serde(default, skip_serializing_if = "crate::facts::is_false")]
    pub(crate) verified: bool,
    pub(crate) facts: Facts,
    /// Where it was before, the latest last: what an unmerge restores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<(PersonId, Link)>,
}

/// See the module documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Grows with every change: consumers of events are idempotent by it.
    pub(crate) version: u64,
    /// Ordered by id, so that the row is a function of what it holds.
    pub(crate) records: Vec<Record>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) doses: Vec<Dose>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<Finding>,
    #[serde(default)]
    pub(crate) summary: Summary,
    /// The person this one was merged into; then nothing else is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merged_into: Option<PersonId>,
    /// The day on which the summary must be made anew.
    #[serde(with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Date>,
}

// The orders in which a row is written, so that it is a function of what it holds.

fn by_id(one: &Record, other: &Record) -> Ordering {
    one.id.cmp(&other.id)
}

fn by_day(one: &Dose, other: &Dose) -> Ordering {
    (one.date, &one.id).cmp(&(other.date, &other.id))
}

fn by_resource(one: &Finding, other: &Finding) -> Ordering {
    (&one.of, one.date, &one.codes).cmp(&(&other.of, other.date, &other.codes))
}

impl Row {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Row, Error> {
        serde_json::from_slice(bytes).map_err(|error| crate::broken("a person's row", &error))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a row is plain data")
    }

    /// The records in the order in which they are believed: those of verified sources, then the newer, then those that know more.
    pub(crate) fn believed(&self) -> Vec<&Record> {
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by(|one, other| {
            let key = |record: &Record| (record.verified, record.at_us, record.facts.known());
            key(other).cmp(&key(one)).then_with(|| one.id.cmp(&other.id))
        });
        records
    }

    /// What the records together say.
    pub(crate) fn facts(&self) -> Facts {
        Facts::merged(self.believed().into_iter().map(|record| &record.facts))
    }

    /// Whether the summary must be made anew: by other definitions, or because its day has come.
    pub(crate) fn is_stale(&self, definitions: &Definitions, today: Date) -> bool {
        self.summary.definitions != definitions.fingerprint() || self.next.is_some_and(|next| next <= today)
    }

    /// Takes in what another row holds of the same person; the summary is not made anew.
    pub(crate) fn join(&mut self, other: Row) {
        self.records.extend(other.records);
        self.doses.extend(other.doses);
        self.findings.extend(other.findings);
        self.records.sort_by(by_id);
        self.doses.sort_by(by_day);
        self.findings.sort_by(by_resource);
    }

    pub(crate) fn record(&self, id: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    pub(crate) fn put_record(&mut self, record: Record) {
        self.records.retain(|other| other.id != record.id);
        self.records.push(record);
        self.records.sort_by(by_id);
    }

    pub(crate) fn put_dose(&mut self, dose: Dose) {
        self.doses.retain(|other| other.id != dose.id);
        self.doses.push(dose);
        self.doses.sort_by(by_day);
    }

    pub(crate) fn put_finding(&mut self, finding: Finding) {
        // One resource may find several things; those it found before were taken out.
        self.findings.push(finding);
        self.findings.sort_by(by_resource);
        self.findings.dedup();
    }

    /// Whether the row holds something that a resource such as `Immunization/1` says.
    pub(crate) fn says(&self, of: &str) -> bool {
        self.doses.iter().any(|dose| dose.of() == of) || self.findings.iter().any(|finding| finding.of == of)
    }

    /// Takes out what a resource says.
    pub(crate) fn forget(&mut self, of: &str) {
        self.doses.retain(|dose| dose.of() != of);
        self.findings.retain(|finding| finding.of != of);
    }

    /// Takes a record out, with all that is about it.
    pub(crate) fn take(&mut self, id: &str) -> (Option<Record>, Vec<Dose>, Vec<Finding>) {
        let at = self.records.iter().position(|record| record.id == id);
        let record = at.map(|at| self.records.remove(at));
        let doses = self.doses.extract_if(.., |dose| dose.record == id).collect();
        let findings = self.findings.extract_if(.., |finding| finding.record == id).collect();
        (record, doses, findings)
    }
}
