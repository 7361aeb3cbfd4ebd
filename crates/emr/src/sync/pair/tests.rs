use super::*;
use fhir::defs::r4;

fn value(text: &str) -> Value {
    Value::parse(text).unwrap()
}

fn patient() -> TypeId {
    r4().resource_by_name("Patient").unwrap()
}

fn twins(text: &str) -> Pair {
    Pair::twins(Remote::default(), Kind::Fhir, patient(), &value(text))
}

#[test]
fn an_echo_asks_for_nothing() {
    let pair = twins(r#"{"gender":"male"}"#);
    let ours = value(r#"{"resourceType":"Patient","id":"p","gender":"female"}"#);
    let outgoing = pair.outgoing(Kind::Fhir, patient(), &ours).unwrap();
    let pair = pair.sending(&outgoing).arrived(Remote::default());
    assert_eq!(pair.outgoing(Kind::Fhir, patient(), &ours), None);
    let incoming = pair.incoming(Kind::Fhir, patient(), &ours, &value(r#"{"gender":"female","id":"77"}"#));
    assert_eq!((incoming.ours, incoming.next), (None, pair));
}

#[test]
fn what_came_from_there_is_not_sent_back() {
    let pair = twins(r#"{"gender":"male"}"#);
    let ours = value(r#"{"resourceType":"Patient","id":"p","gender":"male"}"#);
    let incoming = pair.incoming(Kind::Fhir, patient(), &ours, &value(r#"{"gender":"male","birthDate":"1990-01-01"}"#));
    let ours = incoming.ours.unwrap();
    assert_eq!(ours.get("birthDate").and_then(Value::as_str), Some("1990-01-01"));
    assert_eq!(incoming.next.outgoing(Kind::Fhir, patient(), &ours), None);
}

#[test]
fn a_write_of_unknown_outcome_that_was_taken_back_here_is_taken_back_there() {
    let pair = twins(r#"{"gender":"male"}"#);
    let outgoing = pair.outgoing(Kind::Fhir, patient(), &value(r#"{"gender":"female"}"#)).unwrap();
    let pair = pair.sending(&outgoing);
    let back = value(r#"{"gender":"male"}"#);
    // It has arrived, and somebody there has added something since.
    let incoming = pair.incoming(Kind::Fhir, patient(), &back, &value(r#"{"gender":"female","language":"de"}"#));
    let ours = incoming.ours.unwrap();
    assert_eq!(ours.get("gender").and_then(Value::as_str), Some("male"));
    let outgoing = incoming.next.outgoing(Kind::Fhir, patient(), &ours).unwrap();
    assert_eq!(outgoing.theirs, value(r#"{"gender":"male","language":"de"}"#));
}

#[test]
fn an_open_conflict_does_not_hold_up_the_rest() {
    let pair = twins(r#"{"contact":[{"gender":"male"}],"gender":"male"}"#);
    let ours = value(r#"{"contact":[{"gender":"female"}],"gender":"male"}"#);
    let theirs = value(r#"{"contact":[{"gender":"other"}],"gender":"male"}"#);
    let incoming = pair.incoming(Kind::Fhir, patient(), &ours, &theirs);
    assert_eq!((incoming.conflicts.len(), &incoming.ours), (1, &None));
    assert_eq!(incoming.next.outgoing(Kind::Fhir, patient(), &ours), None);
    let ours = value(r#"{"contact":[{"gender":"female"}],"gender":"female"}"#);
    let outgoing = incoming.next.outgoing(Kind::Fhir, patient(), &ours).unwrap();
    assert!(outgoing.differs);
    assert_eq!(outgoing.theirs, value(r#"{"contact":[{"gender":"other"}],"gender":"female"}"#));
}

#[test]
fn a_row_holds_all_of_it() {
    let pair = twins(r#"{"gender":"male"}"#);
    let outgoing = pair.outgoing(Kind::Fhir, patient(), &value(r#"{"gender":"female"}"#)).unwrap();
    let sending = Pair { version: 3, seen: 9, ..pair.sending(&outgoing) };
    for pair in [pair, sending] {
        assert_eq!(Pair::from_row(&pair.to_row()), Some(pair));
    }
}
