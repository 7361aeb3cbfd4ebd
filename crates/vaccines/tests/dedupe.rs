//! Which records of vaccinations are of one event.

use proptest::prelude::*;
use std::sync::LazyLock;
use vaccines::dedupe::{Completion, Distinct, DropReason, Dropped, Given, Source, WINDOW_DAYS, dedupe};
use vaccines::{Date, Schedule};

static SCHEDULE: LazyLock<Schedule> = LazyLock::new(|| Schedule::builtin().unwrap());

const MMR: u16 = 3;
const VARICELLA: u16 = 21;
const MMRV: u16 = 94;
const RABIES: u16 = 18;
const NIRSEVIMAB: u16 = 307;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn given(day: &str, cvx: u16, source: Source) -> Given {
    Given {
        date: date(day),
        cvx,
        mvx: None,
        lot: None,
        source,
        completion: Completion::Completed,
        subpotent: false,
        expires: None,
    }
}

fn administered(day: &str, cvx: u16) -> Given {
    given(day, cvx, Source::Administered)
}

fn historical(day: &str, cvx: u16) -> Given {
    given(day, cvx, Source::Historical)
}

fn distinct(records: &[Given]) -> Distinct {
    dedupe(&SCHEDULE, records)
}

fn duplicates(records: &[Given]) -> Vec<(usize, usize)> {
    let of = |one: &Dropped| match one.reason {
        DropReason::DuplicateOf(other) => (one.record, other),
        reason => panic!("{reason:?}"),
    };
    distinct(records).dropped.iter().map(of).collect()
}

#[test]
fn a_mirrored_report_is_one_dose_and_the_administered_one_stands_for_it() {
    let mut clinic = administered("2025-03-04", MMR);
    clinic.lot = Some("A1".to_owned());
    let mut pharmacy = historical("2025-03-04", MMR);
    pharmacy.mvx = Some("MSD".to_owned());
    let distinct = distinct(&[pharmacy, clinic]);
    assert_eq!((distinct.doses.len(), &distinct.records[..]), (1, &[1][..]));
    assert_eq!(distinct.doses[0].mvx.as_deref(), Some("MSD"), "what the better record lacks comes from the other");
    assert_eq!(distinct.dropped, [Dropped { record: 0, reason: DropReason::DuplicateOf(1) }]);
}

#[test]
fn the_window_is_two_days_either_way() {
    assert_eq!(WINDOW_DAYS, 2);
    let first = administered("2025-03-04", MMR);
    for day in ["2025-03-02", "2025-03-03", "2025-03-05", "2025-03-06"] {
        assert_eq!(duplicates(&[first.clone(), historical(day, MMR)]), [(1, 0)], "{day}");
    }
    for day in ["2025-03-01", "2025-03-07"] {
        assert!(duplicates(&[first.clone(), historical(day, MMR)]).is_empty(), "{day}");
    }
    let exposure = ["2025-03-04", "2025-03-07", "2025-03-11", "2025-03-18"].map(|day| administered(day, RABIES));
    assert_eq!(distinct(&exposure).doses.len(), 4, "the doses after exposure");
}

#[test]
fn of_equals_the_specific_and_then_the_complete_record_stands() {
    const HIB_UNSPECIFIED: u16 = 17;
    const PEDVAX: u16 = 49;
    let mut unspecified = historical("2025-03-04", HIB_UNSPECIFIED);
    unspecified.lot = Some("B2".to_owned());
    assert_eq!(duplicates(&[unspecified, historical("2025-03-05", PEDVAX)]), [(0, 1)]);
    let mut complete = historical("2025-03-05", MMR);
    complete.lot = Some("B2".to_owned());
    assert_eq!(duplicates(&[historical("2025-03-04", MMR), complete]), [(0, 1)]);
}

#[test]
fn what_has_an_antigen_in_common_is_of_one_event_and_what_has_none_is_not() {
    let day = "2025-03-04";
    assert!(duplicates(&[administered(day, MMR), administered(day, VARICELLA)]).is_empty());
    let combined = [historical(day, VARICELLA), administered(day, MMRV), historical(day, MMR)];
    assert_eq!(duplicates(&combined), [(0, 1), (2, 1)]);
    // Two doses that were given are not one because a third report is of both.
    let apart = [historical(day, MMRV), administered(day, VARICELLA), administered(day, MMR)];
    assert_eq!(duplicates(&apart).len(), 1);
    assert_eq!(distinct(&apart).doses.len(), 2);
    const UNKNOWN: u16 = 9999;
    assert_eq!(duplicates(&[historical(day, UNKNOWN), administered(day, UNKNOWN)]), [(0, 1)]);
}

#[test]
fn two_injections_of_nirsevimab_on_one_day_are_two() {
    let twice = [administered("2025-11-04", NIRSEVIMAB), administered("2025-11-04", NIRSEVIMAB)];
    assert_eq!(distinct(&twice).doses.len(), 2);
    let mirrored = [administered("2025-11-04", NIRSEVIMAB), historical("2025-11-04", NIRSEVIMAB)];
    assert_eq!(distinct(&mirrored).doses.len(), 1);
}

#[test]
fn what_was_not_given_is_no_dose_and_hides_none() {
    let mut refused = administered("2025-03-04", MMR);
    refused.completion = Completion::NotDone;
    let mut error = administered("2025-03-04", MMR);
    error.completion = Completion::EnteredInError;
    let distinct = distinct(&[refused, error, historical("2025-03-04", MMR)]);
    assert_eq!(distinct.records, [2]);
    let reasons: Vec<DropReason> = distinct.dropped.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [DropReason::NotDone, DropReason::EnteredInError]);
}

#[test]
fn a_subpotent_dose_and_one_of_an_expired_lot_stay_as_substandard() {
    let mut subpotent = administered("2025-01-01", MMR);
    subpotent.subpotent = true;
    let mut expired = administered("2025-02-01", MMR);
    expired.expires = Some(date("2025-01-31"));
    let mut last_day = administered("2025-03-01", MMR);
    last_day.expires = Some(date("2025-03-01"));
    let substandard: Vec<bool> =
        distinct(&[subpotent, expired, last_day]).doses.iter().map(|dose| dose.substandard).collect();
    assert_eq!(substandard, [true, true, false]);
}

fn records() -> impl Strategy<Value = Vec<Given>> {
    let record = (0..12_i32, 0..5_usize, any::<bool>(), 0..6_u8, any::<bool>(), 0..3_u8).prop_map(
        |(day, cvx, administered, completion, subpotent, lot)| Given {
            date: date("2025-03-01").plus_days(day),
            cvx: [MMR, VARICELLA, MMRV, RABIES, 4][cvx],
            mvx: (lot == 2).then(|| "MSD".to_owned()),
            lot: (lot > 0).then(|| format!("L{lot}")),
            source: if administered { Source::Administered } else { Source::Historical },
            completion: match completion {
                0 => Completion::NotDone,
                1 => Completion::EnteredInError,
                _ => Completion::Completed,
            },
            subpotent,
            expires: None,
        },
    );
    prop::collection::vec(record, 0..10)
}

proptest! {
    #[test]
    fn the_order_of_records_does_not_matter(records in records(), turn in 0..10_usize) {
        let expected = distinct(&records);
        let kept = |distinct: &Distinct, records: &[Given]| -> Vec<Given> {
            distinct.records.iter().map(|record| records[*record].clone()).collect()
        };
        let mut turned = records.clone();
        turned.rotate_left(turn.min(records.len()));
        let mut reversed = records.clone();
        reversed.reverse();
        for other in [turned, reversed] {
            let distinct = distinct(&other);
            prop_assert_eq!(&distinct.doses, &expected.doses);
            prop_assert_eq!(kept(&distinct, &other), kept(&expected, &records));
        }
    }

    #[test]
    fn every_record_is_a_dose_or_dropped_and_nothing_is_left_to_drop(records in records()) {
        let first = distinct(&records);
        let mut all: Vec<usize> = first.records.iter().copied().chain(first.dropped.iter().map(|one| one.record)).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..records.len()).collect::<Vec<_>>());
        for dropped in &first.dropped {
            if let DropReason::DuplicateOf(other) = dropped.reason {
                prop_assert!(first.records.contains(&other));
            }
        }
        let kept: Vec<Given> = first.records.iter().map(|record| records[*record].clone()).collect();
        prop_assert!(distinct(&kept).dropped.is_empty());
    }
}
