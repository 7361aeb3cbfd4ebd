//! The one normaliser. What it gives stays inside the crate; a change of its results is a new [`VERSION`].

mod address;
mod date;
mod name;
mod phone;

pub(crate) use date::Date;

use crate::person::{MAX_ADDRESSES, MAX_IDENTIFIERS, MAX_NAMES, Person};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The version of everything that decides what tokens a person gets. Records of another version must be encoded again.
pub const VERSION: u16 = 1;

/// A person in the one spelling that tokens are made from. An empty text is a value that is not known.
#[derive(Default)]
pub(crate) struct Normal {
    /// One to [`MAX_NAMES`], all different.
    pub(crate) names: Vec<FullName>,
    pub(crate) generation: Option<Generation>,
    /// The only given names are those that a newborn has until it is named.
    pub(crate) newborn: bool,
    pub(crate) birth: Option<Date>,
    pub(crate) sex: Option<u8>,
    /// None to [`MAX_ADDRESSES`], all different.
    pub(crate) places: Vec<Place>,
    pub(crate) phones: Vec<String>,
    pub(crate) identifiers: Vec<(String, String)>,
}

#[derive(Default, Clone, PartialEq, Eq)]
pub(crate) struct FullName {
    pub(crate) first: String,
    /// The second given name; one letter is an initial.
    pub(crate) middle: String,
    /// The surname, its parts written together.
    pub(crate) last: String,
    /// The parts of a double surname, one of a single one.
    pub(crate) last_parts: Vec<String>,
}

#[derive(Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) house: String,
    /// Words of the street with the house number, without case and suffix words.
    pub(crate) street: String,
    pub(crate) city: String,
    pub(crate) zip: String,
}

/// What follows the name of a father or a son who share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Generation {
    Senior,
    Junior,
}

impl Normal {
    pub(crate) fn of(person: &Person<'_>) -> Normal {
        let mut normal = Normal {
            birth: Date::parse(person.birth_date),
            sex: sex(person.sex),
            phones: phone::all(person.phones),
            identifiers: person.identifiers.iter().filter_map(identifier).take(MAX_IDENTIFIERS).collect(),
            ..Normal::default()
        };
        normal.add_name(person.given, person.family);
        for other in person.other_names {
            normal.add_name(other.given, other.family);
        }
        normal.newborn &= normal.names.iter().all(|name| name.first.is_empty());
        normal.add_place(person.street, person.city, person.postal_code);
        for other in person.other_addresses {
            normal.add_place(other.street, other.city, other.postal_code);
        }
        normal
    }

    /// Takes a name unless there are enough or it says nothing new. A part that it lacks is that of the first one.
    fn add_name(&mut self, given: &str, family: &str) {
        let name = name::parse(given, family);
        self.generation = self.generation.or(name.generation);
        self.newborn |= name.newborn;
        let mut full = FullName {
            first: name.first,
            middle: name.middle,
            last: name.last_parts.concat(),
            last_parts: name.last_parts,
        };
        let Some(main) = self.names.first() else { return self.names.push(full) };
        if full.first.is_empty() {
            (full.first, full.middle) = (main.first.clone(), main.middle.clone());
        }
        if full.last.is_empty() {
            (full.last, full.last_parts) = (main.last.clone(), main.last_parts.clone());
        }
        if *main == FullName::default() {
            self.names[0] = full;
        } else if self.names.len() < MAX_NAMES && !self.names.contains(&full) {
            self.names.push(full);
        }
    }

    fn add_place(&mut self, street: &str, city: &str, postal_code: &str) {
        let (house, street) = address::street(street);
        let place = Place { house, street, city: address::city(city), zip: address::zip(postal_code) };
        if self.places.len() < MAX_ADDRESSES && place != Place::default() && !self.places.contains(&place) {
            self.places.push(place);
        }
    }
}

/// NFKD to ASCII, lower case: what cannot be written so is left out.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd().filter(|c| !is_combining_mark(*c)).filter_map(ascii).collect()
}

fn ascii(c: char) -> Option<char> {
    match c {
        'ß' => Some('s'),
        'ø' | 'Ø' => Some('o'),
        'ł' | 'Ł' => Some('l'),
        'đ' | 'Đ' => Some('d'),
        '\u{2010}'..='\u{2015}' => Some('-'),
        '\u{2018}' | '\u{2019}' => Some('\''),
        c if c.is_ascii() => Some(c.to_ascii_lowercase()),
        _ => None,
    }
}

fn sex(text: &str) -> Option<u8> {
    match text.trim().to_ascii_lowercase().as_str() {
        "m" | "male" => Some(b'm'),
        "f" | "female" => Some(b'f'),
        _ => None,
    }
}

/// Assigner and value of a number that is one: `999-99-9999` and other runs of one digit are placeholders.
fn identifier(identifier: &crate::Identifier<'_>) -> Option<(String, String)> {
    let value: String = fold(identifier.value).chars().filter(char::is_ascii_alphanumeric).collect();
    let first = value.chars().next()?;
    let placeholder = value.chars().all(|c| c == first) || value == "123456789" || name::is_placeholder(&value);
    (!placeholder).then(|| (identifier.assigner.trim().to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identifier;

    #[test]
    fn accents_and_case_are_one_spelling() {
        assert_eq!(fold("ÁÉÑ Łódź Søren Weiß"), "aen lodz soren weis");
    }

    #[test]
    fn placeholders_are_not_known() {
        let identifiers =
            ["999-99-9999", "000000000", "", "n/a", "078-05-1120"].map(|value| Identifier { assigner: "ssn", value });
        let person =
            Person { given: "TEST", family: "Unknown", sex: "unknown", identifiers: &identifiers, ..Person::default() };
        let normal = Normal::of(&person);
        assert_eq!((normal.names == [FullName::default()], normal.sex), (true, None));
        assert_eq!(normal.identifiers, [("ssn".to_owned(), "078051120".to_owned())]);
    }
}
