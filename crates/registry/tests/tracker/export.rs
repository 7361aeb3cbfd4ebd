//! Rows that leave, and the counts they must add up to.

use crate::support::{ADA, BOB, Stand, covid, patient, stand};
use registry::{Export, Exported, KINDS, Kind};
use std::collections::BTreeMap;

/// The export with all its rows, each as the cells that it stands for.
async fn export(stand: &Stand) -> (Export, BTreeMap<&'static str, BTreeMap<Vec<String>, i64>>, Vec<String>) {
    let (mut tables, mut ids) = (BTreeMap::<_, BTreeMap<Vec<String>, i64>>::new(), Vec::new());
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let mut add =
        |table: &'static str, cell: Vec<String>| *tables.entry(table).or_default().entry(cell).or_default() += 1;
    let each = |row: Exported<'_>| {
        match row {
            Exported::Person(row) => {
                ids.push(row.person.to_string());
                add("vaccines-persons", vec![text(row.region), row.sex.into(), text(row.birth_month)]);
            }
            Exported::Standing(row) => {
                for (milestone, on) in [("first", &row.first_on), ("full", &row.full_on), ("boosted", &row.boosted_on)]
                {
                    if let Some(on) = on {
                        add(
                            "vaccines-milestone",
                            vec![row.programme.into(), milestone.into(), on.clone(), text(row.region)],
                        );
                    }
                }
                if row.status != "not" || !row.marks.is_empty() {
                    let (programme, status) = (row.programme.into(), row.status.into());
                    let who = [text(row.region), row.sex.into(), text(row.birth_month)];
                    add("vaccines-standing", [programme, status, row.marks].into_iter().chain(who).collect());
                }
            }
            Exported::Dose(row) => {
                assert!(row.vaccine.is_some_and(|name| name.contains("COVID-19")), "{:?}", row.vaccine);
                add("vaccines-reported", vec![row.reported_on, row.given_on.clone()]);
                add("vaccines-dose", vec![row.cvx, text(row.clinic), text(row.lot), row.given_on, text(row.region)]);
            }
        }
        Ok(())
    };
    let export = stand.registry.export(&stand.engine, &stand.session, each).await.unwrap();
    (export, tables, ids)
}

#[tokio::test]
async fn rows_add_up_to_the_counts() {
    let stand = stand().await;
    let ada = stand.create("Patient", &patient(ADA)).await;
    let again = stand.create("Patient", &patient(ADA)).await;
    let bob = stand.create("Patient", &patient(BOB)).await;
    let dead = patient(BOB)
        .replace("Robert", "Zebulon")
        .replace("1990-03-04", "1931-07-01")
        .replace("413-555-0188", "413-555-0101");
    let dead = stand.create("Patient", &dead.replacen('{', r#"{"deceasedBoolean":true,"#, 1)).await;
    for (who, cvx, day) in [
        (&ada, "208", "2021-04-01"),
        (&again, "208", "2021-04-22"),
        // Twice the same event.
        (&ada, "208", "2021-04-22"),
        (&bob, "212", "2021-05-01"),
        (&dead, "207", "2021-02-01"),
    ] {
        stand.create("Immunization", &covid(who, cvx, day)).await;
    }
    let (export, tables, ids) = export(&stand).await;
    assert_eq!(ids.len(), 2, "one person of two records, Bob, and not the dead");
    assert_eq!(tables["vaccines-dose"].values().sum::<i64>(), 4, "the double one is one; the dead one's counts");
    for table in &export.counters {
        if !["vaccines-invalid", "vaccines-quality"].contains(&table.table) {
            let kept: BTreeMap<Vec<String>, i64> = table.cells.iter().cloned().collect();
            assert_eq!(tables[table.table], kept, "{}", table.table);
        }
    }
    assert_eq!(export.counters.len(), KINDS.len());
    assert_eq!(export.counters[4].dimensions, Kind::Reported.dimensions());
    let events = stand.engine.feed(&stand.session).await.unwrap().last_event().await.unwrap();
    assert!(events > 8, "{events}");
    assert_eq!(export.last_event, events);
}
