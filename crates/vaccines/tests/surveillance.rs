//! Counting by a programme's table: CDC's definition of who is vaccinated against COVID-19, and what a table can say.

use proptest::prelude::*;
use std::sync::LazyLock;
use vaccines::standing::{Standing, Status};
use vaccines::surveillance::{EarlyDose, Programme, ProgrammeError};
use vaccines::{Date, Dose, DoseReason, Person, Schedule, Sex};

static COVID: LazyLock<Programme> = LazyLock::new(|| Programme::builtin().unwrap().remove(0));

const PFIZER: u16 = 208;
const MODERNA: u16 = 207;
const ASTRAZENECA: u16 = 210;
const JANSSEN: u16 = 212;
const UNSPECIFIED: u16 = 213;
const ZYCOV_D: u16 = 514;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn person(doses: &[(&str, u16)]) -> Person {
    let doses =
        doses.iter().map(|(day, cvx)| Dose { date: date(day), cvx: *cvx, mvx: None, substandard: false }).collect();
    Person { birth: date("1980-01-01"), sex: Sex::Unknown, born_in_us: false, doses, observations: Vec::new() }
}

fn covid(doses: &[(&str, u16)]) -> Standing {
    COVID.standing(&person(doses), date("2023-01-01"))
}

/// A programme like that of COVID-19 with another policy, for intervals of 21 days.
fn strict(early_dose: EarlyDose) -> Programme {
    Programme { early_dose, ..COVID.clone() }
}

fn reasons(standing: &Standing) -> Vec<(usize, DoseReason)> {
    standing.invalid.iter().map(|one| (one.dose, one.reasons[0])).collect()
}

#[test]
fn the_histories_of_the_tracker_are_counted_as_it_does() {
    let rows: [(&[(&str, u16)], Status); 10] = [
        (&[], Status::Not),
        (&[("2021-03-01", PFIZER)], Status::Partial),
        (&[("2021-03-01", PFIZER), ("2021-03-22", PFIZER)], Status::Full),
        (&[("2021-03-01", PFIZER), ("2021-03-29", MODERNA)], Status::Full),
        (&[("2021-03-01", JANSSEN)], Status::Full),
        (&[("2021-03-01", PFIZER), ("2021-04-01", JANSSEN)], Status::Full),
        (&[("2021-03-01", ASTRAZENECA)], Status::Partial),
        (&[("2021-03-01", ASTRAZENECA), ("2021-05-24", ASTRAZENECA)], Status::Full),
        (&[("2021-03-01", PFIZER), ("2021-03-10", PFIZER)], Status::Full),
        (&[("2021-03-01", UNSPECIFIED), ("2021-03-02", UNSPECIFIED)], Status::Full),
    ];
    for (doses, status) in rows {
        let standing = covid(doses);
        assert_eq!(standing.status, status, "{doses:?}");
        assert_eq!(standing.full_on, (status == Status::Full).then(|| date(doses.last().unwrap().0)));
        assert_eq!(standing.first_on, doses.first().map(|(day, _)| date(day)));
        assert_eq!((standing.recorded_doses, standing.valid_doses), (doses.len(), doses.len()));
        assert!(!standing.boosted && standing.invalid.is_empty());
    }
}

#[test]
fn two_doses_of_one_day_are_one() {
    let standing = covid(&[("2021-03-01", PFIZER), ("2021-03-01", PFIZER)]);
    assert_eq!((standing.status, standing.recorded_doses, standing.valid_doses), (Status::Partial, 2, 1));
    assert_eq!(reasons(&standing), [(1, DoseReason::SameDay)]);
}

#[test]
fn one_dose_of_an_unknown_manufacturer_is_not_all() {
    assert_eq!(covid(&[("2021-03-01", UNSPECIFIED)]).status, Status::Partial);
}

#[test]
fn doses_of_a_product_that_needs_more_do_not_complete_one_that_needs_fewer() {
    let two = [("2021-03-01", ZYCOV_D), ("2021-04-01", PFIZER)];
    assert_eq!(covid(&two).status, Status::Partial);
    let three = [two[0], two[1], ("2021-05-01", ZYCOV_D)];
    assert_eq!((covid(&three).status, covid(&three).full_on), (Status::Full, Some(date("2021-05-01"))));
}

#[test]
fn a_booster_is_another_dose_after_full_since_its_day() {
    let full = [("2021-03-01", PFIZER), ("2021-03-22", PFIZER)];
    let with = |day| covid(&[full[0], full[1], (day, MODERNA)]);
    let early = with("2021-08-12");
    assert_eq!((early.boosted, early.boosted_on, early.valid_doses), (false, None, 3));
    let boosted = with("2021-08-13");
    assert_eq!((boosted.boosted, boosted.boosted_on), (true, Some(date("2021-08-13"))));
    assert_eq!(boosted.full_on, Some(date("2021-03-22")));
    assert!(covid(&[("2021-03-01", JANSSEN), ("2021-11-01", PFIZER)]).boosted);
    assert!(
        !covid(&[("2021-09-01", JANSSEN), ("2021-09-01", PFIZER)]).boosted,
        "on the day of the dose that made full"
    );
}

#[test]
fn a_booster_keeps_its_distance() {
    let mut programme = COVID.clone();
    programme.booster.as_mut().unwrap().min_interval_days = 60;
    let boosted = |day| {
        let person = person(&[("2021-09-01", JANSSEN), (day, PFIZER)]);
        programme.standing(&person, date("2023-01-01")).boosted
    };
    assert_eq!([boosted("2021-10-30"), boosted("2021-10-31")], [false, true]);
    programme.booster = None;
    let person = person(&[("2021-09-01", JANSSEN), ("2022-09-01", PFIZER)]);
    assert!(!programme.standing(&person, date("2023-01-01")).boosted);
}

#[test]
fn an_early_dose_is_judged_by_the_policy() {
    let status = |policy, day| {
        let standing = strict(policy).standing(&person(&[("2021-03-01", PFIZER), (day, PFIZER)]), date("2023-01-01"));
        assert_eq!(standing.invalid.is_empty(), standing.status == Status::Full);
        assert!(standing.invalid.iter().all(|one| one.reasons == [DoseReason::TooSoon]));
        standing.status
    };
    for (policy, first) in
        [(EarlyDose::Count, "2021-03-02"), (EarlyDose::Grace, "2021-03-18"), (EarlyDose::Strict, "2021-03-22")]
    {
        assert_eq!(status(policy, first), Status::Full, "{policy:?}");
    }
    assert_eq!(status(EarlyDose::Grace, "2021-03-17"), Status::Partial);
    assert_eq!(status(EarlyDose::Strict, "2021-03-21"), Status::Partial);
}

#[test]
fn an_early_dose_does_not_push_later_ones_away() {
    let doses = [("2021-03-01", PFIZER), ("2021-03-10", PFIZER), ("2021-03-22", PFIZER)];
    let standing = strict(EarlyDose::Strict).standing(&person(&doses), date("2023-01-01"));
    assert_eq!((standing.status, standing.valid_doses), (Status::Full, 2));
    assert_eq!(reasons(&standing), [(1, DoseReason::TooSoon)]);
}

#[test]
fn without_mixing_each_product_counts_alone() {
    let programme = Programme { mixing: false, ..COVID.clone() };
    let of = |doses: &[(&str, u16)]| programme.standing(&person(doses), date("2023-01-01"));
    let mixed = of(&[("2021-03-01", PFIZER), ("2021-03-29", MODERNA)]);
    assert_eq!((mixed.status, mixed.recorded_doses, mixed.valid_doses), (Status::Partial, 2, 1));
    assert_eq!(reasons(&mixed), [(1, DoseReason::OtherProduct)]);
    let full = of(&[("2021-03-01", PFIZER), ("2021-03-29", MODERNA), ("2021-04-26", MODERNA)]);
    assert_eq!((full.status, full.full_on), (Status::Full, Some(date("2021-04-26"))));
    assert_eq!(reasons(&full), [(0, DoseReason::OtherProduct)]);
    let types = of(&[("2021-03-01", 208), ("2021-03-29", 217)]);
    assert_eq!(types.status, Status::Full, "two vaccine types of one product");
    let boosted = of(&[("2021-03-01", PFIZER), ("2021-03-29", PFIZER), ("2021-11-01", MODERNA)]);
    assert!(boosted.boosted && boosted.invalid.is_empty());
}

#[test]
fn ages_dates_and_bad_doses_do_not_count() {
    let mut programme = COVID.clone();
    programme.min_age = vaccines::Period::parse("5 years");
    programme.effective_from = Some(date("2020-12-14"));
    programme.effective_until = Some(date("2023-05-11"));
    let mut person = person(&[("2020-12-13", JANSSEN), ("2021-06-09", JANSSEN), ("2023-05-12", JANSSEN)]);
    person.birth = date("2016-06-10");
    let of = |programme: &Programme, person: &Person| programme.standing(person, date("2024-01-01"));
    let expected = [(0, DoseReason::OutsideProgramme), (1, DoseReason::TooYoung), (2, DoseReason::OutsideProgramme)];
    let standing = of(&programme, &person);
    assert_eq!((standing.status, reasons(&standing)), (Status::Not, expected.to_vec()));
    programme.early_dose = EarlyDose::Grace;
    assert_eq!(of(&programme, &person).status, Status::Full);
    person.doses[1].substandard = true;
    assert_eq!(reasons(&of(&programme, &person))[1], (1, DoseReason::SubStandard));
    person.doses[1] = Dose { date: date("2021-06-10"), cvx: 3, mvx: None, substandard: false };
    assert_eq!(of(&programme, &person).recorded_doses, 2, "another vaccine");
}

#[test]
fn a_dose_of_tomorrow_does_not_count_yet_but_is_the_next_transition() {
    let person = person(&[("2021-03-01", PFIZER), ("2021-03-22", PFIZER), ("2021-03-20", 3)]);
    let standing = COVID.standing(&person, date("2021-03-19"));
    assert_eq!((standing.status, standing.recorded_doses), (Status::Partial, 1));
    assert_eq!(standing.next_transition, Some(date("2021-03-22")));
    assert_eq!(COVID.standing(&person, date("2021-03-22")).next_transition, None);
}

#[test]
fn the_programme_names_every_covid_vaccine_of_the_schedule() {
    let schedule = Schedule::builtin().unwrap();
    let mut named: Vec<u16> = COVID.products.iter().flat_map(|product| product.cvx.clone()).collect();
    named.sort_unstable();
    assert_eq!(named, schedule.vaccines_with("COVID-19"));
}

#[test]
fn a_product_of_one_manufacturer_goes_before_one_of_all() {
    let text = "id = 'two'\ntitle = 'Two'\nversion = '1'\nearly_dose = 'strict'\nmixing = true\n\
        [[product]]\nname = 'any'\ncvx = [1]\ndoses_required = 2\n\
        [[product]]\nname = 'one'\ncvx = [1]\nmvx = 'PFR'\ndoses_required = 1\n";
    let programme = Programme::from_toml(text).unwrap();
    let mut person = person(&[("2021-03-01", 1)]);
    let status = |person: &Person| programme.standing(person, date("2022-01-01")).status;
    assert_eq!(status(&person), Status::Partial);
    person.doses[0].mvx = Some("MOD".to_owned());
    assert_eq!(status(&person), Status::Partial);
    person.doses[0].mvx = Some("PFR".to_owned());
    assert_eq!(status(&person), Status::Full);
}

#[test]
fn a_table_that_makes_no_sense_is_refused_with_the_remedy() {
    let head = "id = 'x'\ntitle = 'X'\nversion = '1'\nearly_dose = 'count'\nmixing = true\n";
    let product = "[[product]]\nname = 'p'\ncvx = [1]\ndoses_required = 1\n";
    assert!(Programme::from_toml(&format!("{head}{product}")).is_ok());
    let bad = [
        (format!("{head}colour = 'red'\n{product}"), "unknown field `colour`"),
        (format!("{head}{product}interval = 3\n"), "unknown field `interval`"),
        (head.to_owned(), "missing field `product`"),
        (format!("{}{product}", head.replace("count", "sometimes")), "`count`, `grace_4d`, `strict`"),
        (format!("{}{product}", head.replace("'x'", "'Not an id'")), "lower-case"),
        (format!("{}{product}", head.replace("'1'", "''")), "name the version"),
        (format!("{head}product = []\n"), "[[product]]"),
        (format!("{head}min_age = '5 moons'\n{product}"), "write e.g. \"5 years\""),
        (format!("{head}effective_from = '2021-13-01'\n{product}"), "write e.g. \"2021-08-13\""),
        (format!("{head}effective_from = '2021-02-01'\neffective_until = '2021-01-01'\n{product}"), "exchange"),
        (format!("{head}{}", product.replace("= 1", "= 0")), "at least 1"),
        (format!("{head}{}", product.replace("[1]", "[]")), "list the codes"),
        (format!("{head}{product}{product}"), "in common with `p`"),
        (format!("{head}[booster]\nfrom = 'soon'\n{product}"), "in quotes"),
    ];
    for (text, expected) in bad {
        let error = Programme::from_toml(&text).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        let is_value = matches!(error, ProgrammeError::Value { .. });
        assert_eq!(is_value, error.to_string().starts_with("programme `"), "{error}");
    }
}

fn doses() -> impl Strategy<Value = Vec<(i32, usize)>> {
    prop::collection::vec((0..200_i32, 0..6_usize), 0..8)
}

fn of_days(days: &[(i32, usize)]) -> Person {
    let types = [PFIZER, MODERNA, JANSSEN, UNSPECIFIED, ZYCOV_D, ASTRAZENECA];
    let mut person = person(&[]);
    let dose = |(day, which): &(i32, usize)| Dose {
        date: date("2021-06-01").plus_days(*day),
        cvx: types[*which],
        mvx: None,
        substandard: false,
    };
    person.doses = days.iter().map(dose).collect();
    person
}

fn programmes() -> Vec<Programme> {
    let policies = [EarlyDose::Count, EarlyDose::Grace, EarlyDose::Strict];
    let all = policies.into_iter().flat_map(|policy| [true, false].map(|mixing| (policy, mixing)));
    all.map(|(policy, mixing)| Programme { mixing, ..strict(policy) }).collect()
}

/// What is said, without the positions of doses, which change with their order.
fn content(standing: &Standing, person: &Person) -> (Standing, Vec<(Date, u16, Vec<DoseReason>)>) {
    let dose = |at: usize| (person.doses[at].date, person.doses[at].cvx);
    let mut invalid: Vec<_> =
        standing.invalid.iter().map(|one| (dose(one.dose).0, dose(one.dose).1, one.reasons.clone())).collect();
    invalid.sort();
    (Standing { invalid: Vec::new(), ..standing.clone() }, invalid)
}

proptest! {
    #[test]
    fn the_order_of_doses_does_not_matter(days in doses(), turn in 0..8_usize) {
        let today = date("2022-06-01");
        let mut turned = days.clone();
        turned.rotate_left(turn.min(days.len()));
        let mut reversed = days.clone();
        reversed.reverse();
        let (person, others) = (of_days(&days), [of_days(&turned), of_days(&reversed)]);
        for programme in programmes() {
            let expected = content(&programme.standing(&person, today), &person);
            for other in &others {
                prop_assert_eq!(&content(&programme.standing(other, today), other), &expected);
            }
        }
    }

    #[test]
    fn another_dose_never_lowers_the_status(days in doses(), more in (0..200_i32, 0..6_usize)) {
        let today = date("2022-06-01");
        let mut with = days.clone();
        with.push(more);
        for programme in programmes() {
            let before = programme.standing(&of_days(&days), today);
            let after = programme.standing(&of_days(&with), today);
            prop_assert!(after.status >= before.status, "{before:?} {after:?}");
            prop_assert!(after.full_on.unwrap_or(today) <= before.full_on.unwrap_or(today));
            prop_assert!(after.boosted >= before.boosted, "{before:?} {after:?}");
            prop_assert_eq!(after.recorded_doses, before.recorded_doses + 1);
        }
    }

    #[test]
    fn what_is_said_is_consistent(days in doses()) {
        let person = of_days(&days);
        for programme in programmes() {
            let standing = programme.standing(&person, date("2022-06-01"));
            prop_assert_eq!(standing.recorded_doses, standing.valid_doses + standing.invalid.len());
            prop_assert_eq!(standing.status != Status::Not, standing.valid_doses > 0);
            prop_assert_eq!(standing.status == Status::Full, standing.full_on.is_some());
            prop_assert_eq!(standing.first_on.is_some(), standing.valid_doses > 0);
            prop_assert!(standing.boosted_on.is_none_or(|day| day > standing.full_on.unwrap()));
            prop_assert_eq!(standing.boosted, standing.boosted_on.is_some());
        }
    }
}
