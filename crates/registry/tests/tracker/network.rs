//! Numbers over several tenants.

use crate::support::{ADA, BOB, Stand, Who, covid, patient, stand};
use engine::Session;
use registry::{Network, StatsQuery};
use store::TenantId;

/// The same house with two more tenants.
async fn three() -> [Stand; 3] {
    let one = stand().await;
    let mut all = vec![one];
    for name in ["north", "south"] {
        let tenant = TenantId(name.into());
        all[0].store.tenant(&tenant).unwrap();
        let session = Session { tenant, ..all[0].session.clone() };
        all[0].registry.open(&all[0].engine, &session).await.unwrap();
        let Stand { clock, store, engine, registry, .. } = &all[0];
        let (clock, store, engine, registry) = (clock.clone(), store.clone(), engine.clone(), registry.clone());
        all.push(Stand { dir: tempfile::tempdir().unwrap(), clock, store, engine, registry, session, seed: 1 });
    }
    all.try_into().ok().unwrap()
}

async fn counted(stand: &Stand) -> Network {
    stand.registry.network(&stand.engine, &stand.session).await.unwrap()
}

/// Persons, and those not, partially and fully vaccinated against COVID-19.
fn people(network: &Network) -> [u64; 4] {
    let query = StatsQuery { programme: "covid-19-primary".into(), ..StatsQuery::default() };
    let people = network.stats(&query).unwrap().stats.total.people.unwrap();
    [people.persons, people.not, people.partial, people.full].map(Option::unwrap)
}

#[tokio::test]
async fn a_person_of_two_tenants_is_one_with_all_doses() {
    let [home, north, south] = three().await;
    let at_home = home.create("Patient", &patient(ADA)).await;
    let up_north = north.create("Patient", &patient(Who { given: "ADELAIDE", ..ADA })).await;
    south.create("Patient", &patient(BOB)).await;
    home.create("Immunization", &covid(&at_home, "208", "2021-04-01")).await;
    north.create("Immunization", &covid(&up_north, "208", "2021-04-22")).await;
    // The first dose was reported to both.
    north.create("Immunization", &covid(&up_north, "208", "2021-04-01")).await;
    assert_eq!(home.counts(), [1, 0, 1, 0], "partly vaccinated, as far as this tenant knows");
    let network = counted(&home).await;
    assert_eq!(people(&network), [2, 1, 0, 1]);
    let about = network.counted();
    assert_eq!((about.persons, about.joined, about.contradicted), (Some(2), Some(1), Some(0)));
    let tenants: Vec<_> = about.tenants.iter().map(|one| (one.tenant.as_str(), one.persons, one.records)).collect();
    assert_eq!(tenants, [("default", Some(1), Some(1)), ("north", Some(1), Some(1)), ("south", Some(1), Some(1))]);
    let doses = |by: &str, suppress: bool| {
        let query =
            StatsQuery { programme: "covid-19-primary".into(), by: vec![by.into()], suppress, ..StatsQuery::default() };
        network.stats(&query).unwrap()
    };
    assert_eq!(doses("day", false).stats.total.doses, Some(2), "what was reported twice is one dose");
    let clinics = doses("clinic", false).stats.groups;
    assert!(clinics.iter().all(|group| group.values[0].ends_with("/Location/north")), "{clinics:?}");
    let hidden = doses("day", true);
    assert!(hidden.stats.suppressed && hidden.network.persons.is_none() && hidden.network.joined.is_none());
    assert!(hidden.network.tenants.iter().all(|tenant| tenant.persons.is_none()));
    for stand in [&home, &north, &south] {
        let pairs = [("subtype".to_owned(), "network-count".to_owned())];
        let ty = Some(crate::support::ty("AuditEvent"));
        let search = engine::Search { ty, compartment: None, pairs: &pairs, lenient: false, cursor: None };
        let mut noted = 0;
        // Such records are on disk after a tenth of a second; on the way there one may be seen nowhere.
        for _ in 0..50 {
            noted = stand.engine.search(&stand.session, &search).await.unwrap().matches.len();
            if noted > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(noted, 1, "{}", stand.session.tenant.0);
        stand.audit().await;
    }
}

#[tokio::test]
async fn less_than_certain_leaves_two() {
    let [home, north, _] = three().await;
    home.create("Patient", &patient(ADA)).await;
    // The same names and birth date, but nothing besides.
    let moved = patient(Who { phone: "212-555-0101", zip: "10001", ..ADA }).replace("12 Cedar Lane", "9 Elm Street");
    north.create("Patient", &moved).await;
    assert_eq!(counted(&home).await.counted().joined, Some(0));
    assert_eq!(people(&counted(&home).await)[0], 2);
    // With a number that both have it is certain; with the number alone, as of a twin, it is not.
    let number = r#"{"identifier":[{"system":"https://plan.example.org","value":"77-1"}],"#;
    let [home, north, south] = three().await;
    home.create("Patient", &patient(ADA).replacen('{', number, 1)).await;
    north.create("Patient", &moved.replacen('{', number, 1)).await;
    south.create("Patient", &moved.replacen('{', number, 1).replace("Adelaide", "Beatrix")).await;
    let about = counted(&home).await.counted().clone();
    assert_eq!((about.persons, about.joined), (Some(2), Some(1)));
}

#[tokio::test]
async fn whom_a_tenant_keeps_apart_no_other_joins() {
    let [home, north, _] = three().await;
    let one = home.create("Patient", &patient(ADA)).await;
    let other = home.create("Patient", &patient(ADA)).await;
    assert_eq!(home.person(&one), home.person(&other));
    let records = [other.clone()];
    home.registry.unmerge(&home.engine, &home.session, home.person(&one), &records, "two people").await.unwrap();
    north.create("Patient", &patient(ADA)).await;
    let about = counted(&home).await.counted().clone();
    assert_eq!((about.persons, about.joined, about.contradicted), (Some(3), Some(0), Some(1)));
}

#[tokio::test]
async fn one_tenant_alone_has_the_numbers_it_has() {
    let home = stand().await;
    for (who, cvx) in [(ADA, "208"), (BOB, "212")] {
        let id = home.create("Patient", &patient(who)).await;
        home.create("Immunization", &covid(&id, cvx, "2021-05-01")).await;
    }
    let network = counted(&home).await;
    for by in ["region", "sex", "age", "vaccine", "day"] {
        let query = StatsQuery { programme: "covid-19-primary".into(), by: vec![by.into()], ..StatsQuery::default() };
        let own = home.registry.stats(&home.session, &query).unwrap();
        let all = network.stats(&query).unwrap().stats;
        assert_eq!((own.total, own.groups), (all.total, all.groups), "{by}");
    }
}
