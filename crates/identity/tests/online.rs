//! An index that records come into and go out of, and what of them is stored.

use identity::{Address, BadEncoding, Bands, Encoded, Identifier, Index, Keys, Name, Person, Score, Weights, encode};
use proptest::prelude::*;
use std::sync::LazyLock;

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(seal::DataKey::generate(&|out| out.fill(7))));

/// What `person` makes a person of.
type Parts = (Vec<(String, String)>, Vec<(String, String)>, Vec<String>, Vec<String>, String, bool);

fn person(parts: &Parts) -> Encoded {
    let (names, addresses, phones, numbers, birth_date, flag) = parts;
    let names: Vec<Name<'_>> = names.iter().map(|(given, family)| Name { given, family }).collect();
    let addresses: Vec<Address<'_>> =
        addresses.iter().map(|(street, code)| Address { street, city: "Bell City", postal_code: code }).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    let numbers: Vec<_> = numbers.iter().map(|value| Identifier { assigner: "urn:mrn", value }).collect();
    let (name, address) = (names.first().copied().unwrap_or_default(), addresses.first().copied().unwrap_or_default());
    let person = Person {
        given: name.given,
        family: name.family,
        birth_date,
        sex: if *flag { "f" } else { "" },
        street: address.street,
        city: address.city,
        postal_code: address.postal_code,
        other_names: names.get(1..).unwrap_or_default(),
        other_addresses: addresses.get(1..).unwrap_or_default(),
        phones: &phones,
        identifiers: &numbers,
        deceased: *flag,
    };
    encode(&KEYS, &person)
}

/// Few values, so that people share them.
fn people() -> impl Strategy<Value = Parts> {
    let given = "(Gloria|Glory|William|Bill|B|Baby Girl|Zoë)?( Ann)?";
    let family = "(Arellano|Garcia|Smith-Jones|de la Cruz|Unknown)?( Jr)?";
    let street = "([1-3] (Lutz|Heath) (Ave|Way))?";
    (
        proptest::collection::vec((given, family), 0..5),
        proptest::collection::vec((street, "(3180[1-3])?"), 0..5),
        proptest::collection::vec("490241286[0-3]", 0..5),
        proptest::collection::vec("A[0-3]7", 0..20),
        "(19[67]0-0[1-3]-0[1-3])?",
        any::<bool>(),
    )
}

/// Not `assert_eq!`: an [`Encoded`] shows nothing of itself.
fn same(one: &Encoded, other: &Encoded) -> bool {
    one == other
}

proptest! {
    #[test]
    fn bytes_are_read_as_what_was_written(parts in people()) {
        let encoded = person(&parts);
        let bytes = encoded.to_bytes();
        let read = Encoded::from_bytes(&bytes).expect("its own bytes");
        prop_assert!(same(&read, &encoded));
        prop_assert_eq!(read.version(), identity::VERSION);
        for end in 0..bytes.len() {
            prop_assert_eq!(Encoded::from_bytes(&bytes[..end]).err(), Some(BadEncoding::Length), "cut at {}", end);
        }
        prop_assert_eq!(Encoded::from_bytes(&[&bytes[..], &[0]].concat()).err(), Some(BadEncoding::Length));
    }

    #[test]
    fn changed_bytes_are_an_error_or_another_record(parts in people(), at in any::<prop::sample::Index>(), by in 1u8..) {
        let mut bytes = person(&parts).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        if let Ok(read) = Encoded::from_bytes(&bytes) {
            prop_assert!(!same(&read, &person(&parts)));
            prop_assert_eq!(read.to_bytes(), bytes, "there is one spelling");
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_their_own_spelling(mut bytes in proptest::collection::vec(any::<u8>(), 1..900)) {
        // The byte that names the layout, or almost nothing gets past it.
        bytes[0] = 1;
        if let Ok(read) = Encoded::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    /// After any insertions and removals the index finds and scores what a fresh one of the same records does.
    #[test]
    fn a_removed_record_leaves_nothing(all in proptest::collection::vec((people(), 0..3u8), 1..40), probe in people()) {
        let (weights, bands) = (Weights::default(), Bands { auto: 0.0, review: f32::MIN, ..Bands::default() });
        let (mut index, mut there) = (Index::default(), Vec::new());
        for (parts, kind) in &all {
            if *kind == 0 && !there.is_empty() {
                let (number, parts): (u32, &Parts) = there.swap_remove(there.len() / 2);
                let removed = index.remove(number).expect("it is there");
                prop_assert!(same(&removed, &person(parts)));
                prop_assert!(index.get(number).is_none() && index.remove(number).is_none());
                prop_assert!(index.score(&weights, &removed, number).is_none());
            } else {
                let number = index.insert(person(parts));
                prop_assert!(there.iter().all(|(other, _)| *other != number), "numbers of records that are there differ");
                there.push((number, parts));
            }
        }
        let (mut fresh, mut numbers) = (Index::default(), Vec::new());
        for (number, parts) in &there {
            prop_assert!(index.get(*number).is_some_and(|record| same(record, &person(parts))));
            numbers.push((*number, fresh.insert(person(parts))));
        }
        prop_assert_eq!(index.len(), fresh.len());
        let probe = person(&probe);
        let mut found: Vec<_> = index.matches(&weights, &bands, &probe).iter().map(|it| (it.record, it.score)).collect();
        let renamed = |number: u32| numbers.iter().find(|(_, fresh)| *fresh == number).map(|(number, _)| *number);
        let expected = fresh.matches(&weights, &bands, &probe);
        let mut expected: Vec<_> = expected.iter().map(|it| (renamed(it.record).expect("known"), it.score)).collect();
        found.sort_by_key(|(record, _)| *record);
        expected.sort_by_key(|(record, _)| *record);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn scores_are_symmetric_and_read_as_written(one in people(), other in people()) {
        let mut index = Index::default();
        let (one, other) = (index.insert(person(&one)), index.insert(person(&other)));
        let score = index.score_pair(&Weights::default(), one, other).expect("both are there");
        prop_assert_eq!(Some(score), index.score_pair(&Weights::default(), other, one));
        prop_assert_eq!(Score::from_bytes(&score.to_bytes()), Ok(score));
    }
}
