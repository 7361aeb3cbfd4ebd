//! Census tables: how many people there are, for who asks which share of everybody is vaccinated, and not of those known.

mod parse;

use crate::Registry;
use crate::stats::{AGE_BANDS, age};
use parse::wrong;
use serde::Serialize;
use std::sync::Arc;
use store::TenantId;
use vaccines::Date;

/// Nobody is older: ends an open band.
const AGE_MAX: i32 = 150;

/// How many people there are, by region, sex and age or year of birth: a table of every combination of the values it has.
#[derive(Clone, Debug)]
pub struct Census {
    about: CensusTable,
    /// Tenants that it is for; none are all.
    tenants: Vec<String>,
    /// Values of the columns; one empty value where there is no such column.
    regions: Vec<String>,
    sexes: Vec<&'static str>,
    spans: Vec<(i32, i32)>,
    years: Years,
    /// By region, sex and span, in this order.
    persons: Vec<u64>,
}

/// What a table is called, and when it was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CensusTable {
    pub id: String,
    pub title: String,
    /// `YYYY-MM-DD`
    pub date: String,
}

/// What a table's spans are years of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Years {
    None,
    Age,
    Birth,
}

/// What is wrong with a table, and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}{}: {text}", .column.as_ref().map_or_else(String::new, |column| format!(", column {column}")))]
pub struct CensusError {
    pub line: usize,
    pub column: Option<String>,
    pub text: String,
}

impl Census {
    /// Its name and date.
    pub fn about(&self) -> &CensusTable {
        &self.about
    }

    /// Names of the tenants that it is for; none are all.
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    pub(crate) fn is_for(&self, tenant: &TenantId) -> bool {
        self.tenants.is_empty() || self.tenants.contains(&tenant.0)
    }

    /// People in the group with these values of the dimensions `by`, or why the table cannot say.
    pub(crate) fn people(&self, by: &[String], values: &[String]) -> Result<u64, &'static str> {
        let (mut region, mut sex, mut years) = (None, None, None);
        for (by, value) in by.iter().zip(values) {
            match by.as_str() {
                "region" if self.has_regions() => region = Some(value.as_str()),
                "sex" if self.has_sexes() => sex = Some(value.as_str()),
                "age" if self.years == Years::Age => years = Some(self.of_band(value)?),
                "birth_year" if self.years == Years::Birth => years = Some(self.of_year(value)?),
                _ => return Err("the census table is not broken down by this"),
            }
        }
        let places = |found: Option<usize>, asked: bool, all: usize| match (asked, found) {
            (false, _) => Ok(0..all),
            (true, Some(at)) => Ok(at..at + 1),
            (true, None) => Err("the census table does not have this group"),
        };
        let at = region.and_then(|region| self.regions.iter().position(|other| other == region));
        let regions = places(at, region.is_some(), self.regions.len())?;
        let at = sex.and_then(|sex| self.sexes.iter().position(|other| *other == sex));
        let sexes = places(at, sex.is_some(), self.sexes.len())?;
        let years = years.unwrap_or_else(|| (0..self.spans.len()).collect());
        let at = |region: usize, sex: usize, span: usize| {
            self.persons[(region * self.sexes.len() + sex) * self.spans.len() + span]
        };
        let of_sex = |region: usize, sex: usize| years.iter().map(|span| at(region, sex, *span)).sum::<u64>();
        Ok(regions.map(|region| sexes.clone().map(|sex| of_sex(region, sex)).sum::<u64>()).sum())
    }

    fn has_regions(&self) -> bool {
        self.regions != [""]
    }

    fn has_sexes(&self) -> bool {
        self.sexes != [""]
    }

    /// The spans that make up an age band of ours.
    fn of_band(&self, band: &str) -> Result<Vec<usize>, &'static str> {
        let at = (0..AGE_BANDS.len()).find(|at| band_name(*at) == band);
        let (from, until) = at.map(band_years).ok_or("the census table does not have this group")?;
        let inside = |span: &(i32, i32)| from <= span.0 && span.1 <= until;
        let spans: Vec<usize> = (0..self.spans.len()).filter(|at| inside(&self.spans[*at])).collect();
        let covered: i32 = spans.iter().map(|at| self.spans[*at].1 - self.spans[*at].0 + 1).sum();
        match covered == until - from + 1 {
            true => Ok(spans),
            false => Err("the age bands of the census table do not make up this one"),
        }
    }

    fn of_year(&self, year: &str) -> Result<Vec<usize>, &'static str> {
        let year: i32 = year.parse().map_err(|_| "the census table does not have this group")?;
        let at = self.spans.iter().position(|span| *span == (year, year));
        at.map(|at| vec![at]).ok_or("the census table does not have this year by itself")
    }

    /// The values of the groups that the table has, whether anybody is known there or not.
    pub(crate) fn groups(&self, by: &[String]) -> Vec<Vec<String>> {
        let mut groups: Vec<Vec<String>> = vec![Vec::new()];
        for by in by {
            let values: Vec<String> = match by.as_str() {
                "region" if self.has_regions() => self.regions.clone(),
                "sex" if self.has_sexes() => self.sexes.iter().map(|sex| (*sex).to_owned()).collect(),
                "age" if self.years == Years::Age => {
                    (0..AGE_BANDS.len()).map(band_name).filter(|band| self.of_band(band).is_ok()).collect()
                }
                "birth_year" if self.years == Years::Birth => {
                    let single = self.spans.iter().filter(|span| span.0 == span.1);
                    single.map(|span| format!("{:04}", span.0)).collect()
                }
                _ => return Vec::new(),
            };
            let with = |group: &Vec<String>| -> Vec<Vec<String>> {
                values.iter().map(|value| [group.as_slice(), std::slice::from_ref(value)].concat()).collect()
            };
            groups = groups.iter().flat_map(with).collect();
        }
        groups
    }

    /// Whether somebody is in one of the table's cells. `month`: `YYYY-MM` of birth, or empty.
    pub(crate) fn has(&self, region: &str, sex: &str, month: &str, today: Date) -> bool {
        let years = match self.years {
            Years::None => return self.has_place(region, sex),
            Years::Age => age(month, today),
            Years::Birth => month.get(..4).and_then(|year| year.parse().ok()),
        };
        let is_in = |years: i32| self.spans.iter().any(|span| (span.0..=span.1).contains(&years));
        self.has_place(region, sex) && years.is_some_and(is_in)
    }

    fn has_place(&self, region: &str, sex: &str) -> bool {
        let region = !self.has_regions() || self.regions.iter().any(|other| other == region);
        region && (!self.has_sexes() || self.sexes.contains(&sex))
    }
}

fn band_years(at: usize) -> (i32, i32) {
    (AGE_BANDS[at], AGE_BANDS.get(at + 1).map_or(AGE_MAX, |next| next - 1))
}

fn band_name(at: usize) -> String {
    match band_years(at) {
        (from, AGE_MAX) => format!("{from}+"),
        (from, until) => format!("{from}-{until}"),
    }
}

/// Whether several tables can stand side by side: an id and, in a tenant, a date belong to one only.
fn check_all(tables: &[Census]) -> Result<(), CensusError> {
    for (at, one) in tables.iter().enumerate() {
        for other in &tables[..at] {
            let shared = one.tenants.iter().any(|tenant| other.tenants.contains(tenant));
            let both = one.tenants.is_empty() || other.tenants.is_empty() || shared;
            if one.about.id == other.about.id {
                return Err(wrong(1, None, format!("two tables have the id {}: give one another", one.about.id)));
            }
            if both && one.about.date == other.about.date {
                let ids = format!("{} and {}", other.about.id, one.about.id);
                let text =
                    format!("the tables {ids} have one date and a tenant in common: say by `# tenants:` whose each is");
                return Err(wrong(1, None, text));
            }
        }
    }
    Ok(())
}

/// The table that holds on a day: the newest that is not of a later one, else the oldest there is.
fn pick<'a>(tables: &'a [Arc<Census>], tenant: &TenantId, day: Date) -> Option<&'a Arc<Census>> {
    let day = day.to_string();
    let mine = || tables.iter().filter(|table| table.is_for(tenant));
    let newest = mine().filter(|table| table.about.date <= day).max_by_key(|table| &table.about.date);
    newest.or_else(|| mine().min_by_key(|table| &table.about.date))
}

impl Registry {
    /// The census tables from now on, in place of those before.
    pub fn use_censuses(&self, tables: Vec<Census>) -> Result<(), CensusError> {
        check_all(&tables)?;
        *self.inner.censuses.write() = tables.into_iter().map(Arc::new).collect();
        // Whoever watches numbers gets those of the new tables.
        for tenancy in self.inner.tenancies.read().values() {
            tenancy.changes.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }

    /// The table that a tenant's numbers of a day are put against: the newest that is not of a later day, else the oldest.
    pub fn census(&self, tenant: &TenantId, day: Date) -> Option<Arc<Census>> {
        pick(&self.inner.censuses.read(), tenant, day).cloned()
    }
}

#[cfg(test)]
mod tests;
