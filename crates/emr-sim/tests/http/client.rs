//! A simulator and a plain HTTP client of it.

use emr_sim::{Options, Profile, Sim};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;

/// Base paths.
pub(crate) const FHIR: &str = "/apis/default/fhir";
pub(crate) const REST: &str = "/apis/default/api";

pub(crate) struct Emr {
    pub(crate) sim: Sim,
    pub(crate) http: Client,
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Number of entries of a Bundle.
    pub(crate) fn entries(&self) -> usize {
        self.json()["entry"].as_array().map_or(0, Vec::len)
    }

    /// Ids of a Bundle's entries.
    pub(crate) fn ids(&self) -> Vec<String> {
        let bundle = self.json();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["resource"]["id"].as_str().map(str::to_owned)).collect()
    }
}

/// A simulator that lets everyone in.
pub(crate) async fn open(profile: Profile) -> Emr {
    start(Options { profile, oauth_required: false, ..Options::default() }).await
}

pub(crate) async fn start(options: Options) -> Emr {
    let sim = Sim::start(options).await.expect("the simulator starts");
    // No connection is used twice: what one request does to it must not meet the next.
    let http = Client::builder().pool_max_idle_per_host(0).timeout(Duration::from_secs(20)).no_proxy().build();
    Emr { sim, http: http.expect("a client") }
}

impl Emr {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.sim.address())
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse::<Method>().expect("a method"), self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await.expect("an answer")
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).await.expect("an answer")
    }

    pub(crate) async fn try_send(&self, method: &str, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let request = self.request(method, path).header("content-type", "application/json");
        send(request.body(body.to_string())).await
    }

    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request("POST", path).header("content-type", "application/x-www-form-urlencoded");
        send(request.body(body)).await.expect("an answer")
    }

    /// Creates a Patient by FHIR; its FHIR id and pid.
    pub(crate) async fn patient(&self, key: &str) -> (String, u64) {
        let created = self.send("POST", &format!("{FHIR}/Patient"), &patient(key)).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let body = created.json();
        (body["uuid"].as_str().expect("a uuid").to_owned(), body["pid"].as_u64().expect("a pid"))
    }
}

pub(crate) async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

/// A Patient that OpenEMR takes.
pub(crate) fn patient(key: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "type": { "coding": [{ "code": "PT" }] }, "system": "urn:weir", "value": key }],
        "name": [{ "use": "official", "family": "Ito", "given": ["Aiko"] }],
        "telecom": [{ "system": "phone", "use": "home", "value": "555-1" }],
        "gender": "female",
        "birthDate": "1990-05-01",
    })
}

/// Waits until `holds`, for at most ten seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happened: {what}");
}
