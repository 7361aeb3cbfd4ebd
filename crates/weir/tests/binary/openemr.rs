//! Enrolment at an OpenEMR, deliveries to it with both credentials, and a restart that goes on with the rotated refresh token.

use crate::support::{Server, run, weir};
use emr_sim::{Options, Profile, Sim};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    until_or_tell(what, holds, String::new);
}

/// When it does not happen, `state` says how things are.
pub(crate) fn until_or_tell(what: &str, holds: impl Fn() -> bool, state: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not happen {}", state());
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn put(server: &Server, resource: &serde_json::Value) {
    let path = format!("/{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let answer = server.client().send("PUT", &path, &resource.to_string()).unwrap();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.json());
}

pub(crate) fn patient(family: &str) -> serde_json::Value {
    json!({ "resourceType": "Patient", "id": "p", "name": [{ "use": "official", "family": family, "given": ["Aiko"] }],
        "gender": "female", "birthDate": "1990-05-01" })
}

pub(crate) fn start(dir: &Path) -> Server {
    Server::spawn(weir(dir).arg("serve").arg("--config").arg(dir.join("weir.toml")))
}

/// A simulated OpenEMR 8 at which weir is enrolled.
pub(crate) struct Enrolled {
    pub(crate) sim: Sim,
    pub(crate) dir: TempDir,
    /// Keeps the simulator going.
    _runtime: Runtime,
}

impl Enrolled {
    /// `more` goes into the destination that enrolment has printed, `tables` behind it.
    pub(crate) fn new(more: &str, tables: &str) -> Enrolled {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sim = runtime.block_on(Sim::start(Options { profile: Profile::OpenEmr8, ..Options::default() })).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let url = format!("http://{}", sim.address());
        let creds = dir.path().join("creds");
        let creds = creds.to_str().unwrap();
        let enrolled = run(dir.path(), &["emr", "enroll", "--url", &url, "--dir", creds]);
        let text = String::from_utf8_lossy(&enrolled.stdout).into_owned();
        assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
        let password = dir.path().join("password");
        std::fs::write(&password, "pass\n").unwrap();
        let login = ["emr", "login", "--url", &url, "--dir", creds, "--user", "admin", "--password-file"];
        let login = || weir(dir.path()).args(login).arg(&password).output().unwrap();
        let early = login();
        assert!(
            !early.status.success() && String::from_utf8_lossy(&early.stderr).contains("hint: has an administrator")
        );
        for client in sim.clients() {
            assert!(sim.approve(client["client_id"].as_str().unwrap()));
        }
        assert!(login().status.success());
        let again = run(dir.path(), &["emr", "enroll", "--url", &url, "--dir", creds]);
        assert!(!again.status.success(), "what is registered is not overwritten");
        // The configuration is the one that enrolment has printed.
        let (_, snippet) = text.split_once("[[destination]]").unwrap();
        let settings = format!("[[destination]]{snippet}").replacen("per_second = 5", more, 1);
        std::fs::write(dir.path().join("weir.toml"), format!("{settings}\n{tables}")).unwrap();
        Enrolled { sim, dir, _runtime: runtime }
    }
}

#[test]
fn weir_enrols_at_an_openemr_and_delivers_to_it() {
    let types = "types = [\"Patient\", \"Appointment\", \"Immunization\"]";
    let enrolled = Enrolled::new(&format!("per_second = 50\nquiesce_s = 1\n{types}"), "");
    let (sim, dir) = (&enrolled.sim, enrolled.dir.path());
    let mut server = start(dir);
    put(&server, &patient("Itoh"));
    put(
        &server,
        &json!({ "resourceType": "Appointment", "id": "a", "status": "booked", "start": "2027-01-05T09:00:00Z",
        "end": "2027-01-05T09:15:00Z", "participant": [{ "actor": { "reference": "Patient/p" }, "status": "accepted" }] }),
    );
    put(
        &server,
        &json!({ "resourceType": "Immunization", "id": "i", "status": "completed", "patient": { "reference": "Patient/p" },
        "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] }, "occurrenceDateTime": "2027-01-05" }),
    );
    let counts = || sim.counts();
    until("the patient, the appointment and the vaccination arrive", || {
        counts().get("Patient") == Some(&1)
            && counts().get("Appointment") == Some(&1)
            && counts().get("message") == Some(&1)
    });
    // A refresh token works once: a process that dies must have kept the newest.
    server.kill();
    let server = start(dir);
    put(&server, &patient("Sato"));
    until("the change arrives", || sim.records("Patient")[0].body.to_string().contains("Sato"));
    assert_eq!(counts().get("Patient"), Some(&1));
    assert!(sim.max_in_window(Duration::from_secs(1)) <= 50);
}

/// The refresh token of the service user is lost: the spare one writes, and nothing waits.
#[test]
fn a_spare_service_user_takes_over() {
    let enrolled = Enrolled::new("per_second = 50\nquiesce_s = 1\ntypes = [\"Patient\"]", "");
    let dir = enrolled.dir.path();
    let url = format!("http://{}", enrolled.sim.address());
    let (creds, password) = (dir.join("creds"), dir.join("password"));
    let login = ["emr", "login", "--spare", "--url", &url, "--user", "admin"];
    let login = weir(dir).args(login).arg("--dir").arg(&creds).arg("--password-file").arg(&password).output().unwrap();
    assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
    let printed = String::from_utf8_lossy(&login.stdout).into_owned();
    let (_, keys) = printed.split_once("[destination.openemr]:").unwrap();
    let config = dir.join("weir.toml");
    let settings = std::fs::read_to_string(&config).unwrap();
    let table = "[destination.openemr]\n";
    std::fs::write(&config, settings.replacen(table, &format!("{table}{keys}"), 1)).unwrap();
    std::fs::write(creds.join("writer.refresh"), "a-token-that-was-used-up").unwrap();
    let server = start(dir);
    put(&server, &patient("Itoh"));
    until("the patient arrives by the spare", || enrolled.sim.counts().get("Patient") == Some(&1));
}
