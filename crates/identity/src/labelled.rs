//! Records of which it is known who is who, from CSV, and how well a matching agrees with them.

use crate::encoded::{Encoded, encode};
use crate::keys::Keys;
use crate::person::Person;
use std::collections::HashMap;

/// Names that a column has in public data sets.
const COLUMNS: [(&str, &[&str]); 10] = [
    ("id", &["id", "rec_id"]),
    ("cluster", &["cluster"]),
    ("given", &["first", "given_name"]),
    ("family", &["last", "surname"]),
    ("birth date", &["dob", "date_of_birth"]),
    ("sex", &["sex"]),
    ("street", &["street", "address_1"]),
    ("city", &["city", "suburb"]),
    ("postal code", &["zip", "postcode"]),
    ("phone", &["phone"]),
];

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LabelledError {
    #[error("the first line names no column for the {0}")]
    NoColumn(&'static str),
    #[error("line {0} has fewer columns than the first")]
    Short(usize),
}

/// Encoded records with the number of the person each belongs to.
#[derive(Debug, Default)]
pub struct Labelled {
    pub records: Vec<Encoded>,
    pub persons: Vec<u32>,
    numbers: HashMap<String, u32>,
}

impl Labelled {
    /// Reads `csv` and encodes each line under `keys`. The columns are found by name: `id`, `first`, `last`, `dob`, and as
    /// far as they are there `cluster`, `sex`, `street` (with `street_number` and `address_2`), `city`, `zip`, `phone`; the names of FEBRL's
    /// columns are understood as well. Without `cluster`, lines belong together that share the number in `rec-NUMBER-…`.
    /// Texts of several files may be read into one set.
    pub fn read(&mut self, keys: &Keys, csv: &str) -> Result<(), LabelledError> {
        let mut lines = csv.lines();
        let header: Vec<String> = fields(lines.next().unwrap_or_default());
        let column =
            |names: &[&str]| header.iter().position(|name| names.contains(&name.to_ascii_lowercase().as_str()));
        let columns = COLUMNS.map(|(_, names)| column(names));
        for needed in [0, 2, 3, 4] {
            columns[needed].ok_or(LabelledError::NoColumn(COLUMNS[needed].0))?;
        }
        let (house, second) = (column(&["street_number"]), column(&["address_2"]));
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fields = fields(line);
            if fields.len() < header.len() {
                return Err(LabelledError::Short(number + 2));
            }
            let field = |at: Option<usize>| at.map_or("", |at| fields[at].as_str());
            let [id, cluster, given, family, birth_date, sex, street, city, postal_code, phone] = columns.map(field);
            let street = format!("{} {street} {}", field(house), field(second));
            let phones = [phone];
            let person = Person {
                given,
                family,
                birth_date,
                sex,
                street: &street,
                city,
                postal_code,
                phones: &phones,
                ..Person::default()
            };
            let label = if cluster.is_empty() { id.split('-').nth(1).unwrap_or(id) } else { cluster };
            let next = self.numbers.len() as u32;
            self.persons.push(*self.numbers.entry(label.to_owned()).or_insert(next));
            self.records.push(encode(keys, &person));
        }
        Ok(())
    }

    /// Pairs of records of one person.
    pub fn pairs(&self) -> usize {
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for person in &self.persons {
            *sizes.entry(*person).or_default() += 1;
        }
        sizes.values().map(|size| size * (size - 1) / 2).sum()
    }

    /// Whether two records are one person's.
    pub fn same(&self, one: u32, other: u32) -> bool {
        self.persons[one as usize] == self.persons[other as usize]
    }

    /// How well `pairs`, each given once, agree with the labels.
    pub fn quality(&self, pairs: impl Iterator<Item = (u32, u32)>) -> Quality {
        let (mut found, mut right) = (0, 0);
        for (one, other) in pairs {
            found += 1;
            right += usize::from(self.same(one, other));
        }
        Quality { found, right, expected: self.pairs() }
    }

    /// The best F1 that any threshold reaches over `pairs`, which are given best first.
    pub fn best(&self, pairs: impl Iterator<Item = (u32, u32)>) -> Quality {
        let mut now = Quality { found: 0, right: 0, expected: self.pairs() };
        let mut best = now;
        for (one, other) in pairs {
            now.found += 1;
            now.right += usize::from(self.same(one, other));
            if now.f1() > best.f1() {
                best = now;
            }
        }
        best
    }
}

/// Pairs found, those of them that are right, and those there are to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quality {
    pub found: usize,
    pub right: usize,
    pub expected: usize,
}

impl Quality {
    pub fn precision(&self) -> f64 {
        self.right as f64 / self.found.max(1) as f64
    }

    pub fn recall(&self) -> f64 {
        self.right as f64 / self.expected.max(1) as f64
    }

    pub fn f1(&self) -> f64 {
        2.0 * self.right as f64 / (self.found + self.expected).max(1) as f64
    }
}

/// The fields of one CSV line, without the spaces around them.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            letter => fields.iter_mut().last().into_iter().for_each(|field| field.push(letter)),
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}
