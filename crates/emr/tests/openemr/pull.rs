//! Everything in the EMR is pulled, and whatever happens to it there is found.

use crate::book::MemoryBook;
use crate::house::{Delivery, House};
use delivery::Async;
use emr::openemr::{Cursor, Findings, Known, KnownError, Mark, Paging, Pull, PullError, Step};
use emr::{OpenEmr, Spaced};
use emr_sim::{Faults, Options, Profile};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::Clock;

const TYPES: [&str; 6] =
    ["Condition", "Immunization", "Appointment", "Observation", "DocumentReference", "Practitioner"];

#[derive(Debug, Default)]
struct Marks {
    marks: Mutex<BTreeMap<(String, String), Mark>>,
    touched: Mutex<BTreeSet<String>>,
}

impl Marks {
    fn put(&self, step: &Step) {
        let mut marks = self.marks.lock().unwrap();
        for (ty, id, mark) in &step.marks {
            let key = (ty.clone(), id.clone());
            match mark {
                Some(mark) => drop(marks.insert(key, *mark)),
                None => drop(marks.remove(&key)),
            }
        }
        let mut touched = self.touched.lock().unwrap();
        for (patient, is_touched) in &step.touched {
            match is_touched {
                true => drop(touched.insert(patient.clone())),
                false => assert!(touched.remove(patient), "a patient is forgotten twice"),
            }
        }
    }
}

impl Known for Marks {
    fn marks<'a>(&'a self, ty: &'a str, ids: &'a [String]) -> Async<'a, Result<Vec<Option<Mark>>, KnownError>> {
        let marks = self.marks.lock().unwrap();
        let found = ids.iter().map(|id| marks.get(&(ty.to_owned(), id.clone())).copied()).collect();
        Box::pin(async { Ok(found) })
    }

    fn list<'a>(
        &'a self,
        ty: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Async<'a, Result<Vec<(String, Mark)>, KnownError>> {
        let marks = self.marks.lock().unwrap();
        let from = (ty.to_owned(), after.to_owned());
        let rows = marks.range(from.clone()..).filter(|(key, _)| **key != from).take_while(|((of, _), _)| of == ty);
        let found = rows.take(limit).map(|((_, id), mark)| (id.clone(), *mark)).collect();
        Box::pin(async { Ok(found) })
    }

    fn touched<'a>(&'a self, after: &'a str, limit: usize) -> Async<'a, Result<Vec<String>, KnownError>> {
        let touched = self.touched.lock().unwrap();
        let rows = touched.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let found = rows.take(limit).cloned().collect();
        Box::pin(async { Ok(found) })
    }
}

/// What a platform holds of the EMR.
struct Mirror {
    house: House,
    emr: Arc<OpenEmr>,
    turns: Spaced,
    findings: Findings,
    pull: Pull,
    marks: Marks,
    cursor: String,
    /// Their JSON without `meta` and `id`.
    records: BTreeMap<(String, String), String>,
    /// The most bytes of records that one step has brought.
    largest: usize,
}

impl Mirror {
    async fn of(house: House) -> Mirror {
        let emr = Arc::new(house.connector(Vec::new()));
        let turns = Spaced::new(Duration::ZERO);
        let findings = emr.probe_suite(&turns).await.unwrap();
        let plan = emr.read_plan(&turns).await.unwrap();
        let pull = Pull::new(emr.clone(), findings.clone(), &plan, &TYPES);
        let cursor = serde_json::to_string(&Cursor::default()).unwrap();
        let (marks, records) = (Marks::default(), BTreeMap::new());
        Mirror { house, emr, turns, findings, pull, marks, cursor, records, largest: 0 }
    }

    /// Steps until the round or sweep is over; each from what the step before has kept. How many records came.
    async fn run(&mut self, sweep: bool) -> usize {
        let (mut pulled, begun, before) = (0, Instant::now(), self.house.sim.state().arrivals);
        loop {
            let cursor: Cursor = serde_json::from_str(&self.cursor).unwrap();
            let step = match sweep {
                true => self.pull.sweep(&cursor, &self.marks, &self.turns).await,
                false => self.pull.round(&cursor, &self.marks, &self.turns).await,
            };
            match step {
                Ok(step) => {
                    pulled += step.pulled.len();
                    let done = step.done;
                    self.apply(step);
                    if done {
                        let calls = self.house.sim.state().arrivals - before;
                        let what = if sweep { "sweep" } else { "round" };
                        let (time, largest, memory) = (begun.elapsed(), self.largest, memory());
                        println!(
                            "{what}: {pulled} records, {calls} calls, {time:.1?}, largest step {largest} bytes, {memory}"
                        );
                        return pulled;
                    }
                }
                Err(PullError::Failed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn apply(&mut self, step: Step) {
        self.marks.put(&step);
        let mut bytes = 0;
        for pulled in step.pulled {
            let key = (pulled.ty, pulled.remote_id);
            match pulled.resource {
                Some(resource) => {
                    let text = resource.to_string();
                    bytes += text.len();
                    let mut resource: Value = serde_json::from_str(&text).unwrap();
                    resource.as_object_mut().unwrap().retain(|name, _| name != "meta" && name != "id");
                    self.records.insert(key, resource.to_string());
                }
                None => assert!(self.records.remove(&key).is_some(), "{key:?} goes twice"),
            }
        }
        self.largest = self.largest.max(bytes);
        self.cursor = serde_json::to_string(&step.cursor).unwrap();
        assert!(self.cursor.len() < 1_000, "the cursor grows: {}", self.cursor);
    }

    /// Records that differ between the two sides.
    fn differences(&self) -> Vec<String> {
        let mut differing = Vec::new();
        let mut seen = 0;
        for ty in TYPES.into_iter().chain(["Patient"]) {
            for record in self.house.sim.records(ty) {
                seen += 1;
                let mine = self.records.get(&(ty.to_owned(), record.id.clone()));
                if mine != Some(&record.body.to_string()) {
                    differing.push(format!("{ty}/{}", record.id));
                }
            }
        }
        if seen != self.records.len() {
            differing.push(format!("{} records too many", self.records.len() as i64 - seen as i64));
        }
        differing
    }

    /// Sets both clocks forward.
    fn advance(&self, by: Duration) {
        self.house.sim.advance(by);
        self.house.clock.advance_us(by.as_micros() as i64);
    }

    fn patient(&self, number: usize) -> String {
        self.house.sim.insert(json!({
            "resourceType": "Patient", "name": [{ "use": "official", "family": format!("Family{number}"), "given": ["A"] }],
            "gender": "female", "birthDate": "1990-05-01",
        }))
    }

    fn records_of(&self, patient: &str) -> [String; 4] {
        let subject = json!({ "reference": format!("Patient/{patient}") });
        let insert = |resource: Value| self.house.sim.insert(resource);
        [
            insert(json!({ "resourceType": "Condition", "subject": subject, "code": { "text": "Cough" } })),
            insert(json!({ "resourceType": "DocumentReference", "subject": subject, "status": "current" })),
            insert(
                json!({ "resourceType": "Observation", "subject": subject, "status": "final", "code": { "text": "Hb" } }),
            ),
            insert(json!({ "resourceType": "Immunization", "patient": subject, "status": "completed" })),
        ]
    }

    fn edit(&self, ty: &str, id: &str) {
        assert!(self.house.sim.edit(ty, id, |body| body["note"] = json!([{ "text": "edited" }])));
    }

    /// Every third of the records edited, every fiftieth patient and every seventh immunization deleted; how many.
    fn change_in_bulk(&self, patients: &[String], records: &[[String; 4]]) -> (usize, usize) {
        let (mut edited, mut deleted) = (0, 0);
        for [_, document, observation, _] in records.iter().skip(7).step_by(3) {
            self.edit("DocumentReference", document);
            self.edit("Observation", observation);
            edited += 2;
        }
        // Those without records.
        let patients = patients.iter().skip(7).step_by(50).map(|id| ("Patient", id));
        let immunizations = records.iter().skip(9).step_by(7).map(|ids| ("Immunization", &ids[3]));
        for (ty, id) in patients.chain(immunizations) {
            assert!(self.house.sim.delete(ty, id));
            deleted += 1;
        }
        (edited, deleted)
    }

    fn has_edit(&self, ty: &str, id: &str) -> bool {
        let record = self.records.get(&(ty.to_owned(), id.to_owned()));
        record.is_some_and(|record| record.contains(r#""note":[{"text":"edited"}]"#))
    }
}

async fn probed(profile: Profile, patients: usize) -> Findings {
    let house = House::build(profile).await;
    for number in 0..patients {
        house.sim.insert(
            json!({ "resourceType": "Patient", "gender": "male", "birthDate": format!("19{:02}-01-01", number + 10) }),
        );
    }
    Mirror::of(house).await.findings
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_learns_how_each_version_pages() {
    let learnt = async |profile, patients| {
        let findings = probed(profile, patients).await;
        (findings.paging, findings.unknown_empties, findings.windows)
    };
    for patients in [1, 5] {
        assert_eq!(learnt(Profile::OpenEmr702, patients).await, (Paging::Window, Some(true), true));
        assert_eq!(learnt(Profile::OpenEmr8, patients).await, (Paging::Paged, Some(true), true));
    }
    // Nobody to find out by: nothing is taken for granted.
    assert_eq!(learnt(Profile::OpenEmr8, 0).await, (Paging::Window, None, false));
}

/// `WEIR_PULL_PATIENTS` makes the long run.
fn patients() -> usize {
    std::env::var_os("WEIR_PULL_PATIENTS").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(900)
}

/// Memory of this process, simulator and all: now and at most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

/// Patients over some months, edits that no time shows, deletions; every one is found.
async fn everything_is_found(options: Options, faults: Faults) {
    let mirror = Mirror::of(House::with(options.clone()).await).await;
    let mut patients = Vec::new();
    let mut records = Vec::new();
    for number in 0..self::patients() {
        if number % (self::patients() / 3) == 0 {
            mirror.advance(Duration::from_secs(100 * 86_400));
        }
        let patient = mirror.patient(number);
        if number % 10 == 0 {
            records.push(mirror.records_of(&patient));
        }
        patients.push(patient);
    }
    // The suite had nobody to find out by: it is run again.
    assert!(!mirror.findings.is_decided());
    let mut mirror = Mirror { findings: mirror.emr.probe_suite(&mirror.turns).await.unwrap(), ..mirror };
    assert!(mirror.findings.is_decided());
    let plan = mirror.emr.read_plan(&mirror.turns).await.unwrap();
    mirror.pull = Pull::new(mirror.emr.clone(), mirror.findings.clone(), &plan, &TYPES);
    mirror.house.sim.set_faults(faults);
    println!("{} patients, {}", patients.len(), memory());
    assert_eq!(mirror.run(false).await, 0, "without a sweep there is nothing to go on from");
    mirror.run(true).await;
    assert_eq!(mirror.differences(), Vec::<String>::new());
    assert_eq!(mirror.run(true).await, 0, "nothing comes twice");

    mirror.advance(Duration::from_secs(3_600));
    // A time shows this one, and by it the patient's documents are looked at.
    let touched = &records[3];
    mirror.edit("Condition", &touched[0]);
    mirror.edit("DocumentReference", &touched[1]);
    // No time shows these.
    mirror.edit("DocumentReference", &records[5][1]);
    mirror.edit("Observation", &records[6][2]);
    let newcomer = mirror.patient(self::patients());
    mirror.records_of(&newcomer);
    mirror.run(false).await;
    assert!(mirror.has_edit("Condition", &touched[0]) && mirror.has_edit("DocumentReference", &touched[1]));
    assert!(!mirror.has_edit("DocumentReference", &records[5][1]), "the simulator is honest");
    assert!(mirror.records.contains_key(&("Patient".to_owned(), newcomer)));
    assert!(mirror.marks.touched.lock().unwrap().is_empty(), "who was read again is forgotten");
    // No time shows any of these either: what was edited or deleted in bulk.
    let (edited, deleted) = mirror.change_in_bulk(&patients, &records);
    assert_eq!(mirror.run(false).await, 0, "no time shows them");
    assert_eq!(mirror.run(true).await, 2 + edited + deleted);
    assert_eq!(mirror.differences(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_found_in_version_7_0_2() {
    everything_is_found(Options { profile: Profile::OpenEmr702, ..Options::default() }, Faults::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_found_in_version_8_through_faults() {
    let faults = Faults { server_error: 0.05, too_many: 0.05, half_close: 0.03, ..Faults::default() };
    everything_is_found(Options { profile: Profile::OpenEmr8, ..Options::default() }, faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_are_an_hour_wrong_lose_nothing() {
    let options = Options { zone: "America/New_York".into(), ..Options::default() };
    let mut mirror = Mirror::of(House::with(options).await).await;
    let patient = mirror.patient(1);
    mirror.run(true).await;
    let zone = TimeZone::get("America/New_York").unwrap();
    let mut day = 0;
    let mut edit_and_pull = async |mirror: &mut Mirror| {
        day += 1;
        mirror.house.sim.edit("Patient", &patient, |body| body["birthDate"] = json!(format!("1990-05-{day:02}")));
        mirror.run(false).await;
        assert_eq!(mirror.differences(), Vec::<String>::new(), "edit {day}");
    };
    // Around both changes of the clocks: what was written shortly before shows an hour too late or too early shortly after.
    for _ in 0..2 {
        let now = Timestamp::from_microsecond(mirror.house.clock.now_us()).unwrap();
        let change = zone.following(now).next().unwrap().timestamp();
        let minutes = |count: u64| Duration::from_secs(60 * count);
        mirror.advance(Duration::try_from(change.duration_since(now)).unwrap() - minutes(10));
        edit_and_pull(&mut mirror).await;
        mirror.advance(minutes(20));
        assert_eq!(mirror.run(false).await, 0);
        mirror.advance(minutes(5));
        edit_and_pull(&mut mirror).await;
        mirror.advance(minutes(120));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_writing_share_one_rate() {
    let house = House::build(Profile::OpenEmr8).await;
    let emr = Arc::new(house.connector(vec![house.writer().await]));
    let before = house.sim.state().arrivals;
    for number in 0..30 {
        house.sim.insert(json!({ "resourceType": "Patient", "birthDate": format!("1990-05-{number:02}") }));
    }
    let delivery = Delivery::paced(house, emr.clone(), MemoryBook::default(), 20).await;
    for number in 0..15 {
        let body =
            json!({ "name": [{ "family": "Ito", "given": ["Aiko"] }], "gender": "female", "birthDate": "1990-05-01" });
        delivery.put_soon(&format!("Patient/p{number}"), body);
    }
    let calls = delivery.handle.calls();
    let findings = emr.probe_suite(&calls).await.unwrap();
    let plan = emr.read_plan(&calls).await.unwrap();
    let pull = Pull::new(emr, findings, &plan, &["DocumentReference"]);
    let (marks, mut cursor, mut pulled) = (Marks::default(), Cursor::default(), 0);
    loop {
        let step = pull.sweep(&cursor, &marks, &calls).await.unwrap();
        pulled += step.pulled.len();
        marks.put(&step);
        if step.done {
            break;
        }
        cursor = step.cursor;
    }
    delivery.settle().await;
    assert!(pulled >= 30, "{pulled}");
    let at_us: Vec<u64> =
        delivery.sim().arrivals(before, usize::MAX).into_iter().map(|arrival| arrival.mono_us).collect();
    let most = at_us.iter().map(|from| at_us.iter().filter(|at| (*from..from + 1_000_000).contains(at)).count()).max();
    assert!(most <= Some(20), "{most:?} arrivals in one second");
    // A dispatcher that has ended lets nobody call any more.
    delivery.handle.stop().await;
    while calls.next().await.is_some() {}
}
