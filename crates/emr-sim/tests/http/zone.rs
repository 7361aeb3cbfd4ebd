//! An OpenEMR that does not live in UTC.

use crate::client::{Emr, FHIR, REST, start};
use emr_sim::{Options, Sim};
use serde_json::json;
use std::time::Duration;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

async fn new_york() -> Emr {
    start(Options { zone: "America/New_York".to_owned(), oauth_required: false, ..Options::default() }).await
}

#[tokio::test]
async fn last_updated_changes_its_offset_with_the_season_and_searches_do_not() {
    let emr = new_york().await;
    let (id, _) = emr.patient("k1").await;
    let path = format!("{FHIR}/Patient/{id}");
    let shown = || async { emr.get(&path).await.json()["meta"]["lastUpdated"].as_str().unwrap_or_default().to_owned() };
    let before = shown().await;
    let mut after = before.clone();
    // Whenever this runs, the other half of the year begins within eight months.
    for _ in 0..9 {
        if after[19..] == before[19..] {
            emr.sim.advance(MONTH);
            after = shown().await;
        }
    }
    assert_eq!(before[..19], after[..19], "the wall time stays");
    assert_ne!(before[19..], after[19..], "the offset is that of today: the instant has moved by an hour");
    let search = |time: &str| format!("{FHIR}/Patient?_lastUpdated={time}");
    assert_eq!(emr.get(&search(&before[..19])).await.entries(), 1, "without a zone it is the server's");
    assert_eq!(emr.get(&search(&format!("ge{before}"))).await.entries(), 1);
    assert_eq!(emr.get(&search(&format!("gt{before}"))).await.entries(), 0);
}

#[tokio::test]
async fn an_appointment_has_the_offset_of_its_day() {
    let emr = new_york().await;
    let (_, pid) = emr.patient("k1").await;
    for (day, start) in [("2026-01-15", "2026-01-15T09:30:00-05:00"), ("2026-07-15", "2026-07-15T09:30:00-04:00")] {
        let body = json!({ "pc_catid": 5, "pc_title": "Vaccination", "pc_duration": 900, "pc_hometext": "x", "pc_apptstatus": "-",
            "pc_eventDate": day, "pc_startTime": "09:30", "pc_facility": 1, "pc_billing_location": 1 });
        assert_eq!(emr.send("POST", &format!("{REST}/patient/{pid}/appointment"), &body).await.status, 200);
        let bundle = emr.get(&format!("{FHIR}/Appointment?date={day}")).await.json();
        assert_eq!((&bundle["total"], &bundle["entry"][0]["resource"]["start"]), (&json!(1), &json!(start)));
    }
}

#[tokio::test]
async fn a_zone_that_does_not_exist_is_an_error_at_the_start() {
    let error = Sim::start(Options { zone: "Europe/Nowhere".to_owned(), ..Options::default() }).await.err();
    assert_eq!(error.map(|error| error.to_string()).as_deref(), Some("there is no zone `Europe/Nowhere`"));
}
