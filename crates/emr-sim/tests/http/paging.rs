//! Search and paging, which differ between versions and lose data without a word.

use crate::client::{Emr, FHIR, open, patient};
use emr_sim::Profile;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

async fn filled(profile: Profile, patients: usize) -> Emr {
    let emr = open(profile).await;
    for number in 0..patients {
        emr.sim.insert(patient(&format!("k{number}")));
    }
    emr
}

#[tokio::test]
async fn in_702_any_paging_parameter_empties_the_bundle() {
    let emr = filled(Profile::OpenEmr702, 5).await;
    let all = emr.get(&format!("{FHIR}/Patient")).await;
    assert_eq!((all.status, all.entries()), (200, 5));
    for query in ["_count=2", "_offset=1", "_sort=_lastUpdated", "_count=2&name=ito"] {
        let answer = emr.get(&format!("{FHIR}/Patient?{query}")).await;
        assert_eq!((answer.status, answer.entries()), (200, 0), "{query}");
    }
}

#[tokio::test]
async fn in_8_patients_page_and_nothing_else_does() {
    let emr = filled(Profile::OpenEmr8, 450).await;
    let first = emr.get(&format!("{FHIR}/Patient?_count=400&_sort=_lastUpdated")).await;
    assert_eq!(first.entries(), 200, "at most 200");
    let mut seen = BTreeSet::new();
    for offset in [0, 200, 400, 600] {
        let page = emr.get(&format!("{FHIR}/Patient?_count=200&_offset={offset}&_sort=_lastUpdated")).await;
        seen.extend(page.ids());
    }
    assert_eq!(seen.len(), 450);
    let unsorted: Vec<String> = emr.get(&format!("{FHIR}/Patient?_count=5")).await.ids();
    let again: Vec<String> = emr.get(&format!("{FHIR}/Patient?_count=5")).await.ids();
    assert_ne!(unsorted, again, "without _sort there is no order");
    let id = &unsorted[0];
    for _ in 0..3 {
        emr.sim.insert(json!({ "resourceType": "Encounter", "subject": { "reference": format!("Patient/{id}") } }));
    }
    assert_eq!(emr.get(&format!("{FHIR}/Encounter?_count=1&_offset=2")).await.entries(), 3);
}

#[tokio::test]
async fn a_bundle_is_a_collection_without_a_next_link() {
    let emr = filled(Profile::OpenEmr8, 3).await;
    let bundle = emr.get(&format!("{FHIR}/Patient?_count=1")).await.json();
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("collection"), &json!(1)));
    let links = bundle["link"].as_array().cloned().unwrap_or_default();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0]["relation"], "self");
}

#[tokio::test]
async fn an_unknown_parameter_empties_the_bundle_without_an_error() {
    for profile in [Profile::OpenEmr702, Profile::OpenEmr8, Profile::OpenEmrWrites] {
        let emr = filled(profile, 2).await;
        let answer = emr.get(&format!("{FHIR}/Patient?nonsense=1")).await;
        assert_eq!((answer.status, answer.entries(), &answer.json()["total"]), (200, 0, &json!(0)), "{profile}");
    }
    let emr = filled(Profile::OpenEmr8, 1).await;
    emr.sim.insert(json!({ "resourceType": "Immunization", "identifier": [{ "value": "i1" }] }));
    assert_eq!(
        emr.get(&format!("{FHIR}/Immunization?identifier=i1")).await.entries(),
        0,
        "Immunization has no identifier"
    );
    assert_eq!(emr.get(&format!("{FHIR}/Immunization?date=ge2020-01-01")).await.entries(), 0, "nor a date");
}

#[tokio::test]
async fn the_searches_that_exist_find() {
    let emr = open(Profile::OpenEmr8).await;
    let (id, _) = emr.patient("k1").await;
    for (query, found) in [
        ("identifier=k1", 1),
        ("identifier=urn:weir%7Ck1", 1),
        ("identifier=k2", 0),
        ("name=it", 1),
        ("name=aik", 1),
        ("family:exact=Ito", 1),
        ("family:exact=ito", 0),
        ("given=ito", 0),
        ("birthdate=1990-05-01", 1),
        ("birthdate=gt1990-05-01", 0),
        ("gender=female&birthdate=le1990", 1),
        ("phone=555-1", 1),
        ("email=555-1", 0),
        ("name=zzz,ito", 1),
    ] {
        assert_eq!(emr.get(&format!("{FHIR}/Patient?{query}")).await.entries(), found, "{query}");
    }
    assert_eq!(emr.get(&format!("{FHIR}/Patient?_id={id}")).await.entries(), 1);
    let by_post = emr.form(&format!("{FHIR}/Patient/_search"), &[("identifier", "k1")]).await;
    assert_eq!((by_post.status, by_post.entries()), (200, 1));
    emr.sim.insert(json!({ "resourceType": "Appointment", "start": "2026-03-01T10:00:00+00:00",
        "participant": [{ "actor": { "reference": format!("Patient/{id}") } }] }));
    for (query, found) in [("date=2026-03-01", 1), ("date=lt2026-03-01", 0), ("date=ge2026-02-01&date=lt2026-04-01", 1)]
    {
        let answer = emr.get(&format!("{FHIR}/Appointment?patient={id}&{query}")).await;
        assert_eq!(answer.entries(), found, "{query}");
    }
}

#[tokio::test]
async fn last_updated_compares_seconds_and_wants_them() {
    let emr = open(Profile::OpenEmr8).await;
    emr.patient("k1").await;
    emr.sim.advance(Duration::from_secs(100));
    let (second, _) = emr.patient("k2").await;
    let resource = emr.get(&format!("{FHIR}/Patient/{second}")).await.json();
    let time = resource["meta"]["lastUpdated"].as_str().unwrap_or_default().replace('+', "%2B");
    assert_eq!(emr.get(&format!("{FHIR}/Patient?_lastUpdated=ge{time}")).await.ids(), [second]);
    assert_eq!(emr.get(&format!("{FHIR}/Patient?_lastUpdated=lt{time}")).await.entries(), 1);
    let short = emr.get(&format!("{FHIR}/Patient?_lastUpdated=ge2026-01-01T10:00")).await;
    assert_eq!(short.status, 400);
}
