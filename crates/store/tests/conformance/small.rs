//! Small values: they come back whatever they were packed with.

use crate::recovery::{after, file};
use crate::support::{Fixture, fixture};
use rusqlite::Connection;
use store::{Batch, CounterChange, Event, StateChange};

const MANY: usize = 2_500;

fn event(n: usize) -> Event {
    let text =
        format!(r#"{{"type":"status-changed","person":"p{n}","programme":"Polio","status":"not","marks":["due"]}}"#);
    Event { topic: "change".into(), payload: text.into_bytes() }
}

fn state(n: usize) -> StateChange {
    let value = format!(r#"{{"records":[{{"id":"r{n}","link":"own","facts":{{"birth":"1980-02-{:02}"}}}}]}}"#, n % 28);
    StateChange { space: "person".into(), key: format!("p{n:05}"), value: Some(value.into_bytes()) }
}

/// Nothing in common: no two are alike, and none has a pattern.
fn noise(n: usize) -> StateChange {
    let mut seed = n as u64 + 1;
    let byte = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    let value = (0..200).map(byte).collect();
    StateChange { space: "noise".into(), key: format!("p{n:05}"), value: Some(value) }
}

async fn write(fixture: &Fixture, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let change = CounterChange { name: "people".into(), key: format!("Polio not due {}", n % 7), delta: 1 };
        let batch = Batch {
            events: vec![event(n)],
            state: vec![state(n), noise(n)],
            counters: vec![change],
            ..Batch::default()
        };
        fixture.tenant.commit(batch).await.unwrap();
    }
}

async fn check(fixture: &Fixture, count: usize) {
    let events = fixture.tenant.events("change", 0, usize::MAX >> 1).await.unwrap();
    assert_eq!(events.len(), count);
    assert!(events.iter().enumerate().all(|(n, told)| told.payload == event(n).payload));
    for (space, made) in [("person", state as fn(usize) -> StateChange), ("noise", noise)] {
        let kept = fixture.tenant.states(space, "", usize::MAX >> 1).await.unwrap();
        assert_eq!(kept.len(), count);
        assert!(kept.into_iter().enumerate().all(|(n, (_, value))| Some(value) == made(n).value), "{space}");
    }
    let mut people = 0;
    fixture.tenant.counters(|name, _, n| people += if name == "people" { n } else { 0 }).await.unwrap();
    assert_eq!(people, count as i64);
}

fn bytes(fixture: &Fixture, sql: &str) -> i64 {
    Connection::open(file(fixture)).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn values_of_a_kind_become_smaller_once_there_are_many() {
    let fixture = fixture();
    write(&fixture, 0..MANY).await;
    fixture.tenant.compact().unwrap();
    write(&fixture, MANY..MANY + 100).await;
    check(&fixture, MANY + 100).await;
    fixture.store.close();
    for (first, last) in [
        (
            "SELECT length(payload) FROM events ORDER BY no LIMIT 1",
            "SELECT length(payload) FROM events ORDER BY no DESC LIMIT 1",
        ),
        (
            "SELECT length(value) FROM state WHERE space = 'person' ORDER BY key LIMIT 1",
            "SELECT length(value) FROM state WHERE space = 'person' ORDER BY key DESC LIMIT 1",
        ),
    ] {
        let (first, last) = (bytes(&fixture, first), bytes(&fixture, last));
        assert!(last * 4 < first * 3, "{first} bytes became {last}");
    }
    let fixture = fixture.reopen();
    check(&fixture, MANY + 100).await;
    write(&fixture, MANY + 100..MANY + 110).await;
    check(&fixture, MANY + 110).await;
    let report = fixture.tenant.doctor(false).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    let fixture = after(fixture, "DELETE FROM small_dicts WHERE kind = 'event change'");
    let lost = fixture.tenant.events("change", MANY as u64 + 1, 10).await.unwrap_err().to_string();
    assert!(lost.contains("dictionary") && lost.contains("missing"), "{lost}");
    // How many of them depends on when the keeper came to train it.
    let problems = fixture.tenant.doctor(false).unwrap().problems;
    assert!(matches!(problems.as_slice(), [one] if one.ends_with(" of the events do not open")), "{problems:?}");
}
