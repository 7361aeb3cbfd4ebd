//! Open Link Token, against the tokens that its own implementation made.

use identity::{Person, open_link_tokens};

const VECTORS: &str = include_str!("vectors/open-link-token.csv");
const TODAY: &str = "2025-11-19";

fn tokens(secret: &str, fields: &[&str]) -> [Option<String>; 5] {
    let person = Person {
        given: fields[0],
        family: fields[1],
        birth_date: fields[2],
        sex: fields[3],
        postal_code: fields[4],
        ..Person::default()
    };
    open_link_tokens(secret.as_bytes(), &person, fields[5], TODAY)
}

#[test]
fn tokens_are_those_of_the_reference() {
    let mut wrong = Vec::new();
    for (number, line) in VECTORS.lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        for (rule, token) in tokens("HashingKey", &fields).into_iter().enumerate() {
            if token.unwrap_or_default() != fields[6 + rule] {
                wrong.push((number + 1, rule + 1));
            }
        }
    }
    assert_eq!(wrong, [], "line and rule");
    assert_eq!(VECTORS.lines().count(), 105);
}

#[test]
fn another_partner_gets_other_tokens() {
    let fields: Vec<&str> = VECTORS.lines().next().expect("there are lines").split(',').collect();
    let (one, other) = (tokens("HashingKey", &fields), tokens("another secret", &fields));
    assert!(one.iter().zip(&other).all(|(one, other)| one.is_none() == other.is_none()));
    assert!(one.iter().flatten().all(|token| !other.contains(&Some(token.clone()))));
}

#[test]
fn spellings_that_the_rules_take_for_one() {
    let same = |one: [&str; 6], other: [&str; 6]| assert_eq!(tokens("s", &one), tokens("s", &other), "{}", one[0]);
    same(
        ["Dr. José M.", "Núñez Jr.", "1970-02-28", "M", "60601-1234", "172-10-0983"],
        ["Jose", "Nunez", "1970-02-28", "Male", "606", "172100983"],
    );
    same(
        ["Ann", "O'Neil-Weiß", "1970-02-28", "f", "M5V 3L9", "11223344"],
        ["ANN", "ONeilWeiss", "1970-02-28", "female", "m5v", "011-22-3344"],
    );
}

#[test]
fn parts_that_are_no_evidence_make_no_token() {
    let valid = ["Ann", "Price", "1970-02-28", "F", "60601", "172-10-0983"];
    assert!(tokens("s", &valid).iter().all(Option::is_some));
    for (field, value, lost) in [
        (0, "N/A", [0, 1, 2, 4].as_slice()),
        (1, "X", &[0, 1, 2, 4]),
        (2, "1970-02-30", &[0, 1, 2, 3]),
        (2, "1909-12-31", &[0, 1, 2, 3]),
        (2, "2025-11-20", &[0, 1, 2, 3]),
        (3, "other", &[0, 2, 3, 4]),
        (4, "00012", &[1]),
        (4, "K1A 2", &[1]),
        (5, "123-45-6789", &[3]),
        (5, "666-45-6781", &[3]),
    ] {
        let mut fields = valid;
        fields[field] = value;
        let none: Vec<usize> = (0..5).filter(|rule| tokens("s", &fields)[*rule].is_none()).collect();
        assert_eq!(none, lost, "{value}");
    }
}
