//! What a person counts for: the result of all calculators, as small as counting needs it.

use crate::cell::{BETWEEN, Cell, Kind, WITHIN};
use crate::clinical::Dose;
use crate::day;
use crate::facts::Facts;
use crate::row::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use vaccines::Date;
use vaccines::standing::{Standing, Status};

/// A dose that came to be known this many days after it was given is late.
const LATE_DAYS: i32 = 30;

/// Where a person stands in a programme.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    #[serde(rename = "s", default, with = "status", skip_serializing_if = "is_not")]
    pub(crate) status: Status,
    #[serde(rename = "m", default, skip_serializing_if = "Marks::is_empty")]
    pub(crate) marks: Marks,
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub(crate) valid: usize,
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    pub(crate) recorded: usize,
    #[serde(rename = "f", with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_on: Option<Date>,
    #[serde(rename = "u", with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) full_on: Option<Date>,
    #[serde(rename = "b", with = "day", default, skip_serializing_if = "Option::is_none")]
    pub(crate) boosted_on: Option<Date>,
}

/// A dose that a programme does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Void {
    pub(crate) programme: String,
    /// Id of the Immunization.
    pub(crate) dose: String,
    pub(crate) reason: String,
}

/// See the module documentation. Programmes in which nothing is to be said are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summary {
    /// The fingerprint of the definitions it was made by.
    #[serde(default)]
    pub(crate) definitions: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) programmes: BTreeMap<String, Mark>,
    /// Ids of the Immunizations that are a dose each; the others are duplicates, refusals or lack what makes a dose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) counted: Vec<String>,
    /// Ids of those that are duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) duplicates: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) void: Vec<Void>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_not(status: &Status) -> bool {
    *status == Status::Not
}

mod status {
    use super::Status;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        let code = String::deserialize(deserializer)?;
        let all = [Status::Not, Status::Partial, Status::Full];
        all.into_iter().find(|status| status.code() == code).ok_or_else(|| de::Error::custom("unknown status"))
    }
}

/// What is to be said of a standing beside its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(u8);

/// All marks in the order in which they are named.
pub const MARKS: [&str; 6] = ["immune", "contraindicated", "aged-out", "overdue", "due", "boosted"];

impl Marks {
    pub(crate) fn of(standing: &Standing) -> Marks {
        let due = !standing.up_to_date && standing.next_due.is_some();
        let holds = [
            standing.immune,
            standing.contraindicated,
            standing.aged_out,
            standing.overdue,
            due && !standing.overdue,
            standing.boosted,
        ];
        Marks(holds.iter().enumerate().fold(0, |all, (bit, holds)| all | (u8::from(*holds) << bit)))
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        MARKS.into_iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| name)
    }

    pub fn has(self, name: &str) -> bool {
        self.names().any(|mark| mark == name)
    }
}

/// The names joined by `+`.
impl std::fmt::Display for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join("+"))
    }
}

impl Mark {
    pub(crate) fn of(standing: &Standing) -> Mark {
        Mark {
            status: standing.status,
            marks: Marks::of(standing),
            valid: standing.valid_doses,
            recorded: standing.recorded_doses,
            first_on: standing.first_on,
            full_on: standing.full_on,
            boosted_on: standing.boosted_on,
        }
    }

    /// Of somebody who was given nothing.
    pub(crate) fn without_doses(marks: Marks) -> Mark {
        Mark { marks, ..Mark::default() }
    }

    /// Nothing that has a cell.
    pub(crate) fn is_nothing(&self) -> bool {
        self.status == Status::Not && self.marks.is_empty() && self.recorded == 0
    }
}

/// The cells that a person is in. The dead are in none of the living's, but their doses stay counted.
pub(crate) fn cells(row: &Row) -> Vec<Cell> {
    if row.records.is_empty() {
        return Vec::new();
    }
    let facts = row.facts();
    let region = facts.region.as_deref().unwrap_or_default();
    let mut cells = Vec::new();
    if !facts.deceased {
        living(row, &facts, region, &mut cells);
    }
    for (programme, mark) in &row.summary.programmes {
        let days = [("first", mark.first_on), ("full", mark.full_on), ("boosted", mark.boosted_on)];
        for (milestone, on) in days {
            let cell = |on: Date| Cell::new(Kind::Milestone, [programme, milestone, &on.to_string(), region]);
            cells.extend(on.filter(|_| !facts.deceased).map(cell));
        }
    }
    let dose_of = |id: &String| row.doses.iter().find(|dose| dose.id == *id);
    for dose in row.summary.counted.iter().filter_map(dose_of) {
        given(dose, region, &mut cells);
    }
    for void in &row.summary.void {
        let clinic = dose_of(&void.dose).and_then(|dose| dose.clinic.as_deref()).unwrap_or_default();
        cells.push(Cell::new(Kind::Invalid, [&void.programme, &void.reason, clinic]));
    }
    quality(row, &facts, &mut cells);
    cells
}

fn living(row: &Row, facts: &Facts, region: &str, cells: &mut Vec<Cell>) {
    let month = facts.birth.map(|birth| birth.to_string()[..7].to_owned()).unwrap_or_default();
    let sex = facts.sex.code();
    let standings =
        row.summary.programmes.iter().filter(|(_, mark)| mark.status != Status::Not || !mark.marks.is_empty());
    let standings =
        standings.map(|(programme, mark)| [programme, mark.status.code(), &mark.marks.to_string()].join(WITHIN));
    let standings = standings.collect::<Vec<_>>().join(BETWEEN);
    cells.push(Cell::new(Kind::Standing, [&standings, region, sex, &month]));
}

fn given(dose: &Dose, region: &str, cells: &mut Vec<Cell>) {
    let (Some(cvx), Some(date)) = (dose.cvx, dose.date) else { return };
    let (clinic, lot) = (dose.clinic.as_deref().unwrap_or_default(), dose.lot.as_deref().unwrap_or_default());
    let day = date.to_string();
    cells.push(Cell::new(Kind::Dose, [&format!("{cvx:02}"), clinic, lot, &day, region]));
    let reported = dose.reported.unwrap_or(date).to_string();
    cells.push(Cell::new(Kind::Reported, [&reported, &day]));
}

fn quality(row: &Row, facts: &Facts, cells: &mut Vec<Cell>) {
    let mut problem = |problem: &str, clinic: Option<&str>| {
        cells.push(Cell::new(Kind::Quality, [problem, clinic.unwrap_or_default()]));
    };
    if facts.birth.is_none() {
        problem("no-birth-date", None);
    }
    if facts.region.is_none() {
        problem("no-region", None);
    }
    for dose in row.doses.iter().filter(|dose| !dose.not_done) {
        let clinic = dose.clinic.as_deref();
        let late = dose.date.zip(dose.reported).is_some_and(|(given, known)| known > given.plus_days(LATE_DAYS));
        let problems = [
            (dose.cvx.is_none(), "no-vaccine-code"),
            (dose.date.is_none(), "no-date"),
            (dose.lot.is_none() && !dose.historical, "no-lot"),
            (dose.clinic.is_none(), "no-clinic"),
            (late, "late"),
            (row.summary.duplicates.contains(&dose.id), "duplicate"),
        ];
        for (_, name) in problems.iter().filter(|(holds, _)| *holds) {
            problem(name, clinic);
        }
    }
}
