//! The standing in each vaccine group, with the schedule that is shipped.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use vaccines::clinical::{GroupStanding, standings};
use vaccines::standing::{Due, Invalid, Status};
use vaccines::{BUILTIN_VERSION, Date, Dose, DoseReason, Observed, Person, Schedule, Sex};

static SCHEDULE: LazyLock<Schedule> = LazyLock::new(|| Schedule::builtin().unwrap());

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn person(birth: &str, doses: &[(&str, u16)]) -> Person {
    let doses =
        doses.iter().map(|(day, cvx)| Dose { date: date(day), cvx: *cvx, mvx: None, substandard: false }).collect();
    Person { birth: date(birth), sex: Sex::Female, born_in_us: false, doses, observations: Vec::new() }
}

fn all(person: &Person, today: &str) -> Vec<GroupStanding<'static>> {
    let outcome = vaccines::forecast(&SCHEDULE, person, date(today));
    standings(&SCHEDULE, person, &outcome, date(today))
}

fn of(person: &Person, group: &str, today: &str) -> GroupStanding<'static> {
    all(person, today).into_iter().find(|one| one.vaccine_group == group).unwrap()
}

#[test]
fn the_shipped_schedule_is_the_whole_one_with_its_names() {
    assert_eq!(SCHEDULE.version(), BUILTIN_VERSION);
    assert_eq!(SCHEDULE.size(), (30, 143, 484));
    assert_eq!(SCHEDULE.vaccine_name(3), Some("MMR"));
    assert_eq!(SCHEDULE.vaccine_name(9999), None);
    assert_eq!(SCHEDULE.antigens_of(3).collect::<Vec<_>>(), ["Measles", "Mumps", "Rubella"]);
    assert_eq!(SCHEDULE.groups_of(94).collect::<Vec<_>>(), ["MMR", "Varicella"]);
    assert_eq!(SCHEDULE.groups_of(9999).count(), 0);
}

#[test]
fn a_child_goes_from_not_to_partial_to_full() {
    let mut child = person("2019-01-10", &[]);
    let mmr = of(&child, "MMR", "2020-01-10").standing;
    assert_eq!((mmr.status, mmr.recorded_doses, mmr.up_to_date, mmr.overdue), (Status::Not, 0, false, false));
    assert!(of(&child, "MMR", "2019-12-01").standing.up_to_date, "not due before the first birthday");
    child = person("2019-01-10", &[("2020-02-01", 3)]);
    let mmr = of(&child, "MMR", "2020-03-15").standing;
    assert_eq!((mmr.status, mmr.first_on, mmr.full_on), (Status::Partial, Some(date("2020-02-01")), None));
    assert!(mmr.up_to_date);
    let due = Due {
        earliest: Some(date("2020-02-29")),
        recommended: Some(date("2023-01-10")),
        past_due: Some(date("2026-02-06")),
    };
    assert_eq!(mmr.next_due, Some(due));
    let due = |today| {
        let standing = of(&child, "MMR", today).standing;
        (standing.up_to_date, standing.overdue)
    };
    assert_eq!(due("2023-01-09"), (true, false));
    assert_eq!(due("2023-01-10"), (false, false));
    assert_eq!(due("2026-02-06"), (false, false));
    assert_eq!(due("2026-02-07"), (false, true));
    child = person("2019-01-10", &[("2020-02-01", 3), ("2023-02-01", 3)]);
    let mmr = of(&child, "MMR", "2023-03-15").standing;
    assert_eq!((mmr.status, mmr.recorded_doses, mmr.valid_doses), (Status::Full, 2, 2));
    assert_eq!((mmr.first_on, mmr.full_on), (Some(date("2020-02-01")), Some(date("2023-02-01"))));
    assert_eq!((mmr.next_due, mmr.up_to_date, mmr.overdue), (None, true, false));
}

#[test]
fn of_several_antigens_the_one_with_the_fewest_doses_tells() {
    const MEASLES_ONLY: u16 = 5;
    let child = person("2019-01-10", &[("2020-02-01", MEASLES_ONLY)]);
    let mmr = of(&child, "MMR", "2020-03-15").standing;
    assert_eq!((mmr.status, mmr.recorded_doses, mmr.valid_doses, mmr.first_on), (Status::Not, 1, 0, None));
}

#[test]
fn invalid_doses_have_all_reasons_once() {
    let child = person("2024-01-10", &[("2024-12-01", 3), ("2024-12-20", 3)]);
    let mmr = of(&child, "MMR", "2025-02-09").standing;
    let late = vec![
        DoseReason::TooYoung,
        DoseReason::VaccineConflict,
        DoseReason::NotPreferableOrAllowable,
        DoseReason::VaccineOutOfAgeRange,
    ];
    let early = late.iter().copied().filter(|reason| *reason != DoseReason::VaccineConflict).collect();
    assert_eq!(mmr.invalid, [Invalid { dose: 0, reasons: early }, Invalid { dose: 1, reasons: late }]);
    assert_eq!((mmr.status, mmr.recorded_doses, mmr.valid_doses), (Status::Not, 2, 0));
}

#[test]
fn flags_tell_immunity_contraindication_and_age() {
    let mut adult = person("1996-05-01", &[]);
    let flags = |person: &Person, group: &str| {
        let standing = of(person, group, "2025-11-10").standing;
        (standing.immune, standing.contraindicated, standing.aged_out, standing.up_to_date)
    };
    assert_eq!(flags(&adult, "Varicella"), (false, false, false, false));
    assert_eq!(flags(&adult, "Rotavirus"), (false, false, true, true));
    adult.observations = vec![Observed { code: 23, date: None }, Observed { code: 7, date: None }];
    assert_eq!(flags(&adult, "Varicella"), (true, false, false, true));
    assert_eq!(flags(&adult, "MMR"), (false, true, false, true));
}

#[test]
fn a_group_that_is_not_for_the_person_says_so() {
    let adult = person("1996-05-01", &[("2020-01-01", 18)]);
    let rabies = of(&adult, "Rabies", "2025-11-10");
    assert_eq!((rabies.applies, rabies.standing.status, rabies.standing.recorded_doses), (false, Status::Not, 1));
    assert!(rabies.standing.up_to_date);
    assert!(of(&adult, "MMR", "2025-11-10").applies);
}

#[test]
fn series_have_names_of_their_own() {
    let outcome = vaccines::forecast(&SCHEDULE, &person("2024-01-10", &[("2025-02-01", 3)]), date("2025-03-01"));
    let series: Vec<&str> = outcome.evaluations.iter().map(|one| one.series).collect();
    assert_eq!(series.len(), series.iter().collect::<BTreeSet<_>>().len(), "{series:?}");
}
