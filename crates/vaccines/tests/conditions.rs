//! What the supporting data can make a rule depend on, one test for each kind, on small schedules: tables 5-4, 5-5, 6-13 to 6-31,
//! 7-3, 7-5, 7-6 and 8-14 of the specification.

use vaccines::{Date, Dose, DoseReason, DoseStatus, Observed, Outcome, Person, Schedule, Sex, Status};

/// Vaccines 1 and 2 are against pox, 3 is against cough, 4 against pox from two years on.
const VACCINES: [(&str, &str, &str); 4] =
    [("01", "Pox", ""), ("02", "Pox", ""), ("03", "Cough", ""), ("04", "Pox", "2 years")];

/// What an antigen's document has besides series, and the conflicts of the schedule.
#[derive(Default)]
struct Rules<'a> {
    immunity: &'a str,
    contraindications: &'a str,
    conflicts: &'a [(&'a str, &'a str)],
}

fn schedule(rules: &Rules<'_>, series: &[String]) -> Schedule {
    let groups = ["Pox", "Cough"]
        .map(|name| format!("<vaccineGroupMap><name>{name}</name><antigen>{name}</antigen></vaccineGroupMap>"));
    let vaccines = VACCINES.map(|(cvx, antigen, begin)| {
        format!(
            "<cvxMap><cvx>{cvx}</cvx><association><antigen>{antigen}</antigen><associationBeginAge>{begin}</associationBeginAge>\
             </association></cvxMap>"
        )
    });
    let conflict = |(before, after): &(&str, &str)| {
        format!(
            "<liveVirusConflict><previous><cvx>{before}</cvx></previous><current><cvx>{after}</cvx></current>\
             <conflictBeginInterval>1 day</conflictBeginInterval><minConflictEndInterval>24 days</minConflictEndInterval>\
             <conflictEndInterval>28 days</conflictEndInterval></liveVirusConflict>"
        )
    };
    let conflicts: String = rules.conflicts.iter().map(conflict).collect();
    let root = format!(
        "<scheduleSupportingData><liveVirusConflicts>{conflicts}</liveVirusConflicts><vaccineGroupToAntigenMap>{}\
         </vaccineGroupToAntigenMap><cvxToAntigenMap>{}</cvxToAntigenMap></scheduleSupportingData>",
        groups.concat(),
        vaccines.concat()
    );
    let pox = format!(
        "<antigenSupportingData><immunity>{}</immunity><contraindications>{}</contraindications>{}</antigenSupportingData>",
        rules.immunity,
        rules.contraindications,
        series.concat()
    );
    let cough = Series { disease: "Cough", ..Series::default() }
        .of(&["<preferableVaccine><cvx>03</cvx></preferableVaccine>".into()]);
    let cough = format!("<antigenSupportingData>{cough}</antigenSupportingData>");
    Schedule::load("test", root.as_bytes(), [pox.as_bytes(), cough.as_bytes()]).unwrap()
}

/// The head of a series.
struct Series<'a> {
    disease: &'a str,
    kind: &'a str,
    group: u16,
    more: &'a str,
    select: &'a str,
}

impl Default for Series<'_> {
    fn default() -> Self {
        Self { disease: "Pox", kind: "Standard", group: 1, more: "", select: "<defaultSeries>Yes</defaultSeries>" }
    }
}

impl Series<'_> {
    fn of(&self, doses: &[String]) -> String {
        let numbered = |(at, dose): (usize, &String)| {
            format!("<seriesDose><doseNumber>Dose {}</doseNumber>{dose}</seriesDose>", at + 1)
        };
        let doses: String = doses.iter().enumerate().map(numbered).collect();
        let Self { disease, kind, group, more, select } = self;
        format!(
            "<series><seriesName>{disease} {kind} {group}</seriesName><targetDisease>{disease}</targetDisease>\
             <seriesType>{kind}</seriesType>{more}<selectSeries>{select}<seriesGroup>{group}</seriesGroup>\
             <seriesPriority>A</seriesPriority><seriesPreference>1</seriesPreference></selectSeries>{doses}</series>"
        )
    }
}

/// A dose for which vaccines 1, 2 and 4 may be given, with more of it.
fn needed(more: &str) -> String {
    let vaccines = ["01", "02", "04"].map(|cvx| format!("<preferableVaccine><cvx>{cvx}</cvx></preferableVaccine>"));
    format!("{}{more}", vaccines.concat())
}

fn one_series(doses: &[String]) -> Schedule {
    schedule(&Rules::default(), &[Series::default().of(doses)])
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn person(doses: &[(&str, u16)], observations: &[(u16, Option<&str>)]) -> Person {
    let dose = |(day, cvx): &(&str, u16)| Dose { date: date(day), cvx: *cvx, mvx: None, substandard: false };
    let observations = observations.iter().map(|(code, day)| Observed { code: *code, date: day.map(date) }).collect();
    let doses = doses.iter().map(dose).collect();
    Person { birth: date("2020-01-01"), sex: Sex::Unknown, born_in_us: false, doses, observations }
}

/// What the doses against pox count for.
fn judged(schedule: &Schedule, person: &Person) -> Vec<(DoseStatus, Vec<DoseReason>)> {
    let outcome = vaccines::forecast(schedule, person, date("2030-01-01"));
    let pox = outcome.evaluations.into_iter().filter(|one| one.antigen == "Pox");
    pox.map(|one| (one.status, one.reasons)).collect()
}

fn statuses(schedule: &Schedule, doses: &[(&str, u16)]) -> Vec<DoseStatus> {
    judged(schedule, &person(doses, &[])).into_iter().map(|(status, _)| status).collect()
}

fn of_pox<'s>(schedule: &'s Schedule, person: &Person, today: &str) -> Outcome<'s> {
    let mut outcome = vaccines::forecast(schedule, person, date(today));
    outcome.recommendations.retain(|one| one.vaccine_group == "Pox");
    outcome
}

fn status(schedule: &Schedule, person: &Person, today: &str) -> Option<Status> {
    of_pox(schedule, person, today).recommendations.first().map(|one| one.status)
}

use DoseStatus::{Extraneous, NotValid, Valid};

const FOUR_WEEKS: &str = "<absMinInt>4 weeks</absMinInt><minInt>4 weeks</minInt>";

#[test]
fn an_inadvertent_dose_counts_for_nothing_and_no_interval_begins_with_it() {
    let interval = format!("<interval><fromPrevious>Y</fromPrevious>{FOUR_WEEKS}</interval>");
    let history = [("2021-01-01", 1), ("2021-01-20", 2), ("2021-01-30", 1)];
    let inadvertent = "<inadvertentVaccine><cvx>02</cvx></inadvertentVaccine>";
    let schedule = one_series(&[needed(""), needed(&format!("{interval}{inadvertent}"))]);
    let doses = judged(&schedule, &person(&history, &[]));
    assert_eq!(doses[1], (NotValid, vec![DoseReason::Inadvertent]));
    assert_eq!(doses[2].0, Valid);
    let schedule = one_series(&[needed(""), needed(&interval)]);
    let doses = judged(&schedule, &person(&history, &[]));
    assert_eq!(doses[1..], [(NotValid, vec![DoseReason::TooSoon]), (NotValid, vec![DoseReason::TooSoon])]);
}

#[test]
fn a_vaccine_of_another_antigen_conflicts_for_the_short_interval() {
    let rules = Rules { conflicts: &[("03", "01")], ..Rules::default() };
    let schedule = schedule(&rules, &[Series::default().of(&[needed("")])]);
    let after = |day| judged(&schedule, &person(&[("2021-01-01", 3), (day, 1)], &[]));
    assert_eq!(after("2021-01-01"), [(Valid, vec![])], "on one day");
    assert_eq!(after("2021-01-02"), [(NotValid, vec![DoseReason::VaccineConflict])]);
    assert_eq!(after("2021-01-24"), [(NotValid, vec![DoseReason::VaccineConflict])]);
    assert_eq!(after("2021-01-25"), [(Valid, vec![])]);
    let before = judged(&schedule, &person(&[("2021-01-02", 3), ("2021-01-01", 1)], &[]));
    assert_eq!(before, [(Valid, vec![])], "the earlier one impacts, not the later one");
    let other = judged(&schedule, &person(&[("2021-01-01", 3), ("2021-01-02", 2)], &[]));
    assert_eq!(other, [(Valid, vec![])], "a vaccine without a conflict");
    // The next dose waits for the long interval.
    let next = of_pox(&schedule, &person(&[("2021-01-01", 3)], &[]), "2021-01-02");
    assert_eq!(next.recommendations[0].earliest, Some(date("2021-01-29")));
}

#[test]
fn after_a_dose_that_is_not_valid_a_conflict_lasts_for_the_long_interval() {
    let rules = Rules { conflicts: &[("01", "01")], ..Rules::default() };
    let first = needed("<age><absMinAge>1 year</absMinAge></age>");
    let schedule = schedule(&rules, &[Series::default().of(&[first, needed("")])]);
    assert_eq!(statuses(&schedule, &[("2020-12-20", 1), ("2021-01-16", 1)]), [NotValid, NotValid]);
    assert_eq!(statuses(&schedule, &[("2020-12-20", 1), ("2021-01-17", 1)]), [NotValid, Valid]);
    assert_eq!(statuses(&schedule, &[("2021-01-05", 1), ("2021-01-28", 1)]), [Valid, NotValid]);
    assert_eq!(statuses(&schedule, &[("2021-01-05", 1), ("2021-01-29", 1)]), [Valid, Valid]);
}

#[test]
fn an_interval_counts_from_the_newest_observation_that_has_a_date() {
    let interval = format!(
        "<interval><fromPrevious>N</fromPrevious><fromRelevantObs><code>170</code></fromRelevantObs>{FOUR_WEEKS}</interval>"
    );
    let schedule = one_series(&[needed(&interval)]);
    let given =
        |observations: &[(u16, Option<&str>)]| judged(&schedule, &person(&[("2021-01-28", 1)], observations)).remove(0);
    assert_eq!(given(&[]).0, Valid, "nothing to count from");
    assert_eq!(given(&[(170, None)]).0, Valid);
    assert_eq!(given(&[(171, Some("2021-01-01"))]).0, Valid, "another observation");
    assert_eq!(given(&[(170, Some("2020-12-31"))]).0, Valid);
    assert_eq!(given(&[(170, Some("2020-12-31")), (170, Some("2021-01-01"))]), (NotValid, vec![DoseReason::TooSoon]));
    let next = of_pox(&schedule, &person(&[], &[(170, Some("2021-01-01"))]), "2021-01-02");
    assert_eq!(next.recommendations[0].earliest, Some(date("2021-01-29")));
}

#[test]
fn a_risk_series_needs_an_indication_at_the_age() {
    let indication = "<indication><observationCode><code>145</code></observationCode><beginAge>2 years</beginAge>\
        <endAge>3 years</endAge></indication>";
    let risk = Series { kind: "Risk", more: indication, ..Series::default() };
    let schedule = schedule(&Rules::default(), &[risk.of(&[needed("")])]);
    let on = |observations: &[(u16, Option<&str>)], today| status(&schedule, &person(&[], observations), today);
    let observed = [(145, None)];
    assert_eq!(on(&observed, "2021-12-31"), None);
    assert_eq!(on(&observed, "2022-01-01"), Some(Status::NotComplete));
    assert_eq!(on(&observed, "2022-12-31"), Some(Status::NotComplete));
    assert_eq!(on(&observed, "2023-01-01"), None);
    assert_eq!(on(&[(146, None)], "2022-01-01"), None);
    assert_eq!(on(&[], "2022-01-01"), None);
}

#[test]
fn a_series_can_be_for_one_sex() {
    let series = Series { more: "<requiredGender>Female</requiredGender>", ..Series::default() };
    let schedule = schedule(&Rules::default(), &[series.of(&[needed("")])]);
    let of = |sex| status(&schedule, &Person { sex, ..person(&[], &[]) }, "2021-01-01");
    assert_eq!(of(Sex::Female), Some(Status::NotComplete));
    assert_eq!((of(Sex::Male), of(Sex::Unknown)), (None, None));
}

#[test]
fn evidence_of_immunity_comes_from_history_or_birth() {
    let immunity = "<clinicalHistory><guidelineCode>023</guidelineCode></clinicalHistory>\
        <dateOfBirth><immunityBirthDate>01/01/1957</immunityBirthDate><birthCountry>U.S.</birthCountry>\
        <exclusion><exclusionCode>055</exclusionCode></exclusion></dateOfBirth>";
    let rules = Rules { immunity, ..Rules::default() };
    let schedule = schedule(&rules, &[Series::default().of(&[needed("")])]);
    let of = |birth: &str, born_in_us, observations: &[(u16, Option<&str>)]| {
        let person = Person { birth: date(birth), born_in_us, ..person(&[], observations) };
        status(&schedule, &person, "2021-01-01").unwrap()
    };
    assert_eq!(of("2000-01-01", false, &[(23, None)]), Status::Immune);
    assert_eq!(of("2000-01-01", false, &[(24, None)]), Status::NotComplete);
    assert_eq!(of("1956-12-31", true, &[]), Status::Immune);
    assert_eq!(of("1957-01-01", true, &[]), Status::NotComplete);
    assert_eq!(of("1956-12-31", false, &[]), Status::NotComplete, "elsewhere");
    assert_eq!(of("1956-12-31", true, &[(55, None)]), Status::NotComplete, "excluded");
    assert_eq!(of("1956-12-31", true, &[(55, None), (23, None)]), Status::Immune, "history has no exclusion");
}

#[test]
fn a_contraindication_of_the_group_holds_at_its_ages_and_goes_after_immunity() {
    let contraindications = "<vaccineGroup><contraindication><observationCode>007</observationCode>\
        <beginAge>1 year</beginAge><endAge>2 years</endAge></contraindication></vaccineGroup>";
    let immunity = "<clinicalHistory><guidelineCode>023</guidelineCode></clinicalHistory>";
    let rules = Rules { contraindications, immunity, ..Rules::default() };
    let schedule = schedule(&rules, &[Series::default().of(&[needed("")])]);
    let on =
        |observations: &[(u16, Option<&str>)], today| status(&schedule, &person(&[], observations), today).unwrap();
    let observed = [(7, None)];
    assert_eq!(on(&observed, "2020-12-31"), Status::NotComplete);
    assert_eq!(on(&observed, "2021-01-01"), Status::Contraindicated);
    assert_eq!(on(&observed, "2021-12-31"), Status::Contraindicated);
    assert_eq!(on(&observed, "2022-01-01"), Status::NotComplete);
    assert_eq!(on(&[(8, None)], "2021-01-01"), Status::NotComplete);
    assert_eq!(on(&[(7, None), (23, None)], "2021-01-01"), Status::Immune);
    let given = person(&[("2020-06-01", 1)], &observed);
    assert_eq!(status(&schedule, &given, "2021-01-01"), Some(Status::Complete), "nothing more is needed");
}

#[test]
fn contraindicated_vaccines_are_not_named_and_when_none_is_left_nothing_may_be_given() {
    let excluded = |observation: u16, vaccines: &[(&str, &str)]| {
        let vaccines: String = vaccines
            .iter()
            .map(|(cvx, begin)| {
                format!("<contraindicatedVaccine><cvx>{cvx}</cvx><beginAge>{begin}</beginAge></contraindicatedVaccine>")
            })
            .collect();
        format!("<contraindication><observationCode>{observation}</observationCode>{vaccines}</contraindication>")
    };
    let contraindications = format!(
        "<vaccine>{}{}{}</vaccine>",
        excluded(10, &[("01", "")]),
        excluded(11, &[("02", "")]),
        excluded(12, &[("01", "5 years")])
    );
    let rules = Rules { contraindications: &contraindications, ..Rules::default() };
    let named = |cvx: &str| format!("<cvx>{cvx}</cvx><forecastVaccineType>Y</forecastVaccineType>");
    let of = |kind: &str, observations: &[u16]| {
        let dose = format!("<preferableVaccine>{}</preferableVaccine><{kind}>{}</{kind}>", named("01"), named("02"));
        let schedule = schedule(&rules, &[Series::default().of(&[dose])]);
        let observations: Vec<(u16, Option<&str>)> = observations.iter().map(|code| (*code, None)).collect();
        let shown = of_pox(&schedule, &person(&[], &observations), "2021-01-01").recommendations.remove(0);
        (shown.status, shown.vaccines)
    };
    assert_eq!(of("preferableVaccine", &[]), (Status::NotComplete, vec![1, 2]));
    assert_eq!(of("preferableVaccine", &[10]), (Status::NotComplete, vec![2]));
    assert_eq!(of("preferableVaccine", &[12]), (Status::NotComplete, vec![1, 2]), "not yet at this age");
    assert_eq!(of("preferableVaccine", &[10, 11]), (Status::Contraindicated, vec![]));
    assert_eq!(of("allowableVaccine", &[10]), (Status::NotComplete, vec![]), "an allowable one is left");
    assert_eq!(of("allowableVaccine", &[10, 11]), (Status::Contraindicated, vec![]));
}

#[test]
fn a_preferable_vaccine_can_be_one_product_at_some_ages() {
    let dose = "<preferableVaccine><cvx>01</cvx><tradeName>Poxid</tradeName><mvx>PFR</mvx></preferableVaccine>\
        <preferableVaccine><cvx>02</cvx><beginAge>1 year</beginAge><endAge>2 years</endAge></preferableVaccine>\
        <allowableVaccine><cvx>04</cvx></allowableVaccine>";
    let schedule = one_series(&[dose.to_owned()]);
    let given = |day, cvx, mvx: Option<&str>| {
        let mut person = person(&[(day, cvx)], &[]);
        person.doses[0].mvx = mvx.map(str::to_owned);
        judged(&schedule, &person).remove(0)
    };
    let not_named = (NotValid, vec![DoseReason::NotPreferableOrAllowable]);
    assert_eq!(given("2021-01-01", 1, Some("PFR")), (Valid, vec![]));
    assert_eq!(given("2021-01-01", 1, Some("MSD")), not_named);
    assert_eq!(given("2021-01-01", 1, None), not_named);
    let out_of_age = (NotValid, vec![DoseReason::NotPreferableOrAllowable, DoseReason::VaccineOutOfAgeRange]);
    assert_eq!(given("2020-12-31", 2, None), out_of_age);
    assert_eq!(given("2021-01-01", 2, None), (Valid, vec![]));
    assert_eq!(given("2022-01-01", 2, None), out_of_age);
    assert_eq!(given("2022-01-01", 4, None), (Valid, vec![]), "allowable");
}

#[test]
fn a_vaccine_can_be_of_an_antigen_from_an_age_on() {
    let schedule = one_series(&[needed("")]);
    assert_eq!(statuses(&schedule, &[("2021-12-31", 4)]), []);
    assert_eq!(statuses(&schedule, &[("2022-01-01", 4)]), [Valid]);
}

#[test]
fn ages_have_a_grace_period_an_end_and_days_on_which_they_are_in_force() {
    let age = "<age><absMinAge>1 year - 4 days</absMinAge><minAge>1 year</minAge><maxAge>3 years</maxAge></age>";
    let schedule = one_series(&[needed(age)]);
    let given = |day| judged(&schedule, &person(&[(day, 1)], &[])).remove(0);
    assert_eq!(given("2020-12-27"), (NotValid, vec![DoseReason::TooYoung]));
    assert_eq!(given("2020-12-28"), (Valid, vec![DoseReason::AgeGracePeriod]));
    assert_eq!(given("2021-01-01"), (Valid, vec![]));
    assert_eq!(given("2022-12-31"), (Valid, vec![]));
    assert_eq!(given("2023-01-01"), (Extraneous, vec![DoseReason::TooOld]));
    let changed = "<age><absMinAge>2 years</absMinAge><cessationDate>20210531</cessationDate></age>\
        <age><absMinAge>1 year</absMinAge><effectiveDate>20210601</effectiveDate></age>";
    let schedule = one_series(&[needed(changed)]);
    assert_eq!(statuses(&schedule, &[("2021-05-31", 1)]), [NotValid]);
    assert_eq!(statuses(&schedule, &[("2021-06-01", 1)]), [Valid]);
}

#[test]
fn all_intervals_must_hold_and_each_has_a_grace_period_and_days_in_force() {
    let interval = |from: &str, more: &str| format!("<interval>{from}{more}</interval>");
    let previous = "<fromPrevious>Y</fromPrevious>";
    let first = "<fromPrevious>N</fromPrevious><fromTargetDose>1</fromTargetDose>";
    let two = interval(previous, "<absMinInt>4 weeks - 4 days</absMinInt><minInt>4 weeks</minInt>")
        + &interval(first, "<absMinInt>8 weeks</absMinInt><minInt>8 weeks</minInt>");
    let schedule = one_series(&[needed(""), needed(""), needed(&two)]);
    let third = |day| {
        let history = [("2021-01-01", 1), ("2021-02-01", 1), (day, 1)];
        judged(&schedule, &person(&history, &[])).remove(2)
    };
    assert_eq!(third("2021-02-25"), (NotValid, vec![DoseReason::TooSoon]), "neither holds");
    assert_eq!(third("2021-02-26"), (Valid, vec![DoseReason::IntervalGracePeriod]));
    assert_eq!(third("2021-03-01"), (Valid, vec![]));
    let changed = interval(previous, "<absMinInt>8 weeks</absMinInt><cessationDate>20210131</cessationDate>");
    let schedule = one_series(&[needed(""), needed(&changed)]);
    assert_eq!(statuses(&schedule, &[("2021-01-01", 1), ("2021-01-31", 1)]), [Valid, NotValid]);
    assert_eq!(statuses(&schedule, &[("2021-01-01", 1), ("2021-02-01", 1)]), [Valid, Valid]);
}

#[test]
fn in_a_season_only_its_doses_are_counted_and_the_dose_recurs() {
    let season = "<recurringDose>Yes</recurringDose><seasonalRecommendation><startDate>20240801</startDate>\
        <endDate>20250630</endDate></seasonalRecommendation>";
    let schedule = one_series(&[needed(season)]);
    let number =
        |doses: &[(&str, u16)]| of_pox(&schedule, &person(doses, &[]), "2025-01-01").recommendations[0].dose_number;
    assert_eq!(number(&[]), Some(1));
    assert_eq!(number(&[("2023-10-01", 1)]), Some(1), "of the season before");
    assert_eq!(number(&[("2023-10-01", 1), ("2024-08-01", 1)]), Some(2));
    assert_eq!(statuses(&schedule, &[("2023-10-01", 1), ("2024-08-01", 1)]), [Valid, Valid]);
}

#[test]
fn a_series_for_evaluation_only_counts_when_it_is_complete() {
    let foreign = Series { kind: "Evaluation Only", select: "", ..Series::default() };
    let of_two = "<preferableVaccine><cvx>02</cvx></preferableVaccine>".to_owned();
    let series = [Series::default().of(&[needed(""), needed("")]), foreign.of(&[of_two])];
    let schedule = schedule(&Rules::default(), &series);
    let shown = |doses: &[(&str, u16)]| {
        let shown = of_pox(&schedule, &person(doses, &[]), "2022-01-01").recommendations.remove(0);
        (shown.status, shown.series[0])
    };
    assert_eq!(shown(&[]), (Status::NotComplete, "Pox Standard 1"));
    assert_eq!(shown(&[("2021-01-01", 1)]), (Status::NotComplete, "Pox Standard 1"));
    assert_eq!(shown(&[("2021-01-01", 2)]), (Status::Complete, "Pox Evaluation Only 1"));
}

#[test]
fn a_complete_series_makes_those_of_an_equivalent_group_needless() {
    let more = |equivalent: &'static str| Series { group: 2, more: equivalent, ..Series::default() };
    let late = || vec![needed("<age><absMinAge>5 years</absMinAge><minAge>5 years</minAge></age>")];
    let shown = |equivalent| {
        let series = [Series::default().of(&[needed("")]), more(equivalent).of(&late())];
        let schedule = schedule(&Rules::default(), &series);
        let outcome = of_pox(&schedule, &person(&[("2021-01-01", 1)], &[]), "2022-01-01");
        outcome.recommendations.iter().map(|one| (one.series[0].to_owned(), one.status)).collect::<Vec<_>>()
    };
    let complete = ("Pox Standard 1".to_owned(), Status::Complete);
    let open = ("Pox Standard 2".to_owned(), Status::NotComplete);
    assert_eq!(shown(""), [open, complete.clone()]);
    assert_eq!(shown("<equivalentSeriesGroups>1</equivalentSeriesGroups>"), [complete]);
}
