//! Guards and bands, one pair of people each.

use identity::{
    Address, BadEncoding, Bands, Clusters, Decision, Encoded, FIELDS, Field, Grade, Guards, Identifier, Index, Keys,
    LEAST_IN_CLUSTER, Name, Person, Score, Weights, agrees, encode,
};
use std::sync::LazyLock;

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(seal::DataKey::generate(&|out| out.fill(7))));

const ANN: Person<'static> = Person {
    given: "Gloria",
    family: "Arellano",
    birth_date: "1966-05-17",
    sex: "f",
    street: "7838 Lutz Avenue",
    city: "Rutledge Springs",
    postal_code: "31807",
    other_names: &[],
    other_addresses: &[],
    phones: &["490-241-2867"],
    identifiers: &[],
    deceased: false,
};

fn encoded(person: Person<'_>) -> Encoded {
    encode(&KEYS, &person)
}

/// What becomes of `other` when `one` is known, and why it is not linked.
fn decide(one: Person<'_>, other: Person<'_>) -> (Decision, Vec<&'static str>) {
    let mut index = Clusters::default();
    index.insert(encoded(one));
    let admission = index.admit(&Weights::default(), &Bands::default(), encoded(other));
    assert_eq!(index.cluster(0) == index.cluster(1), admission.decision == Decision::Auto);
    let reasons = admission.candidates.first().map(|candidate| candidate.score.guards.reasons().collect());
    (admission.decision, reasons.unwrap_or_default())
}

#[test]
fn one_person_is_linked_whatever_the_spelling() {
    for other in [
        ANN,
        Person { given: "Glory", street: "7838 lutz ave.", ..ANN },
        Person { given: "Arellano", family: "Gloria", ..ANN },
        Person { given: "Arelano", family: "Gloria", ..ANN },
        Person { family: "ARELLANO-GARCIA", phones: &[], ..ANN },
        Person { family: "Arelano", street: "1 Elsewhere Road", city: "Bell City", postal_code: "36763", ..ANN },
        Person { birth_date: "1966-05-07", ..ANN },
        Person { birth_date: "05/17/1966", sex: "", ..ANN },
        Person { birth_date: "1966-01-01", ..ANN },
    ] {
        assert_eq!(decide(ANN, other), (Decision::Auto, vec![]), "{:?}", other.given);
    }
    let fifth = Person { birth_date: "1966-05-07", ..ANN };
    assert_eq!(decide(fifth, Person { birth_date: "1966-07-05", ..ANN }), (Decision::Auto, vec![]), "day and month");
}

#[test]
fn strangers_are_new() {
    let stranger =
        Person { given: "Dion", family: "Brodersen", birth_date: "1981-02-15", sex: "m", ..Person::default() };
    assert_eq!(decide(ANN, stranger), (Decision::New, vec![]));
    let child = Person { given: "Tommy", birth_date: "2016-01-09", sex: "m", ..ANN };
    assert_eq!(decide(ANN, child).0, Decision::New, "a household is not a person");
}

#[test]
fn guarded_pairs_are_reviewed() {
    const ONE: &[Identifier<'static>] = &[Identifier { assigner: "urn:ssn", value: "078-05-1120" }];
    const TWO: &[Identifier<'static>] = &[Identifier { assigner: "urn:ssn", value: "219-09-9999" }];
    let no_birth = Person { birth_date: "", ..ANN };
    for (one, other, why) in [
        (ANN, Person { given: "Tamsin", ..ANN }, "twins"),
        (Person { family: "Arellano Sr", ..ANN }, Person { family: "Arellano Jr", ..ANN }, "parent and child"),
        (ANN, Person { birth_date: "1939-11-02", ..ANN }, "parent and child"),
        (Person { identifiers: ONE, ..ANN }, Person { identifiers: TWO, ..ANN }, "different numbers"),
        (ANN, Person { sex: "m", ..ANN }, "different sex"),
        (ANN, Person { deceased: true, ..ANN }, "died"),
        (ANN, no_birth, "no birth date"),
        (Person { given: "BABYGIRL", ..ANN }, Person { given: "Baby Girl", ..ANN }, "newborn"),
    ] {
        let (decision, reasons) = decide(one, other);
        assert_eq!(decision, Decision::Review, "{why}");
        assert!(reasons.iter().any(|reason| reason.contains(why)), "{why}: {reasons:?}");
    }
    let (one, other) = (Person { identifiers: ONE, ..no_birth }, Person { identifiers: ONE, ..no_birth });
    assert_eq!(decide(one, other).0, Decision::Auto, "a number in common stands in for the birth date");
}

#[test]
fn a_placeholder_number_is_no_number() {
    const NINES: &[Identifier<'static>] = &[Identifier { assigner: "urn:ssn", value: "999-99-9999" }];
    let one = Person { identifiers: NINES, ..ANN };
    let other = Person {
        given: "Dion",
        family: "Brodersen",
        birth_date: "1981-02-15",
        identifiers: NINES,
        ..Person::default()
    };
    assert_eq!(decide(one, other).0, Decision::New);
}

/// Guarded clustering: a record alike to two people who are not alike does not make them one.
#[test]
fn a_record_between_two_people_joins_one() {
    let mut index = Clusters::default();
    let (weights, bands) = (Weights::default(), Bands { auto: 14.0, review: 8.0, ..Bands::default() });
    let other = Person { given: "Carlos", family: "Meinhart", birth_date: "2001-12-30", sex: "m", ..ANN };
    let between = Person { family: "Arellano-Meinhart", ..ANN };
    for person in [ANN, other, between] {
        index.admit(&weights, &bands, encoded(person));
    }
    assert_eq!(index.cluster(2), index.cluster(0));
    assert_ne!(index.cluster(1), index.cluster(0));
}

#[test]
fn a_key_that_too_many_share_is_passed_over_and_counted() {
    let mut index = Index::default();
    for _ in 0..2_001 {
        index.insert(encoded(ANN));
    }
    let (weights, bands) = (Weights::default(), Bands::default());
    assert!(index.matches(&weights, &bands, &encoded(ANN)).is_empty());
    assert_eq!(index.skipped(), encoded(ANN).blocks().len() as u64);
    let rare = Person { family: "Meinhart", ..ANN };
    index.insert(encoded(rare));
    assert_eq!(index.matches(&weights, &bands, &encoded(rare)).len(), 1, "a rare key still finds");
}

#[test]
fn weights_are_not_learnt_from_one_record() {
    let mut index = Index::default();
    index.insert(encoded(ANN));
    assert!(identity::estimate(&index, &Weights::default(), 1).is_none());
}

#[test]
fn grades_follow_the_bands_and_the_size() {
    let mut index = Index::default();
    index.insert(encoded(ANN));
    let score = index.matches(&Weights::default(), &Bands::default(), &encoded(ANN))[0].score;
    let bands = Bands { auto: score.bits, review: score.bits - 8.0, ..Bands::default() };
    assert_eq!(bands.grade(&score, 38_000).code(), "probable");
    assert_eq!(bands.grade(&score, 380_000).code(), "possible", "3.3 bits more are asked of ten times the records");
    assert_eq!(bands.grade(&score, 38_000_000), Grade::CertainlyNot);
    assert_eq!(Bands::default().grade(&score, 38_000), Grade::Certain);
    assert_eq!(bands.at(1), bands.at(1_000), "a small index is not trusting");
}

#[test]
fn a_score_says_what_it_is_made_of() {
    let mut index = Index::default();
    index.insert(encoded(ANN));
    let other = Person { given: "Glory", phones: &[], street: "1 Elsewhere Road", birth_date: "1966-05-07", ..ANN };
    let found = index.matches(&Weights::default(), &Bands::default(), &encoded(other));
    let reasons: Vec<_> = found[0].score.reasons().collect();
    let expected = [
        (Field::First, "nickname"),
        (Field::Last, "equal"),
        (Field::Birth, "one part differs"),
        (Field::Sex, "equal"),
        (Field::Address, "different"),
        (Field::Zip, "equal"),
        (Field::City, "equal"),
    ];
    assert_eq!(reasons, expected, "the missing phone says nothing");
}

#[test]
fn nothing_of_a_person_shows_in_debug_output() {
    let person = encoded(ANN);
    for text in [format!("{ANN:?}"), format!("{person:?}"), format!("{:?}", *KEYS)] {
        for clear in ["Gloria", "gloria", "Arellano", "1966", "490"] {
            assert!(!text.contains(clear), "{text}");
        }
    }
}

#[test]
fn scores_do_not_depend_on_the_order() {
    let people =
        [ANN, Person { given: "Glory", ..ANN }, Person { given: "Arellano", family: "G", ..ANN }, Person::default()];
    let mut index = Index::default();
    for person in people {
        index.insert(encoded(person));
    }
    for one in 0..people.len() as u32 {
        for other in 0..people.len() as u32 {
            let weights = Weights::default();
            assert_eq!(index.score_pair(&weights, one, other), index.score_pair(&weights, other, one));
        }
    }
}

#[test]
fn former_names_and_addresses_find_and_count() {
    const MARRIED: Person<'static> =
        Person { family: "Meinhart", street: "1 Elsewhere Road", city: "Bell City", postal_code: "36763", ..ANN };
    const MAIDEN: &[Name<'static>] = &[Name { given: "", family: "Arellano" }];
    const FORMER: &[Address<'static>] =
        &[Address { street: "7838 Lutz Ave", city: "Rutledge Springs", postal_code: "31807" }];
    let levels = |one: Person<'_>, other: Person<'_>| {
        let mut index = Index::default();
        index.insert(encoded(one));
        let found = index.matches(&Weights::default(), &Bands::default(), &encoded(other));
        found.first().map(|candidate| candidate.score.reasons().collect::<Vec<_>>())
    };
    let without = Person { phones: &[], birth_date: "1966-05-07", ..MARRIED };
    assert_eq!(levels(ANN, without), None, "nothing leads from one to the other");
    let with = Person { other_names: MAIDEN, other_addresses: FORMER, ..without };
    let expected = [
        (Field::First, "equal"),
        (Field::Last, "equal"),
        (Field::Birth, "one part differs"),
        (Field::Sex, "equal"),
        (Field::Address, "equal"),
        (Field::Zip, "equal"),
        (Field::City, "equal"),
    ];
    assert_eq!(levels(ANN, with).as_deref(), Some(&expected[..]));
    assert_eq!(levels(with, ANN).as_deref(), Some(&expected[..]));
    assert_eq!(decide(with, MARRIED), (Decision::Auto, vec![]), "the new name still counts");
    let goes_by = [Name { given: "Tamsin", family: "" }];
    assert_eq!(decide(Person { other_names: &goes_by, ..ANN }, Person { given: "Tamsin", ..ANN }).0, Decision::Auto);
}

#[test]
fn a_newborn_that_was_named_is_a_newborn_no_longer() {
    let formerly = [Name { given: "BABYGIRL", family: "Arellano" }];
    let named = Person { other_names: &formerly, ..ANN };
    assert_eq!(decide(ANN, named), (Decision::Auto, vec![]));
}

#[test]
fn what_does_not_count_makes_no_difference() {
    let many = [("Ann", "Price"), ("Ann", "Stone"), ("Ann", "Wood"), ("Ann", "Lake")];
    let names = many.map(|(given, family)| Name { given, family });
    let three = Person { other_names: &names[..2], ..ANN };
    assert!(encoded(three) == encoded(Person { other_names: &names, ..ANN }), "three names");
    let same = [Name { given: "GLORIA", family: "Arellano" }, Name::default()];
    assert!(encoded(ANN) == encoded(Person { other_names: &same, ..ANN }), "no new name");
    let same = [Address { street: "7838 LUTZ AVE", city: "rutledge springs", postal_code: "31807-1" }];
    assert!(encoded(ANN) == encoded(Person { other_addresses: &same, ..ANN }), "no new address");
    assert!(encoded(ANN).to_bytes().len() < 600, "{} bytes", encoded(ANN).to_bytes().len());
}

#[test]
fn a_stored_score_says_the_same() {
    let mut index = Index::default();
    index.insert(encoded(ANN));
    let score = index.score(&Weights::default(), &encoded(Person { given: "Tamsin", sex: "m", ..ANN }), 0);
    let score = score.expect("it is there");
    assert_eq!(Score::from_bytes(&score.to_bytes()), Ok(score));
    assert_eq!(score.guards.codes().collect::<Vec<_>>(), ["twins", "sex"]);
    assert!(score.guards.codes().map(Guards::reason).eq(score.guards.reasons().map(Some)));
    assert_eq!(Guards::reason("weather"), None);
    for (at, byte) in [(3, 0x7f), (4, 0x17), (7, 0x03), (8, 0x80)] {
        let mut bytes = score.to_bytes();
        bytes[at] = byte;
        bytes[2] |= if at == 3 { 0x80 } else { 0 };
        assert_eq!(Score::from_bytes(&bytes), Err(BadEncoding::Value), "byte {at}");
    }
    assert_eq!(Score::from_bytes(&score.to_bytes()[..8]), Err(BadEncoding::Length));
    assert!(FIELDS.into_iter().all(|field| Field::from_code(field.code()) == Some(field)));
    let least = Score { bits: LEAST_IN_CLUSTER, ..score };
    assert!(agrees(&least) && !agrees(&Score { bits: LEAST_IN_CLUSTER - 0.1, ..least }));
}

#[test]
fn weights_and_bands_are_stored_as_json() {
    let weights = Weights { version: "own-2".to_owned(), household_cap: f32::INFINITY, ..Weights::default() };
    for weights in [weights, Weights::default()] {
        let json = serde_json::to_string(&weights).expect("finite numbers");
        assert_eq!(serde_json::from_str::<Weights>(&json).expect("its own"), weights);
    }
    let json = serde_json::to_string(&Bands::default()).expect("finite numbers");
    assert_eq!(json, r#"{"version":"weir-1","auto":20.0,"review":12.0}"#);
    assert_eq!(serde_json::from_str::<Bands>(&json).expect("its own"), Bands::default());
    assert!(serde_json::from_str::<Bands>(r#"{"version":"","auto":1,"review":0,"more":1}"#).is_err());
}
