//! Who is vaccinated, the moment a write is acknowledged.

use crate::support::{ADA, BOB, DAY_US, covid, patient, stand};
use registry::PersonsQuery;

#[tokio::test]
async fn a_dose_and_another_make_partial_and_full() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    assert_eq!(stand.counts(), [1, 1, 0, 0]);
    stand.create("Immunization", &covid(&ada, "208", "2021-04-01")).await;
    assert_eq!(stand.counts(), [1, 0, 1, 0]);
    let second = stand.create("Immunization", &covid(&ada, "208", "2021-04-22")).await;
    assert_eq!(stand.counts(), [1, 0, 0, 1]);
    stand.audit().await;
    stand.delete("Immunization", &second).await;
    assert_eq!(stand.counts(), [1, 0, 1, 0]);
    stand.audit().await;
    let stand = stand.reopen().await;
    assert_eq!(stand.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_dose_may_come_before_its_patient_and_survives_him() {
    let stand = stand().await;
    stand.create("Immunization", &covid("ada", "212", "2021-04-01")).await;
    assert_eq!(stand.counts(), [0, 0, 0, 0]);
    stand.put("Patient", "ada", &patient(ADA)).await;
    assert_eq!(stand.counts(), [1, 0, 0, 1], "one dose of Janssen is all");
    stand.delete("Patient", "ada").await;
    assert_eq!(stand.counts(), [0, 0, 0, 0]);
    stand.audit().await;
    stand.put("Patient", "ada", &patient(ADA)).await;
    assert_eq!(stand.counts(), [1, 0, 0, 1]);
    stand.audit().await;
}

#[tokio::test]
async fn a_bundle_counts_at_once() {
    let stand = stand().await;
    let entry = |url: &str, name: &str, body: &str| {
        format!(r#"{{"fullUrl":"{url}","resource":{body},"request":{{"method":"POST","url":"{name}"}}}}"#)
    };
    let dose = |cvx: &str, day: &str| covid("x", cvx, day).replace("Patient/x", "urn:uuid:1");
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{},{},{}]}}"#,
        entry("urn:uuid:2", "Immunization", &dose("207", "2021-03-01")),
        entry("urn:uuid:1", "Patient", &patient(BOB)),
        entry("urn:uuid:3", "Immunization", &dose("208", "2021-03-31")),
    );
    stand.engine.bundle(&stand.session, bundle.as_bytes()).await.unwrap();
    assert_eq!(stand.counts(), [1, 0, 0, 1], "brands mix");
    stand.audit().await;
}

#[tokio::test]
async fn a_dose_that_moves_to_another_patient_moves_the_counts() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    let dose = stand.create("Immunization", &covid(&ada, "208", "2021-04-01")).await;
    stand.put("Immunization", &dose, &covid(&bob, "208", "2021-04-01")).await;
    assert_eq!(stand.counts(), [2, 1, 1, 0]);
    let ada = stand.registry.whole(&stand.engine, &stand.session, &ada, None).await.unwrap();
    assert!(ada.doses.is_empty());
    stand.audit().await;
}

#[tokio::test]
async fn the_same_dose_reported_twice_is_one() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    stand.create("Immunization", &covid(&ada, "208", "2021-04-01")).await;
    stand.create("Immunization", &covid(&ada, "208", "2021-04-02")).await;
    assert_eq!(stand.counts(), [1, 0, 1, 0]);
    let doses = stand.stats(&["vaccine"]);
    assert_eq!(doses.total.doses, Some(1));
    assert_eq!(doses.groups[0].values, ["208"]);
    stand.audit().await;
}

#[tokio::test]
async fn time_alone_changes_what_is_due_and_the_turn_of_the_day_counts_it() {
    let stand = stand().await;
    let child = crate::support::Who { birth: "2021-06-01", ..ADA };
    let id = stand.create("Patient", &patient(child)).await;
    let overdue = || {
        let query = PersonsQuery {
            programme: Some("Polio".into()),
            mark: Some("overdue".into()),
            limit: 10,
            ..PersonsQuery::default()
        };
        stand.registry.persons(&stand.session, &query).unwrap().total
    };
    assert_eq!(overdue(), 0);
    assert_eq!(stand.registry.turn(&stand.engine, &stand.session).await.unwrap(), 0);
    stand.clock.advance_us(120 * DAY_US);
    assert_eq!(stand.registry.turn(&stand.engine, &stand.session).await.unwrap(), 1);
    assert_eq!(overdue(), 1);
    stand.audit().await;
    let whole = stand.registry.whole(&stand.engine, &stand.session, &id, None).await.unwrap();
    let polio = whole.programmes.iter().find(|programme| programme.programme == "Polio").unwrap();
    assert_eq!((polio.status, polio.marks.as_slice()), ("not", ["overdue"].as_slice()));
    assert!(stand.events("vaccination").await.iter().any(|event| event.contains("\"cause\":\"day\"")));
}

#[tokio::test]
async fn a_condition_that_contraindicates_is_seen() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(crate::support::Who { birth: "2000-01-01", ..ADA })).await;
    let pregnant = format!(
        r#"{{"resourceType":"Condition","subject":{{"reference":"Patient/{ada}"}},
        "clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},
        "code":{{"coding":[{{"system":"http://snomed.info/sct","code":"77386006"}}]}}}}"#
    );
    let condition = stand.create("Condition", &pregnant).await;
    let mmr = || async {
        let whole = stand.registry.whole(&stand.engine, &stand.session, &ada, None).await.unwrap();
        whole.programmes.into_iter().find(|programme| programme.programme == "MMR").unwrap().marks
    };
    assert_eq!(mmr().await, ["contraindicated"]);
    stand.audit().await;
    stand.delete("Condition", &condition).await;
    assert!(!mmr().await.contains(&"contraindicated"));
    stand.audit().await;
}

#[tokio::test]
async fn counts_break_down_and_hide_what_is_small() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    stand.create("Patient", &patient(BOB)).await;
    stand.create("Immunization", &covid(&ada, "208", "2021-04-01")).await;
    let by = stand.stats(&["region", "sex"]);
    let shown: Vec<_> =
        by.groups.iter().map(|group| (group.values.join(" "), group.people.clone().unwrap().partial)).collect();
    assert_eq!(shown, [("010 male".into(), Some(0)), ("021 female".into(), Some(1))]);
    let query = registry::StatsQuery {
        programme: "covid-19-primary".into(),
        by: vec!["sex".into()],
        suppress: true,
        ..Default::default()
    };
    let hidden = stand.registry.stats(&stand.session, &query).unwrap();
    assert!(hidden.suppressed);
    assert!(hidden.groups.iter().all(|group| group.people.as_ref().unwrap().persons.is_none()));
    let past = registry::StatsQuery {
        as_of: Some("2021-03-31".parse().unwrap()),
        by: vec!["region".into()],
        suppress: false,
        ..query
    };
    let past = stand.registry.stats(&stand.session, &past).unwrap();
    assert_eq!(past.total.people.unwrap().partial, Some(0), "the day before the dose");
    let wrong = registry::StatsQuery { programme: "covid".into(), ..Default::default() };
    assert_eq!(stand.registry.stats(&stand.session, &wrong).unwrap_err().status, 400);
}
