//! Tokens exchanged with a partner who runs weir.

use identity::{BadTokens, Identifier, Name, PairKey, PartnerTokens, Person, match_partner_tokens, partner_tokens};
use std::path::PathBuf;

const NUMBER: &[Identifier<'static>] = &[Identifier { assigner: "urn:mbi", value: "1EG4-TE5-MK73" }];
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
    identifiers: NUMBER,
    deceased: false,
};

fn key() -> PairKey {
    PairKey::new(&[7; 32])
}

/// Whether the two are found and whether without asking.
fn found(one: Person<'_>, other: Person<'_>) -> Option<bool> {
    let (ours, theirs) = ([partner_tokens(&key(), &one)], [partner_tokens(&key(), &other)]);
    match_partner_tokens(&ours, &theirs).first().map(|pair| pair.certain)
}

#[test]
fn one_person_is_found_by_what_is_left() {
    const BARE: Person<'static> =
        Person { identifiers: &[], phones: &[], street: "", city: "", postal_code: "", ..ANN };
    for other in [
        BARE,
        Person { given: "Arellano", family: "Gloria", ..BARE },
        Person { given: "Glory", ..BARE },
        Person { given: "G", ..BARE },
        Person { given: "Glorya", family: "Arelano", ..BARE },
        Person { family: "Meinhart", phones: ANN.phones, ..BARE },
        Person { family: "Meinhart", street: "7838 lutz ave", postal_code: "31807", ..BARE },
        Person { given: "Tamsin", family: "Meinhart", identifiers: NUMBER, ..BARE },
        Person { family: "Meinhart", other_names: &[Name { given: "", family: "Arellano" }], ..BARE },
    ] {
        assert_eq!(found(ANN, other), Some(true));
    }
    assert_eq!(
        found(ANN, Person { birth_date: "1939-11-02", ..ANN }),
        Some(false),
        "a parent of the same name, or an error"
    );
    assert_eq!(
        found(ANN, Person { given: "Tommy", birth_date: "2016-01-09", sex: "m", identifiers: &[], ..ANN }),
        None
    );
    let birth_date = Person { birth_date: ANN.birth_date, sex: "f", ..Person::default() };
    assert_eq!(found(birth_date, birth_date), None, "nothing that many share is a token");
}

#[test]
fn another_secret_makes_other_tokens() {
    let (ours, theirs) = ([partner_tokens(&key(), &ANN)], [partner_tokens(&PairKey::new(&[8; 32]), &ANN)]);
    assert_eq!(match_partner_tokens(&ours, &theirs), []);
    let reference = key().reference("a");
    assert!(reference.len() == 32 && reference == key().reference("a"));
    assert!(![key().reference("b"), PairKey::new(&[8; 32]).reference("a")].contains(&reference));
    let same = match_partner_tokens(&ours, &ours);
    assert!(same.len() == 1 && same[0].certain && same[0].rules == 9, "{same:?}");
}

#[test]
fn lines_are_read_as_they_are_written_and_nothing_else_is() {
    let tokens = partner_tokens(&key(), &ANN);
    let line = tokens.to_string();
    assert_eq!(line.parse(), Ok(tokens));
    assert_eq!("w1".parse(), Ok(partner_tokens(&key(), &Person::default())));
    for (line, error) in [
        ("", BadTokens::Version),
        ("w2 1:0000000000000001", BadTokens::Version),
        ("w1 1:0000000000000001 ", BadTokens::Token(2)),
        ("w1 0:0000000000000001", BadTokens::Token(1)),
        ("w1 01:0000000000000001", BadTokens::Token(1)),
        ("w1 10:0000000000000001", BadTokens::Token(1)),
        ("w1 1:000000000000001", BadTokens::Token(1)),
        ("w1 1:000000000000000A", BadTokens::Token(1)),
        ("w1 1:+000000000000001", BadTokens::Token(1)),
        ("w1 1:0000000000000002 1:0000000000000002", BadTokens::Token(2)),
        ("w1 2:0000000000000002 1:0000000000000003", BadTokens::Token(2)),
    ] {
        assert_eq!(line.parse::<PartnerTokens>(), Err(error), "{line}");
    }
    let many: String = (1..=81).map(|token| format!(" 1:{token:016x}")).collect();
    assert_eq!(format!("w1{many}").parse::<PartnerTokens>(), Err(BadTokens::Token(81)));
    for clear in ["Gloria", "gloria", "Arellano", "1966", "2867"] {
        assert!(!line.contains(clear) && !format!("{:?}", line.parse::<PartnerTokens>()).contains(clear));
    }
}

/// The clinic set against itself: how well tokens alone do.
#[test]
fn tokens_alone_find_most_and_are_right() {
    let shared = std::env::var_os("WEIR_SHARED_DATA").map(PathBuf::from);
    let beside = || {
        let folders = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        folders.ancestors().map(|folder| folder.join("shared/data")).find(|it| it.is_dir())
    };
    let folder = shared.or_else(beside).expect("shared/data next to the project, or WEIR_SHARED_DATA");
    let csv = std::fs::read_to_string(folder.join("linkage/vaxid_5k.csv")).expect("the file is there");
    let key = key();
    let (mut tokens, mut persons) = (Vec::new(), Vec::new());
    for line in csv.lines().skip(1) {
        let [_, cluster, _, given, family, birth_date, sex, street, city, postal_code, _, phone] =
            line.split(',').collect::<Vec<_>>()[..]
        else {
            panic!("a line of another length");
        };
        let phones = [phone];
        let person =
            Person { given, family, birth_date, sex, street, city, postal_code, phones: &phones, ..Person::default() };
        tokens.push(partner_tokens(&key, &person));
        persons.push(cluster);
    }
    let pairs: Vec<_> = match_partner_tokens(&tokens, &tokens).into_iter().filter(|it| it.ours < it.theirs).collect();
    let expected = 6_722.0;
    let quality = |certain: bool| {
        let kept = pairs.iter().filter(|it| it.certain || !certain);
        let right = kept.clone().filter(|it| persons[it.ours] == persons[it.theirs]).count() as f64;
        (right / kept.count() as f64, right / expected)
    };
    let ((precision, recall), (_, shown)) = (quality(true), quality(false));
    assert!(
        precision >= 0.995 && recall >= 0.815 && shown >= 0.865,
        "certain {precision:.4} {recall:.4}, shown {shown:.4}"
    );
}
