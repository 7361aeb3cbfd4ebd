//! A commit that is stopped at any point, as the system stops threads, delays others and fails none.

use super::*;
use crate::derive::change::Clinical;
use crate::facts::Facts;
use crate::locks::Locks;
use crate::patient::Demographics;
use crate::ring::{Numbers, Ring, TokenKey};
use crate::row::{Record, Row};
use fhir::json::{Document, Limits};
use parking_lot::{Mutex, RwLock};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::sync::watch;

const ADA: &str = r#"{"name":[{"given":["Adelaide"],"family":"Lovelock"}],"birthDate":"1975-12-10","gender":"female",
    "telecom":[{"system":"phone","value":"617-555-0143"}],"address":[{"line":["12 Cedar Lane"],"postalCode":"02139"}]}"#;
const BOB: &str = r#"{"name":[{"given":["Robert"],"family":"Quimby"}],"birthDate":"1990-03-04","gender":"male",
    "telecom":[{"system":"phone","value":"413-555-0188"}],"address":[{"line":["3 Elm Road"],"postalCode":"01002"}]}"#;

fn tenancy() -> Arc<Tenancy> {
    let ring = Ring { current: TokenKey::new(1, &[7; 32]), next: None };
    Arc::new(Tenancy {
        numbers: tokio::sync::Mutex::new(Numbers { current: 1, next: None, gone: None }),
        locks: Locks::default(),
        placing: Mutex::default(),
        placing_several: tokio::sync::Mutex::default(),
        live: RwLock::new(Live::new(Arc::new(ring))),
        changes: watch::Sender::new(0),
    })
}

fn new_person() -> PersonId {
    static LAST: AtomicU32 = AtomicU32::new(0);
    PersonId::of(uuid::Uuid::from_u128(LAST.fetch_add(1, Ordering::Relaxed).into()))
}

fn writes<'a>(tenancy: &Tenancy, id: &'a str, body: &'a str) -> Change<'a> {
    let document = Document::parse(body.as_bytes(), &Limits::default()).unwrap();
    let encoded = tenancy.live.read().ring.clone().encode(&Demographics::of(document.root()));
    let facts = Facts::of(document.root());
    Change::Patient { id, new: Some(Box::new(Patient { facts, source: None, encoded, body: body.as_bytes() })) }
}

fn is_about(id: &str) -> Change<'static> {
    Change::Clinical(Clinical { of: "Immunization/1".into(), was: Some(id.into()), new: Vec::new() })
}

/// One that is placed and was stopped before it had a lock.
fn stopped(tenancy: &Arc<Tenancy>, changes: &[Change<'_>]) -> Pending {
    match poll(pin!(Pending::place(tenancy, changes, &new_person))) {
        Poll::Ready(pending) => pending.unwrap(),
        Poll::Pending => panic!("nobody else is placing"),
    }
}

fn poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// However often it is asked.
fn waits<F: Future>(mut future: Pin<&mut F>) {
    for _ in 0..2 * ATTEMPTS_MAX {
        assert!(poll(future.as_mut()).is_pending());
    }
}

fn planned<F: Future<Output = Result<Pending, Error>>>(future: Pin<&mut F>) -> Pending {
    match poll(future) {
        Poll::Ready(pending) => pending.unwrap(),
        Poll::Pending => panic!("there is nothing left to wait for"),
    }
}

fn to(pending: &Pending) -> Vec<PersonId> {
    pending.placed.iter().map(|placed| placed.to.unwrap()).collect()
}

/// The rest of a commit.
fn commit(mut pending: Pending) {
    if pending.held.is_empty() {
        assert!(poll(pin!(pending.hold())).is_ready(), "nobody else has its locks");
    }
    assert!(pending.holds());
    let tenancy = pending.tenancy.clone();
    let mut live = tenancy.live.write();
    for placed in &pending.placed {
        let (person, mut row) = (placed.to.unwrap(), Row::default());
        let ids = live.records_of(person).into_iter().chain([placed.id.as_str()]);
        for id in ids.map(str::to_owned) {
            let (link, facts) = (placed.link, Facts::default());
            row.put_record(Record { id, link, at_us: 0, verified: false, facts, before: Vec::new() });
        }
        live.put_person(person, &row);
        live.arrived(&placed.id);
    }
    drop(live);
    pending.done();
}

#[test]
fn who_joins_a_person_waits_for_the_commit_that_makes_it() {
    let tenancy = tenancy();
    let one = stopped(&tenancy, &[writes(&tenancy, "one", ADA)]);
    let made = to(&one);
    let mut changes = [writes(&tenancy, "other", ADA)];
    let mut other = pin!(Pending::plan(&tenancy, &mut changes, new_person));
    waits(other.as_mut());
    // Somebody else goes on meanwhile.
    commit(stopped(&tenancy, &[writes(&tenancy, "bob", BOB)]));
    waits(other.as_mut());
    commit(one);
    assert_eq!(to(&planned(other)), made);
}

#[test]
fn a_person_that_does_not_come_is_made_by_the_next() {
    let tenancy = tenancy();
    let lost = stopped(&tenancy, &[writes(&tenancy, "one", ADA)]);
    let gone = to(&lost);
    let (mut second, mut third) = ([writes(&tenancy, "second", ADA)], [writes(&tenancy, "third", ADA)]);
    let mut second = pin!(Pending::plan(&tenancy, &mut second, new_person));
    let mut third = pin!(Pending::plan(&tenancy, &mut third, new_person));
    waits(second.as_mut());
    waits(third.as_mut());
    drop(lost);
    let second = planned(second);
    assert_ne!(to(&second), gone);
    waits(third.as_mut());
    let made = to(&second);
    commit(second);
    assert_eq!(to(&planned(third)), made);
}

#[test]
fn two_transactions_that_name_the_same_persons_end_one_after_the_other() {
    let tenancy = tenancy();
    let one = stopped(&tenancy, &[writes(&tenancy, "a1", ADA), writes(&tenancy, "b1", BOB)]);
    let made = to(&one);
    let mut other = [writes(&tenancy, "b2", BOB), writes(&tenancy, "a2", ADA)];
    let mut other = pin!(Pending::plan(&tenancy, &mut other, new_person));
    waits(other.as_mut());
    // Nor do they meet half way: while one places its records, the other has placed none.
    let placing = tenancy.placing_several.try_lock().unwrap();
    let mut third = [writes(&tenancy, "a3", ADA), writes(&tenancy, "b3", BOB)];
    let mut third = pin!(Pending::plan(&tenancy, &mut third, new_person));
    waits(third.as_mut());
    assert!(!tenancy.live.read().pending.contains_key("a3"));
    drop(placing);
    waits(third.as_mut());
    commit(one);
    let other = planned(other);
    assert_eq!(to(&other), [made[1], made[0]]);
    commit(other);
    assert_eq!(to(&planned(third)), made);
}

#[test]
fn the_same_patient_and_what_is_about_it_wait_for_its_commit() {
    let tenancy = tenancy();
    let one = stopped(&tenancy, &[writes(&tenancy, "ada", ADA)]);
    let made = to(&one);
    let (mut again, mut dose) = ([writes(&tenancy, "ada", BOB)], [is_about("ada")]);
    // A transaction with a Patient of its own: that one is not noted before, and nobody waits for it meanwhile.
    let mut both = [writes(&tenancy, "bob", BOB), is_about("ada")];
    let mut again = pin!(Pending::plan(&tenancy, &mut again, new_person));
    let mut dose = pin!(Pending::plan(&tenancy, &mut dose, new_person));
    let mut both = pin!(Pending::plan(&tenancy, &mut both, new_person));
    waits(again.as_mut());
    waits(dose.as_mut());
    waits(both.as_mut());
    assert_eq!(tenancy.live.read().pending.len(), 1);
    commit(one);
    assert_eq!(planned(dose).about["ada"], Some(made[0]));
    assert_eq!(planned(both).about["ada"], Some(made[0]));
    let again = planned(again);
    assert_eq!((again.placed[0].from, to(&again)), (Some(made[0]), made));
}
