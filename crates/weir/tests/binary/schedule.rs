//! A schedule of the operator's own, in the place of the one that is shipped.

use crate::shared_data::shared_data;
use crate::support::{Server, run, weir};
use serde_json::{Value, json};

#[test]
fn what_an_operator_names_is_what_everything_is_measured_by() {
    let dir = tempfile::tempdir().unwrap();
    let schedule = dir.path().join("supporting-data-house");
    std::fs::create_dir(&schedule).unwrap();
    for entry in std::fs::read_dir(shared_data().join("cdsi/supporting-data-4.64")).unwrap() {
        let entry = entry.unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        if entry.file_name().to_string_lossy().contains("Polio") {
            text = text.replace("<minAge>6 weeks</minAge>", "<minAge>10 weeks</minAge>");
        }
        std::fs::write(schedule.join(entry.file_name()), text).unwrap();
    }
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, format!("[vaccines]\nschedule_dirs = [{schedule:?}]\n")).unwrap();
    let mut server = Server::spawn(weir(dir.path()).arg("serve").arg("--config").arg(&config));
    let mut client = server.client();
    let programmes = client.send_root("GET", "/programmes", "").unwrap().json();
    let programmes = programmes["programmes"].as_array().cloned().unwrap_or_default();
    let clinical: Vec<&Value> = programmes.iter().filter(|one| one["calculator"] == "clinical").collect();
    assert!(clinical.iter().any(|one| one["id"] == "Polio" && one["version"] == "house"), "{clinical:?}");

    let child = json!({ "resourceType": "Patient", "gender": "female", "birthDate": "2026-11-01" });
    let request = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "assessmentDate", "valueDate": "2026-11-28" }, { "name": "patient", "resource": child } ] });
    let forecast = client.send("POST", "/$immds-forecast", &request.to_string()).unwrap();
    let text = String::from_utf8_lossy(&forecast.body).into_owned();
    assert_eq!(forecast.status, 200, "{text}");
    let recommended = forecast.json()["parameter"][0]["resource"]["recommendation"].clone();
    let of_polio = |one: &&Value| one.to_string().to_lowercase().contains("polio");
    let polio = recommended.as_array().into_iter().flatten().find(of_polio).cloned().unwrap_or_default();
    assert!(polio.to_string().contains("2027-01-10"), "ten weeks, where CDC says six: {polio}");

    server.kill();
    std::fs::remove_file(schedule.join("ScheduleSupportingData.xml")).unwrap();
    let refused = run(dir.path(), &["serve", "--config", config.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("there is no ScheduleSupportingData.xml"), "{text}");
}
