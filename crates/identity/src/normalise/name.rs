//! Names of people.

use super::{Generation, fold};

const TITLES: &[&str] = &["mr", "mrs", "ms", "miss", "dr", "prof", "rev", "sir", "md", "phd", "rn", "esq"];
const PLACEHOLDERS: &[&str] = &[
    "test",
    "testpatient",
    "unknown",
    "unk",
    "none",
    "na",
    "null",
    "nofirstname",
    "nolastname",
    "noname",
    "anonymous",
    "patient",
    "xxx",
    "xx",
    "refused",
    "declined",
];
const NEWBORN: &[&str] = &[
    "baby",
    "babyboy",
    "babygirl",
    "boy",
    "girl",
    "infant",
    "newborn",
    "nb",
    "bb",
    "bg",
    "infantboy",
    "infantgirl",
    "twina",
    "twinb",
    "babya",
    "babyb",
    "malebaby",
    "femalebaby",
    "babymale",
    "babyfemale",
];

#[derive(Default)]
pub(super) struct Name {
    pub(super) first: String,
    pub(super) middle: String,
    pub(super) last_parts: Vec<String>,
    pub(super) generation: Option<Generation>,
    pub(super) newborn: bool,
}

pub(super) fn parse(given: &str, family: &str) -> Name {
    let mut name = Name::default();
    let mut given = words(given, &mut name.generation, false);
    let mut family = words(family, &mut name.generation, true);
    // A newborn is named by its state: BABYGIRL, BABY BOY, INFANT GIRL A.
    if given.first().is_some_and(|word| NEWBORN.contains(&word.as_str())) {
        name.newborn = given.iter().all(|word| word.len() == 1 || NEWBORN.contains(&word.as_str()));
        if name.newborn {
            given.clear();
        }
    }
    if is_placeholder(&given.concat()) {
        given.clear();
    }
    if is_placeholder(&family.concat()) {
        family.clear();
    }
    // A single letter after a surname is a middle initial that slipped.
    if family.len() > 1 && family.last().is_some_and(|word| word.len() == 1) {
        given.extend(family.pop());
    }
    let mut given = given.into_iter();
    name.first = given.next().unwrap_or_default();
    name.middle = given.next().unwrap_or_default();
    name.last_parts = family;
    name
}

pub(super) fn is_placeholder(word: &str) -> bool {
    PLACEHOLDERS.contains(&word)
}

/// The words of a name without titles and suffixes; what they say of the generation is kept. A hyphen borders words.
fn words(text: &str, generation: &mut Option<Generation>, family: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut text = fold(text);
    text.retain(|c| !matches!(c, '\'' | '.' | '`'));
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        match word {
            "jr" | "junior" | "ii" | "iii" if family || !words.is_empty() => *generation = Some(Generation::Junior),
            "sr" | "senior" if family || !words.is_empty() => *generation = Some(Generation::Senior),
            "" => {}
            title if TITLES.contains(&title) => {}
            word => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(family: &str) -> Vec<String> {
        parse("", family).last_parts
    }

    #[test]
    fn titles_and_suffixes_are_no_names() {
        let name = parse("Dr. Mary-Ann J.", "O'Brien Jr.");
        assert_eq!((name.first.as_str(), name.middle.as_str()), ("mary", "ann"));
        assert_eq!(name.last_parts, ["obrien"]);
        assert_eq!(name.generation, Some(Generation::Junior));
        assert_eq!(parse("Junior", "Smith").first, "junior", "a given name, not a suffix");
    }

    #[test]
    fn double_surnames_have_two_parts() {
        assert_eq!(last("Garcia-Lopez"), ["garcia", "lopez"]);
        assert_eq!(last("Wilson\u{2013}Burgess"), ["wilson", "burgess"]);
    }

    #[test]
    fn newborns_have_no_first_name() {
        for given in ["BABYGIRL", "Baby Boy", "INFANT GIRL", "baby girl a"] {
            let name = parse(given, "Smith");
            assert!(name.newborn && name.first.is_empty(), "{given}");
        }
        let name = parse("Girlie", "Smith");
        assert!(!name.newborn && name.first == "girlie");
    }

    #[test]
    fn an_initial_behind_the_surname_is_a_middle_name() {
        let name = parse("Ray", "Charles A");
        assert_eq!((name.first.as_str(), name.middle.as_str()), ("ray", "a"));
        assert_eq!(name.last_parts, ["charles"]);
    }
}
