//! Who is who: matching with the write, and what people decide.

use crate::support::{ADA, BOB, Who, covid, patient, stand, ty};
use engine::Precondition;
use fhir::index::GOLDEN;
use registry::{Date, ReviewsQuery};

const ADA_MISSPELT: Who = Who { family: "Lovelok", phone: "(617) 555 0143", ..ADA };

#[tokio::test]
async fn a_misspelt_record_is_the_same_person() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let other = stand.create("Patient", &patient(ADA_MISSPELT)).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    assert_eq!(stand.person(&one), stand.person(&other));
    assert_ne!(stand.person(&one), stand.person(&bob));
    stand.create("Immunization", &covid(&one, "208", "2021-04-01")).await;
    stand.create("Immunization", &covid(&other, "208", "2021-04-22")).await;
    assert_eq!(stand.counts(), [2, 1, 0, 1]);
    let golden = stand.read("Patient", &stand.person(&one).to_string()).await.unwrap();
    assert!(golden.contains(GOLDEN.1) && golden.contains(&one) && golden.contains(&other), "{golden}");
    assert!(golden.contains("Lovelok") && golden.contains("Lovelock"), "aliases stay: {golden}");
    stand.audit().await;
    let links = stand.events("identity").await;
    assert!(links.iter().any(|event| event.contains("\"type\":\"link\"") && event.contains("\"bits\":")), "{links:?}");
    assert!(links.iter().all(|event| !event.contains("Lovel")), "no clear text");
}

#[tokio::test]
async fn a_golden_record_is_found_once_and_by_its_links_only() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    stand.create("Patient", &patient(ADA_MISSPELT)).await;
    for (name, value, found) in [
        ("birthdate", ADA.birth.to_owned(), 2),
        ("_count", "10".to_owned(), 2),
        ("link", format!("Patient/{one}"), 1),
        ("_tag", format!("{}|{}", GOLDEN.0, GOLDEN.1), 1),
        ("_id:mdm", one, 2),
    ] {
        let pairs = [(name.to_owned(), value)];
        let ty = Some(ty("Patient"));
        let search = engine::Search { ty, compartment: None, pairs: &pairs, lenient: false, cursor: None };
        let page = stand.engine.search(&stand.session, &search).await.unwrap();
        assert_eq!(page.matches.len(), found, "{name}: the records, or the golden one, never both");
    }
}

#[tokio::test]
async fn everything_of_a_person_is_that_of_all_records() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let other = stand.create("Patient", &patient(ADA_MISSPELT)).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    let mut doses = Vec::new();
    for (who, day) in [(&one, "2021-04-01"), (&other, "2021-04-22"), (&bob, "2021-05-01")] {
        doses.push(stand.create("Immunization", &covid(who, "208", day)).await);
    }
    let everything = async |id: &str, pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let page = stand.engine.everything(&stand.session, ty("Patient"), Some(id), &pairs, None).await?;
        let total = page.total;
        let mut ids: Vec<String> = page.matches.into_iter().map(|resource| resource.id).collect();
        ids.retain(|id| *id != stand.person(&one).to_string());
        Ok::<_, engine::Error>((ids, total))
    };
    let types = ("_type", "Patient,Immunization");
    let (own, _) = everything(&one, &[types]).await.unwrap();
    assert_eq!(own, [one.clone(), doses[0].clone()]);
    let (all, total) = everything(&one, &[types, ("_mdm", "true")]).await.unwrap();
    assert_eq!(all[..2], [one.clone(), other.clone()], "the one that was asked for comes first");
    let mut rest = all[2..].to_vec();
    rest.sort();
    let mut both = doses[..2].to_vec();
    both.sort();
    assert_eq!(rest, both);
    // The golden record refers to both.
    assert_eq!(total, Some(5));
    assert_eq!(everything(&bob, &[types, ("_mdm", "true")]).await.unwrap().0, [bob, doses[2].clone()]);
    assert_eq!(everything(&one, &[("_mdm", "yes")]).await.unwrap_err().status, 400);
    let pairs = [("_mdm".to_owned(), "true".to_owned())];
    let of_all = stand.engine.everything(&stand.session, ty("Patient"), None, &pairs, None).await;
    assert_eq!(of_all.unwrap_err().status, 400);
}

#[tokio::test]
async fn a_verified_source_is_believed_before_a_newer_record() {
    let stand = stand().await;
    let from = |who: Who, source: &str| patient(who).replacen('{', &format!(r#"{{"meta":{{"source":"{source}"}},"#), 1);
    let one = stand.create("Patient", &from(ADA, "https://emr.example.org#4711")).await;
    stand.clock.advance_us(1_000_000);
    // Newer, of another system, and with another postal code.
    stand.create("Patient", &from(Who { given: "Adelaida", zip: "01002", ..ADA }, "https://kiosk.example.org")).await;
    let golden = || async { stand.read("Patient", &stand.person(&one).to_string()).await.unwrap() };
    let regions =
        || stand.stats(&["region"]).groups.into_iter().map(|group| group.values[0].clone()).collect::<Vec<_>>();
    let text = golden().await;
    assert!(
        text.find("Adelaida").unwrap() < text.find("Adelaide").unwrap(),
        "the newest, as nothing else is said: {text}"
    );
    assert_eq!(regions(), ["010"]);
    let sources = vec!["https://emr.example.org".to_owned()];
    stand.registry.redefine(crate::support::definitions().with_verified_sources(sources));
    stand.registry.build(&stand.engine, &stand.session).await.unwrap();
    let text = golden().await;
    assert!(text.find("Adelaide").unwrap() < text.find("Adelaida").unwrap(), "its name first: {text}");
    assert_eq!(regions(), ["021"]);
    stand.audit().await;
}

#[tokio::test]
async fn nobody_writes_a_golden_record() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    stand.create("Patient", &patient(ADA_MISSPELT)).await;
    let person = stand.person(&one).to_string();
    let body = patient(BOB).replacen('{', &format!("{{\"id\":\"{person}\","), 1);
    let free = Precondition::default();
    let put = stand.engine.update(&stand.session, ty("Patient"), Some(&person), body.as_bytes(), &free);
    assert_eq!(put.await.unwrap_err().status, 405);
    let tagged = patient(BOB).replacen(
        '{',
        &format!(r#"{{"meta":{{"tag":[{{"system":"{}","code":"{}"}}]}},"#, GOLDEN.0, GOLDEN.1),
        1,
    );
    let create = stand.engine.create(&stand.session, ty("Patient"), tagged.as_bytes(), &Precondition::default()).await;
    assert_eq!(create.unwrap_err().status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_inserts_make_one_person() {
    let stand = std::sync::Arc::new(stand().await);
    for round in 0..8 {
        let who = Who {
            family: ["Ashdown", "Birchall", "Coppard", "Dunnett", "Eckhart", "Farthing", "Gatward", "Haddock"][round],
            ..ADA
        };
        let mut tasks = Vec::new();
        for _ in 0..16 {
            let stand = stand.clone();
            tasks.push(tokio::spawn(async move { stand.create("Patient", &patient(who)).await }));
        }
        let mut persons = std::collections::BTreeSet::new();
        for task in tasks {
            persons.insert(stand.person(&task.await.unwrap()));
        }
        assert_eq!(persons.len(), 1, "{}", who.family);
    }
    stand.audit().await;
}

#[tokio::test]
async fn merging_two_with_a_dose_each_makes_one_full_and_unmerging_restores_exactly() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let other = stand.create("Patient", &patient(BOB)).await;
    stand.create("Immunization", &covid(&one, "208", "2021-04-01")).await;
    stand.create("Immunization", &covid(&other, "208", "2021-04-22")).await;
    assert_eq!(stand.counts(), [2, 0, 2, 0]);
    let before = tables(&stand);
    let (into, from) = (stand.person(&one), stand.person(&other));
    stand.registry.merge(&stand.engine, &stand.session, into, from, "seen the passport").await.unwrap();
    assert_eq!(stand.counts(), [1, 0, 0, 1]);
    stand.audit().await;
    let merged = stand.registry.whole(&stand.engine, &stand.session, &from.to_string(), None).await.unwrap();
    assert_eq!(merged.id, into, "the old id leads to the new person");
    let stand = stand.reopen().await;
    let back =
        stand.registry.unmerge(&stand.engine, &stand.session, into, std::slice::from_ref(&other), "not").await.unwrap();
    assert_eq!(back, from, "the person it was");
    assert_eq!(stand.counts(), [2, 0, 2, 0]);
    assert_eq!(tables(&stand), before);
    assert!(stand.read("Patient", &into.to_string()).await.is_none(), "no golden record for a single one");
    stand.audit().await;
}

fn tables(stand: &crate::support::Stand) -> Vec<Vec<(Vec<String>, i64)>> {
    registry::KINDS.iter().map(|kind| stand.registry.table(&stand.session, *kind).unwrap()).collect()
}

#[tokio::test]
async fn who_is_kept_apart_stays_apart() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let other = stand.create("Patient", &patient(ADA_MISSPELT)).await;
    let person = stand.person(&one);
    stand
        .registry
        .unmerge(&stand.engine, &stand.session, person, std::slice::from_ref(&other), "sisters")
        .await
        .unwrap();
    assert_ne!(stand.person(&one), stand.person(&other));
    let stand = stand.reopen().await;
    stand.put("Patient", &other, &patient(Who { given: "Ada", ..ADA })).await;
    stand.put("Patient", &other, &patient(ADA)).await;
    assert_ne!(stand.person(&one), stand.person(&other), "though they are equal now");
    assert_eq!(stand.reviews().await.total, 0);
    let third = stand.create("Patient", &patient(ADA)).await;
    assert!([stand.person(&one), stand.person(&other)].contains(&stand.person(&third)));
    stand.audit().await;
}

#[tokio::test]
async fn twins_wait_for_a_decision() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let twin = stand.create("Patient", &patient(Who { given: "Bertha", ..ADA })).await;
    assert_ne!(stand.person(&one), stand.person(&twin));
    let reviews = stand.reviews().await;
    assert_eq!(reviews.total, 1);
    assert!(reviews.items[0].reasons.iter().any(|reason| reason.contains("twins")), "{reviews:?}");
    stand.registry.keep_apart(&stand.engine, &stand.session, &one, &twin, "twins").await.unwrap();
    assert_eq!(stand.reviews().await.total, 0);
    let again = stand.registry.keep_apart(&stand.engine, &stand.session, &one, "nobody", "").await;
    assert_eq!(again.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_pair_has_somebody_who_is_to_decide_until_a_day() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let bertha = Who { given: "Bertha", ..ADA };
    let twin = stand.create("Patient", &patient(bertha)).await;
    stand.create("Patient", &patient(Who { given: "Clementine", ..ADA })).await;
    assert_eq!(stand.reviews().await.total, 3);
    let (registry, engine, session) = (&stand.registry, &stand.engine, &stand.session);
    let due: Date = "2026-12-24".parse().unwrap();
    // The pair is the same in either order.
    let review = registry.assign(engine, session, [&twin, &one], Some("ann"), Some(due)).await.unwrap();
    assert_eq!((review.assigned.as_deref(), review.due), (Some("ann"), Some(due)));
    let asked = async |assigned, due_by: Option<&str>, limit| {
        let due_by = due_by.map(|day| day.parse().unwrap());
        let query = ReviewsQuery { assigned, due_by, limit, ..ReviewsQuery::default() };
        registry.reviews(engine, session, &query).await.unwrap()
    };
    assert_eq!(asked(Some("ann"), None, 9).await.items, std::slice::from_ref(&review));
    assert_eq!(asked(None, Some("2026-12-23"), 9).await.items, []);
    assert_eq!(asked(None, Some("2026-12-24"), 9).await.items.len(), 1);
    let first = asked(Some(""), None, 1).await;
    let query = ReviewsQuery { after: first.next.as_deref().unwrap(), assigned: Some(""), limit: 1, due_by: None };
    let second = registry.reviews(engine, session, &query).await.unwrap();
    assert!(first.items[0].assigned.is_none() && second.items.len() == 1 && first.items != second.items);
    assert_eq!((first.total, second.next), (3, None));
    // The record is written again: the pair is looked at anew, and stays ann's.
    stand.clock.advance_us(1_000_000);
    stand.put("Patient", &twin, &patient(Who { phone: "212-555-0100", ..bertha })).await;
    let mine = asked(Some("ann"), None, 9).await.items;
    assert_eq!((mine[0].due, mine[0].at_us), (Some(due), review.at_us));
    registry.assign(engine, session, [&one, &twin], None, None).await.unwrap();
    assert_eq!(asked(Some("ann"), None, 9).await.items, []);
    registry.dismiss(engine, session, &one, &twin).await.unwrap();
    let gone = registry.assign(engine, session, [&one, &twin], Some("ann"), None).await.unwrap_err();
    assert_eq!(gone.status, 404);
    let gone = registry.assign(engine, session, [&one, "nobody"], Some("ann"), None).await.unwrap_err();
    assert_eq!(gone.status, 404);
    let events = stand.events("identity").await;
    let count = |what: &str| events.iter().filter(|event| event.contains(&format!("\"type\":\"{what}\""))).count();
    assert_eq!((count("review"), count("assign"), count("dismiss")), (3, 2, 1), "{events:#?}");
}

#[tokio::test]
async fn a_merge_leaves_no_pair_of_it_in_the_queue() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let twin = stand.create("Patient", &patient(Who { given: "Bertha", ..ADA })).await;
    let (into, from) = (stand.person(&one), stand.person(&twin));
    stand.registry.merge(&stand.engine, &stand.session, into, from, "a middle name").await.unwrap();
    assert_eq!(stand.reviews().await.total, 0);
    stand.put("Patient", &twin, &patient(Who { given: "Bertha", phone: "212-555-0100", ..ADA })).await;
    assert_eq!(stand.person(&one), stand.person(&twin), "what somebody linked is not questioned");
}

#[tokio::test]
async fn a_record_that_comes_to_match_joins_and_its_old_person_is_found() {
    let stand = stand().await;
    let one = stand.create("Patient", &patient(ADA)).await;
    let other = stand.create("Patient", &patient(BOB)).await;
    let old = stand.person(&other);
    stand.put("Patient", &other, &patient(ADA)).await;
    assert_eq!(stand.person(&one), stand.person(&other));
    let whole = stand.registry.whole(&stand.engine, &stand.session, &old.to_string(), None).await.unwrap();
    assert_eq!(whole.id, stand.person(&one));
    stand.put("Patient", &other, &patient(BOB)).await;
    assert_eq!(stand.person(&one), stand.person(&other), "matching never parts what is linked");
    let reviews = stand.reviews().await;
    assert_eq!(reviews.items.iter().map(|review| review.kind.as_str()).collect::<Vec<_>>(), ["drifted"]);
    stand.audit().await;
}

#[tokio::test]
async fn a_thin_question_is_refused_and_a_full_one_answered_with_a_grade() {
    let stand = stand().await;
    stand.create("Patient", &patient(ADA)).await;
    let found = stand.matches(ADA_MISSPELT);
    assert_eq!((found.len(), found[0].grade.code()), (1, "certain"));
    assert!(found[0].score > 0.99);
    assert!(stand.matches(BOB).is_empty());
    let thin = fhir::json::Document::parse(br#"{"name":[{"family":"Lovelock"}]}"#, &Default::default()).unwrap();
    assert_eq!(stand.registry.find(&stand.session, thin.root()).unwrap_err().status, 422);
}
