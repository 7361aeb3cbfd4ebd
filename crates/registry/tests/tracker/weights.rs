//! A tenant's own weights: learnt, compared, put in force; what they would have decided otherwise is asked, never done.

use crate::support::{ADA, BOB, Stand, Who, patient, stand};
use engine::Keep;
use identity::Weights;
use registry::KeptWeights;
use store::StateChange;

impl Stand {
    async fn keep_weights(&self, number: u32, change: impl FnOnce(&mut Weights)) {
        let mut weights = Weights { version: format!("estimated-{number}"), ..Weights::default() };
        change(&mut weights);
        let (by, normaliser) = ("ann".to_owned(), identity::VERSION);
        let kept = KeptWeights { number, at_us: 0, by, records: 1, matches: 1.0, rounds: 1, normaliser, weights };
        let (key, value) = (format!("weights-{number}"), Some(serde_json::to_vec(&kept).unwrap()));
        let change = StateChange { space: "registry".into(), key, value };
        let feed = self.engine.feed(&self.session).await.unwrap();
        feed.keep(Keep { state: vec![change], ..Keep::default() }).await.unwrap();
    }

    async fn apply(&self, number: Option<u32>) -> registry::Applied {
        self.registry.apply_weights(&self.engine, &self.session, number).await.unwrap()
    }

    /// The pairs that wait, as `kind one other`.
    async fn waiting(&self) -> Vec<String> {
        let reviews = self.reviews().await;
        let mut all: Vec<String> =
            reviews.items.iter().map(|item| format!("{} {}", item.kind, item.records.join(" "))).collect();
        all.sort();
        all
    }
}

fn sorted(kind: &str, one: &str, other: &str) -> String {
    let (one, other) = if one < other { (one, other) } else { (other, one) };
    format!("{kind} {one} {other}")
}

#[tokio::test]
async fn other_weights_ask_and_neither_part_nor_link() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let misspelt = stand.create("Patient", &patient(Who { family: "Lovelok", ..ADA })).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    // By hand, and kept apart by hand.
    let manual =
        stand.create("Patient", &patient(Who { given: "Rollo", family: "Quint", birth: "1944-09-30", ..BOB })).await;
    let sister = stand.create("Patient", &patient(Who { family: "Lovelok", ..ADA })).await;
    let (into, from) = (stand.person(&bob), stand.person(&manual));
    stand.registry.merge(&stand.engine, &stand.session, into, from, "seen the passport").await.unwrap();
    let (person, apart) = (stand.person(&ada), std::slice::from_ref(&sister));
    stand.registry.unmerge(&stand.engine, &stand.session, person, apart, "sisters").await.unwrap();
    // Shares a household with Ada and nothing else.
    let aurora = Who { given: "Aurora", family: "Pettigrew", birth: "1931-06-21", ..ADA };
    let lodger = stand.create("Patient", &patient(aurora)).await;
    let ids = [&ada, &misspelt, &bob, &manual, &sister, &lodger];
    let persons = ids.map(|id| stand.person(id));
    let before = stand.waiting().await;

    // A surname that is not quite the same speaks against one person.
    stand.keep_weights(3, |weights| weights.bits[1][3..6].fill(-60.0)).await;
    let applied = stand.apply(Some(3)).await;
    assert_eq!(applied.version, "estimated-3");
    assert_eq!(ids.map(|id| stand.person(id)), persons, "nobody is parted");
    let mut expected = [before.clone(), vec![sorted("drifted", &ada, &misspelt)]].concat();
    expected.sort();
    assert_eq!(stand.waiting().await, expected, "neither the manual link nor who is kept apart is asked about");
    assert_eq!(applied.reviews, 1);

    let stand = stand.reopen().await;
    let third = stand.create("Patient", &patient(Who { family: "Lovelockk", ..ADA })).await;
    assert_ne!(stand.person(&third), stand.person(&ada), "the weights in force decide, after a restart too");
    let fourth = stand.create("Patient", &patient(aurora)).await;
    assert_eq!(stand.person(&fourth), stand.person(&lodger));
    let events = stand.events("identity").await;
    assert!(events.iter().any(|event| event.contains(r#""type":"weights-applied""#) && event.contains("estimated-3")));
    let link = events.iter().find(|event| event.contains(r#""type":"link""#) && event.contains(&fourth)).unwrap();
    assert!(link.contains(r#""weights":"estimated-3""#), "{link}");

    // A household counts for much more than it should.
    stand.keep_weights(4, |weights| weights.household_cap = f32::INFINITY).await;
    stand.apply(None).await;
    stand.registry.dismiss(&stand.engine, &stand.session, &ada, &misspelt).await.unwrap();
    let (before, persons) = (stand.waiting().await, ids.map(|id| stand.person(id)));
    stand.apply(Some(4)).await;
    let asked: Vec<String> = stand.waiting().await.into_iter().filter(|pair| !before.contains(pair)).collect();
    assert!(asked.contains(&sorted("duplicate", &ada, &lodger)), "{asked:?}");
    assert!(asked.iter().all(|pair| *pair != sorted("duplicate", &ada, &sister)), "kept apart");
    assert_eq!(ids.map(|id| stand.person(id)), persons, "nobody is linked");
    let missing = stand.registry.apply_weights(&stand.engine, &stand.session, Some(99)).await;
    assert_eq!(missing.unwrap_err().status, 404);
    stand.audit().await;
}

#[tokio::test]
async fn questions_that_a_stop_left_unasked_are_asked_when_the_store_is_opened() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let misspelt = stand.create("Patient", &patient(Who { family: "Lovelok", ..ADA })).await;
    stand.keep_weights(1, |weights| weights.bits[1][3..6].fill(-60.0)).await;
    // As it is between the commit that puts weights in force and the first question.
    let row = serde_json::json!({ "number": 1, "asking_since": Weights::default() });
    let value = Some(serde_json::to_vec(&row).unwrap());
    let change = StateChange { space: "registry".into(), key: "weights".into(), value };
    let feed = stand.engine.feed(&stand.session).await.unwrap();
    feed.keep(Keep { state: vec![change], ..Keep::default() }).await.unwrap();
    drop(feed);
    let stand = stand.reopen().await;
    assert!(stand.waiting().await.is_empty());
    stand.registry.settle(&stand.engine, &stand.session).await.unwrap();
    assert_eq!(stand.waiting().await, [sorted("drifted", &ada, &misspelt)]);
    stand.registry.dismiss(&stand.engine, &stand.session, &ada, &misspelt).await.unwrap();
    stand.registry.settle(&stand.engine, &stand.session).await.unwrap();
    assert!(stand.waiting().await.is_empty(), "once");
}

/// People of whom every third has come twice, once with errors.
async fn clinic(stand: &Stand) {
    let one = |n: usize| async move {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let letter =
            |at: usize| char::from(b'a' + ((n + 1) * [7919, 104_729, 1_299_709][at % 3] / (at + 1) % 26) as u8);
        let who = Who {
            given: leak((8..14).map(letter).collect()),
            family: leak((0..8).map(letter).collect()),
            birth: leak(format!("{}-{:02}-{:02}", 1930 + n % 80, 1 + n % 12, 1 + n % 28)),
            phone: leak(format!("413-556-{n:04}")),
            zip: leak(format!("{}", 20_000 + n)),
            gender: if n.is_multiple_of(2) { "male" } else { "female" },
        };
        stand.create("Patient", &patient(who)).await;
        if n.is_multiple_of(3) {
            let family = if n.is_multiple_of(2) { leak(format!("{}e", who.family)) } else { who.family };
            let phone = if n.is_multiple_of(4) { "212-555-0000" } else { who.phone };
            stand.create("Patient", &patient(Who { family, phone, ..who })).await;
        }
    };
    futures_util::future::join_all((0..300).map(one)).await;
}

#[tokio::test]
async fn weights_are_learnt_from_tokens_kept_and_put_in_force() {
    let stand = stand().await;
    stand.create("Patient", &patient(ADA)).await;
    let estimate = |save| stand.registry.estimate_weights(&stand.engine, &stand.session, save, 2);
    let few = estimate(true).await.unwrap_err();
    assert_eq!(few.status, 422, "{few}");
    clinic(&stand).await;
    let learnt = estimate(false).await.unwrap();
    assert!((80.0..130.0).contains(&learnt.matches) && learnt.records == 401, "{} {}", learnt.matches, learnt.records);
    assert!(
        learnt.weights.bits[2][1] > 5.0 && learnt.weights.bits[2][7] < 0.0,
        "an equal birth date speaks for one person"
    );
    assert_eq!((learnt.in_force.version.as_str(), learnt.saved), ("weir-1", None));
    let kept = stand.registry.kept_weights(&stand.engine, &stand.session).await.unwrap();
    assert_eq!(kept, (Vec::new(), None), "nothing was kept");
    let again = estimate(true).await.unwrap();
    assert_eq!((again.weights.bits, again.saved), (learnt.weights.bits, Some(1)), "the same records teach the same");
    let text = serde_json::to_string(&again).unwrap();
    assert!(!text.contains("Adelaide") && !text.contains("1975"));
    let persons = stand.counts()[0];
    assert_eq!(stand.apply(Some(1)).await.version, "estimated-1");
    assert_eq!(stand.counts()[0], persons);
    let second = stand.registry.estimate_weights(&stand.engine, &stand.session, true, 2).await.unwrap();
    assert_eq!((second.in_force.version.as_str(), second.saved), ("estimated-1", Some(2)));
    assert!(second.changes.is_empty(), "{:?}", second.changes);
    let stand = stand.reopen().await;
    let (kept, in_force) = stand.registry.kept_weights(&stand.engine, &stand.session).await.unwrap();
    assert_eq!((kept.len(), kept[0].number, in_force), (2, 1, Some(1)));
    stand.apply(None).await;
    assert_eq!(stand.registry.kept_weights(&stand.engine, &stand.session).await.unwrap().1, None);
    stand.audit().await;
}
