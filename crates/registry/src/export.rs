//! The tracker as rows, for those who count elsewhere, with the counts to compare with.

use crate::cell::KINDS;
use crate::pages::PersonPages;
use crate::row::{PersonId, Row};
use crate::tally::Tally;
use crate::{Definition, Registry};
use engine::{Engine, Error, Session};
use serde::Serialize;
use std::collections::BTreeMap;
use vaccines::Date;

/// A row of one of three tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported<'a> {
    Person(ExportedPerson<'a>),
    Standing(ExportedStanding<'a>),
    Dose(ExportedDose<'a>),
}

/// A living person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportedPerson<'a> {
    pub person: PersonId,
    pub region: Option<&'a str>,
    pub sex: &'static str,
    /// `YYYY-MM`
    pub birth_month: Option<&'a str>,
}

/// Where a living person stands in a programme. Without a row somebody is not vaccinated and nothing is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportedStanding<'a> {
    pub person: PersonId,
    pub programme: &'a str,
    /// `not`, `partial` or `full`.
    pub status: &'static str,
    /// Those of [`crate::MARKS`] that hold, joined by `+`.
    pub marks: String,
    pub first_on: Option<String>,
    pub full_on: Option<String>,
    pub boosted_on: Option<String>,
    pub region: Option<&'a str>,
    pub sex: &'static str,
    /// `YYYY-MM`
    pub birth_month: Option<&'a str>,
}

/// A dose that counts as one; those of the dead too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportedDose<'a> {
    pub person: PersonId,
    /// Id of the Immunization.
    pub dose: &'a str,
    /// CVX code with two digits at least.
    pub cvx: String,
    /// Its short name in the schedule.
    pub vaccine: Option<&'a str>,
    pub clinic: Option<&'a str>,
    pub lot: Option<&'a str>,
    pub given_on: String,
    /// The day it came to be known here.
    pub reported_on: String,
    pub region: Option<&'a str>,
}

/// Counts of a table by the values of its dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportedTable {
    pub table: &'static str,
    pub dimensions: &'static [&'static str],
    pub cells: Vec<(Vec<String>, i64)>,
}

/// What holds for all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The day as of which it holds.
    pub as_of: Date,
    pub definitions: Vec<Definition>,
    /// The newest event whose effect is in the rows.
    pub last_event: u64,
    /// The counters as they are kept, which no row was counted for.
    pub counters: Vec<ExportedTable>,
}

/// Why an export was not finished.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{0}")]
    Engine(Error),
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

impl From<Error> for ExportError {
    fn from(error: Error) -> ExportError {
        ExportError::Engine(error)
    }
}

fn shown(date: Option<Date>) -> Option<String> {
    date.map(|date| date.to_string())
}

impl Registry {
    /// Gives all rows of the session's tenant to `each`, persons in the order of their ids. Writes about persons wait meanwhile: rows and
    /// counters are of one moment.
    pub async fn export(
        &self,
        engine: &Engine,
        session: &Session,
        mut each: impl FnMut(Exported<'_>) -> std::io::Result<()> + Send,
    ) -> Result<Export, ExportError> {
        let tenancy = self.tenancy(&session.tenant)?;
        let _held = tenancy.locks.hold_all().await;
        let feed = engine.feed(session).await?;
        let definitions = self.definitions();
        let vaccine = |cvx: u16| definitions.schedule().vaccine_name(cvx);
        let mut persons = PersonPages::new(&feed);
        while let Some(page) = persons.next().await? {
            for (person, row) in &page {
                rows(*person, row, &vaccine, &mut each)?;
            }
        }
        let tally = Tally::load(&feed).await?;
        let tables = KINDS.into_iter().map(|kind| {
            let mut cells = Vec::new();
            tally.each(kind, |values, n| cells.push((values.iter().map(|value| (*value).to_owned()).collect(), n)));
            cells.sort_unstable();
            ExportedTable { table: kind.counter(), dimensions: kind.dimensions(), cells }
        });
        Ok(Export {
            as_of: self.today(),
            definitions: definitions.list(),
            last_event: feed.last_event().await?,
            counters: tables.collect(),
        })
    }
}

fn rows<'v>(
    person: PersonId,
    row: &Row,
    vaccine: &impl Fn(u16) -> Option<&'v str>,
    each: &mut impl FnMut(Exported<'_>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    if row.records.is_empty() {
        return Ok(());
    }
    let facts = row.facts();
    let (region, sex) = (facts.region.as_deref(), facts.sex.code());
    let month = facts.birth.map(|birth| birth.to_string()[..7].to_owned());
    let birth_month = month.as_deref();
    if !facts.deceased {
        each(Exported::Person(ExportedPerson { person, region, sex, birth_month }))?;
        for (programme, mark) in &row.summary.programmes {
            each(Exported::Standing(ExportedStanding {
                person,
                programme,
                status: mark.status.code(),
                marks: mark.marks.to_string(),
                first_on: shown(mark.first_on),
                full_on: shown(mark.full_on),
                boosted_on: shown(mark.boosted_on),
                region,
                sex,
                birth_month,
            }))?;
        }
    }
    let doses: BTreeMap<&str, _> = row.doses.iter().map(|dose| (dose.id.as_str(), dose)).collect();
    for dose in row.summary.counted.iter().filter_map(|id| doses.get(id.as_str())) {
        let (Some(cvx), Some(date)) = (dose.cvx, dose.date) else { continue };
        each(Exported::Dose(ExportedDose {
            person,
            dose: &dose.id,
            cvx: format!("{cvx:02}"),
            vaccine: vaccine(cvx),
            clinic: dose.clinic.as_deref(),
            lot: dose.lot.as_deref(),
            given_on: date.to_string(),
            reported_on: dose.reported.unwrap_or(date).to_string(),
            region,
        }))?;
    }
    Ok(())
}
