//! Two-way synchronisation with an OpenEMR by the real binary: what is there comes here, what is changed on either side meets,
//! whoever asks gets it now, and an EMR that fails tells people.

use crate::openemr::{Enrolled, patient, put, start, until, until_or_tell};
use crate::support::{Client, Server};
use emr_sim::Faults;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SYNC: &str = "[destination.sync]\nenabled = true\nevery_s = 1\n";

fn search(server: &Server, path: &str) -> Vec<Value> {
    let bundle = server.client().get(path).json();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

fn post(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    let mut client = Client::connect(&server.address).unwrap();
    let answer = client.send_root("POST", path, &body.to_string()).unwrap();
    (answer.status, answer.json())
}

fn get(server: &Server, path: &str) -> String {
    let answer = Client::connect(&server.address).unwrap().send_root("GET", path, "").unwrap();
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.body).unwrap()
}

fn status(server: &Server) -> Value {
    let all: Value = serde_json::from_str(&get(server, "/sync/status")).unwrap();
    all["syncs"][0].clone()
}

/// Asks for a sweep and waits until one has ended that began after this.
fn sweep(server: &Server) {
    let last = || status(server)["last_sweep"]["started_us"].as_i64().unwrap_or(0);
    let before = last();
    post(server, "/sync/run", &json!({ "course": "sweep" }));
    let state = || format!("{} {}", get(server, "/ops/api/destinations"), status(server));
    until_or_tell("a sweep ends", || last() > before, state);
}

#[test]
fn both_sides_are_kept_in_step() {
    let enrolled = Enrolled::new("per_second = 200\nquiesce_s = 1", SYNC);
    let sim = &enrolled.sim;
    let theirs = sim.insert(json!({ "resourceType": "Patient", "gender": "male", "birthDate": "1980-01-01",
        "name": [{ "use": "official", "family": "Sato", "given": ["Ken"] }] }));
    sim.insert(json!({ "resourceType": "Observation", "status": "final", "code": { "text": "Hb" },
        "subject": { "reference": format!("Patient/{theirs}") } }));
    let mut server = start(enrolled.dir.path());
    until("what is there comes here", || {
        search(&server, "/Patient?family=Sato").len() == 1 && search(&server, "/Observation").len() == 1
    });
    let here = search(&server, "/Patient?family=Sato")[0].clone();
    let observation = &search(&server, "/Observation")[0];
    assert_eq!(observation["subject"]["reference"], format!("Patient/{}", here["id"].as_str().unwrap()));
    assert!(here["meta"]["source"].as_str().unwrap().ends_with(&format!("/Patient/{theirs}")));
    until("the first sweep ends", || {
        status(&server)["last_sweep"]["problem"].is_null() && status(&server)["last_sweep"]["created"] == 2
    });

    // An edit there, by the next round.
    sim.edit("Patient", &theirs, |body| body["birthDate"] = json!("1980-01-31"));
    until("an edit there comes here", || search(&server, "/Patient?birthdate=1980-01-31").len() == 1);
    // An edit here goes there; and one of ours does not come back as another.
    let mut changed = search(&server, "/Patient?family=Sato")[0].clone();
    changed["gender"] = json!("other");
    put(&server, &changed);
    put(&server, &patient("Itoh"));
    let body_of = |id: &str| sim.records("Patient").into_iter().find(|record| record.id == id).unwrap().body;
    until("an edit here goes there", || body_of(&theirs)["gender"] == "other" && sim.counts()["Patient"] == 2);
    put(
        &server,
        &json!({ "resourceType": "Immunization", "id": "i", "status": "completed", "patient": { "reference": "Patient/p" },
        "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] }, "occurrenceDateTime": "2027-01-05" }),
    );
    until("the vaccination is in the chart", || sim.counts().get("DocumentReference") == Some(&1));

    // A crash loses nothing of what is known; everything is looked at once more.
    server.kill();
    let server = start(enrolled.dir.path());
    let sweeps = |server: &Server| status(server)["last_sweep"]["started_us"].as_i64().unwrap_or(0);
    let before = sweeps(&server);
    sim.delete("Patient", &theirs);
    let (code, asked) = post(&server, "/sync/run", &json!({ "course": "sweep" }));
    assert_eq!((code, &asked["status"]), (202, &json!("accepted")));
    until("a sweep finds the deletion", || sweeps(&server) > before);
    until("ours is inactive", || search(&server, "/Patient?active=false&family=Sato").len() == 1);
    assert_eq!(search(&server, "/Patient").len(), 2, "nobody is here twice");
    assert_eq!(search(&server, "/DocumentReference").len(), 0, "our own document does not come back");
    assert!(sim.max_in_window(Duration::from_secs(1)) <= 200);
    let metrics = get(&server, "/metrics");
    assert!(
        metrics.contains("weir_sync_records_total{tenant=\"default\",destination=\"openemr\",result=\"removed\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("weir_alert{tenant=\"default\",destination=\"openemr\",alert=\"run-failed\"} 0"),
        "{metrics}"
    );
    assert!(get(&server, "/ops/default/openemr").contains("Synchronisation"));
}

#[test]
fn a_patient_is_synchronised_on_demand() {
    let enrolled =
        Enrolled::new("per_second = 200\nquiesce_s = 1", "[destination.sync]\nenabled = true\nevery_s = 3600\n");
    let sim = &enrolled.sim;
    let server = start(enrolled.dir.path());
    until("the first sweep ends", || {
        !status(&server)["last_sweep"].is_null() && status(&server)["under_way"].is_null()
    });
    let theirs = sim.insert(json!({ "resourceType": "Patient", "gender": "male", "birthDate": "1980-01-01",
        "name": [{ "use": "official", "family": "Sato", "given": ["Ken"] }] }));
    for text in ["Hb", "HbA1c"] {
        sim.insert(json!({ "resourceType": "Observation", "status": "final", "code": { "text": text },
            "subject": { "reference": format!("Patient/{theirs}") } }));
    }
    let body = json!({ "patientId": theirs });
    let (code, done) = post(&server, "/sync/patient", &body);
    assert_eq!((code, &done["result"]["created"], &done["destination"]), (200, &json!(1), &json!("openemr")), "{done}");
    let (code, done) = post(&server, "/sync/observation", &body);
    assert_eq!((code, &done["result"]["created"]), (200, &json!(2)), "{done}");
    let here = search(&server, "/Patient")[0]["id"].as_str().unwrap().to_owned();
    sim.edit("Patient", &theirs, |body| body["gender"] = json!("female"));
    // By our own id as well.
    let (code, done) = post(&server, "/sync/patient-with-observations", &json!({ "patientId": here }));
    assert_eq!((code, &done["result"]["updated"], &done["result"]["unchanged"]), (200, &json!(1), &json!(2)), "{done}");
    assert_eq!(search(&server, "/Patient?gender=female").len(), 1);
    // What cannot be done is said.
    for (path, body, code, part) in [
        ("/sync/patient", json!({ "patientId": "nobody" }), 404, "no Patient with this id"),
        ("/sync/patient", json!({ "patientid": "x" }), 400, "patientId"),
        ("/sync/patient", json!({ "patientId": "../x" }), 400, "must be the id"),
        ("/sync/patient", json!({ "patientId": theirs, "destination": "other" }), 404, "no such destination"),
        ("/sync/run", json!({ "course": "walk" }), 400, "unknown course walk"),
    ] {
        let (status, answer) = post(&server, path, &body);
        assert_eq!(status, code, "{answer}");
        assert!(answer["issue"][0]["diagnostics"].as_str().unwrap().contains(part), "{answer}");
    }
}

/// Records that staff have made there are changed here: the same record there changes, and nothing is there twice.
#[test]
fn records_that_were_made_there_are_changed_and_removed_from_here() {
    let types =
        "types = [\"Patient\", \"Encounter\", \"Appointment\", \"Condition\", \"MedicationRequest\", \"Observation\"]";
    let enrolled = Enrolled::new(&format!("per_second = 200\nquiesce_s = 1\n{types}"), SYNC);
    let sim = &enrolled.sim;
    let theirs = sim.insert(json!({ "resourceType": "Patient", "gender": "male", "birthDate": "1980-01-01",
        "name": [{ "use": "official", "family": "Sato", "given": ["Ken"] }] }));
    let of = json!({ "reference": format!("Patient/{theirs}") });
    sim.insert(json!({ "resourceType": "Appointment", "status": "booked", "description": "Check", "start": "2027-01-05T09:00:00Z",
        "end": "2027-01-05T09:15:00Z", "participant": [{ "actor": of, "status": "accepted" }] }));
    sim.insert(json!({ "resourceType": "Condition", "subject": of, "code": { "text": "Cough" }, "onsetDateTime": "2026-11-01",
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active" }] } }));
    sim.insert(json!({ "resourceType": "MedicationRequest", "subject": of, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": "Codeine" }, "authoredOn": "2026-11-01" }));
    sim.insert(json!({ "resourceType": "Observation", "subject": of, "status": "final", "effectiveDateTime": "2026-11-01T08:00:00Z",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] }, "valueQuantity": { "value": 70, "unit": "/min" } }));
    let server = start(enrolled.dir.path());
    until("the first sweep ends", || !status(&server)["last_sweep"].is_null());
    let one = |ty: &str| search(&server, &format!("/{ty}"))[0].clone();
    let there = |ty: &str| sim.records(ty).into_iter().map(|record| record.body).collect::<Vec<_>>();

    let mut condition = one("Condition");
    condition["clinicalStatus"]["coding"][0]["code"] = json!("resolved");
    condition["abatementDateTime"] = json!("2026-11-20");
    put(&server, &condition);
    let mut medication = one("MedicationRequest");
    medication["status"] = json!("completed");
    put(&server, &medication);
    let mut appointment = one("Appointment");
    appointment["start"] = json!("2027-01-06T10:00:00Z");
    appointment["end"] = json!("2027-01-06T10:15:00Z");
    put(&server, &appointment);
    until("the problem is resolved there", || {
        there("Condition")[0]["clinicalStatus"]["coding"][0]["code"] == "resolved"
    });
    until("the medication is completed there", || there("MedicationRequest")[0]["status"] == "completed");
    until("the appointment is moved there", || {
        let all = there("Appointment");
        all.len() == 1 && all[0]["start"].as_str().unwrap().starts_with("2027-01-06T10:00")
    });
    let mut pulse = one("Observation");
    pulse["valueQuantity"]["value"] = json!(80);
    put(&server, &pulse);
    until("the staff is asked to change the form", || sim.counts().get("message") == Some(&1));
    // OpenEMR shows less than it was sent: removed before weir has seen that, the record counts as changed there, and a Task asks.
    sweep(&server);
    let gone =
        server.client().send("DELETE", &format!("/Condition/{}", condition["id"].as_str().unwrap()), "").unwrap();
    assert_eq!(gone.status, 204);

    until("the problem is removed there", || there("Condition").is_empty());
    sweep(&server);
    for (ty, count) in
        [("Patient", 1), ("Appointment", 1), ("MedicationRequest", 1), ("Observation", 1), ("Condition", 0)]
    {
        assert_eq!((search(&server, &format!("/{ty}")).len(), there(ty).len()), (count, count), "{ty}");
    }
}

/// Connections break after the write, the pull runs all the time: what is ours must not be taken for something new.
#[test]
fn what_was_written_by_us_never_comes_back_as_another() {
    let types = "types = [\"Patient\", \"Encounter\", \"Appointment\", \"Condition\", \"Observation\"]";
    let enrolled = Enrolled::new(&format!("per_second = 100\nquiesce_s = 1\n{types}"), SYNC);
    let sim = &enrolled.sim;
    let server = start(enrolled.dir.path());
    until("the first sweep ends", || !status(&server)["last_sweep"].is_null());
    sim.set_faults(Faults { commit_then_drop: 0.3, ..Faults::default() });
    const COUNT: usize = 12;
    for n in 0..COUNT {
        let of = json!({ "reference": format!("Patient/p{n}") });
        let mut person = patient("Itoh");
        person["id"] = json!(format!("p{n}"));
        put(&server, &person);
        put(
            &server,
            &json!({ "resourceType": "Encounter", "id": format!("e{n}"), "status": "finished", "subject": of,
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" },
            "period": { "start": "2027-01-05T09:00:00Z" } }),
        );
        put(
            &server,
            &json!({ "resourceType": "Appointment", "id": format!("a{n}"), "status": "booked", "start": "2027-01-05T09:00:00Z",
            "end": "2027-01-05T09:15:00Z", "participant": [{ "actor": of, "status": "accepted" }] }),
        );
        put(
            &server,
            &json!({ "resourceType": "Condition", "id": format!("c{n}"), "subject": of,
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active" }] },
            "code": { "text": format!("Cough {n}") }, "onsetDateTime": "2027-01-01" }),
        );
        put(
            &server,
            &json!({ "resourceType": "Observation", "id": format!("o{n}"), "status": "final", "subject": of,
            "encounter": { "reference": format!("Encounter/e{n}") }, "effectiveDateTime": "2027-01-05T09:05:00Z",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "29463-7" }] },
            "valueQuantity": { "value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg" } }),
        );
    }
    let depth = || {
        let all: Value = serde_json::from_str(&get(&server, "/ops/api/destinations")).unwrap();
        all["destinations"][0]["depth"].as_u64().unwrap() + all["destinations"][0]["dead"].as_u64().unwrap()
    };
    until("all is delivered", || depth() == 0);
    sim.set_faults(Faults::default());
    sweep(&server);
    sweep(&server);
    for ty in ["Patient", "Encounter", "Appointment", "Condition", "Observation"] {
        let here = server.client().get(&format!("/{ty}?_summary=count")).json()["total"].clone();
        assert_eq!(here, json!(COUNT), "{ty} here");
        assert_eq!(sim.counts()[ty], COUNT, "{ty} there");
    }
    let tasks = server.client().get("/Task?_summary=count").json()["total"].clone();
    assert_eq!(tasks, json!(0), "nobody is asked: {:?}", search(&server, "/Task"));
}

/// Takes notices by HTTP.
fn webhook() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let (mut line, mut length, mut authorised) = (String::new(), 0, false);
            while stream.read_line(&mut line).unwrap_or(0) > 2 {
                let header = line.to_ascii_lowercase();
                length = header.strip_prefix("content-length: ").map_or(length, |value| value.trim().parse().unwrap());
                authorised |= line.trim_end().ends_with("Bearer hook-secret");
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            assert!(authorised, "the webhook's token is shown");
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            tell.send(serde_json::from_slice(&body).unwrap()).ok();
        }
    });
    (url, told)
}

/// Takes mails.
fn mail_server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let say = |stream: &mut BufReader<std::net::TcpStream>, text: &str| {
                    stream.get_mut().write_all(text.as_bytes())
                };
                drop(say(&mut stream, "220 mail\r\n"));
                let (mut line, mut mail, mut in_data) = (String::new(), String::new(), false);
                while stream.read_line(&mut line).unwrap_or(0) > 0 {
                    match (in_data, line.trim_end()) {
                        (true, ".") => {
                            in_data = false;
                            tell.send(std::mem::take(&mut mail)).ok();
                            drop(say(&mut stream, "250 taken\r\n"));
                        }
                        (true, text) => mail.push_str(&format!("{text}\n")),
                        (false, "DATA") => {
                            in_data = true;
                            drop(say(&mut stream, "354 go on\r\n"));
                        }
                        (false, "QUIT") => drop(say(&mut stream, "221 bye\r\n")),
                        (false, _) => drop(say(&mut stream, "250 mail\r\n")),
                    }
                    line.clear();
                }
            });
        }
    });
    (url, told)
}

#[test]
fn an_emr_that_fails_tells_people_and_tells_when_it_is_over() {
    let ((hook, hooked), (smtp, mailed)) = (webhook(), mail_server());
    let enrolled = Enrolled::new("per_second = 50\nquiesce_s = 1", "");
    let dir = enrolled.dir.path();
    std::fs::write(dir.join("hook.token"), "hook-secret\n").unwrap();
    let settings = std::fs::read_to_string(dir.join("weir.toml")).unwrap();
    let alerts = format!(
        "[alerts]\nwebhook_url = \"{hook}\"\nwebhook_token_file = {:?}\nsmtp_url = \"{smtp}\"\n\
         mail_from = \"weir <weir@example.org>\"\nmail_to = [\"oncall@example.org\"]\n{settings}\n{SYNC}",
        dir.join("hook.token").display().to_string()
    );
    std::fs::write(dir.join("weir.toml"), alerts).unwrap();
    let server = start(dir);
    until("the first sweep ends", || !status(&server)["last_sweep"].is_null());
    enrolled.sim.set_down(true);
    // Other alerts may come with it.
    let hooked = std::iter::from_fn(|| hooked.recv_timeout(Duration::from_secs(120)).ok());
    let mut hooked = hooked.filter(|notice| notice["alert"] == "run-failed");
    let first = hooked.next().expect("a notice");
    assert_eq!((&first["state"], &first["destination"]), (&json!("firing"), &json!("openemr")));
    let mut mailed = std::iter::from_fn(|| mailed.recv_timeout(Duration::from_secs(60)).ok());
    let mail = mailed.find(|mail| mail.contains("Subject: weir: run-failed firing at openemr")).expect("a mail");
    assert!(mail.contains("To: oncall@example.org"), "{mail}");
    assert!(get(&server, "/metrics").contains("alert=\"run-failed\"} 1"));
    assert!(get(&server, "/ops/default/openemr").contains("did not come to its end"));
    enrolled.sim.set_down(false);
    assert_eq!(hooked.next().expect("a second notice")["state"], "resolved");
}
