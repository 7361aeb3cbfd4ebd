//! A census table from its text, strictly: every mistake has its place and a remedy.

use super::{AGE_MAX, Census, CensusError, CensusTable, Years};
use crate::facts::Sex;
use fhir::nearest::hint;
use std::collections::HashMap;
use vaccines::Date;

/// Cells of a table.
const CELLS_MAX: usize = 500_000;
/// People of a cell: more than there are.
const PERSONS_MAX: u64 = 10_000_000_000;
const YEARS: std::ops::RangeInclusive<i32> = 1850..=2200;
const COLUMNS: [&str; 5] = ["region", "sex", "age", "birth_year", "persons"];
const HEADS: [&str; 4] = ["id", "title", "date", "tenants"];

/// The start of what a file says, to be shown.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

pub(super) fn wrong(line: usize, column: Option<&str>, text: impl Into<String>) -> CensusError {
    CensusError { line, column: column.map(str::to_owned), text: text.into() }
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
