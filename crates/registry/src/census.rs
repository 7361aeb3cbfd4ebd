//! Census tables: how many people there are, for who asks which share of everybody is vaccinated, and not of those known.

use crate::Registry;
use crate::facts::Sex;
use crate::stats::{AGE_BANDS, age};
use fhir::nearest::hint;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use store::TenantId;
use vaccines::Date;

/// Cells of a table.
const CELLS_MAX: usize = 500_000;
/// People of a cell: more than there are.
const PERSONS_MAX: u64 = 10_000_000_000;
/// Nobody is older: ends an open band.
const AGE_MAX: i32 = 150;
const YEARS: std::ops::RangeInclusive<i32> = 1850..=2200;
const COLUMNS: [&str; 5] = ["region", "sex", "age", "birth_year", "persons"];
const HEADS: [&str; 4] = ["id", "title", "date", "tenants"];

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

fn wrong(line: usize, column: Option<&str>, text: impl Into<String>) -> CensusError {
    CensusError { line, column: column.map(str::to_owned), text: text.into() }
}

/// The start of what a file says, to be shown.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Census {
    /// Reads a table: lines `# id: …`, `# title: …`, `# date: YYYY-MM-DD` and perhaps `# tenants: a, b`, then comma-separated
    /// values under their names `region`, `sex`, `age` or `birth_year`, and `persons`. Every column but the last may be left
    /// out; every combination of the values there are must be there once.
    pub fn parse(text: &str) -> Result<Census, CensusError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = (1..).zip(text.lines());
        let mut lines = lines.filter(|(_, line)| !line.trim().is_empty()).peekable();
        let mut heads: HashMap<&str, (usize, &str)> = HashMap::new();
        while let Some((no, line)) = lines.next_if(|(_, line)| line.starts_with('#')) {
            let (name, value) = head(no, line)?;
            if heads.insert(name, (no, value)).is_some() {
                return Err(wrong(no, None, format!("# {name} is there twice: keep one")));
            }
        }
        let Some((names_line, names)) = lines.next() else {
            return Err(wrong(1, None, "there is no table: write a line of names such as region,sex,age,persons"));
        };
        let columns = columns(names_line, names)?;
        let mut rows = Rows::default();
        for (no, line) in lines {
            rows.read(no, &columns, &cells(line))?;
        }
        let (about, tenants) = about(&heads, names_line)?;
        rows.table(about, tenants, &columns, names_line)
    }

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

fn head(no: usize, line: &str) -> Result<(&str, &str), CensusError> {
    let form = || wrong(no, None, format!("write it as `# name: value`; names are {}", HEADS.join(", ")));
    let (name, value) = line.trim_start_matches('#').split_once(':').ok_or_else(form)?;
    // A spreadsheet fills a line up with commas.
    let (name, value) = (name.trim(), value.trim().trim_end_matches(',').trim());
    if !HEADS.contains(&name) {
        let text = format!("unknown name {}{}: names are {}", short(name), hint(name, HEADS), HEADS.join(", "));
        return Err(wrong(no, None, text));
    }
    if value.is_empty() {
        return Err(wrong(no, None, format!("# {name} is empty: fill it in, or take the line out")));
    }
    Ok((name, value))
}

fn about(heads: &HashMap<&str, (usize, &str)>, names_line: usize) -> Result<(CensusTable, Vec<String>), CensusError> {
    let needed = |name: &str| {
        let text =
            || wrong(names_line, None, format!("the line `# {name}: …` is missing before the names of the columns"));
        heads.get(name).copied().ok_or_else(text)
    };
    let (no, id) = needed("id")?;
    let is_id =
        |id: &str| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !is_id(id) {
        return Err(wrong(no, None, "an id is 1 to 64 letters, digits, hyphens, dots: choose such a one"));
    }
    let (no, date) = needed("date")?;
    let parsed: Date = date.parse().map_err(|_| wrong(no, None, "a date is a day that exists, as YYYY-MM-DD"))?;
    let title = needed("title")?.1;
    let tenants = heads.get("tenants").map(|(_, tenants)| tenants.split(',').map(|name| name.trim().to_owned()));
    let about = CensusTable { id: id.to_owned(), title: title.to_owned(), date: parsed.to_string() };
    Ok((about, tenants.into_iter().flatten().filter(|name| !name.is_empty()).collect()))
}

/// The cells of a line; quotes around a whole cell are taken off.
fn cells(line: &str) -> Vec<&str> {
    let bare = |cell: &str| -> Option<(usize, usize)> {
        let inner = cell.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.contains('"')).then_some((1, cell.len() - 1))
    };
    line.split(',').map(str::trim).map(|cell| bare(cell).map_or(cell, |(from, until)| &cell[from..until])).collect()
}

fn columns(no: usize, line: &str) -> Result<Vec<&'static str>, CensusError> {
    let mut found: Vec<&'static str> = Vec::new();
    for name in cells(line) {
        let Some(column) = COLUMNS.iter().find(|known| **known == name) else {
            let text =
                format!("unknown column {}{}: columns are {}", short(name), hint(name, COLUMNS), COLUMNS.join(", "));
            return Err(wrong(no, None, text));
        };
        if found.contains(column) {
            return Err(wrong(no, Some(column), "is there twice: keep one"));
        }
        found.push(column);
    }
    if !found.contains(&"persons") {
        return Err(wrong(no, Some("persons"), "is missing: it says how many people there are"));
    }
    if found.contains(&"age") && found.contains(&"birth_year") {
        return Err(wrong(no, Some("birth_year"), "does not go with age: keep one of the two"));
    }
    Ok(found)
}

type Key = (String, &'static str, (i32, i32));

#[derive(Default)]
struct Rows {
    /// With the line of each.
    cells: HashMap<Key, (usize, u64)>,
    regions: Vec<String>,
    sexes: Vec<&'static str>,
    /// With the line where each was first.
    spans: Vec<((i32, i32), usize)>,
}

impl Rows {
    fn read(&mut self, no: usize, columns: &[&'static str], cells: &[&str]) -> Result<(), CensusError> {
        if cells.len() != columns.len() {
            let text =
                format!("has {} values, and there are {} columns: {}", cells.len(), columns.len(), columns.join(","));
            return Err(wrong(no, None, text));
        }
        let mut key: Key = (String::new(), "", (0, 0));
        let mut persons = 0;
        for (column, cell) in columns.iter().zip(cells) {
            let failed = |text: String| wrong(no, Some(column), format!("{:?} {text}", short(cell)));
            match *column {
                "region" => key.0 = region(cell).map_err(failed)?,
                "sex" => key.1 = sex(cell).map_err(failed)?,
                "age" => key.2 = span(cell, 0..=AGE_MAX, true).map_err(failed)?,
                "birth_year" => key.2 = span(cell, YEARS, false).map_err(failed)?,
                _ => persons = count(cell).map_err(failed)?,
            }
        }
        if !self.spans.iter().any(|(span, _)| *span == key.2) {
            if let Some((other, line)) = self.spans.iter().find(|(other, _)| other.0 <= key.2.1 && key.2.0 <= other.1) {
                let column = columns.iter().find(|column| matches!(**column, "age" | "birth_year"));
                let text = format!("overlaps {}-{} of line {line}: nobody may be counted twice", other.0, other.1);
                return Err(wrong(no, column.copied(), text));
            }
            self.spans.push((key.2, no));
        }
        if !self.regions.contains(&key.0) {
            self.regions.push(key.0.clone());
        }
        if !self.sexes.contains(&key.1) {
            self.sexes.push(key.1);
        }
        if let Some((line, _)) = self.cells.insert(key, (no, persons)) {
            return Err(wrong(no, None, format!("the same group as in line {line}: keep one")));
        }
        if self.cells.len() > CELLS_MAX {
            return Err(wrong(no, None, format!("more than {CELLS_MAX} groups: give fewer columns or wider bands")));
        }
        Ok(())
    }

    fn table(
        mut self,
        about: CensusTable,
        tenants: Vec<String>,
        columns: &[&'static str],
        no: usize,
    ) -> Result<Census, CensusError> {
        if self.cells.is_empty() {
            return Err(wrong(no, None, "no line follows the names of the columns: add the numbers"));
        }
        self.regions.sort_unstable();
        self.sexes.sort_unstable();
        self.spans.sort_unstable();
        let spans: Vec<(i32, i32)> = self.spans.iter().map(|(span, _)| *span).collect();
        let last = self.cells.values().map(|(line, _)| *line).max().unwrap_or(no);
        let mut persons = Vec::with_capacity(self.cells.len());
        for region in &self.regions {
            for sex in &self.sexes {
                for span in &spans {
                    let key = (region.clone(), *sex, *span);
                    let Some((_, count)) = self.cells.get(&key) else {
                        let named = [region.as_str(), sex, &format!("{}-{}", span.0, span.1)].map(str::to_owned);
                        let named: Vec<_> =
                            named.into_iter().filter(|part| !part.is_empty() && part != "0-0").collect();
                        let text =
                            format!("the group {} is missing: add it, with 0 if nobody is there", named.join(", "));
                        return Err(wrong(last, None, text));
                    };
                    persons.push(*count);
                }
            }
        }
        let years = match columns {
            columns if columns.contains(&"age") => Years::Age,
            columns if columns.contains(&"birth_year") => Years::Birth,
            _ => Years::None,
        };
        Ok(Census { about, tenants, regions: self.regions, sexes: self.sexes, spans, years, persons })
    }
}

fn region(cell: &str) -> Result<String, String> {
    let is_known = |char: char| char.is_ascii_digit() || char.is_uppercase() || " -.".contains(char);
    let is_number = cell.bytes().all(|byte| byte.is_ascii_digit());
    let length = cell.chars().count();
    match (1..=32).contains(&length) && cell.chars().all(is_known) && (!is_number || length == 3) {
        true => Ok(cell.to_owned()),
        false => {
            Err("is no region: write the first three digits of a postal code, or a state or country in capitals".into())
        }
    }
}

fn sex(cell: &str) -> Result<&'static str, String> {
    let all = [Sex::Female, Sex::Male, Sex::Unknown].map(Sex::code);
    let found = all.into_iter().find(|code| *code == cell);
    found.ok_or_else(|| format!("is no sex{}: write {}", hint(cell, all), all.join(", ")))
}

/// `7`, `0-4`, and with `open` `80+`.
fn span(cell: &str, within: std::ops::RangeInclusive<i32>, open: bool) -> Result<(i32, i32), String> {
    let form = if open { "write such as 0-4, 7 or 80+" } else { "write such as 1980 or 1900-1940" };
    let year = |text: &str| -> Option<i32> {
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|year| is_digits && within.contains(year))
    };
    let both = match (cell.strip_suffix('+').filter(|_| open), cell.split_once('-')) {
        (Some(from), _) => year(from).map(|from| (from, AGE_MAX)),
        (None, Some((from, until))) => year(from).zip(year(until)),
        (None, None) => year(cell).map(|year| (year, year)),
    };
    both.filter(|(from, until)| from <= until).ok_or_else(|| format!("is no span of years: {form}"))
}

fn count(cell: &str) -> Result<u64, String> {
    let is_digits = !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let count = cell.parse().ok().filter(|count| is_digits && *count <= PERSONS_MAX);
    count.ok_or_else(|| "is no count of people: write digits only, without separators".into())
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
mod tests {
    use super::*;

    const HEAD: &str = "# id: ma\n# title: Massachusetts\n# date: 2024-07-01\n";

    fn parse(rest: &str) -> Result<Census, CensusError> {
        Census::parse(&format!("{HEAD}{rest}"))
    }

    fn error(rest: &str) -> String {
        parse(rest).unwrap_err().to_string()
    }

    fn people(census: &Census, pairs: &[(&str, &str)]) -> Result<u64, &'static str> {
        let (by, values): (Vec<String>, Vec<String>) =
            pairs.iter().map(|(by, value)| ((*by).to_owned(), (*value).to_owned())).unzip();
        census.people(&by, &values)
    }

    #[test]
    fn a_table_sums_what_is_asked_and_invents_nothing() {
        let table = "region,sex,age,persons\n021,female,0-4,10\n021,male,0-4,20\nMA,female,0-4,40\nMA,male,0-4,80\n\
                     021,female,5-9,1\n021,male,5-9,2\nMA,female,5-9,4\nMA,male,5-9,8\n";
        let census = parse(table).unwrap();
        assert_eq!(people(&census, &[]), Ok(165));
        assert_eq!(people(&census, &[("region", "021")]), Ok(33));
        assert_eq!(people(&census, &[("age", "0-4"), ("sex", "male")]), Ok(100));
        assert!(people(&census, &[("age", "5-11")]).unwrap_err().contains("age bands"));
        for unknown in [[("region", "")], [("region", "990")], [("sex", "unknown")], [("age", "")]] {
            assert!(people(&census, &unknown).unwrap_err().contains("does not have this group"), "{unknown:?}");
        }
        assert!(people(&census, &[("birth_month", "1990-01")]).unwrap_err().contains("not broken down"));
        let by = ["region".to_owned(), "age".to_owned()];
        assert_eq!(census.groups(&by), [["021", "0-4"], ["MA", "0-4"]]);
        let today = "2026-11-28".parse().unwrap();
        assert!(census.has("021", "male", "2020-01", today) && !census.has("021", "male", "2000-01", today));
        assert!(!census.has("", "male", "2020-01", today) && !census.has("021", "male", "", today));
    }

    #[test]
    fn an_open_band_is_made_up_of_what_there_is() {
        let census = parse("age,persons\n80-89,5\n90+,2\n65-79,9\n").unwrap();
        assert_eq!(people(&census, &[("age", "80+")]), Ok(7));
        assert_eq!(people(&census, &[("age", "65-79")]), Ok(9));
        assert!(people(&parse("age,persons\n80-99,5\n").unwrap(), &[("age", "80+")]).is_err());
    }

    #[test]
    fn years_of_birth_do_not_age() {
        let census = parse("birth_year,persons\n1900-1979,50\n1980,3\n1981,4\n").unwrap();
        assert_eq!(people(&census, &[("birth_year", "1981")]), Ok(4));
        assert_eq!(people(&census, &[]), Ok(57));
        assert!(people(&census, &[("birth_year", "1950")]).is_err() && people(&census, &[("age", "0-4")]).is_err());
        assert_eq!(census.groups(&["birth_year".to_owned()]), [["1980"], ["1981"]]);
    }

    #[test]
    fn mistakes_have_their_place_and_a_remedy() {
        let said = |rest: &str, text: &str| {
            let error = error(rest);
            assert!(error.contains(text), "{error}");
        };
        said(
            "region,persons\n021,1\n02139,1\n",
            "line 6, column region: \"02139\" is no region: write the first three",
        );
        said("region,persons\nma,1\n", "in capitals");
        said("sex,persons\nfemal,1\n", "line 5, column sex: \"femal\" is no sex (did you mean female?)");
        said("age,persons\n0-4,1\n4-9,1\n", "line 6, column age: overlaps 0-4 of line 5");
        said("age,persons\n4-0,1\n", "line 5, column age: \"4-0\" is no span of years: write such as 0-4");
        said("age,persons\n0-4,1.5\n", "line 5, column persons: \"1.5\" is no count of people");
        said("age,persons\n0-4,-1\n", "digits only");
        said("sex,region,persons\nmale,021,1\nfemale,022,1\n", "the group 021, female is missing: add it, with 0");
        said("sex,persons\nmale,1\nmale,2\n", "line 6: the same group as in line 5");
        said("sex,persons\nmale\n", "line 5: has 1 values, and there are 2 columns");
        said("sex,perons\n", "line 4: unknown column perons (did you mean persons?)");
        said("age,birth_year,persons\n", "does not go with age");
        said("sex\nmale\n", "line 4, column persons: is missing");
        said("persons\n", "no line follows");
        said("# titel: x\npersons\n1\n", "line 4: unknown name titel (did you mean title?)");
        said("# id: b\npersons\n1\n", "line 4: # id is there twice");
        assert!(Census::parse("").unwrap_err().to_string().contains("there is no table"));
        let undated = Census::parse("# id: a\n# title: b\npersons\n1\n").unwrap_err().to_string();
        assert!(undated.starts_with("line 3: the line `# date: …` is missing"), "{undated}");
        let never = Census::parse("# id: a\n# title: b\n# date: 2024-02-30\npersons\n1\n").unwrap_err().to_string();
        assert!(never.starts_with("line 3: a date is a day that exists"), "{never}");
    }

    #[test]
    fn the_table_of_the_day_is_taken() {
        let table = |id: &str, date: &str, tenants: &str| {
            let tenants = if tenants.is_empty() { String::new() } else { format!("# tenants: {tenants}\n") };
            Census::parse(&format!("# id: {id}\n# title: t\n# date: {date}\n{tenants}persons\n1\n")).unwrap()
        };
        let tables = [table("a", "2020-01-01", ""), table("b", "2024-01-01", "north, south")];
        assert!(check_all(&tables).is_ok());
        let tables = tables.map(Arc::new);
        let picked = |tenant: &str, day: &str| {
            let day = day.parse().unwrap();
            pick(&tables, &TenantId(tenant.into()), day).map(|census| census.about().id.clone())
        };
        assert_eq!(picked("north", "2026-01-01").as_deref(), Some("b"));
        assert_eq!(picked("north", "2023-01-01").as_deref(), Some("a"));
        assert_eq!(picked("west", "2026-01-01").as_deref(), Some("a"));
        assert_eq!(picked("west", "2019-01-01").as_deref(), Some("a"), "better an older day's than none");
        assert!(check_all(&[table("a", "2020-01-01", ""), table("a", "2021-01-01", "")]).is_err());
        assert!(check_all(&[table("a", "2020-01-01", "x"), table("b", "2020-01-01", "")]).is_err());
        assert!(check_all(&[table("a", "2020-01-01", "x"), table("b", "2020-01-01", "y")]).is_ok());
    }
}
