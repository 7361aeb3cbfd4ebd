//! Streets, cities, postal codes.

use super::fold;

const SUFFIXES: &[&str] = &[
    "street",
    "st",
    "str",
    "avenue",
    "ave",
    "av",
    "road",
    "rd",
    "drive",
    "dr",
    "lane",
    "ln",
    "court",
    "ct",
    "place",
    "pl",
    "way",
    "wy",
    "boulevard",
    "blvd",
    "circle",
    "cir",
    "crescent",
    "cres",
    "cr",
    "terrace",
    "ter",
    "tce",
    "parkway",
    "pkwy",
    "highway",
    "hwy",
    "close",
    "cl",
    "square",
    "sq",
    "trail",
    "trl",
    "circuit",
    "cct",
    "north",
    "south",
    "east",
    "west",
    "n",
    "s",
    "e",
    "w",
];

/// House number and the words of the street with it.
pub(super) fn street(text: &str) -> (String, String) {
    let text = fold(text);
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let kept: Vec<&str> = words.iter().copied().filter(|word| !SUFFIXES.contains(word)).collect();
    // "12 North Street" is a street called north.
    let kept = if kept.iter().all(|word| word.starts_with(|c: char| c.is_ascii_digit())) { words } else { kept };
    let house = kept.first().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let house = house.map(|word| word.chars().take_while(char::is_ascii_digit).collect()).unwrap_or_default();
    if matches!(kept.as_slice(), ["unknown" | "homeless" | "none" | "na" | "general", ..]) {
        return Default::default();
    }
    (house, kept.join(" "))
}

pub(super) fn city(text: &str) -> String {
    fold(text).chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The first five characters: a ZIP without its extension, or the whole code of another country.
pub(super) fn zip(text: &str) -> String {
    let zip: String = fold(text).chars().filter(char::is_ascii_alphanumeric).take(5).collect();
    if matches!(zip.as_str(), "00000" | "99999" | "12345") { String::new() } else { zip }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_do_not_count() {
        let one = street("401 Helton Pl.");
        assert_eq!(one, street("401  helton place"));
        assert_eq!(one, ("401".to_owned(), "401 helton".to_owned()));
        assert_eq!(street("12 North St").1, "12 north st");
        assert_eq!(street("unknown"), Default::default());
    }

    #[test]
    fn codes_are_cut_to_the_area() {
        assert_eq!(zip("98640-1234"), "98640");
        assert_eq!(zip("2042"), "2042");
        assert_eq!(zip("00000"), "");
        assert_eq!(city("St. Louis"), "stlouis");
    }
}
