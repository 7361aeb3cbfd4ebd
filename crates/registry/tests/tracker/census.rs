//! Numbers against a census table.

use crate::support::{ADA, BOB, Stand, covid, patient, stand};
use registry::{Census, Denominator, Group, Share, Stats, StatsQuery};

const TABLE: &str = "# id: test\n# title: Test county\n# date: 2020-04-01\nregion,sex,persons\n\
                     021,female,40\n021,male,60\n999,female,7\n999,male,0\n";

fn stats(stand: &Stand, by: &[&str], suppress: bool) -> Stats {
    let by = by.iter().map(|by| (*by).to_owned()).collect();
    let programme = "covid-19-primary".into();
    let query = StatsQuery { programme, by, denominator: Denominator::Census, suppress, as_of: None };
    stand.registry.stats(&stand.session, &query).unwrap()
}

fn group<'a>(stats: &'a Stats, values: &[&str]) -> &'a Group {
    stats.groups.iter().find(|group| group.values == values).expect("the group")
}

#[tokio::test]
async fn who_is_not_vaccinated_is_who_is_left_of_the_table() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    for (who, cvx, day) in [(&ada, "208", "2021-04-01"), (&ada, "208", "2021-04-22"), (&bob, "208", "2021-05-01")] {
        stand.create("Immunization", &covid(who, cvx, day)).await;
    }
    let query =
        StatsQuery { programme: "covid-19-primary".into(), denominator: Denominator::Census, ..StatsQuery::default() };
    let refused = stand.registry.stats(&stand.session, &query).unwrap_err();
    assert_eq!(refused.status, 400);
    let mut changes = stand.registry.changes(&stand.session).unwrap();
    changes.borrow_and_update();
    stand.registry.use_censuses(vec![Census::parse(TABLE).unwrap()]).unwrap();
    assert!(changes.has_changed().unwrap(), "who watches is told");

    let all = stats(&stand, &["region"], false);
    let used = all.census.as_ref().unwrap();
    assert_eq!((used.table.id.as_str(), used.table.date.as_str(), used.outside), ("test", "2020-04-01", Some(1)));
    assert_eq!(all.denominator, "people in the census table \"Test county\" of 2020-04-01");
    let total = all.total.people.as_ref().unwrap();
    assert_eq!((total.persons, total.not, total.partial, total.full), (Some(2), Some(105), Some(1), Some(1)));
    let of = total.census.as_ref().unwrap();
    assert_eq!(
        (of.people, of.first_percent, of.full_percent),
        (Some(107), Some(Share::Tenths(19)), Some(Share::Tenths(9)))
    );
    // Bob's region is not in the table, and nobody is known in 999.
    let bobs = group(&all, &["010"]).people.as_ref().unwrap();
    assert_eq!((bobs.partial, bobs.not), (Some(1), None));
    assert!(bobs.census.as_ref().unwrap().missing.unwrap().contains("does not have this group"));
    let nobody = group(&all, &["999"]).people.as_ref().unwrap();
    assert_eq!((nobody.persons, nobody.not, nobody.full), (Some(0), Some(7), Some(0)));
    let by_age = stats(&stand, &["age"], false);
    for group in &by_age.groups {
        let people = group.people.as_ref().unwrap();
        assert!(people.not.is_none() && people.census.as_ref().unwrap().missing.unwrap().contains("not broken down"));
    }
    assert_eq!(stats(&stand, &["region", "sex"], false).groups.len(), 5);

    let hidden = stats(&stand, &["region"], true);
    let of = group(&hidden, &["021"]).people.as_ref().unwrap();
    assert_eq!((of.full, of.not), (None, None), "one and what is left of a public table are the same secret");
    let doses = StatsQuery { by: vec!["clinic".into()], ..query };
    assert_eq!(stand.registry.stats(&stand.session, &doses).unwrap_err().status, 400);
}

#[tokio::test]
async fn more_vaccinated_than_there_are_is_flagged_and_never_negative() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    for who in [&ada, &bob] {
        stand.create("Immunization", &covid(who, "212", "2021-04-01")).await;
    }
    let small = "# id: small\n# title: Small\n# date: 2020-04-01\npersons\n1\n";
    stand.registry.use_censuses(vec![Census::parse(small).unwrap()]).unwrap();
    let total = stats(&stand, &[], false).total.people.unwrap();
    let of = total.census.unwrap();
    assert_eq!((total.not, of.exceeded, of.capped, of.full_percent), (Some(0), true, true, Some(Share::AtLeast95)));
    let early = StatsQuery {
        programme: "covid-19-primary".into(),
        denominator: Denominator::Census,
        as_of: Some("2021-03-01".parse().unwrap()),
        ..StatsQuery::default()
    };
    let total = stand.registry.stats(&stand.session, &early).unwrap().total.people.unwrap();
    assert_eq!((total.not, total.full, total.census.unwrap().exceeded), (Some(1), Some(0), false));
}
