//! Pairs that wait for a decision.

use crate::support::{ADA, Who};
use crate::world::World;

const BERTHA: Who = Who { given: "Bertha <b>", ..ADA };

async fn waiting(world: &World) -> usize {
    world.stand.reviews().await.total
}

/// Two records that wait, and the page with them.
async fn twins() -> (World, String, String, crate::world::Reply) {
    let world = World::new().await;
    let one = world.patient(ADA).await;
    let other = world.patient(BERTHA).await;
    let page = world.get("/tracker/review").await.is(200);
    (world, one, other, page)
}

async fn decide(world: &World, page: &crate::world::Reply, decision: &str) -> crate::world::Reply {
    let (one, other) = (page.field("one"), page.field("other"));
    let fields =
        [("one", one.as_str()), ("other", &other), ("decision", decision), ("why", "seen"), ("after", ""), ("at", "0")];
    world.submit(page, "/tracker/review/decide", &fields).await
}

#[tokio::test]
async fn an_empty_queue_says_so() {
    let world = World::new().await;
    world.get("/tracker/review").await.is(200).shows("Nothing is to be decided").shows(">0</strong> pairs wait");
    world.get("/tracker/review?at=99").await.is(400).shows("at: a number below 20");
    world.get("/tracker/review?at=x").await.is(400);
    world.get("/tracker/review?from=x").await.is(400);
}

#[tokio::test]
async fn a_pair_is_shown_side_by_side_with_what_differs_in_words() {
    let (world, one, other, page) = twins().await;
    page.shows(">1</strong> pair waits")
        .shows("Adelaide Lovelock")
        .shows("Bertha &lt;b&gt; Lovelock")
        .hides("Bertha <b>");
    page.shows("Differs").shows("Same").shows("Why a person must decide: same birth date, different first name");
    page.shows(&one).shows(&other).shows("This is the last pair");
    let name = page.text.split("<tr").find(|row| row.contains("</span>Name<")).unwrap();
    assert!(name.contains("Differs") && name.contains("<mark>"), "{name}");
    let birth = page.text.split("<tr").find(|row| row.contains("</span>Birth date<")).unwrap();
    assert!(birth.contains("Same") && !birth.contains("<mark>"), "{birth}");
    assert!(world.audited("read").await >= 2);
}

#[tokio::test]
async fn the_same_person_is_linked() {
    let (world, one, other, page) = twins().await;
    let done = decide(&world, &page, "same").await.is(303);
    assert_eq!(world.stand.person(&one), world.stand.person(&other));
    let next = world.get(done.header("location")).await.is(200);
    next.shows("They are one person now").shows("undo it there").shows("Nothing is to be decided");
    world.stand.audit().await;
    assert!(world.stand.events("identity").await.iter().any(|event| event.contains("\"why\":\"seen\"")));
}

#[tokio::test]
async fn two_people_are_kept_apart() {
    let (world, one, other, page) = twins().await;
    let done = decide(&world, &page, "different").await.is(303);
    world.get(done.header("location")).await.is(200).shows("They stay two people");
    assert_ne!(world.stand.person(&one), world.stand.person(&other));
    world.stand.put("Patient", &other, &crate::support::patient(ADA)).await;
    assert_ne!(world.stand.person(&one), world.stand.person(&other));
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn a_pair_can_be_left_undecided_and_wrong_words_change_nothing() {
    let (world, one, other, page) = twins().await;
    decide(&world, &page, "perhaps").await.is(400).shows("the form is not complete");
    assert_eq!(waiting(&world).await, 1);
    let done = decide(&world, &page, "dismiss").await.is(303);
    world.get(done.header("location")).await.is(200).shows("taken off the list");
    assert_eq!(waiting(&world).await, 0);
    assert_ne!(world.stand.person(&one), world.stand.person(&other));
    decide(&world, &page, "dismiss").await.is(404).shows("does not wait");
    world.stand.delete("Patient", &other).await;
    decide(&world, &page, "same").await.is(404).shows("one of the two records is not there any more");
}

#[tokio::test]
async fn somebody_is_named_who_decides_until_a_day() {
    let (world, _, _, page) = twins().await;
    page.shows("Nobody in particular is to decide").shows("Only pairs of nobody");
    let (one, other) = (page.field("one"), page.field("other"));
    let assign = async |assigned: &str, due: &str| {
        let fields = [
            ("one", one.as_str()),
            ("other", &other),
            ("assigned", assigned),
            ("due", due),
            ("after", ""),
            ("at", "0"),
        ];
        world.submit(&page, "/tracker/review/assign", &fields).await
    };
    assign("ann <a>", "soon").await.is(400).shows("by which day: a day such as");
    assign(&"a".repeat(101), "").await.is(400).shows("at most 100 characters");
    let done = assign("ann <a>", "2020-02-03").await.is(303);
    let next = world.get(done.header("location")).await.is(200);
    next.shows("Who decides about this pair is noted")
        .shows("ann &lt;a&gt; is to decide by 3 Feb 2020")
        .shows("That day has passed");
    world
        .get("/tracker/review?of=ann+%3Ca%3E")
        .await
        .is(200)
        .shows("Only pairs that ann &lt;a&gt; is to decide")
        .shows("Adelaide");
    world
        .get("/tracker/review?nobody=1")
        .await
        .is(200)
        .shows("nobody in particular is to decide are shown")
        .hides("Adelaide");
    assign("", "").await.is(303);
    world.get("/tracker/review?nobody=1").await.is(200).shows("Adelaide").shows("Only pairs of nobody");
}

#[tokio::test]
async fn a_linked_pair_that_is_no_longer_alike_stays_or_is_parted() {
    for (decision, together) in [("same", true), ("different", false)] {
        let world = World::new().await;
        let one = world.patient(ADA).await;
        let other = world.patient(ADA).await;
        assert_eq!(world.stand.person(&one), world.stand.person(&other));
        world.stand.put("Patient", &other, &crate::support::patient(crate::support::BOB)).await;
        let page = world.get("/tracker/review").await.is(200);
        page.shows("These two are linked now").shows("part them");
        decide(&world, &page, decision).await.is(303);
        assert_eq!(world.stand.person(&one) == world.stand.person(&other), together, "{decision}");
        assert_eq!(waiting(&world).await, 0, "{decision}");
        world.stand.audit().await;
    }
}

#[tokio::test]
async fn skipping_goes_through_the_queue_and_back() {
    let world = World::new().await;
    for given in ["Adelaide", "Bertha", "Clementine"] {
        world.patient(Who { given, ..ADA }).await;
    }
    assert_eq!(waiting(&world).await, 3);
    let mut path = "/tracker/review".to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for pair in 1..=3 {
        let page = world.get(&path).await.is(200);
        seen.insert((page.field("one"), page.field("other")));
        let link = |id: &str| {
            let (_, rest) = page.text.split_once(&format!("id=\"{id}\" href=\""))?;
            Some(rest.split('"').next().unwrap().replace("&amp;", "&"))
        };
        assert_eq!(link("back").is_some(), pair > 1);
        match link("skip") {
            Some(next) => path = next,
            None => assert_eq!(pair, 3),
        }
    }
    assert_eq!(seen.len(), 3);
}
