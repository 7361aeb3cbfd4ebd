//! Rules one by one, on small schedules: each type of condition, each kind of interval, and what a bad schedule is answered.

use vaccines::{Date, Dose, DoseStatus, LoadError, Outcome, Person, Schedule, Sex, Status};

/// A schedule with one antigen, of vaccine 1, in series of which the bodies are given.
fn schedule(series: &[&str]) -> Result<Schedule, LoadError> {
    let map = "<scheduleSupportingData><vaccineGroupToAntigenMap><vaccineGroupMap><name>Pox</name><antigen>Pox</antigen>\
        </vaccineGroupMap></vaccineGroupToAntigenMap><cvxToAntigenMap>";
    let codes = ["01", "02"]
        .map(|cvx| format!("<cvxMap><cvx>{cvx}</cvx><association><antigen>Pox</antigen></association></cvxMap>"));
    let map = format!("{map}{}</cvxToAntigenMap></scheduleSupportingData>", codes.concat());
    let antigen = format!("<antigenSupportingData><contraindications/>{}</antigenSupportingData>", series.concat());
    Schedule::load("test", map.as_bytes(), [antigen.as_bytes()])
}

fn series(group: u16, doses: &[String]) -> String {
    let numbered = |(at, dose): (usize, &String)| {
        format!("<seriesDose><doseNumber>Dose {}</doseNumber>{dose}</seriesDose>", at + 1)
    };
    let doses: String = doses.iter().enumerate().map(numbered).collect();
    format!(
        "<series><seriesName>Pox {group}</seriesName><targetDisease>Pox</targetDisease><seriesType>Standard</seriesType>\
         <selectSeries><defaultSeries>Yes</defaultSeries><seriesGroup>{group}</seriesGroup><seriesPriority>A</seriesPriority>\
         <seriesPreference>1</seriesPreference></selectSeries>{doses}</series>"
    )
}

/// A dose for which vaccines 1 and 2 may be given, with more of it.
fn needed(more: &str) -> String {
    let vaccines = ["01", "02"].map(|cvx| format!("<preferableVaccine><cvx>{cvx}</cvx></preferableVaccine>"));
    format!("{}{more}", vaccines.concat())
}

fn skipped_if(condition: &str) -> String {
    needed(&format!(
        "<conditionalSkip><context>Both</context><setLogic>n/a</setLogic><set><condition>{condition}</condition></set></conditionalSkip>"
    ))
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn person(doses: &[(&str, u16)]) -> Person {
    let doses =
        doses.iter().map(|(day, cvx)| Dose { date: date(day), cvx: *cvx, mvx: None, substandard: false }).collect();
    Person { birth: date("2020-01-01"), sex: Sex::Unknown, born_in_us: false, doses, observations: Vec::new() }
}

fn outcome<'s>(schedule: &'s Schedule, doses: &[(&str, u16)], today: &str) -> Outcome<'s> {
    vaccines::forecast(schedule, &person(doses), date(today))
}

fn status(schedule: &Schedule, doses: &[(&str, u16)], today: &str) -> Status {
    outcome(schedule, doses, today).recommendations[0].status
}

fn statuses(outcome: &Outcome<'_>) -> Vec<DoseStatus> {
    outcome.evaluations.iter().map(|one| one.status).collect()
}

/// A series of two doses of which the second is skipped on a condition.
fn two_doses(condition: &str) -> Schedule {
    schedule(&[&series(1, &[needed(""), skipped_if(condition)])]).unwrap()
}

const FIRST: &[(&str, u16)] = &[("2021-01-01", 1)];

#[test]
fn a_condition_of_age_has_a_beginning_and_an_end() {
    let schedule = two_doses("<conditionType>Age</conditionType><beginAge>4 years</beginAge><endAge>5 years</endAge>");
    let on = |today| status(&schedule, FIRST, today);
    assert_eq!(on("2023-12-31"), Status::NotComplete);
    assert_eq!(on("2024-01-01"), Status::Complete);
    assert_eq!(on("2024-12-31"), Status::Complete);
    assert_eq!(on("2025-01-01"), Status::NotComplete);
    // Both ends are days on which time alone changes the status.
    assert_eq!(outcome(&schedule, FIRST, "2023-12-31").next_transition, Some(date("2024-01-01")));
    assert_eq!(outcome(&schedule, FIRST, "2024-01-01").next_transition, Some(date("2025-01-01")));
}

#[test]
fn a_condition_of_interval_counts_from_the_last_dose() {
    let schedule = two_doses("<conditionType>Interval</conditionType><interval>6 months</interval>");
    assert_eq!(status(&schedule, FIRST, "2021-06-30"), Status::NotComplete);
    assert_eq!(status(&schedule, FIRST, "2021-07-01"), Status::Complete);
    assert_eq!(status(&schedule, &[], "2021-07-01"), Status::NotComplete);
    // Given after the interval, the second dose satisfies nothing.
    let late = outcome(&schedule, &[("2021-01-01", 1), ("2021-07-01", 1)], "2021-07-02");
    assert_eq!(statuses(&late), [DoseStatus::Valid, DoseStatus::Extraneous]);
}

#[test]
fn a_condition_of_completed_series_looks_at_the_other_groups() {
    let condition = "<conditionType>Completed Series</conditionType><seriesGroups>1</seriesGroups>";
    // The series that asks comes first in the data.
    let asking = series(2, &[needed(""), skipped_if(condition)]);
    let other = series(1, &[needed("<age><absMinAge>2 years</absMinAge></age>")]);
    let schedule = schedule(&[&asking, &other]).unwrap();
    let of_asking = |doses: &[(&str, u16)]| {
        let outcome = outcome(&schedule, doses, "2023-01-01");
        outcome.recommendations.iter().find(|one| one.series == ["Pox 2"]).unwrap().status
    };
    assert_eq!(of_asking(&[("2021-01-01", 1)]), Status::NotComplete);
    assert_eq!(of_asking(&[("2022-06-01", 1)]), Status::Complete);
}

#[test]
fn a_count_by_age_looks_at_vaccines_ages_and_validity() {
    let count = |dose_type: &str| {
        let condition = format!(
            "<conditionType>Vaccine Count by Age</conditionType><beginAge>12 months</beginAge><endAge>24 months</endAge>\
             <doseCount>0</doseCount><doseType>{dose_type}</doseType><doseCountLogic>greater than</doseCountLogic>\
             <vaccineTypes>02; 3</vaccineTypes>"
        );
        let first = needed("<age><absMinAge>18 months</absMinAge></age>");
        schedule(&[&series(1, &[first, skipped_if(&condition)])]).unwrap()
    };
    let valid = [("2021-07-01", 2)];
    assert_eq!(status(&count("Valid"), &valid, "2023-01-01"), Status::Complete);
    assert_eq!(status(&count("Valid"), &[("2021-07-01", 1)], "2023-01-01"), Status::NotComplete, "another vaccine");
    assert_eq!(
        status(&count("Valid"), &[("2022-01-01", 2)], "2023-01-01"),
        Status::NotComplete,
        "at the end of the ages"
    );
    let not_valid = [("2021-01-01", 2), ("2022-01-01", 1)];
    assert_eq!(status(&count("Valid"), &not_valid, "2023-01-01"), Status::NotComplete);
    assert_eq!(status(&count("Total"), &not_valid, "2023-01-01"), Status::Complete);
}

#[test]
fn a_count_by_date_excludes_the_last_day() {
    let schedule = two_doses(
        "<conditionType>Vaccine Count By Date</conditionType><startDate>20210201</startDate><endDate>20210301</endDate>\
         <doseCount>1</doseCount><doseType>Valid</doseType><doseCountLogic>equal to</doseCountLogic>",
    );
    let on = |day: &'static str| status(&schedule, &[(day, 1)], "2022-01-01");
    assert_eq!(on("2021-01-31"), Status::NotComplete);
    assert_eq!(on("2021-02-01"), Status::Complete);
    assert_eq!(on("2021-02-28"), Status::Complete);
    assert_eq!(on("2021-03-01"), Status::NotComplete);
}

#[test]
fn a_count_by_date_and_age_needs_both() {
    let schedule = two_doses(
        "<conditionType>Vaccine Count by Date and Age</conditionType><startDate>20210201</startDate><beginAge>14 months</beginAge>\
         <doseCount>1</doseCount><doseType>Total</doseType><doseCountLogic>less than</doseCountLogic>",
    );
    let on = |day: &'static str| status(&schedule, &[(day, 1)], "2022-01-01");
    // Fewer than one such dose: skipped.
    assert_eq!(on("2021-02-01"), Status::Complete);
    assert_eq!(on("2021-03-01"), Status::NotComplete);
}

#[test]
fn sets_and_conditions_are_joined_as_they_say() {
    let age = |begin: u8| {
        format!("<condition><conditionType>Age</conditionType><beginAge>{begin} years</beginAge></condition>")
    };
    let skip = |logic: &str, sets: &[String]| {
        let skip = format!(
            "<conditionalSkip><context>Forecast</context><setLogic>{logic}</setLogic>{}</conditionalSkip>",
            sets.concat()
        );
        schedule(&[&series(1, &[needed(""), needed(&skip)])]).unwrap()
    };
    let one = |begin| format!("<set>{}</set>", age(begin));
    let both = |logic: &str| format!("<set><conditionLogic>{logic}</conditionLogic>{}{}</set>", age(2), age(4));
    let on = |schedule: &Schedule| {
        ["2021-12-31", "2022-01-01", "2024-01-01"].map(|today| status(schedule, FIRST, today) == Status::Complete)
    };
    assert_eq!(on(&skip("OR", &[one(2), one(4)])), [false, true, true]);
    assert_eq!(on(&skip("AND", &[one(2), one(4)])), [false, false, true]);
    assert_eq!(on(&skip("n/a", &[both("OR")])), [false, true, true]);
    assert_eq!(on(&skip("n/a", &[both("AND")])), [false, false, true]);
    let later = format!("<set><effectiveDate>20230601</effectiveDate>{}</set>", age(2));
    assert_eq!(on(&skip("n/a", &[later])), [false, false, true]);
}

#[test]
fn a_skip_of_evaluation_does_not_count_in_a_forecast() {
    let skip = "<conditionalSkip><context>Evaluation</context><set><condition><conditionType>Age</conditionType></condition></set></conditionalSkip>";
    let schedule = schedule(&[&series(1, &[needed(""), needed(skip)])]).unwrap();
    let outcome = outcome(&schedule, &[("2021-01-01", 1), ("2021-02-01", 1)], "2022-01-01");
    assert_eq!(statuses(&outcome), [DoseStatus::Valid, DoseStatus::Extraneous]);
    assert_eq!(status(&schedule, FIRST, "2022-01-01"), Status::NotComplete);
}

#[test]
fn what_would_be_skipped_on_the_day_of_the_visit_is_not_forecast() {
    let skip = "<age><minAge>3 years</minAge></age><conditionalSkip><context>Forecast</context><set><condition>\
        <conditionType>Age</conditionType><beginAge>3 years</beginAge></condition></set></conditionalSkip>";
    let schedule =
        schedule(&[&series(1, &[needed(""), needed(skip), needed("<age><minAge>4 years</minAge></age>")])]).unwrap();
    assert_eq!(outcome(&schedule, FIRST, "2022-01-01").recommendations[0].earliest, Some(date("2024-01-01")));
}

#[test]
fn intervals_count_from_the_previous_dose_a_target_dose_or_the_last_of_a_vaccine() {
    let interval = |from: &str| {
        let interval = format!("<interval>{from}<absMinInt>4 weeks</absMinInt><minInt>4 weeks</minInt></interval>");
        schedule(&[&series(1, &[needed(""), needed(""), needed(&interval)])]).unwrap()
    };
    let history = [("2021-01-01", 1), ("2021-01-11", 2)];
    let earliest = |from: &str| outcome(&interval(from), &history, "2021-01-12").recommendations[0].earliest;
    assert_eq!(earliest("<fromPrevious>Y</fromPrevious>"), Some(date("2021-02-08")));
    assert_eq!(earliest("<fromPrevious>N</fromPrevious><fromTargetDose>1</fromTargetDose>"), Some(date("2021-01-29")));
    assert_eq!(earliest("<fromPrevious>N</fromPrevious><fromMostRecent>01</fromMostRecent>"), Some(date("2021-01-29")));
    assert_eq!(earliest("<fromPrevious>N</fromPrevious><fromMostRecent>03</fromMostRecent>"), Some(date("2021-01-11")));
}

#[test]
fn an_allowable_interval_saves_a_dose_that_came_too_soon() {
    let interval = |allowable: &str| {
        let preferable = "<interval><fromPrevious>Y</fromPrevious><absMinInt>8 weeks</absMinInt></interval>";
        let schedule = schedule(&[&series(1, &[needed(""), needed(&format!("{preferable}{allowable}"))])]).unwrap();
        statuses(&outcome(&schedule, &[("2021-01-01", 1), ("2021-02-01", 1)], "2022-01-01"))
    };
    let allowable = |weeks: u8| {
        format!(
            "<allowableInterval><fromPrevious>Y</fromPrevious><absMinInt>{weeks} weeks</absMinInt></allowableInterval>"
        )
    };
    assert_eq!(interval(""), [DoseStatus::Valid, DoseStatus::NotValid]);
    assert_eq!(interval(&allowable(5)), [DoseStatus::Valid, DoseStatus::NotValid]);
    assert_eq!(interval(&allowable(4)), [DoseStatus::Valid, DoseStatus::Valid]);
}

#[test]
fn a_recurring_dose_is_due_again_and_a_series_ends_at_its_maximum_age() {
    let recurring = schedule(&[&series(1, &[needed("<recurringDose>Yes</recurringDose>")])]).unwrap();
    let outcome = outcome(&recurring, &[("2021-01-01", 1), ("2022-01-01", 1)], "2023-01-01");
    assert_eq!(statuses(&outcome), [DoseStatus::Valid, DoseStatus::Valid]);
    assert_eq!(outcome.recommendations[0].dose_number, Some(3));
    let ending = schedule(&[&series(1, &[needed("<age><maxAge>2 years</maxAge></age>")])]).unwrap();
    assert_eq!(status(&ending, &[], "2021-12-31"), Status::NotComplete);
    assert_eq!(status(&ending, &[], "2022-01-01"), Status::AgedOut);
    assert_eq!(status(&ending, &[("2022-01-01", 1)], "2022-01-01"), Status::AgedOut);
}

#[test]
fn a_season_begins_and_ends() {
    let season =
        "<seasonalRecommendation><startDate>20240901</startDate><endDate>20250331</endDate></seasonalRecommendation>";
    let schedule = schedule(&[&series(1, &[needed(season)])]).unwrap();
    let shown = |today| outcome(&schedule, &[], today).recommendations[0].clone();
    assert_eq!(shown("2024-06-01").earliest, Some(date("2024-09-01")));
    assert_eq!(shown("2025-03-31").status, Status::NotComplete);
    assert_eq!(shown("2025-04-01").status, Status::NotRecommended);
}

#[test]
fn what_the_engine_does_not_know_is_refused() {
    let load = |dose: &str| schedule(&[&series(1, &[needed(dose)])]).map(|_| ());
    let bad = [
        "<age><minAge>4 moons</minAge></age>",
        "<interval><fromPrevious>N</fromPrevious><minInt>4 weeks</minInt></interval>",
        "<conditionalSkip><context>Sometimes</context></conditionalSkip>",
        "<conditionalSkip><context>Both</context><set><condition><conditionType>Mood</conditionType></condition></set></conditionalSkip>",
        "<seasonalRecommendation><startDate>20250231</startDate></seasonalRecommendation>",
    ];
    for dose in bad {
        assert!(matches!(load(dose), Err(LoadError::Value { .. })), "{dose}");
    }
    assert!(matches!(Schedule::load("test", b"<a>", []), Err(LoadError::Xml(_))));
    assert!(matches!(Schedule::load("test", b"<a/>", []), Err(LoadError::Root { .. })));
    let unknown = b"<scheduleSupportingData><cvxToAntigenMap><cvxMap><cvx>1</cvx><association><antigen>Pox</antigen></association>\
        </cvxMap></cvxToAntigenMap></scheduleSupportingData>";
    assert_eq!(Schedule::load("test", unknown, []).err(), Some(LoadError::Antigen("Pox".to_owned())));
}
