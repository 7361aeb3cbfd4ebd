//! Searches with what the engine adds: includes, subsets, compartments, lists, value sets, $everything.

use crate::harness::{World, pairs, text, ty};
use engine::{Options, Page, Search};

async fn filled() -> World {
    let world = World::new();
    fill(&world).await;
    world
}

async fn fill(world: &World) {
    for (name, id, body) in [
        (
            "Patient",
            "p",
            r#"{"resourceType":"Patient","id":"p","name":[{"family":"Ito"}],"photo":[{"title":"x"}],"generalPractitioner":[{"reference":"Practitioner/d"}]}"#,
        ),
        ("Patient", "q", r#"{"resourceType":"Patient","id":"q"}"#),
        ("Organization", "w", r#"{"resourceType":"Organization","id":"w","name":"Ward"}"#),
        ("Practitioner", "d", r#"{"resourceType":"Practitioner","id":"d"}"#),
        (
            "Observation",
            "o",
            r#"{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"s","code":"b"}]},"subject":{"reference":"Patient/p"},"performer":[{"reference":"Organization/w"}],"effectiveDateTime":"2025-01-01"}"#,
        ),
        (
            "Observation",
            "r",
            r#"{"resourceType":"Observation","id":"r","status":"final","code":{"coding":[{"system":"s","code":"z"}]},"subject":{"reference":"http://host/fhir/Patient/q"}}"#,
        ),
        (
            "List",
            "l",
            r#"{"resourceType":"List","id":"l","status":"current","mode":"working","entry":[{"item":{"reference":"Patient/q"}},{"item":{"reference":"Observation/o"}}]}"#,
        ),
        (
            "ValueSet",
            "v",
            r#"{"resourceType":"ValueSet","id":"v","url":"http://v","status":"active","compose":{"include":[{"system":"s","concept":[{"code":"b"}]}]}}"#,
        ),
        (
            "CodeSystem",
            "c",
            r#"{"resourceType":"CodeSystem","id":"c","url":"s","status":"active","content":"complete","concept":[{"code":"a","concept":[{"code":"b"}]}]}"#,
        ),
    ] {
        world.put(name, id, body).await.unwrap();
    }
}

fn ids(page: &Page) -> Vec<&str> {
    page.matches.iter().map(|resource| resource.id.as_str()).collect()
}

fn included(page: &Page) -> Vec<&str> {
    page.includes.iter().map(|resource| resource.id.as_str()).collect()
}

#[tokio::test]
async fn searches_find_what_was_written() {
    let world = filled().await;
    for (name, query, expected) in [
        ("Patient", "family=ito", "p"),
        ("Observation", "patient=p", "o"),
        ("Observation", "patient=q", "r"),
        ("Observation", "subject:Patient.name=ito", "o"),
        ("Patient", "_list=l", "q"),
        ("Observation", "code:in=http://v", "o"),
        ("Observation", "code:not-in=http://v", "r"),
        ("Observation", "code:below=s|a", "o"),
    ] {
        assert_eq!(world.ids(name, query).await, [expected], "{query}");
    }
    for query in ["code:in=http://unknown", "code:below=unknown|a", "nonsense=1", "_list=nothing"] {
        assert_eq!(world.search("Observation", query).await.unwrap_err().status, 400, "{query}");
    }
}

#[tokio::test]
async fn includes_go_forward_backward_and_on() {
    let world = filled().await;
    let forward = world.search("Observation", "patient=p&_include=Observation:subject").await.unwrap();
    assert_eq!(included(&forward), ["p"]);
    let query = "patient=p&_include=Observation:subject&_include:iterate=Patient:general-practitioner";
    assert_eq!(included(&world.search("Observation", query).await.unwrap()), ["p", "d"]);
    let backward = world.search("Patient", "_id=p&_revinclude=Observation:subject").await.unwrap();
    assert_eq!((ids(&backward), included(&backward)), (vec!["p"], vec!["o"]));
    let everything = world.search("Patient", "_id=p&_revinclude=*").await.unwrap();
    assert_eq!((ids(&everything), included(&everything)), (vec!["p"], vec!["o"]));
    let practitioner = world.search("Practitioner", "_id=d&_revinclude=*&_revinclude:iterate=*").await.unwrap();
    assert_eq!(included(&practitioner), ["p", "o", "l"], "who refers to the practitioner, and who to those");
    let small = World::with(Options { includes_max: 1, ..Options::default() });
    fill(&small).await;
    let cut = small.search("Observation", "_include=Observation:subject").await.unwrap();
    assert_eq!((cut.includes.len(), cut.warnings.len()), (1, 1));
}

#[tokio::test]
async fn subsets_are_marked() {
    let world = filled().await;
    let page = world.search("Patient", "_id=p&_elements=name").await.unwrap();
    let json = text(&page.matches[0]);
    assert!(json.contains("SUBSETTED") && json.contains("Ito") && !json.contains("photo"), "{json}");
    let count = world.search("Patient", "_summary=count").await.unwrap();
    assert_eq!((count.total, count.matches.len()), (Some(2), 0));
}

#[tokio::test]
async fn a_compartment_holds_its_members() {
    let world = filled().await;
    let search = Search {
        ty: Some(ty("Observation")),
        compartment: Some((ty("Patient"), "p")),
        pairs: &[],
        lenient: false,
        cursor: None,
    };
    let page = world.engine.search(&world.session, &search).await.unwrap();
    assert_eq!(ids(&page), ["o"]);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let world = filled().await;
    let pairs = pairs("_count=1");
    let mut search = Search { ty: Some(ty("Patient")), compartment: None, pairs: &pairs, lenient: false, cursor: None };
    let first = world.engine.search(&world.session, &search).await.unwrap();
    assert_eq!((ids(&first), first.total), (vec!["q"], Some(2)));
    search.cursor = first.next.as_deref();
    let second = world.engine.search(&world.session, &search).await.unwrap();
    assert_eq!((ids(&second), second.next.as_deref()), (vec!["p"], None));
}

#[tokio::test]
async fn everything_of_a_patient() {
    let world = filled().await;
    let everything = |query: &'static str| {
        let world = &world;
        async move {
            let pairs = pairs(query);
            world.engine.everything(&world.session, ty("Patient"), Some("p"), &pairs, None).await
        }
    };
    let page = everything("").await.unwrap();
    assert_eq!((ids(&page), included(&page)), (vec!["p", "o"], vec!["w", "d"]));
    assert_eq!(ids(&everything("start=2025-06-01").await.unwrap()), ["p"]);
    assert_eq!(ids(&everything("_type=Observation").await.unwrap()), ["o"]);
    let typed = everything("_type=Observation&_type=Practitioner").await.unwrap();
    assert_eq!((ids(&typed), included(&typed), typed.total), (vec!["o"], vec!["d"], Some(1)));
    let staff = everything("_type=Organization,Practitioner").await.unwrap();
    assert_eq!((ids(&staff), included(&staff), staff.total), (vec![], vec!["w", "d"], Some(0)));
    let patient = everything("_type=Patient").await.unwrap();
    assert_eq!((ids(&patient), included(&patient), patient.total), (vec!["p"], vec![], Some(1)));
    assert!(ids(&everything("_since=2999-01-01").await.unwrap()).is_empty());
    assert_eq!(everything("nonsense=1").await.unwrap_err().status, 400);
}
