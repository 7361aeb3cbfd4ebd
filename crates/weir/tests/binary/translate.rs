//! Codes are translated by stored ConceptMaps before they leave; a code without a counterpart is refused with its place, and goes
//! once the map knows it.

use crate::openemr::{put, start, until};
use crate::support::Server;
use emr_sim::{Options, Profile, Sim};
use serde_json::{Value, json};

fn map(codes: &[(&str, &str)]) -> Value {
    let element = |(code, target): &(&str, &str)| json!({ "code": code, "target": [{ "code": target, "equivalence": "equivalent" }] });
    json!({ "resourceType": "ConceptMap", "id": "vaccines", "status": "active", "group": [{
        "source": "urn:clinic:vaccines", "target": "http://hl7.org/fhir/sid/cvx",
        "element": codes.iter().map(element).collect::<Vec<_>>() }] })
}

fn shot(id: &str, code: &str) -> Value {
    json!({ "resourceType": "Immunization", "id": id, "status": "completed", "patient": { "display": "somebody" },
        "vaccineCode": { "coding": [{ "system": "urn:clinic:vaccines", "code": code }] }, "occurrenceDateTime": "2027-01-05" })
}

fn destination(server: &Server) -> Value {
    let mut client = crate::support::Client::connect(&server.address).unwrap();
    client.send_root("GET", "/ops/api/destinations", "").unwrap().json()["destinations"][0].clone()
}

#[test]
fn codes_are_translated_or_refused_with_their_place() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let sim = runtime
        .block_on(Sim::start(Options { profile: Profile::FhirR4, oauth_required: false, ..Options::default() }))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = format!(
        "[[destination]]\nname = \"emr\"\nurl = \"http://{}/fhir\"\nper_second = 100\nquiesce_s = 1\n\
         types = [\"Immunization\"]\nconcept_maps = [\"vaccines\"]\n",
        sim.address()
    );
    std::fs::write(dir.path().join("weir.toml"), settings).unwrap();
    let server = start(dir.path());
    put(&server, &map(&[("BNT", "208")]));
    put(&server, &shot("known", "BNT"));
    until("the translated one arrives", || sim.counts().get("Immunization") == Some(&1));
    let codings = &sim.records("Immunization")[0].body["vaccineCode"]["coding"];
    assert_eq!((&codings[0]["code"], &codings[1]["code"]), (&json!("BNT"), &json!("208")), "{codings}");

    put(&server, &shot("new", "XYZ"));
    until("the one without a counterpart is refused", || destination(&server)["dead"] == 1);
    let task = server.client().get("/Task").json()["entry"][0]["resource"].clone();
    let reason = task["statusReason"]["text"].as_str().unwrap();
    assert!(reason.contains("Immunization.vaccineCode: no code of it has a counterpart"), "{reason}");
    put(&server, &map(&[("BNT", "208"), ("XYZ", "213")]));
    let mut client = crate::support::Client::connect(&server.address).unwrap();
    let path = "/ops/api/destinations/default/emr/replay";
    assert_eq!(client.send_root("POST", path, "{\"numbers\":null}").unwrap().status, 200);
    until("it goes with the new map", || sim.counts().get("Immunization") == Some(&2));
}
