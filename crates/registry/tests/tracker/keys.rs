//! Tokens made again: by another version of the normaliser, and under another key. Who is who stays as it is.

use crate::support::{ADA, BOB, Stand, Who, covid, patient, stand, ty};
use engine::{Keep, Precondition};
use registry::{Kind, Match, PersonId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::StateChange;

impl Stand {
    async fn rows(&self, space: &str) -> BTreeMap<String, Vec<u8>> {
        let feed = self.engine.feed(&self.session).await.unwrap();
        feed.states(space, "", 100_000).await.unwrap().into_iter().collect()
    }

    async fn put_row(&self, space: &str, key: &str, value: Vec<u8>) {
        let change = StateChange { space: space.into(), key: key.into(), value: Some(value) };
        let feed = self.engine.feed(&self.session).await.unwrap();
        feed.keep(Keep { state: vec![change], ..Keep::default() }).await.unwrap();
    }

    async fn key(&self, number: u32) -> Option<Vec<u8>> {
        let feed = self.engine.feed(&self.session).await.unwrap();
        feed.state("registry", &format!("key-{number}")).await.unwrap()
    }

    /// A status, as an attempt to create somebody gets it.
    async fn refusal(&self, who: Who) -> Option<u16> {
        let (body, free) = (patient(who), Precondition::default());
        let written = self.engine.create(&self.session, ty("Patient"), body.as_bytes(), &free).await;
        written.err().map(|error| error.status)
    }

    /// Everything that is decided and counted, by the ids of `records`.
    async fn decided(&self, records: &[String]) -> Decided {
        let who = [ADA, BOB, Who { family: "Lovelok", ..ADA }, Who { given: "Bertha", ..ADA }];
        let mut matches: Vec<Match> = who.into_iter().flat_map(|who| self.matches(who)).collect();
        matches.sort_by(|one, other| one.bits.total_cmp(&other.bits).then_with(|| one.record.cmp(&other.record)));
        Decided {
            persons: records.iter().map(|id| self.person(id)).collect(),
            matches,
            reviews: self.reviews().await,
            doses: self.registry.table(&self.session, Kind::Dose).unwrap(),
        }
    }
}

#[derive(PartialEq)]
struct Decided {
    persons: Vec<PersonId>,
    matches: Vec<Match>,
    reviews: registry::Reviews,
    doses: Vec<(Vec<String>, i64)>,
}

/// Offset of the encoding's layout and of the normaliser's version in a record's row.
const LAYOUT: usize = 17;
const VERSION: usize = 18;

#[tokio::test]
async fn records_of_another_normaliser_are_encoded_anew_before_anything_is_matched() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let other = stand.create("Patient", &patient(Who { family: "Lovelok", ..ADA })).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    let before = stand.rows("record").await;
    let persons = [&ada, &other, &bob].map(|id| stand.person(id));
    // As an older weir would have left them: other versions, another layout; and tokens that mean something else.
    let mut old = before[&ada].clone();
    old[VERSION] += 1;
    stand.put_row("record", &bob, [&before[&bob][..17], &old[17..]].concat()).await;
    stand.put_row("record", &ada, old).await;
    let mut laid_out = before[&other].clone();
    laid_out[LAYOUT] = 200;
    stand.put_row("record", &other, laid_out).await;

    let stand = stand.reopen().await;
    assert_eq!([&ada, &other, &bob].map(|id| stand.person(id)), persons, "reads go on");
    assert_eq!(stand.counts(), [2, 2, 0, 0]);
    assert_eq!(stand.refusal(ADA).await, Some(503), "unlike encodings are not compared");
    let asked = fhir::json::Document::parse(patient(ADA).as_bytes(), &Default::default()).unwrap();
    assert_eq!(stand.registry.find(&stand.session, asked.root()).unwrap_err().status, 503);
    let merge = stand.registry.merge(&stand.engine, &stand.session, persons[0], persons[2], "").await;
    assert_eq!(merge.unwrap_err().status, 503);
    stand.create("Immunization", &covid(&bob, "212", "2021-04-01")).await;
    assert_eq!(stand.counts(), [2, 1, 0, 1], "doses of who is known are recorded");

    assert_eq!(stand.registry.settle(&stand.engine, &stand.session).await.unwrap(), 3);
    assert_eq!(stand.rows("record").await, before, "by the same key and the same normaliser");
    let third = stand.create("Patient", &patient(ADA)).await;
    assert_eq!(stand.person(&third), persons[0]);
    assert!(stand.events("identity").await.iter().any(|event| event.contains("encoded-anew")));
    assert_eq!(stand.registry.settle(&stand.engine, &stand.session).await.unwrap(), 0, "once");
    stand.audit().await;
    let stand = stand.reopen().await;
    assert_eq!(stand.matches(ADA).len(), 3);
}

/// Some people, a merge, two who are kept apart, a pair to be decided.
async fn people(count: usize) -> (Stand, Vec<String>) {
    let stand = stand().await;
    let one = |n: usize| {
        let stand = &stand;
        async move {
            let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
            // Names that nobody takes for another.
            let letter =
                |at: usize| char::from(b'a' + ((n + 1) * [7919, 104_729, 1_299_709][at % 3] / (at + 1) % 26) as u8);
            let family = leak((0..8).map(letter).collect());
            let given = leak((8..14).map(letter).collect());
            let birth = leak(format!("{}-{:02}-{:02}", 1930 + n % 80, 1 + n % 12, 1 + n % 28));
            let (phone, zip) = (leak(format!("413-556-{n:04}")), leak(format!("{}", 20_000 + n)));
            stand.create("Patient", &patient(Who { given, family, birth, phone, zip, ..BOB })).await
        }
    };
    let mut records = futures_util::future::join_all((0..count).map(one)).await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let misspelt = stand.create("Patient", &patient(Who { family: "Lovelok", ..ADA })).await;
    let twin = stand.create("Patient", &patient(Who { given: "Bertha", ..ADA })).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    let sister = stand.create("Patient", &patient(ADA)).await;
    stand.create("Immunization", &covid(&ada, "208", "2021-04-01")).await;
    stand.create("Immunization", &covid(&bob, "208", "2021-04-22")).await;
    let (person, other) = (stand.person(&ada), stand.person(&bob));
    stand.registry.merge(&stand.engine, &stand.session, person, other, "seen the passport").await.unwrap();
    let apart = std::slice::from_ref(&sister);
    stand.registry.unmerge(&stand.engine, &stand.session, person, apart, "sisters").await.unwrap();
    records.extend([ada, misspelt, twin, bob, sister]);
    (stand, records)
}

#[tokio::test]
async fn another_key_changes_nothing_but_the_tokens() {
    let (stand, records) = people(0).await;
    let (before, rows, key) = (stand.decided(&records).await, stand.rows("record").await, stand.key(1).await);
    assert!(before.reviews.total > 0 && key.is_some());
    let rotated = stand.registry.rotate_key(&stand.engine, &stand.session).await.unwrap();
    assert_eq!((rotated.key, rotated.records), (2, records.len()));
    assert!(stand.decided(&records).await == before);
    let stand = stand.reopen().await;
    assert!(stand.decided(&records).await == before);
    assert_eq!((stand.key(1).await, stand.rows("record").await.len()), (None, 0), "the old key is gone with its rows");
    assert!(stand.key(2).await.is_some_and(|new| Some(new) != key));
    let after = stand.rows("record-2").await;
    assert!(
        rows.keys().eq(after.keys())
            && rows.values().zip(after.values()).all(|(old, new)| old[..17] == new[..17] && old != new)
    );
    let [.., ada, misspelt, twin, bob, sister] = records.as_slice() else { panic!("five at least") };
    stand.put("Patient", sister, &patient(Who { given: "Ada", ..ADA })).await;
    stand.put("Patient", sister, &patient(ADA)).await;
    assert_ne!(stand.person(sister), stand.person(ada), "kept apart for good");
    let person = stand.person(ada);
    assert_eq!((stand.person(misspelt), stand.person(bob)), (person, person));
    let bobs = std::slice::from_ref(bob);
    stand.registry.unmerge(&stand.engine, &stand.session, person, bobs, "not").await.unwrap();
    assert_eq!(stand.counts(), [4, 2, 2, 0], "an unmerge is exact");
    stand.delete("Patient", twin).await;
    assert!(!stand.rows("record-2").await.contains_key(twin));
    stand.audit().await;
    let events = stand.events("identity").await;
    assert_eq!(events.iter().filter(|event| event.contains(r#""type":"key-rotated""#)).count(), 1);
    assert_eq!(stand.registry.rotate_key(&stand.engine, &stand.session).await.unwrap().key, 3);
    assert_eq!((stand.key(2).await, stand.matches(ADA).len()), (None, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_stops_in_the_middle_goes_on_when_the_store_is_opened() {
    let (stand, mut records) = people(500).await;
    let stand = Arc::new(stand);
    let rotation = tokio::spawn({
        let stand = stand.clone();
        async move { stand.registry.rotate_key(&stand.engine, &stand.session).await.map(drop) }
    });
    while stand.rows("record-2").await.is_empty() {
        assert!(!rotation.is_finished());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rotation.abort();
    assert!(rotation.await.is_err_and(|error| error.is_cancelled()), "it was stopped");
    let (under_new, all) = (stand.rows("record-2").await, stand.rows("record").await);
    assert!(under_new.len() < all.len(), "in the middle");
    assert!(stand.key(1).await.is_some() && stand.key(2).await.is_some());

    // Written meanwhile: under both keys, and found whether the other is under the new one or not yet.
    let still = all.keys().find(|id| !under_new.contains_key(*id)).unwrap().clone();
    for id in [under_new.keys().next().unwrap().clone(), still] {
        let copy = stand.create("Patient", &stand.read("Patient", &id).await.unwrap().replace(&id, "copy")).await;
        assert_eq!(stand.person(&copy), stand.person(&id));
        assert!(stand.rows("record").await.contains_key(&copy) && stand.rows("record-2").await.contains_key(&copy));
        records.push(copy);
    }
    let again = stand.create("Patient", &patient(ADA)).await;
    records.push(again);
    let before = stand.decided(&records).await;
    let stand = Arc::into_inner(stand).unwrap().reopen().await;
    assert!(stand.decided(&records).await == before, "by the old key");
    stand.registry.settle(&stand.engine, &stand.session).await.unwrap();
    assert!(stand.decided(&records).await == before, "by the new one");
    let stand = stand.reopen().await;
    assert!(stand.decided(&records).await == before);
    assert_eq!((stand.key(1).await, stand.rows("record").await.len()), (None, 0));
    assert_eq!(stand.rows("record-2").await.len(), records.len());
    stand.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_written_while_the_key_is_changed_is_one_person() {
    let (stand, _) = people(300).await;
    let stand = Arc::new(stand);
    let who = [
        Who { given: "Maud", family: "Ashdown", birth: "1951-02-03", phone: "212-555-0101", zip: "33101", ..ADA },
        Who { given: "Ivor", family: "Birchall", birth: "1962-07-19", phone: "212-555-0102", zip: "44102", ..BOB },
        Who { given: "Oscar", family: "Coppard", birth: "1987-11-28", phone: "212-555-0103", zip: "55103", ..BOB },
        Who { given: "Phyllis", family: "Gatward", birth: "2001-05-06", phone: "212-555-0104", zip: "66104", ..ADA },
    ];
    let rotation = tokio::spawn({
        let stand = stand.clone();
        async move { stand.registry.rotate_key(&stand.engine, &stand.session).await.map(|rotated| rotated.key) }
    });
    let mut tasks = Vec::new();
    for who in who.into_iter().flat_map(|who| [who; 16]) {
        let stand = stand.clone();
        tasks.push(tokio::spawn(async move { (who.family, stand.create("Patient", &patient(who)).await) }));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut persons: BTreeMap<&str, std::collections::BTreeSet<PersonId>> = BTreeMap::new();
    let mut ids = Vec::new();
    for task in tasks {
        let (family, id) = task.await.unwrap();
        persons.entry(family).or_default().insert(stand.person(&id));
        ids.push(id);
    }
    assert_eq!(rotation.await.unwrap().unwrap(), 2);
    assert!(persons.values().all(|persons| persons.len() == 1), "{persons:?}");
    let stand = Arc::into_inner(stand).unwrap().reopen().await;
    let after: std::collections::BTreeSet<PersonId> = ids.iter().map(|id| stand.person(id)).collect();
    assert_eq!(after.len(), who.len());
    stand.audit().await;
}
