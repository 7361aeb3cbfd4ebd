//! A real GNU Health, started by `scripts/gnu-health`: SIGKILL at random points while patients and appointments are delivered to it.
//! Its PostgreSQL says what is there, a pass-through before it when each call arrived.
//!
//! `cargo xtask sim gnu-health` makes the run; `WEIR_GNU_HEALTH_RECORDS`, `WEIR_GNU_HEALTH_KILLS`, `WEIR_GNU_HEALTH_RATE` and
//! `WEIR_GNU_HEALTH_SEED` change it.

#[path = "binary/support.rs"]
#[expect(dead_code, reason = "shared with the binary tests, which use more of it")]
mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::{Client, Server, weir};

/// The tests count rows of one database.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// When each call arrived at GNU Health.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

#[expect(clippy::disallowed_methods, reason = "the settings of a test run come from its environment")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str, default: u64) -> u64 {
    setting(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The running GNU Health.
struct Emr {
    settings: BTreeMap<String, String>,
}

impl Emr {
    fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/gnu-health")
    }

    fn ask(arguments: &[&str]) -> String {
        let output = Command::new(Emr::script()).args(arguments).output().expect("bash is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn find() -> Emr {
        let text = Emr::ask(&["env"]);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Emr { settings: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    fn setting(&self, name: &str) -> &str {
        &self.settings[&format!("WEIR_GNU_HEALTH_{name}")]
    }

    /// The rows of a query, their columns joined by `|`.
    fn sql(&self, statement: &str) -> Vec<String> {
        Emr::ask(&["sql", statement]).lines().map(str::to_owned).collect()
    }

    fn count(&self, table: &str) -> u64 {
        self.sql(&format!("select count(*) from {table}"))[0].parse().expect("a number")
    }
}

/// Hands each request on and notes its first byte.
fn pass_through(emr: &Emr) -> (String, Arrivals) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let upstream = emr.setting("URL").trim_start_matches("http://").to_owned();
    let arrivals = Arrivals::default();
    let noted = arrivals.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let (upstream, noted) = (upstream.clone(), noted.clone());
            std::thread::spawn(move || hand_on(stream, &upstream, &noted));
        }
    });
    (address, arrivals)
}

/// One request: the server closes its connection after each answer.
fn hand_on(stream: TcpStream, upstream: &str, arrivals: &Arrivals) -> Option<()> {
    let mut client = BufReader::new(stream);
    if client.fill_buf().ok()?.is_empty() {
        return None;
    }
    arrivals.lock().expect("no panic").push(Instant::now());
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let start = request.len();
        client.read_until(b'\n', &mut request).ok().filter(|read| *read > 0)?;
        let line = String::from_utf8_lossy(&request[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    let mut server = TcpStream::connect(upstream).ok()?;
    server.write_all(&request).and_then(|()| server.write_all(&body)).ok()?;
    // The answer is read to its end even when nobody waits for it any more.
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    client.get_mut().write_all(&answer).ok()
}

fn most_in_a_second(arrivals: &Arrivals) -> usize {
    let mut times = arrivals.lock().expect("no panic").clone();
    times.sort();
    let within = |at: usize| times[at..].iter().take_while(|time| **time - times[at] < Duration::from_secs(1)).count();
    (0..times.len()).map(within).max().unwrap_or(0)
}

fn config(dir: &Path, emr: &Emr, address: &str, rate: u64) {
    let text = format!(
        "[log]\nlevel = \"warn\"\n\n[[destination]]\nname = \"clinic\"\nkind = \"gnu-health\"\nurl = \"http://{address}\"\n\
         types = [\"Practitioner\", \"Patient\", \"Appointment\", \"Immunization\"]\nper_second = {rate}\nconcurrency = 4\ntimeout_s = 30\nquiesce_s = 5\n\
         [destination.gnu_health]\ndatabase = \"{}\"\nlogin = \"{}\"\npassword_file = \"{}\"\n",
        emr.setting("DATABASE"),
        emr.setting("LOGIN"),
        emr.setting("PASSWORD_FILE")
    );
    std::fs::write(dir.join("weir.toml"), text).unwrap();
}

fn start(dir: &Path, port: u16) -> Server {
    let mut command = weir(dir);
    command.env("WEIR__SERVER__LISTEN", format!("127.0.0.1:{port}"));
    Server::spawn(command.arg("serve").arg("--config").arg(dir.join("weir.toml")))
}

/// Appointments of each patient.
const VISITS: u64 = 3;

/// Patients and their appointments.
fn creations(run: &str, patients: u64) -> Vec<(String, Value)> {
    let visits = |at| (at * VISITS..(at + 1) * VISITS).map(|visit| appointment(run, visit, "booked"));
    (0..patients).flat_map(|at| [patient(run, at, "Okafor")].into_iter().chain(visits(at))).collect()
}

/// Every twentieth patient has another name, and does not come to the first visit.
fn changes(run: &str, patients: u64) -> Vec<(String, Value)> {
    let some = (0..patients).step_by(20);
    some.flat_map(|at| [patient(run, at, "Aguilar"), appointment(run, at * VISITS, "cancelled")]).collect()
}

fn patient(run: &str, at: u64, family: &str) -> (String, Value) {
    let body = json!({
        "resourceType": "Patient", "id": format!("{run}-{at}"), "gender": "female", "birthDate": "1980-02-29",
        "name": [{ "family": family, "given": ["Ada"] }], "telecom": [{ "system": "phone", "value": format!("+49 30 {at}") }]
    });
    (format!("Patient/{run}-{at}"), body)
}

fn appointment(run: &str, at: u64, status: &str) -> (String, Value) {
    let who = json!({ "reference": format!("Patient/{run}-{}", at / VISITS) });
    let body = json!({
        "resourceType": "Appointment", "id": format!("{run}-{at}"), "status": status, "start": "2027-03-01T09:30:00Z",
        "end": "2027-03-01T09:45:00Z", "participant": [{ "actor": who, "status": "accepted" }]
    });
    (format!("Appointment/{run}-{at}"), body)
}

/// Until each is acknowledged, over all kills.
fn write(address: &str, writes: Vec<(String, Value)>) {
    let mut client = None;
    for (key, body) in writes {
        loop {
            if client.is_none() {
                client = Client::connect(address).ok();
            }
            match client.as_mut().map(|client: &mut Client| client.send("PUT", &format!("/{key}"), &body.to_string())) {
                Some(Ok(answer)) => {
                    assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
                    break;
                }
                _ => client = None,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What GNU Health must have: `PUID|family name` and `APPT ID|PUID|state`.
type Rows = (Vec<String>, Vec<String>);

fn expected(run: &str, patients: u64, changed: bool) -> Rows {
    let is_changed = |at: u64| changed && at.is_multiple_of(20);
    let person = |at| format!("Patient-{run}-{at}|{}", if is_changed(at) { "Aguilar" } else { "Okafor" });
    let appointment = |at: u64| {
        let is_changed = at.is_multiple_of(VISITS) && is_changed(at / VISITS);
        let state = if is_changed { "center_cancelled" } else { "confirmed" };
        format!("Appointment-{run}-{at}|Patient-{run}-{}|{state}", at / VISITS)
    };
    (sorted((0..patients).map(person).collect()), sorted((0..patients * VISITS).map(appointment).collect()))
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn there(emr: &Emr, run: &str) -> Rows {
    let people = emr.sql(&format!(
        "select party.ref, party.lastname from gnuhealth_patient patient join party_party party on party.id = patient.party \
         where party.ref like 'Patient-{run}-%'"
    ));
    let appointments = emr.sql(&format!(
        "select one.name, party.ref, one.state from gnuhealth_appointment one join gnuhealth_patient patient \
         on patient.id = one.patient join party_party party on party.id = patient.party where one.name like 'Appointment-{run}-%'"
    ));
    (sorted(people), sorted(appointments))
}

fn wait(emr: &Emr, run: &str, expected: &Rows, at_most: Duration) {
    let deadline = Instant::now() + at_most;
    loop {
        let there = there(emr, run);
        if there == *expected {
            return;
        }
        let (people, appointments) = (there.0.len(), there.1.len());
        assert!(
            Instant::now() < deadline,
            "not there in time; there are {people} people and {appointments} appointments"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
#[ignore = "needs a GNU Health: scripts/gnu-health start"]
fn gnu_health_has_every_record_once() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (records, kills) = (number("WEIR_GNU_HEALTH_RECORDS", 100), number("WEIR_GNU_HEALTH_KILLS", 5));
    let (rate, seed) = (number("WEIR_GNU_HEALTH_RATE", 5), number("WEIR_GNU_HEALTH_SEED", 1));
    eprintln!("{records} records at {rate}/s, {kills} kills, seed {seed}");
    let emr = Emr::find();
    let run = format!("r{}", std::process::id());
    let patients = records / (1 + VISITS);
    let before = ["party_party", "gnuhealth_patient", "gnuhealth_appointment"].map(|table| emr.count(table));
    let (address, arrivals) = pass_through(&emr);
    let dir = tempfile::tempdir().unwrap();
    config(dir.path(), &emr, &address, rate);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let mut server = start(dir.path(), port);
    let writer = {
        let (all, address) = (creations(&run, patients), format!("127.0.0.1:{port}"));
        std::thread::spawn(move || write(&address, all))
    };
    // Spread over the time that the calls take: two for a patient, one for an appointment.
    let spacing_ms = patients * (2 + VISITS) * 1_000 / rate / kills.max(1);
    let mut random = seed;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(spacing_ms / 2 + (random >> 33) % spacing_ms.max(1)));
        server.kill();
        server = start(dir.path(), port);
    }
    writer.join().unwrap();
    let at_most = Duration::from_secs(180 + records * 3 / rate);
    wait(&emr, &run, &expected(&run, patients, false), at_most);
    write(&format!("127.0.0.1:{port}"), changes(&run, patients));
    std::thread::sleep(Duration::from_secs(2));
    server.kill();
    server = start(dir.path(), port);
    let expected = expected(&run, patients, true);
    wait(&emr, &run, &expected, at_most);
    let took = started.elapsed();
    // Late commits and repeated sendings would show now.
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!(there(&emr, &run), expected);
    drop(server);
    // Nor has anything been written that does not carry our key.
    let after = ["party_party", "gnuhealth_patient", "gnuhealth_appointment"].map(|table| emr.count(table));
    assert_eq!(after, [before[0] + patients, before[1] + patients, before[2] + patients * VISITS]);
    let most = most_in_a_second(&arrivals);
    let calls = arrivals.lock().unwrap().len();
    eprintln!(
        "{records} records exact, {} kills, {calls} calls, at most {most} in a second, {:.0} s",
        kills + 1,
        took.as_secs_f64()
    );
    assert!(most as u64 <= rate, "{most} calls in a second");
}

/// Asks until the answer is this one.
fn until(emr: &Emr, statement: &str, expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let rows = emr.sql(statement);
        if rows == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{statement}: {rows:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn shot(run: &str, patient: u64, code: &str) -> (String, Value) {
    let body = json!({
        "resourceType": "Immunization", "id": format!("{run}-{patient}"), "status": "completed",
        "patient": { "reference": format!("Patient/{run}-{patient}") }, "occurrenceDateTime": "2026-11-01",
        "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": code }] }, "lotNumber": "L1",
        "route": { "coding": [{ "code": "IM" }] }, "site": { "coding": [{ "code": "LD" }] },
        "doseQuantity": { "value": 0.3, "system": "http://unitsofmeasure.org", "code": "mL" }, "protocolApplied": [{ "doseNumberPositiveInt": 1 }],
        "performer": [{ "actor": { "reference": format!("Practitioner/{run}-d") } }]
    });
    (format!("Immunization/{run}-{patient}"), body)
}

#[test]
#[ignore = "needs a GNU Health: scripts/gnu-health start"]
fn each_kind_of_record_is_made_changed_and_taken_back() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let emr = Emr::find();
    let run = format!("k{}", std::process::id());
    let dir = tempfile::tempdir().unwrap();
    config(dir.path(), &emr, emr.setting("URL").trim_start_matches("http://"), 20);
    let server = start(dir.path(), 0);
    let put = |one: (String, Value)| write(&server.address, vec![one]);
    let license = json!([{ "system": "urn:license", "value": "HP-1" }]);
    put((
        format!("Practitioner/{run}-d"),
        json!({ "resourceType": "Practitioner", "id": format!("{run}-d"), "identifier": license }),
    ));
    put(patient(&run, 1, "Okafor"));
    let mut visit = appointment(&run, VISITS, "booked");
    let doctor = json!({ "actor": { "reference": format!("Practitioner/{run}-d") }, "status": "accepted" });
    visit.1["participant"].as_array_mut().unwrap().push(doctor);
    put(visit);
    put(shot(&run, 1, "208"));
    let vaccination = format!(
        "select one.vaccine_lot, one.dose, one.admin_route, one.admin_site, one.amount, one.date, one.state, professional.code, \
         product.code from gnuhealth_vaccination one \
         join gnuhealth_healthprofessional professional on professional.id = one.healthprof \
         join gnuhealth_medicament medicament on medicament.id = one.vaccine \
         join product_product product on product.id = medicament.product where one.observations = 'Immunization-{run}-1'"
    );
    until(&emr, &vaccination, &["L1|1|im|ld|0.3|2026-11-01 12:00:00|in_progress|HP-1|208"]);
    let of_visit = format!(
        "select one.appointment_date, professional.code from gnuhealth_appointment one \
         join gnuhealth_healthprofessional professional on professional.id = one.healthprof where one.name = 'Appointment-{run}-{VISITS}'"
    );
    until(&emr, &of_visit, &["2027-03-01 09:30:00|HP-1"]);
    let mut changed = shot(&run, 1, "140");
    changed.1["lotNumber"] = "L2".into();
    put(changed);
    until(&emr, &vaccination, &["L2|1|im|ld|0.3|2026-11-01 12:00:00|in_progress|HP-1|140"]);
    // What GNU Health does not know becomes a Task, and blocks its own patient only.
    put(patient(&run, 2, "Aguilar"));
    put(shot(&run, 2, "999"));
    let mut client = server.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !String::from_utf8_lossy(&client.send("GET", "/Task", "").unwrap().body).contains("no vaccine in GNU Health")
    {
        assert!(Instant::now() < deadline, "no Task");
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut delete = |key: String| assert_eq!(client.send("DELETE", &format!("/{key}"), "").unwrap().status / 100, 2);
    delete(format!("Appointment/{run}-{VISITS}"));
    until(&emr, &of_visit, &[]);
    delete(format!("Patient/{run}-1"));
    let active = format!(
        "select patient.active, party.active from gnuhealth_patient patient join party_party party on party.id = patient.party \
         where party.ref = 'Patient-{run}-1'"
    );
    until(&emr, &active, &["f|f"]);
    put(patient(&run, 1, "Ito"));
    until(&emr, &active, &["t|t"]);
}
