//! As many records of persons as a benchmark needs: copies of a labelled set in which each person, with all of her records,
//! gets another surname, birth date, house, telephone and ZIP. Misspellings and moves stay; how alike people are by chance is
//! as in the set, so that it says something of speed and nothing of quality.

use crate::random::Random;
use anyhow::{Context, Result};
use identity::{Encoded, Keys, Person};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A set laid out like vaxid_5k.csv.
#[derive(Debug)]
pub(crate) struct Persons {
    rows: Vec<Row>,
    /// The first surname of each person.
    surnames: HashMap<String, String>,
    people: Vec<String>,
}

/// One record, in clear: synthetic.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    cluster: String,
    first: String,
    last: String,
    birth_date: String,
    sex: String,
    street: String,
    city: String,
    zip: String,
    phone: String,
}

impl Row {
    /// As the tracker's REST takes a person.
    pub(crate) fn phi(&self) -> Value {
        let mut phi = json!({
            "given": self.first, "family": self.last, "birthDate": self.birth_date, "sex": self.sex(), "phone": self.phone,
            "address": { "line": self.street, "city": self.city, "postalCode": self.zip },
        });
        prune(&mut phi);
        phi
    }

    /// As a FHIR Patient.
    pub(crate) fn patient(&self) -> Value {
        let mut patient = json!({
            "resourceType": "Patient", "name": [{ "given": [self.first], "family": self.last }],
            "birthDate": self.birth_date, "gender": self.sex(), "telecom": [{ "system": "phone", "value": self.phone }],
            "address": [{ "line": [self.street], "city": self.city, "postalCode": self.zip }],
        });
        prune(&mut patient);
        patient
    }

    /// Has a full name, a birth date that somebody alive may have, and a telephone number.
    pub(crate) fn is_whole(&self) -> bool {
        let year = self.birth_date.get(..4).and_then(|year| year.parse().ok());
        year.is_some_and(|year: u32| (1905..2026).contains(&year))
            && !self.first.is_empty()
            && !self.last.is_empty()
            && self.birth_date.len() == 10
            && self.phone.len() >= 5
    }

    fn sex(&self) -> &'static str {
        match self.sex.as_str() {
            "m" | "M" => "male",
            "f" | "F" => "female",
            _ => "unknown",
        }
    }
    pub(crate) fn encode(&self, keys: &Keys) -> Encoded {
        let phones = [self.phone.as_str()];
        let person = Person {
            given: &self.first,
            family: &self.last,
            birth_date: &self.birth_date,
            sex: &self.sex,
            street: &self.street,
            city: &self.city,
            postal_code: &self.zip,
            phones: &phones,
            ..Person::default()
        };
        identity::encode(keys, &person)
    }
}

/// Takes out what is not known: FHIR has no empty values.
fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(prune);
            members.retain(|_, value| !is_empty(value));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(prune);
            items.retain(|value| !is_empty(value));
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() || (members.len() == 1 && members.contains_key("system")),
        _ => false,
    }
}

impl Persons {
    pub(crate) fn read(csv: &str) -> Result<Persons> {
        let mut set = Persons { rows: Vec::new(), surnames: HashMap::new(), people: Vec::new() };
        for line in csv.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let field = |at: usize| fields.get(at).map(|field| (*field).to_owned()).context("a line is too short");
            let (cluster, last) = (field(1)?, field(4)?);
            if !set.surnames.contains_key(&cluster) {
                set.people.push(cluster.clone());
                set.surnames.insert(cluster.clone(), last.clone());
            }
            set.rows.push(Row {
                cluster,
                first: field(3)?,
                last,
                birth_date: field(5)?,
                sex: field(6)?,
                street: field(7)?,
                city: field(8)?,
                zip: field(9)?,
                phone: field(11)?,
            });
        }
        anyhow::ensure!(!set.rows.is_empty(), "no records");
        Ok(set)
    }

    /// Every record of the set, of other people. Copy 0 is the set itself.
    pub(crate) fn copy(&self, copy: u64, seed: u64) -> Vec<Row> {
        if copy == 0 {
            return self.rows.clone();
        }
        let mut random = Random::new(seed ^ (copy << 32));
        let moves: HashMap<&str, (&str, u64)> = self
            .people
            .iter()
            .map(|person| (person.as_str(), (self.surnames[random.pick(&self.people)].as_str(), random.next())))
            .collect();
        let row = |row: &Row| {
            let (surname, by) = moves[row.cluster.as_str()];
            Row {
                last: self.surname(row, surname),
                birth_date: birth_date(&row.birth_date, by),
                // Of a household all move the same way.
                street: street(&row.street, copy * 37),
                zip: digits(&row.zip, copy * 7_919),
                phone: digits(&row.phone, copy * 1_234_567),
                ..row.clone()
            }
        };
        self.rows.iter().map(row).collect()
    }

    /// The new surname, without its last letter where the record had another one than the person's first.
    fn surname(&self, row: &Row, surname: &str) -> String {
        match row.last.is_empty() {
            true => String::new(),
            false if row.last == self.surnames[&row.cluster] => surname.to_owned(),
            false => surname.get(..surname.len().saturating_sub(1)).unwrap_or_default().to_owned(),
        }
    }
}

/// Another day within some years, the same for all records of a person that have the same day.
fn birth_date(text: &str, by: u64) -> String {
    let parts: Vec<u64> = text.split('-').filter_map(|part| part.parse().ok()).collect();
    let [year, month, day] = parts[..] else { return text.to_owned() };
    let (month, day) = ((month + by) % 12 + 1, (day + by / 12) % 28 + 1);
    format!("{:04}-{month:02}-{day:02}", year.saturating_sub(by / 336 % 40))
}

/// The house number further down the street.
fn street(text: &str, by: u64) -> String {
    match text.split_once(' ') {
        Some((house, rest)) => match house.parse::<u64>() {
            Ok(house) => format!("{} {rest}", (house + by) % 9_999 + 1),
            Err(_) => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// Another number of as many digits.
fn digits(text: &str, by: u64) -> String {
    match text.parse::<u64>() {
        Ok(number) => format!("{:0width$}", (number + by) % 10_u64.pow(text.len() as u32), width = text.len()),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "id,cluster,clinic,first,last,dob,sex,street,city,zip,state,phone
1,7,1,ann,price,1967-12-28,f,401 helton pl,owens springs,98640,ga,9592328800
2,7,2,ann,pric,1967-12-28,f,401 helton pl,owens springs,98640,ga,
3,8,2,ben,stone,1990-01-02,m,9 lutz st,bell city,00640,ga,0592328800
";

    #[test]
    fn a_person_is_another_one_in_each_copy_with_all_of_her_records() {
        let set = Persons::read(CSV).expect("readable");
        let (zero, one, again) = (set.copy(0, 1), set.copy(1, 1), set.copy(1, 1));
        assert_eq!(zero[0].last, "price");
        for (row, again) in one.iter().zip(&again) {
            assert_eq!(format!("{row:?}"), format!("{again:?}"), "the seed decides");
        }
        assert_eq!((&one[0].birth_date, &one[0].zip), (&one[1].birth_date, &one[1].zip));
        assert_ne!(one[0].birth_date, zero[0].birth_date);
        assert!(one[0].last.starts_with(&one[1].last) && one[0].last != one[1].last);
        assert_eq!((one[1].phone.as_str(), one[2].zip.as_str()), ("", "08559"));
        assert_eq!(one[0].street, "439 helton pl");
    }
}
