//! The control API, the page, the log and the program's options.

use crate::client::{FHIR, open, patient, send, start, until};
use emr_sim::{Faults, Options, Profile, verify_file};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn control_calls_are_no_arrivals_and_do_what_the_library_does() {
    let emr = open(Profile::OpenEmr8).await;
    let inserted = emr.send("POST", "/sim/insert", &json!([patient("k1"), patient("k2")])).await.json();
    let id = inserted["ids"][0].as_str().unwrap_or_default().to_owned();
    let edit = json!({ "type": "Patient", "id": id, "set": { "gender": "other", "telecom": null } });
    assert_eq!(emr.send("POST", "/sim/edit", &edit).await.status, 200);
    let resource = emr.get(&format!("{FHIR}/Patient/{id}")).await.json();
    assert_eq!((&resource["gender"], resource.get("telecom")), (&json!("other"), None));
    let records = emr.get("/sim/records/Patient").await.json();
    assert_eq!((&records[0]["key"], &records[0]["version"]), (&json!("k1"), &json!(2)));
    assert_eq!(emr.send("POST", "/sim/delete", &json!({ "type": "Patient", "id": id })).await.status, 200);
    assert_eq!(emr.send("POST", "/sim/delete", &json!({ "type": "Patient", "id": id })).await.status, 404);
    let state = emr.get("/sim/state").await.json();
    assert_eq!((&state["arrivals"], &state["counts"]["Patient"]), (&json!(1), &json!(1)));
    assert_eq!((&state["profile"], &state["open"]), (&json!("openemr-8"), &json!(true)));
    let page = emr.get("/sim/").await;
    for part in ["openemr-8", "Most arrivals in any second", "commit_then_drop", "/apis/default/fhir/Patient"] {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
    assert_eq!(emr.get("/sim").await.status, 200, "without its slash it leads there");
    for (file, kind) in [("page.css", "text/css; charset=utf-8"), ("page.js", "text/javascript; charset=utf-8")] {
        assert_eq!(emr.get(&format!("/sim/{file}")).await.header("content-type"), Some(kind));
    }
    assert_eq!(emr.get("/sim/verify").await.json(), json!({ "intact": true }));
}

#[tokio::test]
async fn faults_are_switched_while_it_runs() {
    let emr = open(Profile::OpenEmr8).await;
    let path = format!("{FHIR}/metadata");
    assert_eq!(emr.send("POST", "/sim/faults", &json!({ "server_error": 1.0 })).await.status, 200);
    assert!(emr.get(&path).await.status >= 500);
    assert_eq!(emr.send("POST", "/sim/faults", &json!({ "stall_ms": 7 })).await.json()["server_error"], 1.0);
    assert_eq!(emr.send("POST", "/sim/faults", &json!({ "nonsense": 1 })).await.status, 400);
    assert_eq!(emr.send("POST", "/sim/faults", &json!({ "server_error": 0 })).await.status, 200);
    assert_eq!(emr.get(&path).await.status, 200);
}

#[tokio::test]
async fn arrivals_are_listed_from_where_one_left_off() {
    let emr = open(Profile::OpenEmr8).await;
    for _ in 0..5 {
        emr.get(&format!("{FHIR}/metadata")).await;
    }
    let listed = emr.get("/sim/arrivals?after=2&limit=2").await.json();
    let numbers: Vec<u64> = listed.as_array().into_iter().flatten().filter_map(|one| one["no"].as_u64()).collect();
    assert_eq!(numbers, [3, 4]);
    assert_eq!((&listed[0]["kind"], &listed[0]["status"]), (&json!("metadata"), &json!(200)));
    assert_eq!(emr.sim.max_in_window(Duration::from_secs(3_600)), 5);
    assert_eq!(emr.sim.max_in_window(Duration::from_micros(1)), 1);
}

#[tokio::test]
async fn down_for_a_while_by_the_same_port_and_for_good_by_another() {
    let control = Some(([127, 0, 0, 1], 0).into());
    let emr = start(Options { control, oauth_required: false, ..Options::default() }).await;
    let address = emr.sim.address();
    assert_eq!(emr.send("POST", "/sim/down", &json!({ "down": true })).await.status, 400);
    assert_eq!(emr.send("POST", "/sim/down", &json!({ "down": true, "for_ms": 200 })).await.status, 200);
    until("the port refuses", || std::net::TcpStream::connect(address).is_err()).await;
    until("the port accepts", || std::net::TcpStream::connect(address).is_ok()).await;
    let control = format!("http://{}/sim", emr.sim.control_address().expect("a control port"));
    let order = |down: bool| {
        let request = emr.http.post(format!("{control}/down")).header("content-type", "application/json");
        request.body(json!({ "down": down }).to_string())
    };
    assert_eq!(send(order(true)).await.expect("an answer").status, 200);
    until("the port refuses", || std::net::TcpStream::connect(address).is_err()).await;
    let state = send(emr.http.get(format!("{control}/state"))).await.expect("an answer").json();
    assert_eq!(state["open"], false);
    assert_eq!(send(order(false)).await.expect("an answer").status, 200);
    until("the port accepts", || std::net::TcpStream::connect(address).is_ok()).await;
}

#[tokio::test]
async fn the_log_file_is_chained_and_a_changed_entry_is_found() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("arrivals.log");
    let emr = start(Options { log_file: Some(file.clone()), oauth_required: false, ..Options::default() }).await;
    for number in 0..3 {
        emr.patient(&format!("k{number}")).await;
    }
    let last = emr.sim.arrivals(2, 1).pop().map(|arrival| arrival.chain).unwrap_or_default();
    emr.sim.stop().await;
    assert_eq!(verify_file(&file)?.lines, 6);
    let text = std::fs::read_to_string(&file)?;
    assert!(text.lines().last().is_some_and(|line| line.starts_with(&last)));
    std::fs::write(&file, text.replacen("\"status\":201", "\"status\":200", 1))?;
    assert!(verify_file(&file).is_err_and(|error| error.to_string().starts_with("line 2 ")));
    Ok(())
}

#[tokio::test]
async fn a_stopped_simulator_frees_its_port() {
    let emr = open(Profile::OpenEmr8).await;
    let address = emr.sim.address();
    emr.sim.clone().stop().await;
    let again = start(Options { listen: address, ..Options::default() }).await;
    assert_eq!(again.sim.address(), address);
}

#[test]
fn names_of_profiles_and_faults() {
    for profile in Profile::ALL {
        assert_eq!(profile.to_string().parse::<Profile>().ok(), Some(profile));
    }
    assert!("openemr-9".parse::<Profile>().is_err());
    let faults = Faults::default().with("commit_then_drop=0.02").and_then(|faults| faults.with("stall_ms=9"));
    assert_eq!(faults.ok(), Some(Faults { commit_then_drop: 0.02, stall_ms: 9, ..Faults::default() }));
    assert!(Faults::default().with("nonsense=1").is_err());
    assert!(Faults::default().with("stall").is_err());
}
