//! CDC's 1,013 test cases for healthy children and adults.

#[path = "support/cases.rs"]
mod cases;
#[path = "support/data.rs"]
mod data;

use cases::cases;
use data::schedule;
use std::collections::BTreeSet;
use vaccines::{DoseReason, DoseStatus, standing};

/// What is wrong with the answer to a case; nothing if it is right.
fn differences(schedule: &vaccines::Schedule, case: &cases::Case) -> Vec<String> {
    let outcome = vaccines::forecast(schedule, &case.person, case.assessment);
    let mut wrong = Vec::new();
    let Some(shown) = outcome.recommendations.iter().find(|one| one.vaccine_group == case.vaccine_group) else {
        return vec!["no recommendation".to_owned()];
    };
    if shown.status != case.status {
        wrong.push(format!("status {:?} instead of {:?}", shown.status, case.status));
    }
    // A blank date in the workbook says nothing, except beside dates that are there.
    for (name, is, should) in [
        ("earliest", shown.earliest, case.earliest),
        ("recommended", shown.recommended, case.recommended),
        ("past due", shown.past_due, case.past_due),
    ] {
        if case.earliest.is_some() && is != should {
            wrong.push(format!("{name} {is:?} instead of {should:?}"));
        }
    }
    if case.dose_number.is_some() && shown.dose_number != case.dose_number {
        wrong.push(format!("dose number {:?} instead of {:?}", shown.dose_number, case.dose_number));
    }
    for (dose, expected) in case.evaluations.iter().enumerate() {
        let of_dose = outcome.evaluations.iter().filter(|one| one.dose == dose);
        let in_group = of_dose.clone().filter(|one| one.vaccine_group == case.vaccine_group);
        // A dose of another vaccine group is there for a conflict; its own group says what it counts for.
        let judged = if in_group.clone().next().is_some() { in_group.collect::<Vec<_>>() } else { of_dose.collect() };
        let statuses: Vec<(DoseStatus, &[DoseReason])> =
            judged.iter().map(|one| (one.status, &one.reasons[..])).collect();
        let right = || statuses.iter().filter(|(status, _)| *status == expected.status);
        if right().next().is_none() {
            wrong.push(format!("dose {} {statuses:?} instead of {:?}", dose + 1, expected.status));
        } else if expected.reason.is_some_and(|reason| !right().any(|(_, reasons)| reasons.contains(&reason))) {
            wrong.push(format!("reason of dose {} {statuses:?} instead of {:?}", dose + 1, expected.reason));
        }
    }
    wrong
}

#[test]
fn every_case_is_answered_as_cdc_says() {
    let (schedule, cases) = (schedule(), cases());
    assert_eq!(cases.len(), 1013);
    let known: BTreeSet<String> = include_str!("known_failures.txt")
        .lines()
        .filter_map(|line| line.split('#').next())
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    let mut failed: BTreeSet<String> = BTreeSet::new();
    let mut report = String::new();
    for case in &cases {
        let wrong = differences(&schedule, case);
        if !wrong.is_empty() {
            report.push_str(&format!("{} {} {}: {}\n", case.id, case.vaccine_group, case.name, wrong.join("; ")));
            let only_reasons = wrong.iter().all(|difference| difference.starts_with("reason"));
            failed.insert(format!("{}{}", case.id, if only_reasons { " reason" } else { "" }));
        }
    }
    println!("{report}{} of {} right", cases.len() - failed.len(), cases.len());
    assert_eq!(failed, known, "what fails is not what tests/known_failures.txt says, which must then be changed");
}

#[test]
fn nothing_changes_before_the_next_transition() {
    let (schedule, cases) = (schedule(), cases());
    let mut transitions = 0;
    for case in &cases {
        let outcome = vaccines::forecast(&schedule, &case.person, case.assessment);
        let Some(next) = outcome.next_transition else { continue };
        transitions += 1;
        assert!(next > case.assessment);
        let before = vaccines::forecast(&schedule, &case.person, next.plus_days(-1));
        assert_eq!(outcome, before, "{} the day before {next}", case.id);
    }
    assert!(transitions > 900, "{transitions}");
}

#[test]
fn every_case_of_cdc_has_a_consistent_standing_in_every_group() {
    let (schedule, mut seen) = (schedule(), BTreeSet::new());
    for case in cases() {
        let outcome = vaccines::forecast(&schedule, &case.person, case.assessment);
        let standings = vaccines::clinical::standings(&schedule, &case.person, &outcome, case.assessment);
        let groups: Vec<&str> = standings.iter().map(|one| one.vaccine_group).collect();
        assert_eq!(groups, schedule.vaccine_groups().collect::<Vec<_>>());
        for one in &standings {
            let (standing, name) = (&one.standing, format!("{} {}", case.id, one.vaccine_group));
            let shown = outcome.recommendations.iter().find(|shown| shown.vaccine_group == one.vaccine_group);
            assert_eq!(one.applies, shown.is_some(), "{name}");
            assert_eq!(standing.first_on.is_some(), standing.status != standing::Status::Not, "{name}");
            assert_eq!(standing.full_on.is_some(), standing.status == standing::Status::Full, "{name}");
            assert_eq!(
                standing.status == standing::Status::Full,
                shown.is_some_and(|shown| shown.status == vaccines::Status::Complete),
                "{name}"
            );
            assert!(standing.first_on <= standing.full_on || standing.full_on.is_none(), "{name}");
            assert!(standing.valid_doses <= standing.recorded_doses, "{name}");
            assert!(!standing.overdue || !standing.up_to_date, "{name}");
            assert!(
                standing.status != standing::Status::Full || (standing.up_to_date && standing.next_due.is_none()),
                "{name}"
            );
            assert!(!standing.boosted, "{name}");
            seen.insert((standing.status, standing.up_to_date, standing.overdue));
        }
        let group = standings.iter().find(|one| one.vaccine_group == case.vaccine_group).unwrap();
        assert_eq!(
            group.standing.status == standing::Status::Full,
            case.status == vaccines::Status::Complete,
            "{}",
            case.id
        );
    }
    // Full and up to date; partial and not: up to date, due, overdue.
    assert_eq!(seen.len(), 7, "{seen:?}");
}
