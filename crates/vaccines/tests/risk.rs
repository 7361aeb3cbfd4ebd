//! Observations with the real supporting data: indications, evidence of immunity, contraindications, from the tables of chapters 5
//! and 7.

#[path = "support/data.rs"]
mod data;

use data::schedule;
use std::sync::LazyLock;
use vaccines::{
    Date, Dose, DoseReason, DoseStatus, ForecastReason, Observed, Outcome, Person, Recommendation, Schedule, Sex,
    Status,
};

static SCHEDULE: LazyLock<Schedule> = LazyLock::new(schedule);

const PREGNANT: u16 = 7;
const ONSET_OF_PREGNANCY: u16 = 170;
const HEALTH_CARE_PERSONNEL: u16 = 55;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn person(birth: &str, sex: Sex, observations: &[u16]) -> Person {
    let observations = observations.iter().map(|code| Observed { code: *code, date: None }).collect();
    Person { birth: date(birth), sex, born_in_us: false, doses: Vec::new(), observations }
}

fn dose(day: &str, cvx: u16) -> Dose {
    Dose { date: date(day), cvx, mvx: None, substandard: false }
}

fn outcome(person: &Person, today: &str) -> Outcome<'static> {
    vaccines::forecast(&SCHEDULE, person, date(today))
}

fn all<'o>(outcome: &'o Outcome<'static>, group: &str) -> Vec<&'o Recommendation<'static>> {
    outcome.recommendations.iter().filter(|one| one.vaccine_group == group).collect()
}

fn status(person: &Person, group: &str, today: &str) -> Status {
    all(&outcome(person, today), group)[0].status
}

#[test]
fn the_whole_schedule_is_loaded() {
    assert_eq!(SCHEDULE.size(), (30, 143, 484));
    assert_eq!(SCHEDULE.vaccine_groups().count(), 26);
}

#[test]
fn coded_values_mean_observations() {
    assert!(SCHEDULE.observations("SNOMED", "77386006").contains(&PREGNANT));
    assert!(SCHEDULE.observations("SNOMED", "0").is_empty());
}

#[test]
fn an_interval_from_an_observation_counts_from_its_date() {
    let mut mother = person("1996-05-01", Sex::Female, &[PREGNANT]);
    mother.observations.push(Observed { code: ONSET_OF_PREGNANCY, date: Some(date("2025-06-02")) });
    let outcome = outcome(&mother, "2025-11-10");
    let shown = all(&outcome, "DTaP/Tdap/Td")[0];
    assert!(shown.risk);
    assert_eq!(shown.earliest, Some(date("2025-06-02").plus_days(27 * 7)));
    assert_eq!(shown.past_due, Some(date("2025-06-02").plus_days(36 * 7 - 1)));
    mother.sex = Sex::Male;
    assert!(!all(&self::outcome(&mother, "2025-11-10"), "DTaP/Tdap/Td").iter().any(|one| one.risk));
}

#[test]
fn an_indication_applies_from_its_age_on_and_time_brings_it() {
    const IMMUNOCOMPROMISED: u16 = 145;
    let young = person("2007-03-01", Sex::Female, &[IMMUNOCOMPROMISED]);
    let before = outcome(&young, "2026-02-28");
    assert!(!all(&before, "Zoster").iter().any(|one| one.risk));
    let after = outcome(&young, "2026-03-01");
    assert!(all(&after, "Zoster")[0].risk);
    assert_eq!(before.next_transition.unwrap().max(date("2026-03-01")), date("2026-03-01"));
}

#[test]
fn an_indication_ends_with_its_age() {
    const TRAVEL: u16 = 48;
    let infant = person("2025-05-10", Sex::Male, &[TRAVEL]);
    let risk = |today| all(&outcome(&infant, today), "MMR").iter().any(|one| one.risk);
    assert_eq!(
        [risk("2025-11-09"), risk("2025-11-10"), risk("2026-05-09"), risk("2026-05-10")],
        [false, true, true, false]
    );
}

#[test]
fn of_two_recommendations_the_one_that_lacks_a_dose_comes_first() {
    const TRAVEL: u16 = 48;
    let mut infant = person("2025-01-10", Sex::Male, &[TRAVEL]);
    infant.doses.push(dose("2025-08-10", 3));
    let outcome = outcome(&infant, "2025-08-20");
    let shown: Vec<(bool, Status)> = all(&outcome, "MMR").iter().map(|one| (one.risk, one.status)).collect();
    // Mumps and rubella have no risk series for infants.
    assert_eq!(shown, [(false, Status::NotComplete), (true, Status::Complete)]);
}

#[test]
fn evidence_of_immunity_is_an_observation_or_a_birth_date() {
    const VARICELLA_BY_LABORATORY: u16 = 23;
    let varicella = |person: &Person| status(person, "Varicella", "2025-11-10");
    assert_eq!(varicella(&person("2010-01-01", Sex::Male, &[VARICELLA_BY_LABORATORY])), Status::Immune);
    let mut old = person("1979-12-31", Sex::Male, &[]);
    assert_eq!(varicella(&old), Status::NotComplete, "the birth date counts in the United States only");
    old.born_in_us = true;
    assert_eq!(varicella(&old), Status::Immune);
    old.birth = date("1980-01-01");
    assert_eq!(varicella(&old), Status::NotComplete);
    let mut nurse = person("1979-12-31", Sex::Female, &[HEALTH_CARE_PERSONNEL]);
    nurse.born_in_us = true;
    assert_eq!(varicella(&nurse), Status::NotComplete, "an exclusion");
}

#[test]
fn an_antigen_can_be_contraindicated_as_a_whole() {
    let mother = outcome(&person("1996-05-01", Sex::Female, &[PREGNANT]), "2025-11-10");
    let shown = all(&mother, "MMR")[0];
    assert_eq!((shown.status, shown.reasons[0]), (Status::Contraindicated, ForecastReason::Contraindication));
    assert_eq!((shown.earliest, shown.dose_number), (None, None));
}

#[test]
fn a_contraindication_ends_with_its_age() {
    const MOTHER_VACCINATED: u16 = 278;
    let newborn = person("2025-10-15", Sex::Female, &[MOTHER_VACCINATED]);
    assert_eq!(status(&newborn, "RSV", "2025-11-10"), Status::Contraindicated);
    assert_ne!(status(&newborn, "RSV", "2026-06-15"), Status::Contraindicated);
}

/// Which vaccines are named then is in `conditions.rs`: the supporting data names none for Hib.
#[test]
fn a_contraindication_of_some_vaccines_leaves_the_others() {
    const PROGRESSIVE_NEUROLOGIC_DISORDER: u16 = 76;
    const YEAST: u16 = 110;
    let infant = |observations: &[u16]| person("2025-09-01", Sex::Female, observations);
    assert_eq!(status(&infant(&[PROGRESSIVE_NEUROLOGIC_DISORDER]), "Hib", "2025-11-10"), Status::NotComplete);
    assert_eq!(status(&infant(&[YEAST]), "HepB", "2025-11-10"), Status::Contraindicated);
}

#[test]
fn a_substandard_dose_counts_for_nothing() {
    let mut child = person("2024-01-10", Sex::Female, &[]);
    child.doses.push(dose("2025-02-10", 3));
    let number = |person: &Person| all(&outcome(person, "2025-03-01"), "MMR")[0].dose_number;
    assert_eq!(number(&child), Some(2));
    child.doses[0].substandard = true;
    assert_eq!(number(&child), Some(1));
    let evaluations = outcome(&child, "2025-03-01").evaluations;
    assert!(
        evaluations.iter().all(|one| one.status == DoseStatus::SubStandard && one.reasons == [DoseReason::SubStandard])
    );
    assert_eq!(evaluations.len(), 3);
}

#[test]
fn a_dose_of_tomorrow_does_not_count_yet_but_is_the_next_transition() {
    let mut child = person("2024-01-10", Sex::Female, &[]);
    child.doses.push(dose("2025-02-10", 3));
    let outcome = outcome(&child, "2025-02-09");
    assert!(outcome.evaluations.is_empty());
    assert_eq!(outcome.next_transition, Some(date("2025-02-10")));
}

#[test]
fn all_reasons_are_given() {
    let mut child = person("2024-01-10", Sex::Female, &[]);
    child.doses = vec![dose("2024-12-01", 3), dose("2024-12-20", 3)];
    let outcome = outcome(&child, "2025-02-09");
    let second = outcome.evaluations.iter().find(|one| one.dose == 1 && one.antigen == "Measles").unwrap();
    let expected = [
        DoseReason::TooYoung,
        DoseReason::VaccineConflict,
        DoseReason::NotPreferableOrAllowable,
        DoseReason::VaccineOutOfAgeRange,
    ];
    assert_eq!(second.reasons, expected);
}
